"""What rests on what: the numbered items of a paper as a graph, from data/rests.yml.

An item stands in the level after the last of those that it rests on, and in the band of its
section. Within a band the items of a level are ordered so that their lines are short.
"""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from gfbook.build import BuildError, ledger

FILE = "data/rests.yml"
# Of an item; from one to the next, across and down; between bands.
WIDE, STEP, ROW, BAND = 66, 84, 33, 30
SWEEPS = 12
Graph = dict[str, list[str]]


def load(root: Path, paper: dict[str, Any]) -> Graph:
    """Return what each item rests on, in the paper's order; nothing if no file says so."""
    graph: Graph = ledger.stated(root, FILE, "rests", paper)
    missing = [id for id in ledger.numbered(paper) if graph and id not in graph]
    found = [f"{FILE}: {id}: is not there" for id in missing]
    if not found:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found = [f"{FILE}: a circle: {' rests on '.join(reversed(error.args[1]))}"]
    if found:
        raise BuildError("\n".join(found))
    return {id: graph[id] for id in ledger.numbered(paper) if id in graph}


def used(graph: Graph) -> Graph:
    """Return the same graph turned round: what rests on each item."""
    return {id: [other for other, below in graph.items() if id in below] for id in graph}


def reached(graph: Graph, start: str) -> list[str]:
    """Return all that an item leads to in a graph, however far, the farthest first."""
    found, ordered = {start}, [*TopologicalSorter(graph).static_order()]
    for id in reversed(ordered):
        found |= {*graph[id]} if id in found else set()
    return [id for id in ordered if id in found - {start}]


def levels(graph: Graph) -> dict[str, int]:
    """Return the level of each item: 0 where it rests on nothing."""
    found: dict[str, int] = {}
    for id in TopologicalSorter(graph).static_order():
        found[id] = max((found[below] + 1 for below in graph[id]), default=0)
    return found


class Node(NamedTuple):
    """An item of the drawing: its middle, and the items that are lit with it."""

    id: str
    x: float
    y: float
    ways: list[str]


class Drawing(NamedTuple):
    """What is drawn: lines are (from, to, path), bands are (section, top, height)."""

    width: float
    height: float
    nodes: list[Node]
    lines: list[tuple[str, str, str]]
    bands: list[tuple[str, float, int]]


def _rows(
    graph: Graph, sections: dict[str, str], order: list[str]
) -> tuple[dict[str, float], dict[str, tuple[float, int]]]:
    """Return in which row each item stands, and the first row of each band and their number.

    Going up and down the levels in turn, an item takes the place that is nearest to the mean of
    what it rests on, or of what rests on it.
    """
    level, up = levels(graph), used(graph)
    depth = range(max(level.values()) + 1)
    cells = {
        band: [[id for id in graph if (sections[id], level[id]) == (band, n)] for n in depth]
        for band in order
    }
    spans, top = {}, 0.0
    for band, ranks in cells.items():
        spans[band] = top, max(map(len, ranks))
        top += spans[band][1] + BAND / ROW
    rows: dict[str, float] = {}
    for sweep in range(SWEEPS):
        near = graph if sweep % 2 else up
        for n in depth if sweep % 2 else reversed(depth):
            for band, ranks in cells.items():
                top, most = spans[band]
                if sweep > 1:
                    ranks[n].sort(
                        key=lambda id: fmean([rows[a] for a in near[id]] or [rows[id]])
                    )
                for place, id in enumerate(ranks[n]):
                    rows[id] = top + place + (most - len(ranks[n])) / 2
    return rows, spans


def draw(graph: Graph, sections: dict[str, str], order: list[str]) -> Drawing:
    """Return where everything stands, the bands by their first level and in this order."""
    level = levels(graph)
    first = {
        name: min(level[id] for id in graph if sections[id] == name)
        for name in {*sections.values()}
    }
    rows, spans = _rows(
        graph, sections, sorted(first, key=lambda name: (first[name], order.index(name)))
    )
    up = used(graph)
    place = {id: ((level[id] + 0.5) * STEP, (rows[id] + 0.5) * ROW + BAND) for id in graph}
    nodes = [Node(id, *place[id], [*reached(graph, id), *reached(up, id)]) for id in graph]
    lines = []
    for id, other in ((id, other) for id, below in graph.items() for other in below):
        (x0, y0), (x1, y1) = place[other], place[id]
        x0, x1 = x0 + WIDE / 2, x1 - WIDE / 2
        bend = max(14, (x1 - x0) / 2)
        path = f"M{x0:.0f},{y0:.0f}C{x0 + bend:.0f},{y0:.0f} {x1 - bend:.0f},{y1:.0f}"
        lines.append((other, id, f"{path} {x1:.0f},{y1:.0f}"))
    bands = [
        (band, top * ROW + BAND / 2, count * ROW + BAND) for band, (top, count) in spans.items()
    ]
    width = (max(level.values()) + 1) * STEP
    return Drawing(width, bands[-1][1] + bands[-1][2], nodes, lines, bands)
