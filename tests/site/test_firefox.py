"""Python in the page in Firefox, at 390 pixels and by keyboard alone.

Press, change, run, err, stop, reset, move, play, check: each page in turn, in one Firefox.
"""

import json
import re
import string

import pytest

from benchmarks import live
from gfbook.live import parts
from tests.conftest import ROOT
from tests.site.firefox import firefox, opened
from tests.site.test_playground import BOARDS, alike, expected
from tests.site.test_run import EXPLORED, WITHOUT

pytestmark = pytest.mark.long
LONG = 400  # seconds
NOW = "return document.documentElement.dataset.live"
RUNS = "return Number(document.documentElement.dataset.liveRuns ?? 0)"
TEXT = "return (document.querySelector(given[0])?.textContent ?? '')"
FITS = "return document.documentElement.scrollWidth <= innerWidth"
FIRST = "div.cell:has(.cm-editor)"  # of the cells, where one is asked for
EXPLORER = ".cell_output .explorer"


@pytest.fixture(scope="module")
def served(site):
    if parts.ready(ROOT) is None:
        pytest.fail(WITHOUT)
    with live.served(site.resolve()) as address:
        yield address


@pytest.fixture(scope="module")
def page(served):
    """A page in Firefox, which loads Python once, asks no other origin, and has no error."""
    if (path := firefox()) is None:
        pytest.fail("Firefox is needed: make firefox")
    with opened(path, width=390) as page:
        yield page
        assert [
            url for url in page.asked if not url.startswith((served, "data:", "blob:"))
        ] == []
        assert page.troubles == []
        assert sum(url.endswith("base.pack") for url in page.asked) == 1  # then kept


def start(page, url, button="Run this page", held=None):
    """Open a page and start Python in it."""
    before = len(page.asked)
    page.open(url)
    assert page.do(TEXT, ".live-first") == button
    assert not [u for u in page.asked[before:] if re.search("/python-|/live-", u)]
    page.reach(".live-first", held)
    page.press("Enter")


def write(page, text):
    """Write into the editor that has the focus, and run it by its key."""
    before = page.do(RUNS)
    page.press("a", held="Control")
    page.press(*text)
    assert page.do("return document.activeElement.innerText") == text
    page.press("Enter", held="Shift")
    return before


def test_cells_are_changed_run_stopped_and_reset_and_an_explorer_answers(page, served):
    start(page, f"{served}chapters/{EXPLORED}.html")
    page.until(f"{NOW} === 'ready'", timeout=LONG)
    assert page.do(FITS)
    page.reach(".cm-content")
    original = page.do("return document.activeElement.innerText")
    before = write(page, f"print('here', 6 * 7)  # {string.printable.strip()}")
    page.until(f"{RUNS} > given[0]", before)
    assert page.do(TEXT, f"{FIRST} .cell_output") == "here 42\n"
    before = write(page, "1 / 0")
    page.until(f"{RUNS} > given[0]", before)
    said = page.do(TEXT, f"{FIRST} .live-error p")
    assert said == "ZeroDivisionError in line 1: division by zero"
    assert page.do(TEXT, f"{FIRST} .live-wrong") == "1 / 0"
    write(page, "while True: pass")
    page.until(f"{TEXT} === 'running …'", f"{FIRST} .live-row .live-words")
    page.reach("[aria-label='Stop cell 1']")
    page.press("Enter")
    page.until(f"{NOW} === 'stopped'")
    assert page.do(TEXT, ".cm-content") == "while True: pass"
    page.reach("[aria-label='Reset cell 1']")
    page.press("Enter")
    assert page.do("return document.activeElement.ariaLabel") == "Run cell 1"
    assert page.do("return document.querySelector('.cm-content').innerText") == original
    assert page.do(TEXT, f"{FIRST} .live-error") == ""
    # Python starts anew, with the cells that the explorer needs.
    before = page.do(RUNS)
    page.reach(".cell_output > .live-row .live-button")
    assert page.do("return document.activeElement.textContent") == "Calculate at every value"
    page.press("Enter")
    page.until(f"{RUNS} > given[0]", before, timeout=LONG)
    said = page.do(TEXT, f"{EXPLORER} .explorer-answer")
    page.reach(f"{EXPLORER} input[type=range]")
    page.press(*["ArrowRight"] * 5)
    page.until(f"{TEXT} !== given[1]", f"{EXPLORER} .explorer-answer", said)
    assert page.do("return document.activeElement.value % 1") != 0
    assert page.do(FITS)


def test_a_preset_is_shown_by_its_address(page, served):
    start(page, f"{served}record/playground.html#preset-blind", held="Shift")
    page.until(f"{NOW} === 'ready'", timeout=LONG)
    boards = page.do(
        "return [...document.querySelectorAll(given[0])].map((b) =>"
        " [b.closest('section').querySelector('h2').textContent, b.plot.data])",
        BOARDS,
    )
    rows = page.do(
        "return [...document.querySelectorAll('.play-table tbody tr')]"
        ".map((r) => [...r.cells].map((c) => c.textContent))"
    )
    alike((dict(boards), rows), expected("blind"))
    assert page.do(FITS)


def test_two_chapters_are_checked(page, served, site):
    claims = json.loads((site / "claims.json").read_bytes())["claims"]
    two = [*dict.fromkeys(claim["chapter"] for claim in claims)][:2]
    start(page, f"{served}record/claims.html", "Check the paper in this browser")
    for claim in claims:
        if claim["chapter"] in two:
            at = f"[id='{claim['id']}'] .live-here b"
            page.until(TEXT, at, timeout=LONG)
            assert page.do(TEXT, at) == "agrees", claim["id"]
    assert page.do(FITS)
