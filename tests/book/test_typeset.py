"""What gfbook.build.typeset keeps together."""

import re

from bs4 import BeautifulSoup, NavigableString
from docutils import nodes
from docutils.utils import new_document

from gfbook.build import typeset


def apart(text):
    """Return the formulas of a page whose full stop or comma may begin a line."""
    page = BeautifulSoup(text, "html.parser")
    return [
        formula
        for formula in page.select("article span.math")
        if "together" not in formula.parent.get("class", ())
        and isinstance(formula.next_sibling, NavigableString)
        and re.match(r"[.,;:]", formula.next_sibling)
    ]


def test_text_stays_as_it_is():
    # Equal pieces of text, which docutils cannot tell apart.
    parts = [piece for name in "xyz" for piece in (nodes.math("", name), nodes.Text(", and "))]
    line = nodes.paragraph("", "", *parts, nodes.math("", "w"), nodes.Text("."))
    document = new_document("one")
    document += line
    typeset.join(None, document, "one")
    assert line.astext() == "x, and y, and z, and w."
    assert [part.astext() for part in line if isinstance(part, nodes.inline)] == [
        "x,", "y,", "z,", "w."
    ]  # fmt: skip
    assert all(part.parent is line for part in line)


def test_no_line_begins_with_a_stop(site):
    pages = [path.read_text(encoding="utf-8") for path in (site / "chapters").glob("*.html")]
    assert sum(text.count('class="together"') for text in pages) > 100
    assert [formula for text in pages for formula in apart(text)] == []
    loose = '<article><p><span class="math">x</span>. So</p></article>'
    assert len(apart(loose)) == 1
