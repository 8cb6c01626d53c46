"""A Sphinx extension: chapters as they were executed, and the record of their checks.

The pages in record/ are Markdown with Jinja in it: they have the claims, joined with what the
chapters recorded, and the macros of templates/. Beside the pages the site gets claims.json with
its schema, the figures, the executed notebooks, and a manifest of what all this is made of.
"""

import csv
import json
import math
import re
import shutil
from collections import Counter
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from sphinx.application import Sphinx

from gfbook import explore
from gfbook.build import BuildError, chapter, findings, ledger, playground, put, rests, verdict
from gfbook.build.inputs import (
    CITATION,
    EXECUTED,
    LEFT,
    MANIFEST,
    digest,
    documents,
    recorded,
    stale,
)
from gfbook.build.place import repository
from gfbook.check import METADATA
from gfbook.glue import powers
from gfbook.live import parts

BENCHMARKS = "record/benchmarks"  # a program writes it, with its floats as Python prints them
DECADES = (-18, 4)  # of the bars
SIGNS = dict(zip(ledger.VERDICTS, "✓◐✎✗", strict=True))  # as the style sheet has them
# A word with bars or a root in it, or words with a sign of operation or relation between them.
FORMULA = re.compile(
    r"(?:\d+ )?[^\s,;]*[|√][^\s,;]*(?: [+−] [^\s,;]+)*"
    r"|[^\s,;]+(?: (?:[=≤≥+−×]|&[lg]t;) [^\s,;]+)+"
)
PLACES = r"^(?:\(([\w-]+)\)=|:label: ([\w-]+)|:{3,}\{judged\} ([\w-]+))$"


def place(value: float) -> float:
    """Return where a figure stands on a bar 160 units long."""
    low, high = DECADES
    decade = min(max(math.log10(value), low), high) if value > 0 else low
    return round(160 * (decade - low) / (high - low), 1)


def told(residual: float, tol: float) -> str:
    """Return in words what a bar shows."""
    below = f"{math.log10(tol / residual):.1f} powers of ten" if residual else "zero,"
    return f"The residual is {below} below the tolerance."


def tolerance(tol: float) -> str:
    """Return a tolerance to two digits, as a float whose power of ten can be raised.

    Examples
    --------
    >>> tolerance(1e-12), tolerance(0.0095), tolerance(1.5)
    ('1e-12', '9.5e-03', '1.5e+00')
    """
    return f"{tol:.1e}".replace(".0e", "e")


def escaped(text: str) -> str:
    """Return a text for HTML: an apostrophe is no number 39, which the search would find."""
    return escape(text, quote=False).replace('"', "&quot;")


def together(text: str) -> str:
    """Return a text for HTML in which no line breaks within a formula written in letters.

    Examples
    --------
    >>> together("at the rate 4 min|σ|")
    'at the rate <span class="together">4 min|σ|</span>'
    >>> together("until k < m, for all")
    'until <span class="together">k &lt; m</span>, for all'
    """
    return FORMULA.sub(r'<span class="together">\g<0></span>', escaped(text))


def tex(text: str) -> str:
    """Return a text with formulas in it as MathJax finds them on a page."""
    return re.sub(r"\$([^$]+)\$", r"\\(\1\\)", escape(text, quote=False))


def slug(name: str) -> str:
    """Return a name as a class of the style sheet."""
    return re.sub(r"\W+", "-", name.lower())


class Book:
    """What the pages are made of, read once a build.

    Parameters
    ----------
    root : Path
        Its folder.

    Attributes
    ----------
    paper : dict
        What data/paper.yml says.
    entries : list of dict
        The ledger as it is written.
    sentences : dict of str
        What came of whole items of the paper, in a sentence each.
    graph : dict of list
        What each numbered item of the paper rests on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paper = ledger.read(root / ledger.PAPER)
        self.entries = ledger.load(root, self.paper)
        self.sentences = ledger.sentences(root, self.paper)
        self.graph = rests.load(root, self.paper)

    @cached_property
    def findings(self) -> dict[str, list[dict[str, Any]]]:
        """What to know before all else, and what is right, with claims and pictures."""
        found = findings.load(self.root, self.paper, self.entries)
        plots = findings.plots(self.chapters) if found else {}
        claims = {claim["id"]: claim for claim in self.claims}
        for finding in (finding for part in found.values() for finding in part):
            if (name := finding["picture"]["plot"]) not in plots:
                raise BuildError(f"{findings.FILE}: no chapter has a plot {name}")
            page, data = plots[name]
            finding["claim"] = claims[finding["claim"]]
            finding["plot"] = f"{page}.html#{name}"
            series = findings.series(data, finding["picture"].get("panel", 1))
            finding["drawn"] = findings.draw(finding["picture"], series)
        return found

    @cached_property
    def playground(self) -> playground.Content:
        """The fields and presets of the page on which a reader sets all values."""
        return playground.load(self.root, {entry["id"] for entry in self.entries})

    @cached_property
    def chapters(self) -> dict[str, dict[str, Any]]:
        """The executed notebooks, by the names that _toc.yml has for them."""
        files = [path for path in documents(self.root) if path.suffix == ".ipynb"]
        if found := [str(path) for path in files if stale(path, self.root)]:
            raise BuildError(
                f"not executed as they are now: {', '.join(found)}: run `make book`"
            )
        executed = {path: (self.root / EXECUTED / path).read_bytes() for path in files}
        return {p.with_suffix("").as_posix(): json.loads(n) for p, n in executed.items()}

    @cached_property
    def explorers(self) -> dict[str, tuple[str, str]]:
        """The chapter of each explorer, and its HTML there, by its name."""
        return chapter.explorers(self.chapters)

    @cached_property
    def claims(self) -> list[ledger.Claim]:
        """Each claim with what its check recorded."""
        checks = {
            Path(name).name: [
                output["metadata"][METADATA]
                for cell in notebook["cells"]
                for output in chapter.checks(cell)
            ]
            for name, notebook in self.chapters.items()
        }
        return ledger.joined(self.entries, checks)

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a table of data."""
        with (self.root / name).open(encoding="utf-8", newline="") as file:
            return [*csv.DictReader(file)]

    @cached_property
    def titles(self) -> dict[str, str]:
        """The title of each chapter."""
        return {name: text.partition("\n")[0].removeprefix("# ") for name, text in self._texts}

    @cached_property
    def items(self) -> dict[str, dict[str, Any]]:
        """Each numbered item of the paper: where it is treated, and what came of it."""
        anchors = {
            "".join(named): name
            for name, text in self._texts
            for named in re.findall(PLACES, text, re.M)
        }
        found = ledger.items(self.paper, self.claims, anchors, self.sentences)
        short, up = ledger.numbered(self.paper, "short"), rests.used(self.graph)
        return {
            (id := each["id"]): each
            | {"short": short[id], "verdict": ledger.worst(self.entries, id, self.paper)}
            | {"on": self.graph.get(id, []), "used": up.get(id, [])}
            for each in found
        }

    @cached_property
    def drawing(self) -> rests.Drawing | None:
        """The items of the paper as a graph."""
        first = {ledger.item(c["id"], self.paper): c["section"] for c in self.entries[::-1]}
        sections = {id: first.get(id, self.paper["sections"][0]) for id in self.graph}
        return rests.draw(self.graph, sections, self.paper["sections"]) if self.graph else None

    @cached_property
    def _texts(self) -> list[tuple[str, str]]:
        """The name of each chapter, without its folder, and its text."""
        return [
            (
                Path(name).name,
                "\n".join(
                    "".join(cell["source"])
                    for cell in notebook["cells"]
                    if cell["cell_type"] == "markdown"
                ),
            )
            for name, notebook in self.chapters.items()
        ]

    @cached_property
    def templates(self) -> Environment:
        """Jinja, with all that the pages of the record may use."""
        loader = FileSystemLoader([self.root, Path(__file__).with_name("templates")])
        jinja = Environment(
            loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        jinja.filters |= {
            "place": place,
            "powers": powers,
            "tolerance": tolerance,
            "counted": ledger.counted,
        }
        jinja.filters |= {"page": playground.page, "tex": tex, "slug": slug, "e": escaped}
        jinja.filters["together"] = together
        used = Counter(claim["section"] for claim in self.claims)
        totals, own = (ledger.totals(self.claims, by) for by in ("paper", "book"))
        bib = (self.root / "references.bib").read_text(encoding="utf-8")
        (cited,) = re.findall(rf"^@\w+\{{{self.paper['cite']},.*?^\}}", bib, re.M | re.S)
        used_by = rests.used(self.graph)
        jinja.globals |= {
            "claims": self.claims,
            "items": [*self.items.values()],
            "by_id": self.items,
            "signs": SIGNS,
            "titles": self.titles,
            "drawing": self.drawing,
            "findings": self.findings,
            "playground": self.playground,
            "about": lambda claims: playground.about(self.playground, claims),
            "called": lambda id: ledger.name(id, self.paper),
            "ways": {
                id: (rests.reached(self.graph, id), rests.reached(used_by, id)[::-1])
                for id in self.graph
            },
            "totals": totals,
            "own": own,
            "all": {name: count + own[name] for name, count in totals.items()},
            "by": Counter(claim["by"] for claim in self.claims),
            "meanings": self.paper["verdicts"],
            "sections": {name: used[name] for name in self.paper["sections"] if used[name]},
            "told": told,
            "table": self.table,
            "decades": DECADES,
            "paper": cited,
            "citation": ledger.read(self.root / CITATION),
            "config": ledger.read(self.root / "_config.yml"),
            "repository": repository(self.root),
            "live": parts.ready(self.root) is not None,
        }
        return jinja

    @cached_property
    def marks(self) -> Any:
        """The macros for what is said of claims within the pages."""
        return self.templates.get_template("marks.html").module

    def source(self, name: str, text: str) -> str:
        """Return what Sphinx shall read as a page, in place of the source of that name."""
        try:
            if name in self.chapters:
                return chapter.read(name, self.chapters[name], self.claims, self.marks)
            if name.startswith("record/"):
                said = self.templates.from_string(text).render()
                return powers(said) if name == BENCHMARKS else said
        except TemplateError as error:
            raise BuildError(f"{name}: {error}") from None
        return text


def only(app: Sphinx, config: Any) -> None:
    """Look for pages nowhere but where _toc.yml says: a checkout has other Markdown too."""
    # Sphinx marks those files with their digests that are there before it writes a page.
    shutil.rmtree(Path(app.outdir, "_static"), ignore_errors=True)
    config.include_patterns = [path.as_posix() for path in documents(Path(app.srcdir))]
    config.exclude_patterns = [*config.exclude_patterns, ".*", "node_modules", *LEFT]


def begin(app: Sphinx, env: Any, names: list[str]) -> None:
    """Read the record, and every page anew: any of them may show what came of a claim."""
    app.gfbook = book = Book(Path(app.srcdir))  # type: ignore[attr-defined]
    env.gfbook_made = digest(book.root)
    # Of these the one joins ledger and chapters, or says why not.
    book.templates, book.explorers  # noqa: B018
    (Path(app.outdir) / MANIFEST).unlink(missing_ok=True)
    names[:] = sorted(env.found_docs)


def change(app: Sphinx, name: str, source: list[str]) -> None:
    """Put what was executed, or what the record is, in place of a page's source."""
    source[0] = app.gfbook.source(name, source[0])  # type: ignore[attr-defined]


def deliver(app: Sphinx, error: Exception | None) -> None:
    """Put beside the pages what readers take away."""
    if error or app.builder.format != "html":
        return
    book: Book = app.gfbook  # type: ignore[attr-defined]
    site = Path(app.outdir)
    files = {
        "claims.json": ledger.as_json(book.claims),
        "claims.schema.json": json.dumps(ledger.schema(book.paper), indent=1) + "\n",
        "_static/explore.js": explore.script(),
        "_static/previews.js": f"window.previews = {json.dumps(verdict.previews(app))};\n",
    }
    for sheet in ("ledger.css", "rests.css"):
        files[f"_static/{sheet}"] = book.templates.get_template(sheet).render()
    for name, notebook in book.chapters.items():
        for _, its in chapter.figures(name, notebook):
            files |= its
    for name in app.env.found_docs:  # what the download button leads to
        path = Path(app.env.doc2path(name))
        if name in book.chapters:
            text = (book.root / EXECUTED / f"{name}.ipynb").read_text(encoding="utf-8")
            files[f"_sources/{name}.ipynb"] = text
        elif name.startswith("record/"):
            files[f"_sources/{name}{path.suffix}"] = book.source(name, path.read_text("utf-8"))
    put(site, files)


def seal(app: Sphinx, error: Exception | None) -> None:
    """Write into a whole site, last, what it is made of."""
    if error or app.builder.format != "html" or app._warncount:
        return
    chapters = [f"{name}.ipynb" for name in app.gfbook.chapters]  # type: ignore[attr-defined]
    record = {
        "pages": app.env.gfbook_made,  # type: ignore[attr-defined]
        "chapters": {name: recorded(Path(name), Path(app.srcdir)) for name in chapters},
    }
    put(Path(app.outdir), {MANIFEST: json.dumps(record, indent=1) + "\n"})


def setup(app: Sphinx) -> None:
    """Say to Sphinx when to do what."""
    app.connect("config-inited", only)
    app.connect("env-before-read-docs", begin)
    app.connect("source-read", change)
    app.connect("build-finished", deliver)
    app.connect("build-finished", seal, priority=950)
