"""A Sphinx extension: verdicts where claims are stated, and in a line of text.

A claim belongs to the label that its id is, to the numbered item that its id begins with, and
to those that the ledger says it is about: ``prop-5-limit`` to the one labelled ``prop-5``.
A statement also shows the claims of the equations in it, and what came of it, in a sentence.
The directive ``{judged}`` does so for an item that no chapter states, as a figure, and
``{explorer}`` shows an explorer of a chapter once more. The role ``{verdict}`` links to a
claim, ``{tally}`` counts.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from gfbook.build import ledger


def of(labels: list[str], book: Any) -> list[ledger.Claim]:
    """Return the claims of these labels, in the ledger's order."""
    return [
        claim
        for claim in book.claims
        if {claim["id"], *ledger.about(claim, book.paper)} & {*labels}
    ]


def spoken(text: str) -> Iterator[nodes.Node]:
    """Yield a text with formulas in it as nodes."""
    for n, part in enumerate(re.split(r"\$([^$]+)\$", text)):
        yield nodes.math("", part) if n % 2 else nodes.Text(part)


def address(app: Sphinx, page: str, url: str) -> str:
    """Return where a page finds a place of another: `url` is that from the root."""
    name, _, place = url.partition(".html")
    return app.builder.get_relative_uri(page, name) + place


def around(app: Sphinx, page: str, item: dict[str, Any]) -> Iterator[nodes.Node]:
    """Yield what an item rests on and what it is used by, as links in a line."""
    items = app.gfbook.items  # type: ignore[attr-defined]
    for key, told in (("on", "Rests on "), ("used", "Used by ")):
        for n, other in enumerate(items[id] for id in item[key]):
            yield nodes.Text(", " if n else told)
            at = address(app, page, other["url"])
            yield nodes.reference("", other["name"], internal=True, refuri=at)
        if item[key]:
            yield nodes.Text(". ")


def mark(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put sentences and marks below the statements of a page, marks beside its equations."""
    book = app.gfbook  # type: ignore[attr-defined]

    def at(claim: ledger.Claim) -> str:
        return address(app, page, claim["url"])

    def record(name: str) -> str:
        there = f"record/{name}" in app.env.found_docs
        return address(app, page, f"record/{name}") if there else ""

    def judge(node: nodes.Element, labels: list[str]) -> None:
        found = of(labels, book)
        found.sort(key=lambda claim: ledger.item(claim["id"], book.paper) not in labels)
        for label in labels:
            if label in book.sentences:
                count = nodes.inline("", ledger.counted(found), classes=["counted"])
                said = [*spoken(book.sentences[label]), nodes.Text(" "), count]
                node += nodes.paragraph("", "", *said, classes=["judged"])
                if label in book.graph:
                    ways = around(app, page, book.items[label])
                    node += nodes.paragraph("", "", *ways, classes=["rests"])
        if found:
            node += nodes.raw("", book.marks.verdicts(found, at), format="html")

    for node in [*document.findall(nodes.Element)]:
        if "countertype" in node:  # of sphinx-proof
            inner = [id for part in node.findall(nodes.math_block) for id in part["ids"]]
            judge(node, [*node["ids"], *inner])
        elif "item" in node:
            judge(node, [node["item"]])
        elif isinstance(node, nodes.math_block):
            links = [book.marks.beside(id, of([id], book), at, record) for id in node["ids"]]
            if any(links):
                both = nodes.container(classes=["numbered"])
                node.parent.replace(node, both)
                beside = f'<div class="beside">{"".join(links)}</div>'
                both += [node, nodes.raw("", beside, format="html")]


SHOWN = {  # how a preview shows the parts of a statement
    nodes.math: r"\({}\)",
    nodes.math_block: r"<div>\[{}\]</div>",
    nodes.paragraph: "<p>{}</p>",
    nodes.enumerated_list: "<ol>{}</ol>",
    nodes.list_item: "<li>{}</li>",
    nodes.title: "",  # the link has it
}


def said(node: nodes.Node) -> str:
    """Return a statement or an equation as HTML, without its number."""
    tex = re.sub(r"\\(?:tag\{[^}]*\}|label\{[^}]*\})", "", node.astext())
    formula = isinstance(node, nodes.math | nodes.math_block | nodes.Text)
    inner = escape(tex, quote=False) if formula else "".join(map(said, node.children))
    return SHOWN.get(type(node), "{}").format(inner)


def previews(app: Sphinx) -> dict[str, str]:
    """Return what a page shows of a claim or a statement where a link leads to it."""
    book = app.gfbook  # type: ignore[attr-defined]
    found = {
        f"{kind}-{claim['id']}": book.marks.claim(claim)
        for claim in book.claims
        for kind in ("claim", "amiss")
    }
    found |= {id: book.marks.item(item) for id, item in book.items.items()}
    for name in app.env.found_docs:
        for node in app.env.get_doctree(name).findall(nodes.Element):
            if isinstance(node, nodes.math_block) or "countertype" in node:  # of sphinx-proof
                found |= {id: said(node) + found.get(id, "") for id in node["ids"]}
    return found


class Judged(SphinxDirective):
    """What came of an item of the paper that no statement of a chapter is, and its claims."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the place, for `mark`."""
        name, book = self.arguments[0], self.env.app.gfbook  # type: ignore[attr-defined]
        if name not in book.sentences:
            raise self.error(f"no sentence on {name} in {ledger.SENTENCES}")
        title = nodes.paragraph("", "", nodes.strong("", ledger.numbered(book.paper)[name]))
        return [nodes.container("", title, item=name, ids=[name], classes=["judged-item"])]


class Again(SphinxDirective):
    """An explorer of a chapter."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the explorer as its chapter shows it, and where that is."""
        name, page = self.arguments[0], self.env.docname
        explorers = self.env.app.gfbook.explorers  # type: ignore[attr-defined]
        if name not in explorers:
            raise self.error(f"no chapter has an explorer {name}")
        chapter, html = explorers[name]
        html = html.replace('"../_static', f'"{"../" * page.count("/")}_static')
        where, _ = self.parse_inline(f"From {{doc}}`/{chapter}`")
        shown = nodes.raw("", html, format="html")
        return [shown, nodes.paragraph("", "", *where, classes=["from"])]


class Verdict(SphinxRole):
    """A claim in a line of text: a link to its check, by its title, and its verdict."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the nodes."""
        app = self.env.app
        for claim in app.gfbook.claims:  # type: ignore[attr-defined]
            if claim["id"] == self.text:
                at = address(app, self.env.docname, claim["url"])
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


def setup(app: Sphinx) -> None:
    """Say to Sphinx when to do it: marks when the references of a page are known."""
    app.add_role("verdict", Verdict())
    app.add_role("tally", Tally())
    app.add_directive("judged", Judged)
    app.add_directive("explorer", Again)
    app.connect("doctree-resolved", mark, priority=400)  # before formulas meet their full stops
