"""The ledger: what data/claims.yml says of each claim, joined with what its check recorded.

data/paper.yml says which sections and numbered items there are; with that the schema of the
ledger is complete, and the ids of the claims say where they belong.
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from gfbook.build import BuildError

Claim = dict[str, Any]
LEDGER, PAPER, SENTENCES = "data/claims.yml", "data/paper.yml", "data/verdicts.yml"
SCHEMA = Path(__file__).with_name("claims.schema.json")
VERDICTS: list[str] = json.loads(SCHEMA.read_bytes())["$defs"]["verdict"]["enum"]


def read(path: Path) -> Any:
    """Return what a YAML file says, or raise BuildError."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BuildError(f"{path.parent.name}/{path.name}: {error}") from None


def numbered(paper: dict[str, Any], key: str = "name") -> dict[str, str]:
    """Return the numbered items in the paper's order: their ids, and their names."""
    return {
        f"{kind}-{number}": kept.get(key, kept["name"]).format(number)
        for kind, kept in paper["items"].items()
        for number in range(1, kept["count"] + 1)
    }


def grammar(paper: dict[str, Any]) -> str:
    """Return the pattern of a claim's id."""
    items, kinds = "|".join(numbered(paper)), "|".join(paper["sentences"])
    return rf"^(?:(?:{items})(?:-[a-z0-9-]+)?|(?:{kinds})-[a-z0-9-]+)$"


def item(id: str, paper: dict[str, Any]) -> str | None:
    """Return the numbered item that an id begins with: `prop-5` for `prop-5-limit`."""
    found = re.match(r"([a-z]+)-\d+(?=-|$)", id)
    return found[0] if found and found[1] in paper["items"] else None


def about(claim: Claim, paper: dict[str, Any]) -> set[str]:
    """Return the numbered items that a claim is about: by its id, and by its own word."""
    return {*filter(None, [item(claim["id"], paper)]), *claim.get("about", ())}


def name(id: str, paper: dict[str, Any]) -> str:
    """Return what the paper calls the item that an id begins with, or nothing."""
    return numbered(paper).get(item(id, paper) or "", "")


def schema(paper: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of claims.json, and of the ledger in its definitions."""
    whole: dict[str, Any] = json.loads(SCHEMA.read_bytes())
    whole["$defs"]["id"]["pattern"] = grammar(paper)
    whole["$defs"]["section"]["enum"] = paper["sections"]
    whole["$defs"]["item"]["pattern"] = f"^(?:{'|'.join(numbered(paper))})$"
    return whole


def said(file: str, part: str, content: Any, paper: dict[str, Any]) -> Iterator[str]:
    """Yield what a part of the schema has against the content of a file, a line each."""
    rules = {**schema(paper), "$ref": f"#/$defs/{part}"}
    for key in ("type", "required", "properties"):
        del rules[key]
    for error in Draft202012Validator(rules).iter_errors(content):
        number, *field = [*error.absolute_path] or [None]
        what = error.message
        if error.validator == "pattern":  # which says less than what it stands for
            what = f"{error.instance!r} is not {error.schema['description']}"
        entry = number
        if isinstance(number, int):
            it = content[number]
            entry = f"entry {it.get('id', number + 1) if isinstance(it, dict) else number + 1}"
        elif part == "ledger":
            entry = "not a list"
        parts = [part for part in (entry, *field) if part is not None]
        yield ": ".join([file, *map(str, parts), what])


def stated(root: Path, file: str, part: str, paper: dict[str, Any]) -> Any:
    """Return what a file says that a book may have, or raise BuildError naming the field."""
    content = read(root / file) if (root / file).is_file() else {}
    if found := list(said(file, part, content, paper)):
        raise BuildError("\n".join(found))
    return content


def load(root: Path, paper: dict[str, Any]) -> list[Claim]:
    """Return the entries of the ledger, or raise BuildError naming entry and field."""
    entries = read(root / LEDGER)
    found = list(said(LEDGER, "ledger", entries, paper))
    if not found:
        ids = [entry["id"] for entry in entries]
        twice = [id for id in ids if ids.count(id) > 1]
        found = [f"{LEDGER}: entry {id}: two entries share it" for id in twice]
    if found:
        raise BuildError("\n".join(dict.fromkeys(found)))
    return list(entries)


def sentences(root: Path, paper: dict[str, Any]) -> dict[str, str]:
    """Return what came of whole items, in a sentence each, by their ids."""
    content = stated(root, SENTENCES, "sentences", paper)
    return {id: " ".join(content[id].split()) for id in numbered(paper) if id in content}


def faults(claims: list[Claim], checks: dict[str, list[Claim]]) -> Iterator[str]:
    """Say where the ledger and the checks of each chapter disagree."""
    for claim in claims:
        times = [check["id"] for check in checks.get(claim["chapter"], ())].count(claim["id"])
        if times != 1:
            where = f"chapters/{claim['chapter']}: {claim['id']}"
            yield f"{where}: {times or 'no'} checks of this claim"
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
        {"reading": False, "by": "paper"}
        | claim
        | figures[claim["chapter"], claim["id"]]
        | {"where": ", ".join(filter(None, [claim["section"], claim.get("where")]))}
        | {"url": f"chapters/{claim['chapter']}.html#claim-{claim['id']}"}
        for claim in claims
    ]


def worst(claims: list[Claim], id: str, paper: dict[str, Any]) -> str | None:
    """Return the verdict on a numbered item: the gravest of those on the paper's claims in it.

    Those are the claims that begin with its id, and others about it that stand where it does.
    """
    named = numbered(paper)[id]
    found = [
        VERDICTS.index(claim["verdict"])
        for claim in claims
        if claim.get("by", "paper") == "paper"
        and (
            item(claim["id"], paper) == id
            or (id in about(claim, paper) and claim.get("where", "").startswith(named))
        )
    ]
    return VERDICTS[max(found)] if found else None


def totals(claims: list[Claim], by: str = "paper") -> dict[str, int]:
    """Return how many claims there are of each verdict, those of the paper or of the book."""
    found = [claim["verdict"] for claim in claims if claim.get("by", "paper") == by]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def counted(claims: list[Claim]) -> str:
    """Return how many claims there are of each verdict, in words."""
    told = []
    for by, whose in (("paper", ""), ("book", "this book's own: ")):
        counts = [f"{n} {verdict}" for verdict, n in totals(claims, by).items() if n]
        told += [whose + ", ".join(counts)] if counts else []
    return "Claims: " + "; ".join(told)


def as_json(claims: list[Claim]) -> str:
    """Return the ledger for programs; an infinite figure is null."""
    infinite = (math.inf, -math.inf)
    plain = [{k: None if v in infinite else v for k, v in claim.items()} for claim in claims]
    book = {"schema": 1, "totals": totals(claims), "own": totals(claims, "book")}
    text = json.dumps(book | {"claims": plain}, indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def items(
    paper: dict[str, Any], claims: list[Claim], anchors: dict[str, str], told: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield each numbered item of the paper: its place in the book, its verdict, its claims."""
    for id, name in numbered(paper).items():
        its = [claim for claim in claims if id in about(claim, paper)]
        its.sort(key=lambda claim: item(claim["id"], paper) != id)  # its own before others
        chapter = anchors.get(id) or (its[0]["chapter"] if its else "")
        anchor = id if id in anchors else f"claim-{its[0]['id']}" if its else ""
        place = {"chapter": chapter, "url": f"chapters/{chapter}.html#{anchor}"}
        yield {"id": id, "name": name, "sentence": told.get(id), "claims": its} | place
