"""What readers take away: notebooks, and figures with their data."""

import csv
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup

from gfbook import plots
from tests.conftest import ROOT

PAGES = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
page_named = pytest.mark.parametrize("name", PAGES)


def shown(site, name):
    """Return the figures of a page: each name, with its element."""
    # The figures alone: to parse the whole page takes ten times as long.
    text = (site / f"chapters/{name}.html").read_text().partition("<article")[2]
    parts = "".join(re.findall(r"<figure.*?</figure>", text, re.S))
    page = BeautifulSoup(parts, "html.parser")
    return {figure["id"]: figure for figure in page.select("figure[id]")}


@page_named
def test_download_is_the_executed_notebook_and_says_what_it_needs(site, name):
    taken = json.loads((site / f"_sources/chapters/{name}.ipynb").read_bytes())
    made = json.loads((site.parent / f"executed/chapters/{name}.ipynb").read_bytes())
    (wheel,) = (path.name for path in site.glob("*.whl"))
    note = taken["cells"].pop(1)["source"]
    assert "pip install" in note
    assert wheel in note
    made["cells"] = [cell for cell in made["cells"] if cell["id"] != "install"]
    assert taken == made
    cells = [c for c in taken["cells"] if c["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    assert any("image/svg+xml" in o.get("data", ()) for c in cells for o in c["outputs"])


@page_named
def test_each_figure_has_its_files_beside_it(site, name):
    figures = shown(site, name)
    assert figures
    for id, figure in figures.items():
        links = {link.text: link["href"] for link in figure.select(".legend a[download]")}
        assert links == {
            form: f"../figures/{name}/{id}.{form.lower()}" for form in ("SVG", "CSV")
        }
        picture, table = (site / "chapters" / links[form] for form in ("SVG", "CSV"))
        on_page = site / "chapters" / figure.img["src"]
        assert picture.read_text().strip() == on_page.read_text().strip()
        header, *rows = csv.reader(table.read_text().splitlines())
        assert header[:2] == ["panel", "series"]
        assert len(rows) > 3
        assert {len(row) for row in rows} == {len(header)}
        assert all(np.isfinite([float(x) for x in row[2:4]]).any() for row in rows[:3])


def rows(figure):
    return [*csv.reader(plots.data(figure).splitlines())]


@pytest.fixture
def panels():
    figure, axes = plt.subplots(1, 2)
    yield figure, axes
    plt.close(figure)


def test_data_of_lines_guides_points_and_bars(panels):
    figure, (left, right) = panels
    left.set(xlabel="time", title="(a)", yscale="log", xlim=(0, 2))
    left.plot([0, 1], [10, 1], label="two, layers")
    left.axhline(5)
    right.set(xlabel="time", ylabel="rate")
    right.scatter([1, 2], [3, 4], label="seen")
    right.bar([7], [8], label="counted")
    assert rows(figure) == [
        ["panel", "series", "time", "rate"],
        ["1: (a)", "two, layers", "0", "10"],
        ["1: (a)", "two, layers", "1", "1"],
        ["1: (a)", "2", "0", "5"],
        ["1: (a)", "2", "2", "5"],
        ["2", "seen", "1", "3"],
        ["2", "seen", "2", "4"],
        ["2", "counted", "7", "8"],
    ]


def test_data_of_an_image_and_of_an_area(panels):
    figure, (left, right) = panels
    left.imshow([[1, 2], [3, 4]])
    right.fill_between([0, 1], [0, 0], [1, 1])
    header, *found = rows(figure)
    assert header == ["panel", "series", "x", "y", "value"]
    image = [row[2:] for row in found if row[0] == "1"]
    assert image == [["0", "0", "1"], ["1", "0", "2"], ["0", "1", "3"], ["1", "1", "4"]]
    assert {tuple(row[2:]) for row in found if row[0] == "2"} == {
        (x, y) for x in "01" for y in "01"
    }
