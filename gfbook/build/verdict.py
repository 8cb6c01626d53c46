"""A Sphinx extension: each statement and each equation of the paper shows its claims' verdicts.

A claim belongs to the label that its id is, or begins with: ``prop-5-limit`` to the statement
labelled ``prop-5``. A statement also shows the claims of the equations within it.
"""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from gfbook.build import ledger


def of(labels: list[str]) -> list[dict[str, Any]]:
    """Return the claims of these labels, in the ledger's order."""
    starts = tuple(f"{label}-" for label in labels)
    return [c for id, c in ledger.load().items() if id in labels or id.startswith(starts)]


def mark(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put marks below the statements of a page, and beside its equations."""

    def link(claim: dict[str, Any], shown: str, told: str) -> str:
        at = app.builder.get_relative_uri(page, f"chapters/{claim['chapter']}")
        id, verdict, title = (escape(claim[key]) for key in ("id", "verdict", "title"))
        return (
            f'<a class="verdict claim-{verdict}" href="{at}#claim-{id}" title="{title}"'
            f' aria-label="{told}: {verdict}">{shown}{verdict}</a>'
        )

    for node in [*document.findall(nodes.Element)]:
        if "countertype" in node:  # of sphinx-proof
            inner = [id for part in node.findall(nodes.math_block) for id in part["ids"]]
            found = of([*node["ids"], *inner])
            links = " ".join(link(c, f"<b>{c['id']}</b> ", c["id"]) for c in found)
            if links:
                text = f'<p class="verdicts">{links}</p>'
                node += nodes.raw("", text, format="html")
        elif isinstance(node, nodes.math_block):
            links = "".join(
                link(claim, "", f"({label.removeprefix('eq-')})")
                for label in node["ids"]
                for claim in of([label])
            )
            if links:
                both = nodes.container(classes=["numbered"])
                node.parent.replace(node, both)
                both += [node, nodes.raw("", links, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Say to Sphinx when to do it: when the references of a page are known."""
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
