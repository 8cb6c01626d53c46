"""The ledger against what the executed chapters recorded, and the check itself."""

import json

import numpy as np
import pytest
from conftest import ROOT

import gfcore as gf
from gfcore import claims

FIELDS = {"id", "where", "title", "statement", "chapter", "verdict", "method"}
METHODS = {"symbolic", "mpmath", "float64", "statistical"}
MORE = {"holds": set(), "holds-if": {"condition"}, "misprint": {"correction"}}
MORE["fails"] = {"correction"}


@pytest.fixture(scope="module")
def records(site):
    """Return {chapter: [record, ...]} from the executed notebooks."""
    found = {}
    for path in sorted((site.parent / "executed" / "chapters").glob("*.ipynb")):
        if (ROOT / "chapters" / path.name).is_file():
            outputs = [
                output
                for cell in json.loads(path.read_bytes())["cells"]
                for output in cell.get("outputs", ())
            ]
            found[path.stem] = [
                output["metadata"][claims.METADATA]
                for output in outputs
                if claims.METADATA in output.get("metadata", ())
            ]
    return found


@pytest.mark.parametrize("entry", claims.load().values(), ids=lambda entry: entry["id"])
def test_entry_is_complete(entry):
    more = MORE[entry["verdict"]]
    assert FIELDS | more <= set(entry) <= FIELDS | {"condition", "correction", "note"}
    assert entry["method"] in METHODS
    assert all(str(value).strip() for value in entry.values())
    assert (ROOT / "chapters" / f"{entry['chapter']}.ipynb").is_file()


def test_every_claim_has_a_check_and_every_check_a_claim(records):
    checked = {(r["id"], chapter) for chapter, found in records.items() for r in found}
    stated = {(entry["id"], entry["chapter"]) for entry in claims.load().values()}
    missing = stated - checked
    assert not missing
    # A later chapter may check a claim of an earlier one again.
    assert {name for name, _ in checked} == {name for name, _ in stated}


def test_every_check_holds_and_fails_on_an_altered_statement(records):
    for chapter, found in records.items():
        for r in found:
            assert r["residual"] <= r["tol"] < r["altered"], (chapter, r)
            assert r["verdict"] == claims.load()[r["id"]]["verdict"]


def test_badge_is_on_the_page(site, records):
    for chapter, found in records.items():
        page = (site / "chapters" / f"{chapter}.html").read_text(encoding="utf-8")
        for record in found:
            assert f'id="claim-{record["id"]}"' in page


@pytest.mark.parametrize(
    ("residual", "altered"),
    [(2.0, 9.0), (np.nan, 9.0), ([0.0, -2.0], 9.0), ([0.0, np.nan], 9.0), (np.inf, 9.0)],
)
def test_residual_above_the_tolerance_fails(residual, altered):
    with pytest.raises(claims.ClaimError, match="exceeds 1"):
        gf.claims.check("eq-4", residual=residual, tol=1.0, altered=altered)


@pytest.mark.parametrize("altered", [0.5, 1.0, [2.0, 0.5], np.nan, [3.0, np.nan]])
def test_altered_statement_that_passes_too_fails(altered):
    with pytest.raises(claims.ClaimError, match="altered statement passes too"):
        gf.claims.check("eq-4", residual=0.1, tol=1.0, altered=altered)


def test_unknown_claim_is_named():
    with pytest.raises(KeyError, match="eq-99"):
        gf.claims.check("eq-99", residual=0, tol=1, altered=2)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- {id: a, verdict: holds}\n- {id: a, verdict: holds}", "share an id"),
        ("- {id: a, verdict: true}", "verdict True"),
    ],
)
def test_broken_ledger_is_refused(text, error, tmp_path, monkeypatch):
    ledger = tmp_path / "claims.yml"
    monkeypatch.setattr(claims, "LEDGER", ledger)
    claims.load.cache_clear()
    try:
        with pytest.raises(FileNotFoundError, match=r"data/claims\.yml"):
            claims.load()
        ledger.write_text(text)
        with pytest.raises(ValueError, match=error):
            claims.load()
    finally:
        claims.load.cache_clear()
