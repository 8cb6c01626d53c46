"""A page on which a reader sets all values: its fields, what is shown, and what can be taken.

Fields and presets are data of a book, and so is the module that calculates: it has a function
`show`, of what is typed into each field, that returns `Shown`. This one knows neither.
"""

import csv
import importlib.util
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfbook.explore import Explorer, picture
from gfbook.glue import powers


@dataclass(frozen=True)
class Shown:
    """What a page shows.

    Parameters
    ----------
    panels : list of Explorer
        Pictures, as explorers without controls.
    rows : list of (str, str, str)
        A table: of what, its value, and where that is from.
    said : list of str
        Sentences.
    code : str
        Python that makes the numbers.
    """

    panels: list[Explorer]
    rows: list[tuple[str, str, str]]
    said: list[str]
    code: str


def module(path: Path) -> Any:
    """Return the module of a book that calculates."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made


def complete(fields: list[dict[str, Any]], state: dict[str, str]) -> dict[str, str]:
    """Return the values of all fields that there are in a state, those not given as at first.

    Examples
    --------
    >>> fields = [{"id": "a", "value": "1"}, {"id": "b", "value": "2", "when": {"a": ["3"]}}]
    >>> complete(fields, {}), complete(fields, {"a": "3"})
    ({'a': '1'}, {'a': '3', 'b': '2'})
    """
    every = {field["id"]: state.get(field["id"], field["value"]) for field in fields}
    there = [
        field["id"]
        for field in fields
        if all(every[name] in values for name, values in field.get("when", {}).items())
    ]
    return {name: every[name] for name in there}


def table(shown: Shown) -> str:
    """Return all that is shown as CSV: the points of each line, then the table."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["panel", "series", "x", "y"])
    for panel in shown.panels:
        state = panel.answer([])
        across = state["x"] if panel.xlim else state["x"] * len(panel.lines)
        for (name, _), xs, ys in zip(panel.lines, across, state["y"], strict=True):
            rows.writerows([panel.name, name, x, y] for x, y in zip(xs, ys, strict=True))
    rows.writerows(["table", what, value, source] for what, value, source in shown.rows)
    return text.getvalue()


def answer(shown: Shown) -> dict[str, Any]:
    """Return what the script of a page needs of it."""
    panels = [{"spec": panel.spec, "state": panel.start} for panel in shown.panels]
    rows = [[*map(powers, row)] for row in shown.rows]
    said = [*map(powers, shown.said)]
    return {"panels": panels, "rows": rows, "said": said, "code": shown.code}


def refused(error: Exception, given: dict[str, str]) -> dict[str, str | None]:
    """Return what is told of a bad value, and the field that it names first, if any.

    Examples
    --------
    >>> refused(ValueError("so many rows need k >= 3, got k = 2"), {"Y": "1", "k": "2"})
    {'error': 'so many rows need k >= 3, got k = 2', 'field': 'k'}
    """
    named = (word for word in re.findall(r"[^\W\d]\w*", str(error)) if word in given)
    return {"error": str(error), "field": next(named, None)}


class Playground:
    """A module of a book and what it showed last, for the kernel of a page."""

    def __init__(self, path: Path) -> None:
        self.module = module(path)
        self.shown: Shown | None = None

    def show(self, given: dict[str, str]) -> dict[str, Any]:
        """Return what is shown for what is typed, or what is wrong with it."""
        try:
            with np.errstate(all="ignore"):
                self.shown = self.module.show(given)
                return answer(self.shown)
        except (ValueError, ArithmeticError) as error:
            return {**refused(error, given)}

    def take(self, what: str) -> str:
        """Return what was shown last as a text: CSV or SVG."""
        assert self.shown is not None
        return table(self.shown) if what == "csv" else picture(*self.shown.panels)
