"""Every sentence of the paper has its claims, or the reason why it makes none."""

import csv
from itertools import pairwise

import pytest

from tests.book.conftest import written
from tests.conftest import ROOT

REASONS = {"announcement", "definition", "motivation", "notation", "outlook", "setting"}
LEDGER = written("data/claims.yml")
PAPER = {entry["id"] for entry in LEDGER if entry.get("by") != "book"}


def sentences():
    """Return the rows of data/coverage.csv, one a sentence."""
    with open(ROOT / "data" / "coverage.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def place(row):
    return row["section"], int(row["paragraph"]), int(row["sentence"])


def faults(rows):
    """Return what is wrong with a coverage, in one line a fault."""
    named = {id for row in rows for id in row["claims"].split()}
    found = [f"unknown claim {id}" for id in sorted(named - {x["id"] for x in LEDGER})]
    found += [f"no sentence makes {id}" for id in sorted(PAPER - named)]
    for row in rows:
        if bool(row["claims"].split()) == (row["reason"] in REASONS):
            found.append(f"{place(row)}: not either claims or a known reason")
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
    assert faults(sentences()) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda rows: rows[1].update(claims=""), "not either"),
        (lambda rows: rows[0].update(claims="eq-4"), "not either"),
        (lambda rows: rows[0].update(reason="dull"), "not either"),
        (lambda rows: rows[1].update(claims="eq-99"), "unknown claim eq-99"),
        (lambda rows: [row.update(claims="fn-1") for row in rows if "eq-4" in row["claims"]],
         "no sentence makes eq-4"),
        (lambda rows: [row.update(claims=row["claims"].replace("5-limit", "5-solution"))
                       for row in rows], "no sentence makes prop-5-limit"),
        (lambda rows: rows[2].update(cue="one two three four five six seven"), "a cue of"),
        (lambda rows: rows[2].update(cue=""), "a cue of"),
        (lambda rows: rows.pop(0), "does not follow"),
        (lambda rows: rows.pop(3), "does not follow"),
        (lambda rows: rows.append(rows[0]), "does not follow"),
    ],
)  # fmt: skip
def test_a_gap_is_refused(change, fault):
    rows = sentences()
    change(rows)
    assert any(fault in line for line in faults(rows))
