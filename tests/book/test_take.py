"""What readers take away: notebooks, figures with their data, and the book as one PDF."""

import csv
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup

from gfbook import plots
from gfbook.build import pdf
from tests.conftest import ROOT

PAGES = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
page_named = pytest.mark.parametrize("name", PAGES)


def shown(site, name):
    """Return the figures of a page: each name, with its element."""
    page = BeautifulSoup((site / f"chapters/{name}.html").read_text(), "html.parser")
    return {figure["id"]: figure for figure in page.select("article figure[id]")}


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


TWO = ["chapters/07-conclusion", "record/errata"]


@pytest.fixture(scope="module")
def printed(site, tmp_path_factory):
    """Print two pages and return the PDF, and the document that it was printed from."""
    folder = tmp_path_factory.mktemp("pdf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "_build").mkdir()
        (folder / "_build/html").symlink_to(site)
        for name in ("_toc.yml", "_config.yml", "data"):
            (folder / name).symlink_to(ROOT / name)
        pdf.make(TWO)
        document = BeautifulSoup((folder / "_build/print.html").read_text(), "html.parser")
        return (folder / pdf.PDF).read_bytes(), document


def test_pdf_has_a_cover_contents_and_each_page_of_the_book(printed):
    content, document = printed
    assert content.startswith(b"%PDF-")
    pages = content.count(b"<</Type /Page\n")
    starts = [pdf.begins(content)[pdf.anchor(name)] for name in TWO]
    assert starts[0] == 3  # after the cover and the contents
    assert 3 + 5 < starts[1] < pages
    assert content.count(b"/Type /Outlines") == 1
    assert [link["href"] for link in document.select("nav a")] == [
        f"#{pdf.anchor(name)}" for name in TWO
    ]


def test_links_within_the_pdf_lead_somewhere(printed):
    content, document = printed
    ids = {element["id"] for element in document.select("[id]")}
    links = {link["href"] for link in document.select("a[href]")}
    inner = {link[1:] for link in links if link.startswith("#")}
    assert len(inner) > 20
    assert inner <= ids
    assert {link for link in links - {f"#{name}" for name in inner} if ":" not in link} == set()
    assert inner <= pdf.begins(content).keys()
    assert b"file://" not in content


def test_pages_link_to_the_pdf_once_it_is_there(site, printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "_build/html/record/cite.html"
    page.parent.mkdir(parents=True)
    text = BeautifulSoup((site / "record/cite.html").read_text(), "html.parser")
    span = '<span class="pdf">book.pdf</span>'
    text.select_one(".pdf").replace_with(BeautifulSoup(span, "html.parser"))
    page.write_text(str(text))
    pdf.PDF.write_bytes(printed[0])
    pdf.offer()
    (link,) = BeautifulSoup(page.read_text(), "html.parser").select("a.pdf")
    assert (page.parent / link["href"]).read_bytes() == printed[0]


def test_paper_has_all_text_and_nothing_to_press(browser, site):
    page = browser.new_page(viewport=pdf.PAPER)
    page.emulate_media(media="print")
    page.goto((site / f"{TWO[0]}.html").as_uri())
    page.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")
    for gone in (
        "button",
        "summary",
        ".explorer input",
        "figure .legend",
        ".bd-sidebar-primary",
        ".headerlink",
    ):
        assert not any(part.is_visible() for part in page.locator(gone).all()), gone
    for folded in page.locator("details pre").all():
        assert folded.bounding_box()["height"] > 10
    assert page.evaluate(
        "[...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth)"
    )
    page.evaluate(pdf.FIT)
    heights = (
        "[...document.querySelectorAll('figcaption mjx-container')].map(e => e.offsetHeight)"
    )
    assert min(page.evaluate(heights)) > 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Each line of an explorer's legend is printed, and looks like no other.
    marks = page.locator(".u-series:has(.u-marker)").first.locator("xpath=..")
    looks = marks.locator(".u-marker").evaluate_all(
        "all => all.map(getComputedStyle).map(s => [s.background, s.printColorAdjust])"
    )
    shown = [(back, adjust) for back, adjust in looks if "rgba(0, 0, 0, 0) none" not in back]
    assert len(shown) >= 2
    assert len(set(shown)) == len(shown)
    assert {adjust for _, adjust in shown} == {"exact"}
    page.close()
