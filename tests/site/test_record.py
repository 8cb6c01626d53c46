"""The record in Chromium: the filter, tables on a phone, letters that stand out."""

import re

import pytest

from gfbook.build import ledger, rests
from gfbook.build.ledger import VERDICTS
from tests.book.conftest import written
from tests.conftest import ROOT

ENTRIES = written(ledger.LEDGER)


def visible(page):
    rows = page.locator(".ledger tbody tr")
    return rows.evaluate_all("rows => rows.filter((row) => row.checkVisibility()).length")


def told(page):
    """Return the text that the browser reads out for the number of rows."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    names = [node.get("name", {}).get("value", "") for node in tree["nodes"]]
    return re.search(r"Claims shown: *(\d+)", " ".join(names)).group(1)


@pytest.mark.slow
def test_filter(visit):
    page = visit("record/claims", "phone")
    every = ENTRIES
    assert visible(page) == len(every)
    for verdict in VERDICTS:
        page.locator(f"label:has(#verdict-{verdict})").click()
        assert visible(page) == sum(entry["verdict"] == verdict for entry in every)
    page.locator("#section-section-3").check()
    both = sum(e["verdict"] == "fails" and e["section"] == "Section 3" for e in every)
    assert visible(page) == both
    assert told(page) == f"{both}"
    # By keyboard: back to all verdicts, one step a key.
    page.locator("#verdict-fails").focus()
    for _ in VERDICTS:
        page.keyboard.press("ArrowLeft")
    assert page.locator("#verdict-all").is_checked()
    assert visible(page) == sum(entry["section"] == "Section 3" for entry in every)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "section-section-3"


DIM = "[...document.querySelectorAll('.graph .{}')].map(e => +getComputedStyle(e).opacity)"


@pytest.mark.slow
@pytest.mark.parametrize("id", ["eq-8", "prop-5"])
def test_pointing_at_a_statement_leaves_its_ways_lit(visit, id):
    graph = rests.load(ROOT, ledger.read(ROOT / ledger.PAPER))
    page = visit("record/rests", "desk")
    assert min(page.evaluate(DIM.format("node"))) == 1
    page.locator(f"#n-{id}").focus()
    page.wait_for_function(f"() => Math.min(...{DIM.format('node')}) < 0.2")
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    names = page.locator(".graph .node").evaluate_all("nodes => nodes.map(e => e.id.slice(2))")
    lit = {n for n, a in zip(names, page.evaluate(DIM.format("node")), strict=True) if a > 0.9}
    up = rests.used(graph)
    assert lit == {id, *rests.reached(graph, id), *rests.reached(up, id)}
    lines = [a > 0.2 for a in page.evaluate(DIM.format("line"))]
    assert 0 < sum(lines) < len(lines)


@pytest.mark.slow
def test_graph_is_a_list_on_a_phone(visit):
    page = visit("record/rests", "phone")
    assert not page.locator("svg.graph").is_visible()
    assert page.locator("table.rests tbody tr").first.is_visible()
