"""A Sphinx extension: verdicts where claims are stated, and in a line of text.

A claim belongs to the label that its id is, to the numbered item that its id begins with, and
to those that the ledger says it is about: ``prop-5-limit`` to the one labelled ``prop-5``.
A statement also shows the claims of the equations in it, and what came of it, in a sentence.
The directive ``{judged}`` does so for an item that no chapter states, as a figure. The role
``{verdict}`` links to a claim, ``{tally}`` counts.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from gfbook.build import ledger

RESTS, MAP = "record/rests", "record/paper-map"  # the pages that have all of it


def of(labels: list[str], book: Any) -> list[ledger.Claim]:
    """Return the claims of these labels, in the ledger's order."""
    return [
        claim
        for claim in book.entries
        if {claim["id"], *ledger.about(claim, book.paper)} & {*labels}
    ]


def spoken(text: str) -> Iterator[nodes.Node]:
    """Yield a text with formulas in it as nodes."""
    for n, part in enumerate(re.split(r"\$([^$]+)\$", text)):
        yield nodes.math("", part) if n % 2 else nodes.Text(part)


def address(app: Sphinx, page: str, claim: ledger.Claim) -> str:
    """Return where a page finds the check of a claim."""
    at = app.builder.get_relative_uri(page, f"chapters/{claim['chapter']}")
    return f"{at}#claim-{claim['id']}"


def around(app: Sphinx, page: str, id: str) -> Iterator[nodes.Node]:
    """Yield what an item rests on and what it is used by, as links in a line."""
    book = app.gfbook  # type: ignore[attr-defined]
    for key, told in (("on", "Rests on "), ("used", "Used by ")):
        for n, other in enumerate(book.items[id][key]):
            yield nodes.Text(", " if n else told)
            target, _, place = book.items[other]["url"].partition(".html")
            at = app.builder.get_relative_uri(page, target) + place
            yield nodes.reference("", book.items[other]["name"], internal=True, refuri=at)
        if book.items[id][key]:
            yield nodes.Text(". ")


def uses(app: Sphinx, page: str, id: str) -> str:
    """Return links from an equation to what it rests on and what uses it, if that is known.

    The claims about it that are the book's own are counted: there are up to a dozen.
    """
    book = app.gfbook  # type: ignore[attr-defined]
    if id not in book.items:
        return ""
    name, own = book.items[id]["name"], [c for c in of([id], book) if c.get("by") == "book"]
    links = (
        (RESTS, f"used by {len(book.items[id]['used'])}", "what uses", id in book.graph),
        (MAP, f"{len(own)} of our own", "what this book adds to", own),
    )
    return "".join(
        f'<a class="uses" href="{app.builder.get_relative_uri(page, where)}#{id}"'
        f' aria-label="{told} {name}">{shown}</a>'
        for where, shown, told, there in links
        if there and where in app.env.found_docs
    )


def mark(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put sentences and marks below the statements of a page, marks beside its equations."""
    book = app.gfbook  # type: ignore[attr-defined]

    def link(claim: ledger.Claim, shown: str, told: str) -> str:
        verdict, title = (escape(claim[key]) for key in ("verdict", "title"))
        return (
            f'<a class="verdict claim-{verdict}" href="{address(app, page, claim)}"'
            f' title="{title}" aria-label="{told}: {verdict}">{shown}{verdict}</a>'
        )

    def judge(node: nodes.Element, labels: list[str]) -> None:
        found = of(labels, book)
        found.sort(key=lambda claim: ledger.item(claim["id"], book.paper) not in labels)
        for label in labels:
            if label in book.sentences:
                count = nodes.inline("", ledger.counted(found), classes=["counted"])
                said = [*spoken(book.sentences[label]), nodes.Text(" "), count]
                node += nodes.paragraph("", "", *said, classes=["judged"])
                if label in book.graph:
                    node += nodes.paragraph(
                        "", "", *around(app, page, label), classes=["rests"]
                    )
        marks = {"paper": "", "book": ""}
        for claim in found:
            marks[claim.get("by", "paper")] += link(
                claim, f"<b>{claim['id']}</b> ", claim["id"]
            )
        html = f'<p class="verdicts">{marks["paper"]}</p>' if marks["paper"] else ""
        if marks["book"]:
            html += (
                "<details><summary>This book's own</summary>"
                f'<p class="verdicts">{marks["book"]}</p></details>'
            )
        if html:
            node += nodes.raw("", html, format="html")

    for node in [*document.findall(nodes.Element)]:
        if "countertype" in node:  # of sphinx-proof
            inner = [id for part in node.findall(nodes.math_block) for id in part["ids"]]
            judge(node, [*node["ids"], *inner])
        elif "item" in node:
            judge(node, [node["item"]])
        elif isinstance(node, nodes.math_block):
            links = "".join(
                link(claim, "", f"({label.removeprefix('eq-')})")
                for label in node["ids"]
                for claim in of([label], book)
                if claim.get("by") != "book"
            )
            links += "".join(uses(app, page, label) for label in node["ids"])
            if links:
                both = nodes.container(classes=["numbered"])
                node.parent.replace(node, both)
                beside = f'<div class="beside">{links}</div>'
                both += [node, nodes.raw("", beside, format="html")]


def previews(app: Sphinx) -> dict[str, str]:
    """Return what a page shows of an equation, an item or a claim where a link leads to it."""
    book = app.gfbook  # type: ignore[attr-defined]

    def told(text: str) -> str:
        return re.sub(r"\$([^$]+)\$", r"\\(\1\\)", escape(text, quote=False))

    def chip(verdict: str) -> str:
        return f'<span class="verdict claim-{verdict}">{verdict}</span>'

    found = {}
    for claim in book.entries:
        kinds = {"condition": "Condition", "correction": "Correct", "note": "Note"}
        more = next((f"{kinds[key]}: {told(claim[key])}" for key in kinds if key in claim), "")
        found[f"claim-{claim['id']}"] = found[f"amiss-{claim['id']}"] = (
            f"<p>{chip(claim['verdict'])} <b>{escape(claim['title'])}</b></p>"
            f"<p>{told(claim['statement'])}</p>" + (f"<p>{more}</p>" if more else "")
        )
    for id, item in book.items.items():
        around = [
            f"{word} {', '.join(book.items[other]['short'] for other in item[key])}."
            for word, key in (("Rests on", "on"), ("Used by", "used"))
            if item[key]
        ]
        mark = chip(item["verdict"]) if item["verdict"] else ""
        head = f"<p><b>{escape(item['name'])}</b> {mark}</p>"
        said = f"<p>{told(item['sentence'])}</p>" if item["sentence"] else ""
        found[id] = f'{head}{said}<p class="around">{" ".join(around)}</p>'
    for name in app.env.found_docs:
        for node in app.env.get_doctree(name).findall(nodes.math_block):
            for id in node["ids"]:
                tex = re.sub(r"\\(?:tag\{[^}]*\}|label\{[^}]*\})", "", node.astext())
                found[id] = f"<div>\\[{escape(tex, quote=False)}\\]</div>{found.get(id, '')}"
    return found


class Judged(SphinxDirective):
    """What came of an item of the paper that no statement of a chapter is, and its claims."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the place, for `mark`."""
        name = self.arguments[0]
        if name not in self.env.app.gfbook.sentences:  # type: ignore[attr-defined]
            raise self.error(f"no sentence on {name} in {ledger.SENTENCES}")
        book = self.env.app.gfbook  # type: ignore[attr-defined]
        title = nodes.strong("", ledger.numbered(book.paper)[name])
        return [
            nodes.container(
                "",
                nodes.paragraph("", "", title),
                item=name,
                ids=[name],
                classes=["judged-item"],
            )
        ]


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


def setup(app: Sphinx) -> None:
    """Say to Sphinx when to do it: marks when the references of a page are known."""
    app.add_role("verdict", Verdict())
    app.add_role("tally", Tally())
    app.add_directive("judged", Judged)
    app.connect("doctree-resolved", mark, priority=400)  # before formulas meet their full stops
