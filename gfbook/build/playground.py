"""The page on which a reader sets all values: its fields and presets, from data/playground.yml.

Each preset is calculated here as it is in a reader's browser, and drawn in small.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from gfbook.build import BuildError, findings, ledger
from gfbook.live import playground

FILE, MODULE = "data/playground.yml", "data/playground.py"
ONE, HEAD = 1, "panel,series,x,y\n"
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
        where = f"{FILE}: {preset['id']}"
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
    for panel in panels:
        if panel["spec"]["name"] == preset["panel"]:
            return findings.draw(picture(preset, panel, kinds), rows(panel))
    there = ", ".join(panel["spec"]["name"] for panel in panels)
    raise BuildError(f"{where}: no panel {preset['panel']}: {there}")


def picture(preset: Content, panel: Content, kinds: dict[str, str]) -> Content:
    """Return a picture as a finding has it."""
    names = [line["name"] for line in panel["spec"]["lines"]]
    lines = [
        {
            "series": [name for name in names if name.startswith(line)],
            "as": kinds[line],
        }
        for line in preset["lines"]
    ]
    ylim = panel["spec"]["ylim"]
    log = {"log": "y"} if panel["spec"]["log"] else {}
    return {"plot": preset["id"], "lines": lines, **log, **({"y": ylim} if ylim else {})}


def rows(panel: Content) -> str:
    """Return the points of a panel as the CSV that stands beside a plot."""
    named = zip(panel["spec"]["lines"], panel["state"]["y"], strict=True)
    points = [
        f"{ONE},{line['name']},{x},{y}"
        for line, ys in named
        for x, y in zip(panel["state"]["x"][0], ys, strict=True)
        if y is not None
    ]
    return HEAD + "\n".join(points)


def touched(content: Content) -> defaultdict[str, list[Content]]:
    """Return the presets that are about each claim."""
    found: defaultdict[str, list[Content]] = defaultdict(list)
    for preset in content.get("presets", ()):
        for id in preset["claims"]:
            found[id].append(preset)
    return found


def page(content: Content) -> str:
    """Return what the script of the page needs, for a script of data in it."""
    presets = [{key: p[key] for key in ("id", "title", "state")} for p in content["presets"]]
    whole = {"fields": content["fields"], "presets": presets}
    return json.dumps(whole, ensure_ascii=False).replace("<", "\\u003c")
