"""Every sentence of the paper has its claims, or the reason why it makes none."""

import csv
from itertools import pairwise

import pytest

from tests.book.conftest import written
from tests.conftest import ROOT

REASONS = {"announcement", "definition", "motivation", "notation", "outlook", "setting"}
FIRST, SECOND = "Abstract 1.1", "Abstract 1.2"


def sentences():
    """Return the rows of data/coverage.csv, one a sentence."""
    with open(ROOT / "data" / "coverage.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def claims():
    """Return the sentences that make each claim of data/claims.yml, and whose own it is."""
    return {
        entry["id"]: {"by": entry.get("by"), "sentences": entry.get("sentences", [])}
        for entry in written("data/claims.yml")
    }


def place(row):
    return row["section"], int(row["paragraph"]), int(row["sentence"])


def faults(rows, claims):
    """Return what is wrong with a coverage, in one line a fault."""
    named = {sentence for claim in claims.values() for sentence in claim["sentences"]}
    known = {"{} {}.{}".format(*place(row)): row for row in rows}
    found = [f"unknown sentence {sentence}" for sentence in sorted(named - {*known})]
    for id, claim in claims.items():
        if not claim["sentences"] and claim["by"] != "book":
            found.append(f"no sentence makes {id}")
    for sentence, row in known.items():
        if (sentence in named) == bool(row["reason"]) or row["reason"] not in {*REASONS, ""}:
            found.append(f"{sentence}: not either claims or a known reason")
    for row in rows:
        if not 1 <= len(row["cue"].split()) <= 6:
            found.append(f"{place(row)}: a cue of 1 to 6 words")
    begun = {rows[0]["section"]}
    for (before, p, s), after in pairwise([(rows[0]["section"], 1, 0), *map(place, rows)]):
        follows = {(before, p, s + 1), (before, p + 1, 1)}
        if after[0] not in begun:
            follows = {(after[0], 1, 1)}
        begun.add(after[0])
        if after not in follows:
            found.append(f"{after} does not follow ({before!r}, {p}, {s})")
    return found


def test_every_sentence_of_the_paper_is_covered():
    assert faults(sentences(), claims()) == []


def unsaid(sentence, claims):
    """Take a sentence from all claims."""
    for claim in claims.values():
        claim["sentences"] = [other for other in claim["sentences"] if other != sentence]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda _, claims: unsaid(SECOND, claims), f"{SECOND}: not either"),
        (lambda _, claims: claims["eq-4"]["sentences"].append(FIRST), f"{FIRST}: not either"),
        (lambda rows, _: rows[0].update(reason="dull"), f"{FIRST}: not either"),
        (lambda rows, _: rows[0].update(reason=""), f"{FIRST}: not either"),
        (lambda rows, _: rows[1].update(reason="dull"), f"{SECOND}: not either"),
        (lambda rows, _: rows[1].update(reason="setting"), f"{SECOND}: not either"),
        (lambda _, claims: claims["eq-4"]["sentences"].append("Abstract 1.99"),
         "unknown sentence Abstract 1.99"),
        (lambda _, claims: claims["eq-4"]["sentences"].clear(), "no sentence makes eq-4"),
        (lambda _, claims: claims["prop-5-limit"].update(sentences=[]),
         "no sentence makes prop-5-limit"),
        (lambda rows, _: rows[2].update(cue="one two three four five six seven"), "a cue of"),
        (lambda rows, _: rows[2].update(cue=""), "a cue of"),
        (lambda rows, _: rows.pop(0), "does not follow"),
        (lambda rows, _: rows.pop(3), "does not follow"),
        (lambda rows, _: rows.append(rows[0]), "does not follow"),
    ],
)  # fmt: skip
def test_a_gap_is_refused(change, fault):
    rows, its = sentences(), claims()
    change(rows, its)
    assert any(fault in line for line in faults(rows, its))
