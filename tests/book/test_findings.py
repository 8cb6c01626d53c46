"""Ten things to know: each is a claim of the ledger, and its picture is that of a plot."""

import re

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup

from gfbook.build import BuildError, findings, ledger
from tests.book.conftest import written
from tests.conftest import ROOT

PAPER = ledger.read(ROOT / ledger.PAPER)
ENTRIES = ledger.load(ROOT, PAPER)
KNOWN = {entry["id"]: entry for entry in ENTRIES}
FINDINGS = findings.load(ROOT, PAPER, ENTRIES)


def test_there_are_ten_of_each_and_none_twice():
    assert [(part, len(found)) for part, found in FINDINGS.items()] == [
        ("know", 10),
        ("right", 10),
    ]
    claims = [finding["claim"] for found in FINDINGS.values() for finding in found]
    assert len({*claims}) == len(claims)


def test_what_fails_is_among_them():
    told = {finding["claim"] for finding in FINDINGS["know"]}
    fails = {entry["id"] for entry in ENTRIES if entry["verdict"] == "fails"}
    # One says again what text-3-symmetry says.
    assert fails - told == {"text-7-symmetry"}


def test_each_is_one_sentence():
    for finding in (finding for found in FINDINGS.values() for finding in found):
        text = re.sub(r"et al\.", "et al", finding["says"]).strip()
        assert text.endswith(".")
        assert not re.search(r"[.!?] [A-Z]", text), text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda all: all["know"][0].update(claim="eq-5-new"), "no claim eq-5-new"),
        (lambda all: all["know"][0].update(claim="eq-5"), "know: eq-5 is holds"),
        (lambda all: all["right"][0].update(claim="prop-3"), "right: prop-3 is holds-if"),
        (lambda all: all["right"][0].update(claim="text-4-determinant"), "by the book"),
        (lambda all: all["know"][0].pop("says"), "'says' is a required property"),
        (lambda all: all["know"][0]["picture"].update(panel=0), "panel"),
    ],
)
def test_altered_file_stops_the_build(tmp_path, change, said):
    content = written(findings.FILE)
    change(content)
    (tmp_path / "data").mkdir()
    (tmp_path / findings.FILE).write_text(yaml.safe_dump(content))
    with pytest.raises(BuildError, match=re.escape(said)):
        findings.load(tmp_path, PAPER, ENTRIES)


DATA = "panel,series,t,y\n1: a,down,0,100\n1: a,down,1,10\n1: a,down,2,1\n2,other,0,5\n"
SERIES = findings.series(DATA)


def test_picture_is_the_plot_in_small():
    lines = [{"series": ["down"], "as": "two", "label": "x"}]
    ((kind, path),) = findings.draw({"plot": "p", "lines": lines, "log": "y"}, SERIES)
    assert kind == "two"
    points = np.array([*map(float, re.findall(r"[\d.]+", path))]).reshape(-1, 2)
    low, high = findings.MARGIN, np.array([findings.WIDE, findings.HIGH]) - findings.MARGIN
    assert points == pytest.approx(np.array([[low, low], (high + low) / 2, high]))
    ((_, straight),) = findings.draw({"plot": "p", "lines": lines, "y": [0, 200]}, SERIES)
    assert float(re.findall(r"[\d.]+", straight)[1]) == pytest.approx((high[1] + low) / 2)


def test_series_that_is_not_there_is_named():
    lines = [{"series": ["up"], "as": "two", "label": "x"}]
    with pytest.raises(BuildError, match="p has no series 'up': down"):
        findings.draw({"plot": "p", "lines": lines}, SERIES)


def test_page_shows_them_with_their_verdicts_and_links(site):
    text = (site / "record/ten-things.html").read_text()
    page = BeautifulSoup(text, "html.parser")
    shown = page.select(".finding")
    every = [finding for found in FINDINGS.values() for finding in found]
    assert len(shown) == len(every)
    for box, finding in zip(shown, every, strict=True):
        claim = KNOWN[finding["claim"]]
        assert box.select_one(".verdict").text == claim["verdict"]
        assert box.select_one("svg[role=img]")["aria-label"] == finding["picture"]["alt"]
        assert len(box.select("svg path")) > 1
        targets = [link["href"] for link in box.select(".finding-links a")]
        assert f"../chapters/{claim['chapter']}.html#claim-{claim['id']}" in targets
        amiss = claim["verdict"] != "holds" and claim.get("by", "paper") == "paper"
        assert (f"errata.html#amiss-{claim['id']}" in targets) == amiss
        for target in targets:
            file, _, anchor = target.partition("#")
            assert f'id="{anchor}"' in (site / "record" / file).resolve().read_text()
    assert page.select(".finding strong") == []
