"""The page on which a reader sets all values: its fields and presets, from data/playground.yml.

Each preset is calculated here as it is in a reader's browser, and drawn in small.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gfbook.build import BuildError, findings, ledger
from gfbook.live import playground

FILE, MODULE = "data/playground.yml", "data/playground.py"
PRESET = ("id", "title", "says", "claims", "state", "panel", "lines")
Content = dict[str, Any]


def load(root: Path, claims: set[str]) -> Content:
    """Return fields, targets and presets with pictures; nothing if a book has none.

    Raises
    ------
    BuildError
        If a preset is about no claim, sets no field, or has a value that is refused.
    """
    if not (root / FILE).is_file():
        return {}
    content: Content = ledger.read(root / FILE)
    module = playground.Playground(root / MODULE)
    known = {field["id"] for field in content["fields"]}
    for preset in content["presets"]:
        where = f"{FILE}: {preset.get('id', 'a preset')}"
        if missing := [key for key in PRESET if key not in preset]:
            raise BuildError(f"{where}: without {', '.join(missing)}")
        if no := [*({*preset["claims"]} - claims), *(preset["state"].keys() - known)]:
            raise BuildError(f"{where}: no claim and no field {', '.join(sorted(no))}")
        found = module.show(playground.complete(content["fields"], preset["state"]))
        if "error" in found:
            raise BuildError(f"{where}: {found['error']}")
        preset["drawn"] = draw(preset, found["panels"], content["drawn"], where)
    return content


def draw(
    preset: Content, panels: list[Content], kinds: dict[str, str], where: str
) -> list[tuple[str, str]]:
    """Return the lines of a preset's small picture, each with what it is drawn as."""
    found = {panel["spec"]["name"]: panel for panel in panels}
    if preset["panel"] not in found:
        raise BuildError(f"{where}: no panel {preset['panel']}: {', '.join(found)}")
    spec, state = (found[preset["panel"]][key] for key in ("spec", "state"))
    points = {
        line["name"]: np.array(
            [p for p in zip(state["x"][0], ys, strict=True) if None not in p]
        )
        for line, ys in zip(spec["lines"], state["y"], strict=True)
    }
    series = {name: each for name, each in points.items() if len(each)}
    lines = [
        {"series": [name for name in series if name.startswith(line)], "as": kinds.get(line)}
        for line in preset["lines"]
    ]
    for line, drawn in zip(preset["lines"], lines, strict=True):
        if not drawn["series"] or not drawn["as"]:
            raise BuildError(
                f"{where}: no line {line} in {preset['panel']}: {', '.join(series)}"
            )
    picture = {"plot": preset["id"], "lines": lines, "log": "y" * spec["log"]}
    return findings.draw(picture | {"y": spec["ylim"]}, series, where)


def about(content: Content, claims: list[ledger.Claim]) -> list[Content]:
    """Return the presets that are about any of some claims."""
    ids = {claim["id"] for claim in claims}
    return [preset for preset in content.get("presets", ()) if ids & {*preset["claims"]}]


def page(content: Content) -> str:
    """Return what the script of the page needs, for a script of data in it."""
    presets = [{key: p[key] for key in ("id", "title", "state")} for p in content["presets"]]
    whole = {"fields": content["fields"], "presets": presets}
    return json.dumps(whole, ensure_ascii=False).replace("<", "\\u003c")
