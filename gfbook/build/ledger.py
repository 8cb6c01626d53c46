"""The record: pages and claims.json, from data/claims.yml and what executed chapters recorded.

`write` fills the templates in tools/record/ and puts the pages into the tree that Sphinx reads,
or raises BuildError where ledger and chapters disagree.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gfbook.build.badge import powers
from gfbook.build.execute import EXECUTED, BuildError
from gfbook.build.site import project, repository
from gfbook.check import METADATA

Claim = dict[str, Any]
LEDGER = "data/claims.yml"
CITATION = "CITATION.cff"
PAGES = [Path("record", f"{name}.md") for name in ("claims", "errata", "paper-map", "cite")]
PAGES += [Path("genindex.md")]  # Sphinx writes the index over it; the contents name it
MEANINGS = {
    "holds": "as printed",
    "holds-if": "under a condition that the paper leaves out",
    "misprint": "where a corrected form holds",
    "fails": "where a counter-example runs",
}
NEEDED = ["section", "title", "statement", "chapter", "method"]
MORE = {"holds-if": ["condition"], "misprint": ["correction"], "fails": ["correction"]}
# What the paper numbers, and how many there are of each.
ITEMS = {
    "def": ("Definition {}", 3),
    "prop": ("Proposition {}", 5),
    "cor": ("Corollary {}", 1),
    "fig": ("Figure {}", 3),
    "tab": ("Table {}", 1),
    "fn": ("Footnote {}", 4),
    "eq": ("({})", 39),
}
DECADES = (-18, 4)  # of the bars


def load() -> dict[str, Claim]:
    """Return the ledger as {id: entry}, or raise BuildError."""
    try:
        entries = yaml.safe_load(Path(LEDGER).read_text(encoding="utf-8"))
        ledger = {entry["id"]: entry for entry in entries}
    except (OSError, TypeError, KeyError, yaml.YAMLError) as error:
        raise BuildError(f"{LEDGER}: {error}") from None
    if len(ledger) != len(entries):
        raise BuildError(f"{LEDGER}: two entries share an id")
    for entry in entries:
        if entry["verdict"] not in MEANINGS:
            raise BuildError(f"{LEDGER}: {entry['id']}: verdict {entry['verdict']!r}")
    return ledger


def faults(claims: list[Claim], checks: dict[str, list[Claim]]) -> Iterator[str]:
    """Say where the ledger and the checks of each chapter disagree."""
    for claim in claims:
        id, chapter = claim["id"], str(claim.get("chapter"))
        for name in NEEDED + MORE.get(claim["verdict"], []):
            if not claim.get(name):
                yield f"chapters/{chapter}: {id}: {LEDGER} has no {name}"
        times = [check["id"] for check in checks.get(chapter, ())].count(id)
        if times != 1:
            yield f"chapters/{chapter}: {id}: {times or 'no'} checks of this claim"
    known = {claim["id"] for claim in claims}
    for chapter, check in ((name, check) for name, made in checks.items() for check in made):
        where = f"chapters/{chapter}: {check['id']}"
        if check["id"] not in known:
            yield f"{where}: a check of no claim in {LEDGER}"
        elif not check["residual"] <= check["tol"]:
            yield f"{where}: residual {check['residual']} exceeds {check['tol']}"


def joined(claims: list[Claim], checks: dict[str, list[Claim]]) -> list[Claim]:
    """Return each claim with the figures of its check and the address of its badge."""
    if found := list(faults(claims, checks)):
        raise BuildError("\n".join(["the ledger and the chapters disagree:", *found]))
    figures = {(name, check["id"]): check for name in checks for check in checks[name]}
    return [
        claim
        | figures[claim["chapter"], claim["id"]]
        | {"where": ", ".join(filter(None, [claim["section"], claim.get("where")]))}
        | {"reading": claim.get("reading", False)}
        | {"url": f"chapters/{claim['chapter']}.html#claim-{claim['id']}"}
        for claim in claims
    ]


def totals(claims: list[Claim]) -> dict[str, int]:
    """Return how many claims there are of each verdict."""
    return {verdict: sum(c["verdict"] == verdict for c in claims) for verdict in MEANINGS}


def as_json(claims: list[Claim]) -> str:
    """Return the ledger for programs; an infinite figure is null."""
    infinite = (math.inf, -math.inf)
    plain = [{k: None if v in infinite else v for k, v in claim.items()} for claim in claims]
    book = {"schema": 1, "totals": totals(claims), "claims": plain}
    return json.dumps(book, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def items(claims: list[Claim], anchors: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield each numbered item of the paper, its place in the book, and its claims."""
    found: dict[tuple[str, int], list[Claim]] = {}
    for claim in claims:
        if named := re.match(r"([a-z]+?)(?:le)?-(\d+)", claim["id"]):
            found.setdefault((named[1], int(named[2])), []).append(claim)
    for kind, (name, count) in ITEMS.items():
        more = {number for other, number in found if other == kind}
        for number in sorted(more.union(range(1, count + 1))):
            its, id = found.get((kind, number), []), f"{kind}-{number}"
            chapter = anchors.get(id) or (its[0]["chapter"] if its else "")
            anchor = id if id in anchors else f"claim-{its[0]['id']}" if its else ""
            place = {"chapter": chapter, "url": f"chapters/{chapter}.html#{anchor}"}
            yield {"id": id, "name": name.format(number), "claims": its} | place


def place(value: float) -> float:
    """Return where a figure stands on a bar 160 units long."""
    low, high = DECADES
    decade = min(max(math.log10(value), low), high) if value > 0 else low
    return round(160 * (decade - low) / (high - low), 1)


def told(residual: float, tol: float) -> str:
    """Return in words what a bar shows."""
    below = f"{math.log10(tol / residual):.1f} powers of ten" if residual else "zero,"
    return f"The residual is {below} below the tolerance."


def write(files: list[Path], tree: Path) -> None:
    """Check the executed chapters against the ledger; write the record into the tree."""
    ledger = list(load().values())
    checks, anchors, titles = {}, {}, {}
    for path in (path for path in files if path.suffix == ".ipynb"):
        cells = json.loads((EXECUTED / path).read_bytes())["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        data = [output.get("metadata", {}) for output in outputs]
        checks[path.stem] = [found[METADATA] for found in data if METADATA in found]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        for named in re.findall(r"^(?:\(([\w-]+)\)=|:label: ([\w-]+))$", text, re.M):
            anchors["".join(named)] = path.stem
        titles[path.stem] = text.partition("\n")[0].removeprefix("# ")
    claims = joined(ledger, checks)
    folder = FileSystemLoader(Path(__file__).with_name("record"))
    book = Environment(
        loader=folder, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    book.filters["place"] = place
    book.filters["powers"] = powers
    book.filters["slug"] = lambda name: re.sub(r"\W+", "-", name.lower())
    book.globals |= {"claims": claims, "items": [*items(claims, anchors)], "titles": titles}
    book.globals |= {"totals": totals(claims), "meanings": MEANINGS, "told": told}
    book.globals |= {"sections": Counter(c["section"] for c in claims), "decades": DECADES}
    bib = Path("references.bib").read_text(encoding="utf-8")
    (paper,) = re.findall(r"^@\w+\{tarmoun2021,.*?^\}", bib, re.M | re.S)
    parts = {
        name: yaml.safe_load(Path(name).read_bytes()) for name in (CITATION, "_config.yml")
    }
    book.globals |= {
        "paper": paper,
        "citation": parts[CITATION],
        "config": parts["_config.yml"],
        "repository": repository(project(Path.cwd())),
    }
    (tree / "record").mkdir()
    for target in (*PAGES, Path("assets", "ledger.css")):
        text = book.get_template(target.name).render()
        (tree / target).write_text(text, encoding="utf-8")
    (tree / "claims.json").write_text(as_json(claims), encoding="utf-8")
