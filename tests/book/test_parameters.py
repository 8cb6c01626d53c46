"""Values that a reader gives for a chapter's parameters: taken as annotated, or refused."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from gfbook.parameters import literal, parameters
from tests.conftest import ROOT

CELL = """\
m: int = 5  # rows
n: int = 7  # columns, at least m [n >= m]
std: float = 1.0  # of the entries
shift: float = -1.0  # below zero
seed: int = 0  # of the draw
lam: float = 0.8  # of either sign [lam != 0]
fast: bool = False  # whether
name: str = "a"  # of a start
limit: float | None = None  # at most
rates: list[float] = [1.0]  # of the layers
pair: tuple[int, str] = (1, "a")  # both
"""


@pytest.fixture
def chapter(tmp_path):
    cell = new_code_cell(CELL)
    cell.metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "x.ipynb")
    return tmp_path / "x.ipynb"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("float", "1e-3", 1e-3),
        ("float", "-1e-3", -1e-3),
        ("float", "1E5", 1e5),
        ("float", ".5", 0.5),
        ("float", "5.", 5.0),
        ("float", "3", 3.0),
        ("float", "+1", 1.0),
        ("float", "1_000", 1000.0),
        ("int", "3", 3),
        ("int", "-3", -3),
        ("int", "0x10", 16),
        ("int", "1_000", 1000),
        ("bool", "true", True),
        ("bool", "False", False),
        ("str", "true", "true"),
        ("str", "1e-3", "1e-3"),
        ("str", "'a b'", "a b"),
        ("str", "", ""),
        ("float | None", "None", None),
        ("float | None", "2", 2.0),
        ("list[float]", "[1, 1e-3]", [1.0, 1e-3]),
        ("list[int]", "1, 2", [1, 2]),
        ("list[str]", "['a', 'b']", ["a", "b"]),
        ("tuple[float, ...]", "(1, 2)", (1.0, 2.0)),
        ("tuple[int, str]", "1, 'b'", (1, "b")),
    ],
)
def test_value_is_what_the_annotation_says(kind, text, value):
    found = literal(text, kind)
    assert found == value
    assert type(found) is type(value)
    parts = (found, value) if isinstance(value, list | tuple) else ([found], [value])
    assert [type(part) for part in parts[0]] == [type(part) for part in parts[1]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m", "1e3"),
        ("m", "2.0"),
        ("m", "010"),
        ("m", "true"),
        ("m", ""),
        ("m", "None"),
        ("m", "3 rows"),
        ("m", "[3]"),
        ("std", "0x10"),
        ("std", "1,5"),
        ("std", "nan"),
        ("std", "inf"),
        ("std", "None"),
        ("std", "1e-3s"),
        ("fast", "1"),
        ("fast", "yes"),
        ("rates", "[1, nan]"),
        ("rates", "['a']"),
        ("rates", "[1, [2]]"),
        ("rates", "[1"),
        ("pair", "1, 'b', 2"),
    ],
)
def test_what_is_no_such_value_is_refused_by_name(chapter, name, text):
    with pytest.raises(ValueError, match=rf"^{name} is of the kind \w+.*, and .* is not"):
        parameters(chapter, {name: text})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"m": "0"}, "m = 0 makes no sense: m > 0 is needed"),
        ({"m": "-3"}, "m = -3 makes no sense: m > 0 is needed"),
        ({"std": "0"}, "std = 0 makes no sense: std > 0 is needed"),
        ({"std": "-1e-3"}, "std = -1e-3 makes no sense: std > 0 is needed"),
        ({"shift": "1"}, "shift = 1 makes no sense: shift < 0 is needed"),
        ({"seed": "-1"}, "seed = -1 makes no sense: seed >= 0 is needed"),
        ({"lam": "0"}, r"lam = 0 makes no sense: lam != 0 is needed"),
        ({"n": "4"}, "n = 4 makes no sense: n >= m is needed"),
        ({"m": "9"}, "m = 9 makes no sense: n >= m is needed"),
        ({"m": "9", "n": "8"}, "m = 9, n = 8 makes no sense: n >= m is needed"),
        ({"k": "9", "l": "8"}, "no parameter k, l in .*; it has m, n, std"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(chapter, given, said):
    with pytest.raises(ValueError, match=said):
        parameters(chapter, given)


def test_what_makes_sense_is_taken(chapter):
    given = {"m": "3", "n": "3", "seed": "0", "lam": "-1", "std": "1e-300", "shift": "-2"}
    found = {"m": 3, "n": 3, "seed": 0, "lam": -1.0, "std": 1e-300, "shift": -2.0}
    assert parameters(chapter, given) == found


@pytest.mark.parametrize(
    "path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda p: p.stem
)
def test_every_number_of_a_chapter_has_a_sense(path):
    cells = nbformat.read(path, 4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    values = {}
    exec(cell.source, values)
    own = {name: str(values[name]) for name in values["__annotations__"]}
    assert parameters(path, own) == {name: values[name] for name in own}
    # Nothing is taken with the wrong sign, but where the chapter says that either makes sense.
    free = re.findall(r"^(\w+):.*\[(?:\1 != 0|.*\b\1\*\*2\b.*)\]$", cell.source, re.M)
    for name in own.keys() - free:
        with pytest.raises(ValueError, match=f"{name} = .* makes no sense"):
            parameters(path, {name: "-1"})


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("01-introduction", {"k": "1"}, "k = 1 makes no sense: k >= 2 is needed"),
        ("03-spectral-initialization", {"k": "1"}, "k = 1 makes no sense: k >= 2 is needed"),
        ("04-general-initialization", {"m": "4"}, "m = 4 makes no sense: 0 < m < n is needed"),
        ("04-general-initialization", {"n": "7"}, "n = 7 makes no sense: k >= n is needed"),
        ("04-general-initialization", {"wide": "7"}, "wide = 7 makes .*: wide > m"),
        ("05-discrete-time", {"sigma": "0.4"}, "sigma = 0.4 makes .*: 0 < x0 < sigma"),
        ("05-discrete-time", {"eta": "0.1"}, "eta = 0.1 makes .*: 0 < 8"),
        ("06-figure-1", {"k": "4"}, "k = 4 makes no sense: k >= m or k >= n is needed"),
        ("07-conclusion", {"m": "6"}, "m = 6 makes no sense: 0 < m <= n is needed"),
        ("08-related-descent", {"k": "2"}, "k = 2 makes no sense: k >= m or k >= n"),
        ("08-related-bias", {"width": "1"}, "width = 1 makes no sense: width >= 20 is needed"),
        ("09-wide-networks", {"narrowest": "1"}, r"narrowest = 1 makes .*: narrowest \* 4\*\*"),
        ("09-wide-networks", {"widths": "3"}, "widths = 3 makes no sense: narrowest"),
        ("11-how-fast", {"m": "12"}, "m = 12 makes no sense: 1 < m < n is needed"),
        ("12-lazy-or-rich", {"m": "6"}, "m = 6 makes no sense: n > m is needed"),
        ("13-not-white", {"eps": "0.1"}, "eps = 0.1 makes no sense: 0 < eps <= 1e-5 is needed"),
        ("appendix-a-proposition-1", {"digits": "1"}, "digits = 1 makes .*: digits >= 50"),
        ("appendix-c-proposition-5", {"lam": "-100"}, r"lam = -100 makes .*: 0\.04 <= lam"),
        ("appendix-c-proposition-5", {"n": "2"}, "n = 2 makes no sense: n > m is needed"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(name, given, said):
    with pytest.raises(ValueError, match=said):
        parameters(ROOT / "chapters" / f"{name}.ipynb", given)
