"""Python in the page in Firefox: press, change, run, err, stop, reset, move, play, check."""

import json
import re

import pytest

from benchmarks import live
from gfbook.live import parts
from tests.conftest import ROOT
from tests.site.firefox import firefox, opened
from tests.site.test_playground import BOARDS, alike, expected
from tests.site.test_run import CHAPTER, EXPLORED, WITHOUT

pytestmark = pytest.mark.slow
LONG = 400  # seconds
NOW = "return document.documentElement.dataset.live"
RUNS = "return Number(document.documentElement.dataset.liveRuns ?? 0)"
TEXT = "return (document.querySelector(given[0])?.textContent ?? '')"
PRESS = """const there = [...document.querySelectorAll("button")];
const button = there.find((b) => (b.ariaLabel ?? b.textContent) === given[0]);
button?.click(); return !!button;"""


@pytest.fixture(scope="module")
def served(site):
    if parts.ready(ROOT) is None:
        pytest.fail(WITHOUT)
    with live.served(site.resolve()) as address:
        yield address


@pytest.fixture(scope="module")
def page(served):
    """A page in Firefox, which asked no other origin for anything and had no error."""
    if (path := firefox()) is None:
        pytest.fail("Firefox is needed: make firefox")
    with opened(path) as page:
        yield page
        assert [
            url for url in page.asked if not url.startswith((served, "data:", "blob:"))
        ] == []
        assert page.troubles == []


def start(page, url, button="Run this page"):
    """Open a page and start Python in it, by keyboard."""
    page.open("about:blank")  # or an address that differs in its end loads nothing
    before = len(page.asked)
    page.open(url)
    assert page.do(TEXT, ".live-first") == button
    assert not [u for u in page.asked[before:] if re.search("/python-|/live-", u)]
    page.do("document.querySelector('.live-first').focus()")
    page.press("Enter")


def write(page, text):
    """Write into the first cell, and run it by its key."""
    before = page.do(RUNS)
    page.do("document.querySelector('.cm-content').focus()")
    page.press("a", held="Control")
    page.press(*text)
    page.press("Enter", held="Shift")
    return before


def test_cells_are_changed_run_stopped_and_reset(page, served):
    start(page, f"{served}chapters/{CHAPTER}.html")
    page.until(f"{NOW} === 'ready'", timeout=LONG)
    original = page.do(TEXT, ".cm-content")
    before = write(page, "print('here', 6 * 7)")
    page.until(f"{RUNS} > given[0]", before)
    cell = "div.cell:has(.cm-editor)"
    assert "here 42" in page.do(TEXT, f"{cell} .cell_output")
    before = write(page, "1 / 0")
    page.until(f"{RUNS} > given[0]", before)
    said = page.do(TEXT, f"{cell} .live-error p")
    assert said == "ZeroDivisionError in line 1: division by zero"
    assert page.do(TEXT, f"{cell} .live-wrong") == "1 / 0"
    page.press("Escape", "Tab")
    assert page.do("return document.activeElement.ariaLabel") == "Run cell 1"
    write(page, "while True: pass")
    page.until(
        "return [...document.querySelectorAll('.live-words')]"
        ".some((w) => w.textContent.startsWith('running'))"
    )
    assert page.do(PRESS, "Stop")
    page.until(f"{NOW} === 'stopped'")
    assert page.do(TEXT, ".cm-content") == "while True: pass"
    assert page.do(PRESS, "Reset cell 1")
    assert page.do(TEXT, ".cm-content") == original
    before = page.do(RUNS)
    assert page.do(PRESS, "Run cell 1")
    page.until(f"{RUNS} > given[0]", before, timeout=LONG)
    assert page.do(f"{NOW}") == "ready"
    assert page.do(TEXT, f"{cell} .live-error") == ""
    assert sum(url.endswith("base.pack") for url in page.asked) == 1  # then kept


def test_an_explorer_answers_at_every_value(page, served):
    start(page, f"{served}chapters/{EXPLORED}.html")
    page.until(f"{NOW} === 'ready'", timeout=LONG)
    before = page.do(RUNS)
    assert page.do(PRESS, "Calculate at every value")
    page.until(f"{RUNS} > given[0]", before, timeout=LONG)
    explorer = ".cell_output .explorer"
    said = page.do(TEXT, f"{explorer} .explorer-answer")
    page.do(f"document.querySelector('{explorer} input[type=range]').focus()")
    page.press(*["ArrowRight"] * 5)
    page.until(f"{TEXT} !== given[1]", f"{explorer} .explorer-answer", said)
    assert page.do(f"return document.querySelector('{explorer} input').value % 1") != 0


def test_a_preset_is_shown_by_its_address(page, served):
    start(page, f"{served}record/playground.html#preset-blind")
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


def test_two_chapters_are_checked(page, served, site):
    claims = json.loads((site / "claims.json").read_bytes())["claims"]
    two = [*dict.fromkeys(claim["chapter"] for claim in claims)][:2]
    start(page, f"{served}record/claims.html", "Check the paper in this browser")
    for claim in claims:
        if claim["chapter"] in two:
            at = f"[id='{claim['id']}'] .live-here b"
            page.until(TEXT, at, timeout=LONG)
            assert page.do(TEXT, at) == "agrees", claim["id"]
