"""Findings about claims of the ledger, from data/findings.yml: a sentence each, and a picture.

A picture is a plot of an executed chapter in small, drawn from the data that stand beside it.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gfbook.build import BuildError, chapter, ledger

FILE = "data/findings.yml"
WIDE, HIGH, MARGIN = 240, 130, 5  # of a picture
MOST, DOTS = 200, 1200  # points of a line, and of a cloud
MARKS = ("dots", "points")
Finding = dict[str, Any]
Series = dict[str, NDArray[np.float64]]


def load(
    root: Path, paper: dict[str, Any], entries: list[ledger.Claim]
) -> dict[str, list[Finding]]:
    """Return what to know and what is right; nothing if no file says so."""
    content = ledger.stated(root, FILE, "findings", paper)
    known = {entry["id"]: entry for entry in entries}
    faults = []
    for part, id in ((key, found["claim"]) for key in content for found in content[key]):
        claim = known.get(id)
        if claim is None:
            faults.append(f"{FILE}: {part}: no claim {id} in {ledger.LEDGER}")
            continue
        verdict, by = claim["verdict"], claim.get("by", "paper")
        if (verdict == "holds" and by == "paper") != (part == "right"):
            faults.append(f"{FILE}: {part}: {id} is {verdict}, a claim by the {by}")
    if faults:
        raise BuildError("\n".join(faults))
    return {part: list(findings) for part, findings in content.items()}


def plots(chapters: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the chapter of each plot by its name, and its data as CSV."""
    return {
        figure["name"]: (name, text)
        for name, notebook in chapters.items()
        for figure, files in chapter.figures(name, notebook)
        for path, text in files.items()
        if path.endswith(".csv")
    }


def series(data: str, panel: int = 1) -> Series:
    """Return the points (N, 2) of each series of a panel, from the CSV beside a plot."""
    found: dict[str, list[list[float]]] = {}
    for number, name, *point in [*csv.reader(io.StringIO(data))][1:]:
        if number.partition(":")[0] == str(panel):
            found.setdefault(name, []).append([*map(float, point[:2])])
    return {name: np.array(points) for name, points in found.items()}


def draw(picture: dict[str, Any], series: Series, where: str = FILE) -> list[tuple[str, str]]:
    """Return the lines of a picture, each with what it is drawn as: (as, path).

    Raises
    ------
    BuildError
        If the plot does not have a series of that name.
    """
    log = np.array([axis in picture.get("log", "") for axis in "xy"])
    chosen = []
    for line in picture["lines"]:
        for name in line["series"]:
            if name not in series:
                there = ", ".join(series)
                raise BuildError(f"{where}: {picture['plot']} has no series {name!r}: {there}")
            points = series[name][(series[name][:, log] > 0).all(axis=1)]
            points[:, log] = np.log10(points[:, log])
            chosen.append((line["as"], points))
    every = np.concatenate([points for _, points in chosen])
    low, high = every.min(axis=0), every.max(axis=0)
    for axis, name in enumerate("xy"):
        if wanted := picture.get(name):
            low[axis], high[axis] = np.log10(wanted) if log[axis] else wanted
    scale = np.array([WIDE, HIGH]) - 2 * MARGIN
    drawn = []
    for kind, points in chosen:
        if kind == "dots" and len(points) > DOTS:
            points = np.random.default_rng(0).choice(points, DOTS, replace=False)
        step = 1 + len(points) // MOST if kind not in MARKS else 1
        shares = (points[::step] - low) / np.where(high > low, high - low, 1)
        shares = np.clip(shares, -1, 2)  # what is outside is cut off by the frame
        places = MARGIN + scale * np.stack([shares[:, 0], 1 - shares[:, 1]], axis=1)
        word = "M{:.1f},{:.1f}h0" if kind in MARKS else "L{:.1f},{:.1f}"
        path = "".join(word.format(*place) for place in places)
        drawn.append((kind, "M" + path.removeprefix("L").removeprefix("M")))
    return drawn
