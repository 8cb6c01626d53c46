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
LEDGER, PAPER = "data/claims.yml", "data/paper.yml"
SCHEMA = Path(__file__).with_name("claims.schema.json")
VERDICTS: list[str] = json.loads(SCHEMA.read_bytes())["$defs"]["verdict"]["enum"]


def read(path: Path) -> Any:
    """Return what a YAML file says, or raise BuildError."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BuildError(f"{path.parent.name}/{path.name}: {error}") from None


def grammar(paper: dict[str, Any]) -> str:
    """Return the pattern of a claim's id; its group is the item that the claim is about."""
    numbers = {kind: range(1, item["count"] + 1) for kind, item in paper["items"].items()}
    items = "|".join(f"{kind}-(?:{'|'.join(map(str, n))})" for kind, n in numbers.items())
    return rf"^(?:({items})(?:-[a-z0-9-]+)?|(?:{'|'.join(paper['sentences'])})-[a-z0-9-]+)$"


def item(id: str, paper: dict[str, Any]) -> str | None:
    """Return the numbered item that a claim is about: `prop-5` for `prop-5-limit`."""
    found = re.match(grammar(paper), id)
    return found[1] if found else None


def name(id: str, paper: dict[str, Any]) -> str:
    """Return what the paper calls the item that a claim is about, or nothing."""
    kind, _, number = (item(id, paper) or "").partition("-")
    return str(paper["items"][kind]["name"].format(number)) if number else ""


def schema(paper: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of claims.json, and of the ledger in its definitions."""
    whole: dict[str, Any] = json.loads(SCHEMA.read_bytes())
    whole["$defs"]["id"]["pattern"] = grammar(paper)
    whole["$defs"]["section"]["enum"] = paper["sections"]
    return whole


def load(root: Path, paper: dict[str, Any]) -> list[Claim]:
    """Return the entries of the ledger, or raise BuildError naming entry and field."""
    entries = read(root / LEDGER)
    listed = entries if isinstance(entries, list) else []
    ids = [e.get("id", n) if isinstance(e, dict) else n for n, e in enumerate(listed, 1)]
    said = []
    rules = {**schema(paper), "$ref": "#/$defs/ledger"}
    for key in ("type", "required", "properties"):
        del rules[key]
    for error in Draft202012Validator(rules).iter_errors(entries):
        number, *field = [*error.absolute_path] or [None]
        what = error.message
        if field == ["id"] and error.validator == "pattern":
            what = f"no item and no kind of sentence of {PAPER}, with its number or words"
        entry = "not a list" if number is None else f"entry {ids[number]}"
        said.append(": ".join([LEDGER, str(entry), *map(str, field), what]))
    said += [f"{LEDGER}: entry {id}: two entries share it" for id in ids if ids.count(id) > 1]
    if said:
        raise BuildError("\n".join(dict.fromkeys(said)))
    return list(entries)


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


def totals(claims: list[Claim], by: str = "paper") -> dict[str, int]:
    """Return how many claims there are of each verdict, those of the paper or of the book."""
    found = [claim["verdict"] for claim in claims if claim.get("by", "paper") == by]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def as_json(claims: list[Claim]) -> str:
    """Return the ledger for programs; an infinite figure is null."""
    infinite = (math.inf, -math.inf)
    plain = [{k: None if v in infinite else v for k, v in claim.items()} for claim in claims]
    book = {"schema": 1, "totals": totals(claims), "own": totals(claims, "book")}
    text = json.dumps(book | {"claims": plain}, indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def items(
    paper: dict[str, Any], claims: list[Claim], anchors: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield each numbered item of the paper, its place in the book, and its claims."""
    about = [item(claim["id"], paper) for claim in claims]
    for kind, kept in paper["items"].items():
        for number in range(1, kept["count"] + 1):
            id = f"{kind}-{number}"
            its = [
                claim for claim, about_it in zip(claims, about, strict=True) if about_it == id
            ]
            chapter = anchors.get(id) or (its[0]["chapter"] if its else "")
            anchor = id if id in anchors else f"claim-{its[0]['id']}" if its else ""
            place = {"chapter": chapter, "url": f"chapters/{chapter}.html#{anchor}"}
            yield {"id": id, "name": kept["name"].format(number), "claims": its} | place
