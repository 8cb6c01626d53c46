"""What gfbook.build.typeset keeps together."""

from docutils import nodes
from docutils.utils import new_document

from gfbook.build import typeset


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
