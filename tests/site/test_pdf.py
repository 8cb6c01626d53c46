"""The book as one PDF, and a page as it is printed."""

import pytest
from bs4 import BeautifulSoup

from gfbook.build import pdf
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
TWO = ["chapters/07-conclusion", "record/errata"]


@pytest.fixture(scope="module")
def printed(site, tmp_path_factory):
    """Print two pages and return the PDF, and the document that it was printed from."""
    folder = tmp_path_factory.mktemp("pdf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "_build").mkdir()
        (folder / "_build/html").symlink_to(site)
        for name in ("_toc.yml", "_config.yml", "CITATION.cff", "data"):
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
        *(f"#{pdf.anchor(name)}" for name in TWO),
        "#references",
    ]
    assert "on its pages" in document.select_one(".cover").get_text()


def test_pdf_has_each_work_once_and_no_marks_that_lead_out_of_it(printed):
    _, document = printed
    works = [entry.get_text().strip() for entry in document.select(".citation")]
    assert len(works) == len({*works}) > 5
    assert document.select("article:last-child .citation") == document.select(".citation")
    assert document.select(".uses, .touch, .label") == []


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
        "summary:not(:has(.claim))",
        ".explorer input",
        "figure .legend",
        ".bd-sidebar-primary",
        ".headerlink",
    ):
        assert not any(part.is_visible() for part in page.locator(gone).all()), gone
    for folded in page.locator("details pre:not(.tag_parameters *)").all():
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
    # The mark of each line of an explorer is printed, and looks like no other.
    looks = (
        page.locator(".explorer")
        .first.locator(".explorer-name i")
        .evaluate_all(
            "all => all.map(getComputedStyle).map(s => [s.background, s.printColorAdjust])"
        )
    )
    shown = [(back, adjust) for back, adjust in looks if "rgba(0, 0, 0, 0) none" not in back]
    assert len(shown) >= 2
    assert len(set(shown)) == len(shown)
    assert {adjust for _, adjust in shown} == {"exact"}
    page.close()
