"""What rests on what: no circle, no unknown name, and a drawing that shows it."""

import re
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup

from gfbook.build import BuildError, ledger, rests
from gfbook.build.ledger import VERDICTS
from tests.book.conftest import written
from tests.conftest import ROOT

PAPER = ledger.read(ROOT / ledger.PAPER)
GRAPH = rests.load(ROOT, PAPER)
ENTRIES = written(ledger.LEDGER)


def altered(tmp_path, old, new):
    """Return the folder of a book whose data/rests.yml has something else in it."""
    text = (ROOT / rests.FILE).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "data").mkdir()
    (tmp_path / rests.FILE).write_text(text.replace(old, new))
    return tmp_path


def test_every_numbered_item_says_what_it_rests_on():
    assert [*GRAPH] == [*ledger.numbered(PAPER)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("eq-5: [eq-1, eq-3]", "eq-5: [eq-1, eq-30]", "a circle: "),
        ("eq-1: []", "eq-1: [eq-1]", "a circle: eq-1 rests on eq-1"),
        ("eq-5: [eq-1, eq-3]", "eq-5: [eq-1, eq-40]", "'eq-40' is not a numbered item"),
        ("eq-5: [eq-1", "eq-40: []\neq-5: [eq-1", "eq-40"),
        ("eq-5: [eq-1, eq-3]", "eq-5: [eq-1, eq-1]", "eq-5"),
        ("eq-5: [eq-1, eq-3]", "", "eq-5: is not there"),
    ],
)
def test_altered_file_stops_the_build(tmp_path, old, new, said):
    with pytest.raises(BuildError, match=re.escape(said)):
        rests.load(altered(tmp_path, f"\n{old}", f"\n{new}"), PAPER)


def test_circle_is_told_as_it_goes_round(tmp_path):
    with pytest.raises(BuildError) as error:
        rests.load(altered(tmp_path, "\neq-5: [eq-1, eq-3]", "\neq-5: [eq-9]"), PAPER)
    names = re.findall(r"eq-\d+|prop-1", str(error.value))
    assert len(names) > 3
    assert names[0] == names[-1]
    rest = {**GRAPH, "eq-5": ["eq-9"]}
    assert all(b in rest[a] for a, b in pairwise(names))


def test_ways_are_those_of_the_paper():
    under = rests.reached(GRAPH, "prop-5")
    assert {"eq-1", "eq-3", "eq-5", "eq-8", "prop-1", "prop-2", "eq-25", "eq-30"} <= {*under}
    assert {"eq-17", "prop-3", "prop-4", "fig-1"}.isdisjoint(under)
    for below, id in pairwise(under):
        assert id not in rests.reached(GRAPH, below)
    falls = rests.reached(rests.used(GRAPH), "eq-8")
    assert {"prop-1", "cor-1", "prop-2", "prop-5", "fig-1", "fig-2", "table-1"} <= {*falls}
    assert {"eq-4", "eq-13", "prop-3", "prop-4", "fig-3"}.isdisjoint(falls)


def test_drawing_goes_from_left_to_right_and_nothing_covers_another():
    own = {ledger.item(entry["id"], PAPER): entry["section"] for entry in reversed(ENTRIES)}
    drawing = rests.draw(GRAPH, {id: own[id] for id in GRAPH}, PAPER["sections"])
    place = {node.id: (node.x, node.y) for node in drawing.nodes}
    assert {*place} == {*GRAPH}
    for id, below in GRAPH.items():
        assert all(place[other][0] <= place[id][0] - rests.STEP for other in below)
    for one, (x, y) in place.items():
        assert rests.WIDE / 2 < x + rests.WIDE / 2 <= drawing.width
        assert 12 < y < drawing.height - 12
        for other, (u, v) in place.items():
            assert one == other or abs(x - u) >= rests.STEP or abs(y - v) >= rests.ROW
        ((top, height),) = [(t, h) for name, t, h in drawing.bands if name == own[one]]
        assert top + 12 < y < top + height - 12
    assert len(drawing.lines) == sum(map(len, GRAPH.values()))


def test_item_has_the_gravest_verdict_of_what_stands_in_it():
    found = {id: ledger.worst(ENTRIES, id, PAPER) for id in GRAPH}
    assert {*found.values()} <= {*VERDICTS}
    # By a claim of its own, by one that stands in it, and not by one that stands elsewhere.
    assert (found["prop-3"], found["prop-5"], found["fig-1"]) == (
        "holds-if",
        "misprint",
        "holds",
    )


def test_page_and_statements_show_it(site):
    page = BeautifulSoup((site / "record/rests.html").read_text(), "html.parser")
    nodes = page.select("svg.graph a.node")
    assert [node["id"] for node in nodes] == [f"n-{id}" for id in GRAPH]
    rows = {row["id"]: row for row in page.select("table.rests tbody tr")}
    up = rests.used(GRAPH)
    for id, row in rows.items():
        links = [cell.find_all("a", recursive=False) for cell in row.select("td")]
        told = [[link["href"].lstrip("#") for link in found] for found in links]
        assert told == [GRAPH[id], up[id]]
        assert row.select_one("th .verdict").text == ledger.worst(ENTRIES, id, PAPER)
        (file, _, anchor) = row.select_one("th a")["href"].removeprefix("../").partition("#")
        assert f'id="{anchor}"' in (site / file).read_text()
    assert [*rows] == [*GRAPH]
    text = (site / "chapters/03-spectral-initialization.html").read_text()
    box = BeautifulSoup(text, "html.parser").select_one("#prop-3 p.rests")
    assert box.text == "Rests on (17), (23). Used by Table 1. "
    assert [a["href"] for a in box.select("a")][:1] == ["#eq-17"]
    assert 'aria-label="what uses (21)">used by 2</a>' in text
    assert not up["eq-4"]
    assert (
        "what uses (4)" not in (site / "chapters/02-symmetric-factorization.html").read_text()
    )
