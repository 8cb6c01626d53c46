"""What every chapter keeps to, read from its source; and runs at other values."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from gfbook.check import METADATA
from tests.book.conftest import written
from tests.conftest import ROOT

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
named = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, 4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def figures(notebook):
    """Return the mystnb metadata of the cells that draw."""
    return [c.metadata["mystnb"] for c in code_cells(notebook) if "mystnb" in c.metadata]


def calls(notebook, name):
    """Return the calls of a function, by the end of its dotted name."""
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(name):
                yield node


def test_table_of_contents_has_every_chapter():
    from gfbook.build.inputs import documents

    assert (
        sorted(ROOT / path for path in documents(ROOT) if path.suffix == ".ipynb") == CHAPTERS
    )


@named
def test_is_a_clean_notebook(path):
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.get("kernelspec", {}).get("name") == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "jupytext"}


@named
def test_parameters_are_annotated_and_explained(path):
    tagged = [c for c in code_cells(read(path)) if "parameters" in c.metadata.get("tags", ())]
    assert len(tagged) == 1, "one cell is tagged `parameters`"
    (cell,) = tagged
    for node in ast.parse(cell.source).body:
        assert isinstance(node, ast.AnnAssign)
        line = cell.source.splitlines()[node.end_lineno - 1]
        assert re.search(r"#\s\w", line), f"no meaning beside: {line}"


@named
def test_code_is_short_or_folded(path):
    for cell in code_cells(read(path)):
        folded = {"hide-input", "remove-input"} & set(cell.metadata.get("tags", ()))
        assert len(cell.source.splitlines()) <= (40 if folded else 18), cell.source
        assert "sys.path" not in cell.source
        assert "interact(" not in cell.source


@named
def test_figures_have_captions_alt_text_and_are_cited(path):
    notebook = read(path)
    assert figures(notebook)
    for figure in figures(notebook):
        assert len(figure["image"]["alt"]) > 20
        assert len(figure["figure"]["caption"]) > 20
        assert f"{{numref}}`{figure['figure']['name']}`" in prose(notebook)


@named
def test_numbers_in_prose_are_computed(path):
    notebook = read(path)
    used = set(re.findall(r"\{glue:(?:text|math)\}`([\w-]+)", prose(notebook)))
    source = "\n".join(cell.source for cell in code_cells(notebook))
    literal = {ast.literal_eval(c.args[0]) for c in calls(notebook, "glue")
               if isinstance(c.args[0], ast.Constant)}  # fmt: skip
    formatted = [ast.unparse(c.args[0]) for c in calls(notebook, "glue")
                 if not isinstance(c.args[0], ast.Constant)]  # fmt: skip
    # What is glued is used, unless the name is made in a loop.
    assert literal <= used
    assert used <= literal or formatted, source


@pytest.mark.parametrize(
    ("table", "chapter"), [("laws", "11-how-fast"), ("digits", "13-not-white")]
)
def test_numbers_of_a_program_stand_in_the_chapter_as_it_wrote_them(table, chapter):
    def words(text):
        return " ".join(text.replace(",", " ").split())

    numbers = (ROOT / f"data/{table}.csv").read_text(encoding="utf-8")
    numbers = numbers.removeprefix("law,k,x,count,first\n")
    source = "\n".join(c.source for c in code_cells(read(ROOT / f"chapters/{chapter}.ipynb")))
    assert words(numbers) in words(source)


@named
def test_each_check_shows_that_it_can_fail(path):
    for call in calls(read(path), "check"):
        assert {keyword.arg for keyword in call.keywords} >= {"residual", "tol", "altered"}


@named
def test_exercises_have_solutions(path):
    text = prose(read(path))
    exercises = re.findall(r"\{exercise-start\}.*\n:label: ([\w-]+)", text)
    solutions = re.findall(r"\{solution-start\} ([\w-]+)", text)
    assert len(exercises) >= 3
    assert sorted(exercises) == sorted(solutions)


def run_papermill(path, output, *parameters):
    """Run papermill's own command line, as a reader would."""
    papermill = Path(sys.executable).with_name("papermill")
    command = [papermill, path.name, output, "-k", "python3", "--no-progress-bar"]
    subprocess.run([*command, *parameters], cwd=path.parent, check=True, capture_output=True)
    return json.loads(output.read_bytes())


# The second set of parameters at which every claim is checked, with the seed 1.
OTHER = {
    "01-introduction": {"m": 4, "n": 7, "k": 20},
    "02-symmetric-factorization": {"m": 4},
    "03-spectral-initialization": {"m": 2, "n": 5, "k": 8},
    "05-discrete-time": {"sigma": 2.0, "x0": 0.3, "m": 4, "n": 3},
    "04-general-initialization": {"m": 2, "n": 4, "k": 7},
    "06-figure-1": {"draws": 30},
    "06-figure-2": {"m": 4, "draws": 4},
    "06-figure-3": {"d": 6, "k": 60, "samples": 600},
    "07-conclusion": {"m": 4, "k": 10},
    "08-related-flows": {"n": 5, "k": 6},
    "08-related-descent": {"m": 4, "k": 7},
    "08-related-bias": {"width": 60},
    "09-wide-networks": {"m": 2, "draws": 30},
    "10-can-it-be-solved": {"m": 3, "n": 1},
    "11-how-fast": {"m": 4, "n": 6},
    "12-lazy-or-rich": {"m": 3, "n": 5},
    "13-not-white": {"hidden": 30},
    "appendix-a-proposition-1": {"m": 2},
    "appendix-b-proposition-2": {"m": 3},
    "appendix-c-proposition-5": {"m": 3, "lam": -0.6},
    "appendix-d-proposition-4": {"k": 4},
    "appendix-e-quadratures": {"k": 5},
}


@pytest.mark.long
@named
def test_every_claim_holds_at_other_values(path, tmp_path):
    values = {"seed": 1} | OTHER.get(path.stem, {})
    given = [word for name, value in values.items() for word in ("-p", name, str(value))]
    executed = run_papermill(path, tmp_path / "out.ipynb", *given)
    assert executed["metadata"]["papermill"]["parameters"] == values
    injected = [c for c in executed["cells"] if "injected-parameters" in c["metadata"]["tags"]]
    assert len(injected) == 1
    checked = {
        o["metadata"][METADATA]["id"] for c in executed["cells"] for o in c.get("outputs", ())
        if METADATA in o.get("metadata", ())
    }  # fmt: skip
    ledger = written("data/claims.yml")
    assert checked >= {entry["id"] for entry in ledger if entry["chapter"] == path.stem}
