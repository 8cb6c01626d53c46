"""What Python in the page takes in Chromium: megabytes, and CPU of all of its processes."""

import gzip
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks import live
from gfbook.build.browser import chromium
from gfbook.live import parts

CHAPTER, SMALL = "chapters/02-symmetric-factorization", "chapters/appendix-d-proposition-4"
PLAYGROUND, PRESETS = "record/playground", ("order", "wide", "edge")
RUNS = "Number(document.documentElement.dataset.liveRuns ?? 0)"
LONG = 600  # seconds, on a machine that does much else


class Browser:
    """A page in a Chromium of its own, with a profile that stays, and what CPU that took."""

    def __init__(self, playwright: Playwright, profile: Path, url: str) -> None:
        others = {*psutil.Process().children(recursive=True)}
        self.context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        self.page = self.context.new_page()
        self.page.goto(url, wait_until="networkidle")
        self._others = others

    def spent(self) -> float:
        """Return the CPU seconds of all its processes that run."""
        return sum(times.user + times.system for times in self._each(psutil.Process.cpu_times))

    def threads(self) -> Counter[int]:
        """Return the CPU seconds of each thread."""
        threads = [a for some in self._each(psutil.Process.threads) for a in some]
        return Counter({a.id: a.user_time + a.system_time for a in threads})  # type: ignore[misc]

    def _each(self, ask: Callable[[psutil.Process], Any]) -> Iterator[Any]:
        for process in {*psutil.Process().children(recursive=True)} - self._others:
            with suppress(psutil.Error):  # it has ended
                yield ask(process)

    def takes(self, act: Callable[[Page], object], over: Callable[[Page], object]) -> float:
        """Return the CPU seconds from an act until something is so."""
        before, late = self.spent(), time.monotonic() + LONG
        act(self.page)
        while not over(self.page):
            if time.monotonic() > late:
                raise TimeoutError(self.page.locator(".live-words").last.inner_text())
            time.sleep(0.5)
        return self.spent() - before


def press(name: str) -> Callable[[Page], object]:
    """Return the act of pressing a button, without asking for the role of all that there is."""
    return lambda page: page.click(f'button:text-is("{name}")')


def ready(page: Page) -> bool:
    """Return whether Python runs in a page, and waits."""
    return bool(page.evaluate("document.documentElement.dataset.live === 'ready'"))


@contextmanager
def opened(playwright: Playwright, profile: Path, url: str) -> Iterator[Browser]:
    """Open a page in a browser, which ends after that."""
    browser = Browser(playwright, profile, url)
    yield browser
    browser.context.close()


def measured(site: Path, quick: bool) -> dict[str, tuple[float, str]]:
    """Return CPU seconds of what a reader does in a built site, each with its aim."""
    chapter = SMALL if quick else CHAPTER
    found: dict[str, tuple[float, str]] = {}
    with (
        live.served(site.resolve()) as home,
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as name,
    ):
        profile = Path(name)
        run = press("Run this page")
        for what, aim in (("at first", "18"), ("from what the browser kept", "10")):
            with opened(playwright, profile, f"{home}{chapter}.html") as browser:
                found[f"until ready, {what}"] = browser.takes(run, ready), aim
                if aim == "10":
                    before = browser.threads()
                    spent = browser.takes(press("Run all"), lambda page: page.evaluate(RUNS))
                    said = browser.page.locator(".live-bar .live-words").inner_text()
                    assert said.endswith(" cells were run."), said
                    found[f"all of {chapter} after that"] = spent, "10"
                    most = max((browser.threads() - before).values())
                    found["of it, in Python's own thread"] = most, ""
        with opened(playwright, profile, f"{home}{PLAYGROUND}.html") as browser:
            found["playground, until its first pictures"] = browser.takes(run, ready), ""
            spent = 0.0
            chosen = PRESETS[: 1 if quick else None]
            for preset in chosen:
                before = browser.page.evaluate(RUNS)
                spent += browser.takes(
                    lambda page, preset=preset: page.select_option("#play-preset", preset),  # type: ignore[misc]
                    lambda page, before=before: page.evaluate(RUNS) > before and ready(page),  # type: ignore[misc]
                )
            found["playground, another preset"] = spent / len(chosen), ""
    return found


def section(site: Path, quick: bool) -> list[tuple[str, str, str]]:
    """Return the rows of the table: what it loads, and the CPU it takes."""
    folder = parts.ready()
    if folder is None or not site.is_dir() or chromium() is None:
        return [("not run: no Chromium, or a book without Python in its pages", "", "")]
    about = json.loads((folder / "parts.json").read_bytes())
    later = {f"{name}.pack" for name, its in about["archives"].items() if its}
    sizes = {
        name: len(gzip.compress((folder / name).read_bytes(), 6)) / 1e6
        for name in about["bytes"]
    }
    first = sum(size for name, size in sizes.items() if name not in later)
    return [
        ("megabytes at first, compressed", f"{first:.1f}", "30"),
        *((f"megabytes of {name}, when imported", f"{sizes[name]:.1f}", "") for name in later),
        *(
            (f"CPU seconds {what}", f"{spent:.1f}", aim)
            for what, (spent, aim) in measured(site, quick).items()
        ),
    ]
