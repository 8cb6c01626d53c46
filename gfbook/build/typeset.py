"""A Sphinx extension: no line begins with the full stop or comma after a formula.

To a browser a formula in a line is a box, and it may break the line on either side of one.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

STOPS = re.compile(r"[.,;:!?)\]’”]+")


def join(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put each formula in a line of text together with what ends or divides the sentence."""
    for formula in [*document.findall(nodes.math)]:
        line = formula.parent
        at = line.index(formula) + 1
        after = line[at] if at < len(line) else None
        if isinstance(after, nodes.Text) and (stop := STOPS.match(after)):
            both = nodes.inline("", "", formula, nodes.Text(stop[0]), classes=["together"])
            line[at - 1 : at + 1] = [both, nodes.Text(after[stop.end() :])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Say to Sphinx when to do it."""
    app.connect("doctree-resolved", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
