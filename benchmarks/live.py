"""One explorer in both of its hosts, for the tests and the benchmarks: Chromium shows it.

`lab` runs it in JupyterLab, with a kernel; `book` puts it on a page, where none answers.
"""

import gzip
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Locator, Page, Response, Route

from gfbook import explore

ROOT = Path(__file__).resolve().parent.parent
CELL = """\
import numpy as np
import gfcore as gf
from gfbook import plots
from gfbook.explore import Answer, Choice, Explorer, Slider

def mode(lam, sigma):
    t = np.linspace(0, 4, 201)
    x = gf.exact.spectral_modes(sigma, lam, 0.01, t)
    return Answer(t, [x], f"With λ₀ = {lam:.6f} and σ = {sigma:g}, σ(1) = {x[50]:.8f}.")

explorer = Explorer(
    mode,
    {
        "lam": Slider("imbalance λ₀", 0, 8, value=2),
        "sigma": Choice("singular value σ", {"one": 1.0, "two": 2.0}),
    },
    "time t", "σ(t)", [("mode", plots.TWO_LAYER)], "explore-live",
)
explorer
"""
EXPLORED = re.compile(rb'(?<=<script type="application/json">).*?(?=</script>)', re.S)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
# From each input event until the answer's curve is in the pixels, in milliseconds.
MOVES = """async (box, positions) => {
  const plot = box.querySelector(".explorer-plot").plot;
  const input = box.querySelector("input");
  const spent = [];
  for (const position of positions) {
    await new Promise(requestAnimationFrame);
    await new Promise((drawn) => {
      const start = performance.now();
      plot.hooks.draw = [() => {
        plot.ctx.getImageData(0, 0, 1, 1); // waits for what was drawn
        spent.push(performance.now() - start);
        drawn();
      }];
      input.value = position;
      input.dispatchEvent(new Event("input"));
    });
  }
  return spent;
}"""


@contextmanager
def served(folder: Path, asked: list[str] | None = None) -> Iterator[str]:
    """Serve a folder on this machine, as a public host does; yield its address.

    What it is asked for is added to `asked`: a browser does not tell of all that workers want.
    """
    heard = [] if asked is None else asked

    class Host(SimpleHTTPRequestHandler):
        def log_message(self, form: str, *said: Any) -> None:
            heard.append(form % said)

        def end_headers(self) -> None:
            # Without a word of the host, a browser keeps what is new for no time. A public host
            # says ten minutes, after which a slow machine may still be at its tests.
            self.send_header("Cache-Control", "max-age=86400")
            super().end_headers()

    handler = partial(Host, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def weight(answers: Iterable[Response]) -> int:
    """Return the bytes of a load, each file compressed, without what its explorers know."""
    bodies = [EXPLORED.sub(b"", answer.body()) for answer in answers]
    return sum(len(gzip.compress(body, 6)) for body in bodies)


def explorer() -> explore.Explorer:
    """Return the explorer of CELL, in this process."""
    names: dict[str, Any] = {}
    exec(CELL, names)
    return names["explorer"]


@contextmanager
def server(folder: Path, python: str = sys.executable) -> Iterator[dict[str, Any]]:
    """Run a Python's JupyterLab in a folder, with its own settings; yield what it says."""
    from jupyter_server.serverapp import list_running_servers  # takes a second

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"IPYTHONDIR": str(folder / ".ipython")}
    own |= {f"JUPYTER_{name}_DIR": str(folder / f".{name}") for name in ("CONFIG", "RUNTIME")}
    options = "--no-browser --allow-root --ip=127.0.0.1 --LabApp.extension_manager=readonly"
    options += f" --ServerApp.port={port} --IdentityProvider.token={secrets.token_hex()}"
    log = folder / "server.log"
    with log.open("w") as said:
        command = [python, "-m", "jupyterlab", *options.split()]
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=said, stderr=said
        )
        try:
            while not (running := list(list_running_servers(own["JUPYTER_RUNTIME_DIR"]))):
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            yield running[0]
        finally:
            process.terminate()
            process.wait()


@contextmanager
def opened(
    browser: Browser, folder: Path, name: str, python: str = sys.executable
) -> Iterator[Page]:
    """Open a notebook of a folder in JupyterLab and run all of it."""
    with server(folder, python) as running:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(f"{running['url']}lab/tree/{name}?token={running['token']}")
        page.get_by_text("| Idle").wait_for()
        for item in ("Run", "Run All Cells"):
            page.get_by_role("menuitem", name=item, exact=True).click()
        yield page
        page.close()


@contextmanager
def lab(browser: Browser, folder: Path) -> Iterator[Locator]:
    """Run a notebook of CELL in JupyterLab, and yield its explorer."""
    notebook = new_notebook(cells=[new_code_cell(CELL)], metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, folder / "live.ipynb")
    with opened(browser, folder, "live.ipynb") as page:
        page.locator(".explorer-plot canvas").wait_for()
        yield page.locator(".explorer-ready")


@contextmanager
def book(browser: Browser) -> Iterator[Locator]:
    """Show the explorer as a page of the book does, and yield it."""
    files = {"page.html": explorer().page(), "explore.js": explore.script()}
    kinds = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

    def answer(route: Route) -> None:
        name = Path(route.request.url).name
        route.fulfill(body=files[name], content_type=kinds[Path(name).suffix])

    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.route("**/*", answer)
    page.goto("http://localhost/chapters/page.html")
    page.locator(".explorer-plot canvas").wait_for()
    yield page.locator(".explorer-ready")
    page.close()
