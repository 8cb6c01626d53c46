"""Firefox, driven by what it speaks itself: WebDriver BiDi over a socket."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websocket import WebSocket, create_connection

SOON = 180  # seconds, on a machine that does much else
# Keys that are no letters, as WebDriver names them.
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008"}
KEYS |= {"Control": "\ue009", "Escape": "\ue00c", "ArrowRight": "\ue014"}


def firefox() -> str | None:
    """Return the path of $FIREFOX, firefox-esr or firefox, the first that there is."""
    names = (os.environ.get("FIREFOX"), "firefox-esr", "firefox")
    return next((path for name in names if name and (path := shutil.which(name))), None)


class Page:
    """A page in Firefox, what it logged, and what it asked for."""

    def __init__(self, socket: WebSocket, width: int) -> None:
        self.socket, self.count = socket, 0
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        # The window that is there first never has the focus, and no key presses a button in it.
        self.context = self.send("browsingContext.create", type="window")["context"]
        size = {"width": width, "height": 844}
        self.send("browsingContext.setViewport", context=self.context, viewport=size)

    def send(self, method: str, **params: Any) -> Any:
        """Ask, note what happens meanwhile, and return the answer."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        self.socket.send(json.dumps(message))
        while (said := json.loads(self.socket.recv())).get("id") != self.count:
            if said.get("method") == "network.beforeRequestSent":
                self.asked.append(said["params"]["request"]["url"])
            elif said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.troubles.append(said["params"]["text"])
        assert said["type"] == "success", said
        return said["result"]

    def open(self, url: str) -> None:
        """Go to a page, where keys then go as well."""
        self.send("browsingContext.navigate", context=self.context, url=url, wait="complete")
        self.send("browsingContext.activate", context=self.context)

    def do(self, code: str, *given: Any) -> Any:
        """Return what code of a function of the page returns, which has what is given."""
        call = f"((...given) => {{ {code} }})(...{json.dumps(given)})"
        text = f"() => JSON.stringify({call} ?? null)"
        result = self.send(
            "script.callFunction",
            functionDeclaration=text,
            awaitPromise=False,
            target={"context": self.context},
        )
        assert result["type"] == "success", (code, result)
        return json.loads(result["result"]["value"])

    def until(self, code: str, *given: Any, timeout: float = SOON) -> Any:
        """Wait until something is so, and return it."""
        late = time.monotonic() + timeout
        while not (found := self.do(code, *given)):
            assert time.monotonic() < late, (code, given)
            time.sleep(0.2)
        return found

    def reach(self, what: str, held: str | None = None) -> None:
        """Press the keys that lead on until something has the focus: Escape leaves an editor.

        Shift held, they lead back. Past an end of the page is no way: no key presses a button
        after that.
        """
        for _ in range(50):
            self.press("Escape")
            self.press("Tab", held=held)
            if self.do("return document.activeElement.matches(given[0])", what):
                return
        raise AssertionError(f"no key leads to {what}")

    def press(self, *keys: str, held: str | None = None) -> None:
        """Press keys one after another, while another is held."""
        actions = [
            {"type": kind, "value": KEYS.get(key, key)}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        if held:
            value = {"value": KEYS[held]}
            actions = [{"type": "keyDown"} | value, *actions, {"type": "keyUp"} | value]
        self.send(
            "input.performActions",
            context=self.context,
            actions=[{"type": "key", "id": "keys", "actions": actions}],
        )


@contextmanager
def opened(path: str, width: int) -> Iterator[Page]:
    """Start Firefox without a window and with a profile of its own, and yield its page."""
    with tempfile.TemporaryDirectory() as profile:
        # It asks no server of its own for anything.
        Path(profile, "user.js").write_text('user_pref("services.settings.server", "data:,");')
        log = Path(profile, "log")
        command = [path, "--headless", "--no-remote", "--profile", profile]
        with log.open("w") as said:
            process = subprocess.Popen(
                [*command, "--remote-debugging-port", "0"], stdout=said, stderr=said
            )
        try:
            while not (at := re.search(r"BiDi listening on (\S+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            # With an origin it would be taken for a page.
            socket = create_connection(
                f"{at[1]}/session", timeout=5 * SOON, suppress_origin=True
            )
            yield Page(socket, width)
            socket.close()
        finally:
            process.terminate()
            process.wait()
