"""The ledger against what the executed chapters recorded, and the check itself."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfbook import check as checking
from gfbook.build import ledger
from gfbook.check import METADATA, ClaimError, check
from tests.conftest import ROOT

PAPER = ledger.read(ROOT / ledger.PAPER)
OF_THE_BOOK = ("pdf.py", "site.py")
ENTRIES = {entry["id"]: entry for entry in ledger.load(ROOT, PAPER)}


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
                output["metadata"][METADATA]
                for output in outputs
                if METADATA in output.get("metadata", ())
            ]
    return found


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry["id"])
def test_entry_names_a_chapter(entry):
    assert (ROOT / "chapters" / f"{entry['chapter']}.ipynb").is_file()


def test_every_claim_has_a_check_and_every_check_a_claim(records):
    checked = {(r["id"], chapter) for chapter, found in records.items() for r in found}
    stated = {(entry["id"], entry["chapter"]) for entry in ENTRIES.values()}
    missing = stated - checked
    assert not missing
    # A later chapter may check a claim of an earlier one again.
    assert {name for name, _ in checked} == {name for name, _ in stated}


def test_every_check_holds_and_fails_on_an_altered_statement(records):
    assert sum(map(len, records.values())) >= len(ENTRIES)
    for chapter, found in records.items():
        for r in found:
            assert set(r) == {"id", "residual", "tol", "altered"}
            assert r["residual"] <= r["tol"] < r["altered"], (chapter, r)


def test_no_chapter_reads_the_ledger():
    """A claim flows one way: from the check to the ledger."""
    for path in (ROOT / "chapters").glob("*.ipynb"):
        for cell in json.loads(path.read_bytes())["cells"]:
            if cell["cell_type"] == "code":
                assert not re.search(
                    r"claims\.yml|paper\.yml|import yaml", "".join(cell["source"])
                )
    for name in ("check", "plots", "ensemble", "independent", "explore/__init__"):
        text = (ROOT / "gfbook" / f"{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"claims\.yml|gfbook\.build|import yaml", text)


def test_no_file_of_gfbook_knows_the_paper():
    """Its sections, items, formulas and words are data."""
    own = re.compile(r"Section \d|Appendix [A-D]|Proposition|tarmoun|gradient|imbalance", re.I)
    for path in (ROOT / "gfbook/build").rglob("*"):
        if path.suffix in (".py", ".json", ".md", ".css") and path.name not in OF_THE_BOOK:
            assert not own.search(path.read_text(encoding="utf-8")), path


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
    with pytest.raises(ClaimError, match="exceeds 1"):
        check("eq-4", residual=residual, tol=1.0, altered=altered)


@pytest.mark.parametrize("altered", [0.5, 1.0, [2.0, 0.5], np.nan, [3.0, np.nan]])
def test_altered_statement_that_passes_too_fails(altered):
    with pytest.raises(ClaimError, match="altered statement passes too"):
        check("eq-4", residual=0.1, tol=1.0, altered=altered)


def test_check_records_its_figures_and_shows_a_line(capsys):
    check("eq-4", residual=[1e-16, -2e-16], tol=1e-12, altered=[0.5, 0.3])
    assert capsys.readouterr().out == (
        "eq-4: residual 2.0e-16 <= 1e-12; altered statement 3.0e-01\n"
    )
    data, metadata = checking.Check("eq-4", 2e-16, 2.5e-13, None)._repr_mimebundle_()
    assert data == {"text/plain": "eq-4: residual 2.0e-16 <= 2.5e-13"}
    assert metadata == {
        METADATA: {"id": "eq-4", "residual": 2e-16, "tol": 2.5e-13, "altered": None}
    }


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    residual=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
        elements=st.one_of(st.floats(-2, 2), st.floats()),
    ),
    tol=st.one_of(st.floats(-1, 4), st.just(np.nan)),
)
def test_a_claim_passes_only_with_every_residual_within_its_tolerance(residual, tol):
    before = residual.tobytes()
    residual.flags.writeable = False
    if residual.size and (np.abs(residual) <= tol).all():
        check("eq-4", residual, tol)
        check("eq-4", residual.tolist(), tol)
    else:
        with pytest.raises((ClaimError, ValueError)):
            check("eq-4", residual, tol)
    assert residual.tobytes() == before
