"""A Sphinx extension: how formulas stand in a line, and how this book numbers its statements.

To a browser a formula in a line is a box, and it may break the line on either side of one: no
line is to begin with the full stop or comma after a formula. The book's statements are numbered
apart from those of its source, which have whole numbers: 5.A is the first of the fifth section.
"""

import re
from string import ascii_uppercase
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_proof.nodes import NODE_TYPES

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


def section(title: str) -> str | None:
    """Return the number, or the letter, that a title begins with."""
    found = re.search(r"^\d+(\.\d+)*|(?<=^Appendix )[A-Z]\b", title)
    return found[0] if found else None


def number(app: Sphinx, env: Any) -> list[str]:
    """Give the statements of each page numbers of its section, if that has one."""
    for page, kinds in env.toc_fignumbers.items():
        own_number = section(env.titles[page].astext())
        own = [ids for kind, ids in kinds.items() if kind in NODE_TYPES]
        for ids in own if own_number else ():
            ids |= {
                id: (own_number, letter)
                for id, letter in zip(ids, ascii_uppercase, strict=False)
            }
    return []


def setup(app: Sphinx) -> None:
    """Say to Sphinx when to do it."""
    app.connect("env-get-updated", number, priority=900)  # when Sphinx has given them numbers
    app.connect("doctree-resolved", join)
