"""Print the built book as one PDF to be read, with page numbers in its table of contents.

``python -m gfbook.build.pdf`` joins the pages of _build/html to one document, prints it in
Chromium to see on which page each of them begins, and prints it again with these numbers, to
_build/book.pdf. Then it puts that beside the pages, and a link to it where they speak of it.
"""

import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Page, sync_playwright
from sphinx_external_toc.parsing import parse_toc_yaml

from gfbook.build import BuildError, ledger
from gfbook.build.book import BUILD, HTML
from gfbook.build.browser import chromium
from gfbook.build.site import TEMPLATES

PDF = BUILD / "book.pdf"
FLAGS = ["--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
PAPER = {"width": 658, "height": 1017}  # pixels of an A4 sheet within its margins
# What one looks things up in, or runs, stays where one can search, filter and press.
ELSEWHERE = {"genindex"} | {
    f"record/{name}"
    for name in ("benchmarks", "claims", "faults", "paper-map", "playground", "rests")
}
# What leads there, and what a sheet of paper cannot do.
PRESSED = ".headerlink, .toctree-wrapper, .uses, .touch, details.hide"
WAIT = 180_000  # milliseconds
READY = """async () => {
  await window.MathJax?.startup.promise;
  await Promise.all([...document.images].map((image) => image.decode()));
  return !document.querySelector(".explorer:not(.explorer-ready)");
}"""
# What is wider than the paper is made as much smaller.
FIT = """() => document.querySelectorAll("div.math, span.math, table").forEach((wide) => {
  let box = wide.matches("div.math") ? wide : wide.parentElement;
  while (!box.clientWidth) box = box.parentElement; // what flows in a line has no width
  const excess = wide.scrollWidth / box.clientWidth;
  if (excess > 1) wide.style.fontSize = `${95 / excess}%`;
})"""
NUMBER = """(places) => document.querySelectorAll("nav a").forEach((link) => {
  link.lastElementChild.textContent = places[link.hash.slice(1)];
})"""


def anchor(name: str, fragment: str = "") -> str:
    """Return the identifier, in the joined document, of a page or of a place in it."""
    return re.sub(r"\W+", "-", f"{name}-{fragment}" if fragment else name)


def parsed(path: Path) -> BeautifulSoup:
    """Return a page as a tree."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def article(site: Path, name: str, names: list[str]) -> Tag:
    """Return what a page says, its links and pictures as the joined document needs them.

    What leads elsewhere leads to the site, if that says where it is, or nowhere. Of folded code
    only the bars of checks are left.
    """

    def place(url: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), url))

    whole = parsed(site / f"{name}.html")
    (said,) = whole.select("article.bd-article")
    home = whole.select_one("link[rel=canonical]")
    for extra in said.select(f"{PRESSED}, details.check > :not(summary)"):
        extra.decompose()
    for element in said.select("[id]"):
        element["id"] = anchor(name, str(element["id"]))
    for link in said.select("a[href]"):
        target, fragment = urldefrag(str(link["href"]))
        page = place(target).removesuffix(".html") if target else name
        if page in names:
            link["href"] = f"#{anchor(page, fragment)}"
        elif ":" not in target and home:
            link["href"] = urljoin(str(home["href"]), str(link["href"]))
        elif ":" not in target:
            link.name = "span"
            del link["href"]
    for key in ("src", "href"):
        for loaded in said.select(f"img[{key}], script[{key}], link[{key}]"):
            loaded[key] = f"html/{place(str(loaded[key]))}"
    said["id"] = anchor(name)
    return said


def parts(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the caption of each part of the book, and which of the pages it has."""
    toc = parse_toc_yaml("_toc.yml")
    if toc.root.docname in names:
        yield "", [toc.root.docname]
    for part in toc.root.subtrees:
        if found := [str(item) for item in part.items if item in names]:
            yield part.caption or "", found


def cited(book: BeautifulSoup) -> list[Tag]:
    """Take the references from the pages and return them, each work once."""
    works: dict[str, tuple[str, Tag]] = {}
    same = {}
    for entry in book.select("div.citation"):
        label = entry.select_one(".label").extract().get_text()  # type: ignore[union-attr]
        _, work = works.setdefault(entry.get_text(), (label, entry))
        same[f"#{entry['id']}"] = f"#{work['id']}"
    for link in book.select("a[href]"):
        link["href"] = same.get(str(link["href"]), link["href"])
    for lists in book.select("section:has(> * > .citation-list)"):
        lists.extract()
    return [work for _, work in sorted(works.values(), key=lambda each: each[0])]


def joined(site: Path, names: list[str]) -> str:
    """Return one document of all pages, with a cover and a table of contents."""
    first = parsed(site / f"{names[0]}.html")
    loaded = [
        part
        for part in first.select("head link[rel=stylesheet], script")
        if part.name == "link" or "mathjax" in str(part).lower()
    ]
    for part in loaded:
        for key in {"src", "href"} & part.attrs.keys():
            part[key] = f"html/{posixpath.normpath(posixpath.join('x', str(part[key])))}"
    book, contents = BeautifulSoup("", "html.parser"), []
    for caption, found in parts(names):
        said = [article(site, name, names) for name in found]
        book.extend(said)
        contents.append((caption, [(each["id"], each.select("h1")[0].text) for each in said]))
    return TEMPLATES.get_template("print.html").render(
        config=ledger.read(Path("_config.yml")),
        version=ledger.read(Path("CITATION.cff"))["version"],
        cover=ledger.read(Path(ledger.PAPER))["cover"],
        home=first.select_one("link[rel=canonical]"),
        loaded=loaded,
        contents=contents,
        works=cited(book),
        book=book,
    )


def begins(pdf: bytes) -> dict[str, int]:
    """Return the page on which each place that is linked to stands, from Chromium's PDF."""
    pages = re.findall(rb"^(\d+) 0 obj\s*<</Type /Page\s", pdf, re.M)
    places = re.findall(rb"/([\w-]+) \[(\d+) 0 R /XYZ ", pdf)
    return {name.decode(): pages.index(page) + 1 for name, page in places}


def printed(page: Page) -> dict[str, int]:
    """Print what the browser shows and return where its places stand."""
    page.pdf(path=PDF, prefer_css_page_size=True, outline=True, tagged=True)
    return begins(PDF.read_bytes())


def make(names: list[str]) -> None:
    """Print these pages of the book."""
    path = chromium()
    if path is None:
        raise BuildError("Chromium is needed: install the package chromium, or set CHROMIUM")
    source = BUILD / "print.html"
    source.write_text(joined(HTML, names), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        # Three dots a pixel, for what the explorers draw.
        page = browser.new_page(viewport=PAPER, device_scale_factor=3)  # type: ignore[arg-type]
        page.set_default_timeout(WAIT)
        page.emulate_media(media="print")
        page.goto(source.absolute().as_uri())
        page.wait_for_function(READY)
        page.evaluate(FIT)
        places = printed(page)
        page.evaluate(NUMBER, places)
        if printed(page) != places:
            raise BuildError("the page numbers moved the pages")
        browser.close()


def offer() -> None:
    """Put the printed book beside the pages; only now can one of them link to it."""
    shutil.copy(PDF, HTML)
    page = HTML / "record/cite.html"
    text = page.read_text(encoding="utf-8")
    link = f'<a class="pdf" href="../{PDF.name}">{PDF.name}</a>'
    text = text.replace(f'<span class="pdf">{PDF.name}</span>', link)
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Print the whole book."""
    try:
        make([name for name in parse_toc_yaml("_toc.yml") if name not in ELSEWHERE])
        offer()
    except (BuildError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"The book as one file is at {PDF}")


if __name__ == "__main__":
    main()
