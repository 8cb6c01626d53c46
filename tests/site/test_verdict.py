"""The marks that gfbook.build.verdict puts below statements and beside equations."""

import re

import pytest

from gfbook.build import ledger
from tests.conftest import ROOT

PAPER = ledger.read(ROOT / ledger.PAPER)
SENTENCES = ledger.sentences(ROOT, PAPER)
ENTRIES = {entry["id"]: entry for entry in ledger.load(ROOT, PAPER)}
NUMBERED = re.compile(r"(?:prop|def|cor|eq)-\d+")
# As built, before any script: a browser reads a page in a tenth of Python's time.
READ = """file => {
  const page = new DOMParser().parseFromString(file, "text/html");
  const all = (places, told) => [...page.querySelectorAll(places)].map(told);
  const plain = (e) => e.textContent.replace(/\\s+/g, " ").trim();
  return {
    names: all("[id]", (e) => e.id),
    items: all("article div.proof[id], article div.math[id]", (item) => [item.id,
      [...(item.id.startsWith("eq-") ? item.parentElement : item).querySelectorAll(
        ":scope > .beside > .verdict, .verdicts .verdict")].map((mark) => ({
          href: mark.getAttribute("href"), label: mark.getAttribute("aria-label"),
          text: mark.textContent, class: mark.className }))]),
    own: all("article div.math[id]", (item) => [item.id,
      [...item.parentElement.querySelectorAll(".beside > .uses[href*=map]")].map(
        (link) => `${link.getAttribute("href")} ${link.textContent}`)]),
    judged: all("p.judged", (said) => {
      const box = said.closest(".proof, .judged-item");
      const formulas = box.querySelectorAll("p.judged .math").length;
      const count = said.querySelector(".counted").textContent;
      said.querySelector(".counted").remove();
      return { box: box.id, formulas, count, text: plain(said) };
    }),
  };
}"""


@pytest.fixture(scope="module")
def pages(browser, site):
    """Return what the page of each chapter has, by its name."""
    page = browser.new_page()
    files = sorted((site / "chapters").glob("*.html"))
    yield {f.name: page.evaluate(READ, f.read_text(encoding="utf-8")) for f in files}
    page.close()


def shown(pages):
    """Yield each numbered item of the paper in the chapters, and its marks."""
    for name, page in pages.items():
        for label, marks in page["items"]:
            if NUMBERED.fullmatch(label):
                yield name, label, marks


def lacking(pages, claims):
    """Return which claims of the numbered items do not show this verdict, or lead nowhere.

    Beside an equation are those of the paper.
    """
    told = {}
    for name, label, marks in shown(pages):
        for mark in marks:
            page, _, anchor = mark["href"].partition("#")
            _, _, verdict = mark["label"].partition(": ")
            assert verdict in mark["text"]
            assert mark["class"] == f"verdict claim-{verdict}"
            if anchor in pages[page or name]["names"]:
                told[label, anchor.removeprefix("claim-")] = verdict
    labels = [label for _, label, _ in shown(pages)]
    return [
        id
        for id, claim in claims.items()
        for label in labels
        if label in {id, *ledger.about(claim, PAPER)}
        if not (label.startswith("eq-") and claim.get("by") == "book")
        if told.get((label, id)) != claim["verdict"]
    ]


def test_statements_and_equations_show_their_verdicts(pages):
    labels = [label for _, label, _ in shown(pages)]
    assert {f"prop-{n}" for n in range(1, 6)} | {f"eq-{n}" for n in range(1, 40)} <= {*labels}
    assert lacking(pages, ENTRIES) == []


def test_claims_of_the_book_about_an_equation_are_counted_beside_it(pages):
    told = {label: own for page in pages.values() for label, own in page["own"] if own}
    about = [
        label
        for claim in ENTRIES.values()
        if claim.get("by") == "book"
        for label in ledger.about(claim, PAPER)
    ]
    assert told == {
        label: [f"../record/paper-map.html#{label} {about.count(label)} of our own"]
        for label in about
        if label.startswith("eq-")
    }
    assert len(told) >= 4


def test_another_verdict_would_be_seen(pages):
    changed = {id: ENTRIES[id] | {"verdict": "unknown"} for id in ("eq-30", "prop-5-limit")}
    assert {*lacking(pages, ENTRIES | changed)} == {"eq-30", "prop-5-limit"}


def test_a_statement_shows_the_claims_of_its_equations(pages):
    (marks,) = [marks for _, label, marks in shown(pages) if label == "prop-1"]
    assert {"#claim-prop-1", "#claim-eq-8"} <= {mark["href"] for mark in marks}


def judged(pages):
    """Return what the pages say of whole items: name of the item, sentence, count."""
    return [said for page in pages.values() for said in page["judged"]]


def test_each_item_is_judged_once_in_a_sentence_with_a_count(pages):
    def plain(text):
        return re.sub(r"\s+", " ", re.sub(r"\$([^$]+)\$", r"\\(\1\\)", text)).strip()

    told = {said["text"]: said["count"] for said in judged(pages)}
    assert len(told) == len(SENTENCES)
    for id, sentence in SENTENCES.items():
        its = [claim for claim in ENTRIES.values() if id in ledger.about(claim, PAPER)]
        assert told[plain(sentence)] == ledger.counted(its)


def test_a_sentence_on_the_page_has_its_formulas(pages):
    formulas = {said["box"]: said["formulas"] for said in judged(pages)}
    assert formulas["prop-5"] >= 5
    assert {"prop-1", "cor-1", "def-2"} <= {*formulas}
