"""A Sphinx extension: verdicts where claims are stated, and in a line of text.

A claim belongs to the label that its id is, or to the numbered item that its id begins with:
``prop-5-limit`` to the statement labelled ``prop-5``. A statement also shows the claims of the
equations within it. The role ``{verdict}`` links to a claim, ``{tally}`` counts.
"""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from gfbook.build import ledger


def of(labels: list[str], book: Any) -> list[ledger.Claim]:
    """Return the claims of these labels, in the ledger's order."""
    return [
        claim
        for claim in book.entries
        if {claim["id"], ledger.item(claim["id"], book.paper)} & {*labels}
    ]


def address(app: Sphinx, page: str, claim: ledger.Claim) -> str:
    """Return where a page finds the check of a claim."""
    at = app.builder.get_relative_uri(page, f"chapters/{claim['chapter']}")
    return f"{at}#claim-{claim['id']}"


def mark(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put marks below the statements of a page, and beside its equations."""
    book = app.gfbook  # type: ignore[attr-defined]

    def link(claim: ledger.Claim, shown: str, told: str) -> str:
        verdict, title = (escape(claim[key]) for key in ("verdict", "title"))
        return (
            f'<a class="verdict claim-{verdict}" href="{address(app, page, claim)}"'
            f' title="{title}" aria-label="{told}: {verdict}">{shown}{verdict}</a>'
        )

    for node in [*document.findall(nodes.Element)]:
        if "countertype" in node:  # of sphinx-proof
            inner = [id for part in node.findall(nodes.math_block) for id in part["ids"]]
            found = of([*node["ids"], *inner], book)
            if links := " ".join(link(c, f"<b>{c['id']}</b> ", c["id"]) for c in found):
                node += nodes.raw("", f'<p class="verdicts">{links}</p>', format="html")
        elif isinstance(node, nodes.math_block):
            links = "".join(
                link(claim, "", f"({label.removeprefix('eq-')})")
                for label in node["ids"]
                for claim in of([label], book)
            )
            if links:
                both = nodes.container(classes=["numbered"])
                node.parent.replace(node, both)
                both += [node, nodes.raw("", links, format="html")]


class Verdict(SphinxRole):
    """A claim in a line of text: a link to its check, by its title, and its verdict."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the nodes."""
        app = self.env.app
        for claim in app.gfbook.entries:  # type: ignore[attr-defined]
            if claim["id"] == self.text:
                at = address(app, self.env.docname, claim)
                text = nodes.Text(f" ({claim['verdict']})")
                return [nodes.reference("", claim["title"], internal=True, refuri=at), text], []
        return [], [self.inliner.reporter.error(f"no claim {self.text}", line=self.lineno)]


class Tally(SphinxRole):
    """How many claims of the paper have a verdict, or there are: `claims`, and `own` ones."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the nodes."""
        entries = self.env.app.gfbook.entries  # type: ignore[attr-defined]
        counts = ledger.totals(entries)
        counts |= {"claims": sum(counts.values())}
        counts |= {"own": sum(ledger.totals(entries, "book").values())}
        if self.text in counts:
            return [nodes.Text(str(counts[self.text]))], []
        said = f"nothing to count: {self.text}; there is {', '.join(counts)}"
        return [], [self.inliner.reporter.error(said, line=self.lineno)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Say to Sphinx when to do it: marks when the references of a page are known."""
    app.add_role("verdict", Verdict())
    app.add_role("tally", Tally())
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
