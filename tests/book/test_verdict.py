"""The marks that gfbook.build.verdict puts below statements and beside equations."""

import functools
import re

from bs4 import BeautifulSoup

from gfbook.build import ledger
from tests.conftest import ROOT

PAPER = ledger.read(ROOT / ledger.PAPER)
SENTENCES = ledger.sentences(ROOT, PAPER)
ENTRIES = {entry["id"]: entry for entry in ledger.load(ROOT, PAPER)}
NUMBERED = re.compile(r"(?:prop|def|cor|eq)-\d+")


@functools.cache
def parsed(file):
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def shown(site):
    """Yield each numbered item of the paper in the chapters, and its marks."""
    for path in sorted((site / "chapters").glob("*.html")):
        for item in parsed(path).select("article div.proof[id], article div.math[id]"):
            if NUMBERED.fullmatch(item["id"]):
                place = item.parent if item["id"].startswith("eq-") else item
                yield (
                    path,
                    item["id"],
                    place.select(":scope > .verdict, .verdicts .verdict"),
                )


def lacking(site, claims):
    """Return which claims of the numbered items do not show this verdict, or lead nowhere."""
    told = {}
    for path, label, marks in shown(site):
        for mark in marks:
            page, _, anchor = mark["href"].partition("#")
            target = parsed((path.parent / page).resolve() if page else path)
            _, _, verdict = mark["aria-label"].partition(": ")
            assert verdict in mark.get_text()
            assert mark["class"] == ["verdict", f"claim-{verdict}"]
            if target.find(id=anchor):
                told[label, anchor.removeprefix("claim-")] = verdict
    labels = [label for _, label, _ in shown(site)]
    return [
        id
        for id, claim in claims.items()
        for label in labels
        if label in {id, *ledger.about(claim, PAPER)}
        if told.get((label, id)) != claim["verdict"]
    ]


def test_statements_and_equations_show_their_verdicts(site):
    labels = [label for _, label, _ in shown(site)]
    assert {f"prop-{n}" for n in range(1, 6)} | {f"eq-{n}" for n in range(1, 40)} <= {*labels}
    assert lacking(site, ENTRIES) == []


def test_another_verdict_would_be_seen(site):
    changed = {id: ENTRIES[id] | {"verdict": "unknown"} for id in ("eq-30", "prop-5-limit")}
    assert {*lacking(site, ENTRIES | changed)} == {"eq-30", "prop-5-limit"}


def test_a_statement_shows_the_claims_of_its_equations(site):
    (marks,) = [marks for _, label, marks in shown(site) if label == "prop-1"]
    assert {"#claim-prop-1", "#claim-eq-8"} <= {mark["href"] for mark in marks}


def judged(site):
    """Return what the pages say of whole items: name of the item, sentence, count."""
    for path in sorted((site / "chapters").glob("*.html")):
        for said in parsed(path).select("p.judged"):
            box = said.find_parent(class_=["proof", "judged-item"])
            count = said.select_one(".counted").get_text()
            text = said.get_text().removesuffix(count)
            yield box, re.sub(r"\s+", " ", text).strip(), count


def test_each_item_is_judged_once_in_a_sentence_with_a_count(site):
    def plain(text):
        return re.sub(r"\s+", " ", re.sub(r"\$([^$]+)\$", r"\\(\1\\)", text)).strip()

    told = {sentence: count for _, sentence, count in judged(site)}
    assert len(told) == len(SENTENCES)
    for id, sentence in SENTENCES.items():
        its = [claim for claim in ENTRIES.values() if id in ledger.about(claim, PAPER)]
        assert told[plain(sentence)] == ledger.counted(its)


def test_a_sentence_on_the_page_has_its_formulas(site):
    boxes = {box.get("id"): box for box, *_ in judged(site)}
    assert len(boxes["prop-5"].select("p.judged .math")) >= 5
    assert {"prop-1", "cor-1", "def-2"} <= {*boxes}
