"""One style for every figure, and one function a figure of the paper."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from IPython.core.formatters import BaseFormatter
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: One entry a role, the same in every figure: told apart by color, by line and in grey.
TWO_LAYER: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
ONE_LAYER: dict[str, Any] = {"color": "#D55E00", "linestyle": (0, (5, 2))}
THEORY: dict[str, Any] = {"color": "black", "linestyle": (0, (1, 1.5))}

#: Width of a figure in inches: a phone shows its 9-point letters at 11 pixels.
WIDTH = 3.9

_DASHES = ["-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 1, 2, 1, 2))]


def style(height: float = 2.9) -> None:
    """Set Matplotlib up for this book: SVG that is the same on each run, and no background.

    Call it once, in a chapter's first cell. A notebook keeps the `data` of each figure that it
    shows as a second form of the same output, text/csv.

    Parameters
    ----------
    height : float
        Height of a figure in inches, where the figure does not say; the width is `WIDTH`.

    Examples
    --------
    >>> with mpl.rc_context():
    ...     style()
    ...     mpl.rcParams["lines.linewidth"]
    1.8
    """
    mpl.rcdefaults()  # or a matplotlibrc of the reader's would change the figures
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, height),
            "figure.constrained_layout.use": True,
            # The page shows through, in the light theme and the dark one.
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "legend.frameon": False,
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "lines.linewidth": 1.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.fonttype": "path",
            "svg.hashsalt": "gfcore",
        }
    )
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        # As large as it is laid out: to look for what is beyond its edges is to draw it twice.
        set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches=None)
        table = BaseFormatter(format_type="text/csv", print_method="_repr_csv_")
        table.for_type(Figure, data)
        shell.display_formatter.formatters["text/csv"] = table


def data(figure: Figure) -> str:
    """Return what a figure shows as CSV, in six digits, one point a row.

    Parameters
    ----------
    figure : Figure
        Lines, points, areas, bars and images are read. A line that spans a panel, such as
        that of `axhline`, ends at the panel's edges.

    Returns
    -------
    str
        Columns: the panel, by its number and its title; the series, by its label or its number
        in the panel; x and y, under the labels of the axes, those of several panels joined by
        a bar; and the value, if there is an image.

    Examples
    --------
    >>> figure = Figure()
    >>> ax = figure.add_subplot(xlabel="time", ylabel="error")
    >>> lines = ax.plot([0, 1], [1, 0.5], label="two layers")
    >>> print(data(figure), end="")
    panel,series,time,error
    1,two layers,0,1
    1,two layers,1,0.5
    """
    figure.draw_without_rendering()  # or the edges of a panel may not be known yet
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    labels = [[ax.get_xlabel() for ax in panels], [ax.get_ylabel() for ax in panels]]
    names = [" | ".join(dict.fromkeys(filter(None, those))) for those in labels]
    value = ["value"] if any(ax.images for ax in panels) else []
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["panel", "series", names[0] or "x", names[1] or "y", *value])
    for number, ax in enumerate(panels, 1):
        title = "".join(ax.get_title(side) for side in ("left", "center", "right"))
        panel = f"{number}: {title}" if title else number
        for count, (label, rows) in enumerate(_series(ax), 1):
            series = label if label and not label.startswith("_") else count
            table.writerows([panel, series, *(f"{x:.6g}" for x in row)] for row in rows)
    return file.getvalue()


def _series(ax: Axes) -> Iterator[tuple[str, Array]]:
    """Yield the label and the points (N, 2) of all that a panel shows; of an image (N, 3)."""
    for line in ax.lines:
        xy = (line.get_transform() - ax.transData).transform(line.get_xydata())
        yield str(line.get_label()), xy
    for drawn in ax.collections:
        if isinstance(drawn, PathCollection):
            xy = np.asarray(drawn.get_offsets())
        else:
            xy = np.concatenate([path.vertices for path in drawn.get_paths()])
        yield str(drawn.get_label()), xy
    for bars in ax.containers:
        if isinstance(bars, BarContainer):
            tops = [[bar.get_x() + bar.get_width() / 2, bar.get_height()] for bar in bars]
            yield str(bars.get_label()), np.array(tops)
    for image in ax.images:
        values = np.asarray(image.get_array())
        i, j = np.indices(values.shape)
        yield str(image.get_label()), np.stack([j, i, values], -1).reshape(-1, 3)


def components(count: int) -> list[dict[str, Any]]:
    """Return one line style a singular value, the largest first: dark to light, and dashes.

    The lightest still has a contrast of 3 to a white page, and to the dark one when inverted.

    Parameters
    ----------
    count : int
        Number of lines.

    Examples
    --------
    >>> len(components(5)), components(5)[0]["linestyle"]
    (5, '-')
    """
    colors = mpl.colormaps["cividis"](np.linspace(0, 0.62, count))
    return [
        {"color": color, "linestyle": _DASHES[i % len(_DASHES)]}
        for i, color in enumerate(colors)
    ]


def name(*panels: Axes) -> None:
    """Write the name of each labelled line beside it; a legend where one finds no place.

    A name stands on no line and on no other name, inside its panel, and nearer to its own line
    than to any other that has one. Call this last, when all is drawn.

    Parameters
    ----------
    *panels : Axes
        Panels of one figure.

    Examples
    --------
    >>> figure = Figure(figsize=(4, 3), layout="constrained")
    >>> ax = figure.add_subplot()
    >>> lines = ax.plot([0, 1], [[0, 1], [1, 0]], label=["rises", "falls"])
    >>> name(ax)
    >>> sorted(text.get_text() for text in ax.texts), ax.get_legend()
    (['falls', 'rises'], None)
    """
    figure = panels[0].get_figure()
    assert isinstance(figure, Figure)
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)  # or the sizes of panels may not be known yet
    figure.set_layout_engine("none")  # again, it would move the panels, not their names
    for ax in panels:
        ways = [_way(line, ax.bbox) for line in ax.lines]
        named = [i for i, a in enumerate(ax.lines) if not str(a.get_label()).startswith("_")]
        taken, made = [text.get_window_extent() for text in ax.texts], []
        for i in sorted(named, key=lambda i: len(ways[i])):
            label = str(ax.lines[i].get_label())
            text = ax.text(0, 0, label, va="bottom", transform=ax.transAxes, in_layout=False)
            made.append(text)
            others = np.concatenate([np.empty((0, 2)), *(ways[j] for j in named if j != i)])
            size = np.array(text.get_window_extent().size)
            place = _place(size, ways[i], others, np.concatenate(ways), taken, ax.bbox)
            if place is None:
                for text in made:
                    text.remove()
                ax.legend()
                break
            taken.append(Bbox([place, place + size]))
            x, y = ax.transAxes.inverted().transform(place)
            text.set_position((x, y))


def _way(line: Line2D, frame: Bbox) -> Array:
    """Return points (N, 2) close together along a line, in pixels, as far as it is shown."""
    points = line.get_transform().transform(line.get_xydata())
    if line.get_linestyle() != "None":
        near = points.clip(np.subtract(frame.min, 5), np.add(frame.max, 5))
        steps = np.hypot(*np.diff(near, axis=0).T)
        counts = np.where(np.isfinite(steps), np.ceil(steps / 2), 1).astype(int).clip(1)
        at = np.concatenate([i + np.arange(n) / n for i, n in enumerate(counts)])
        at = np.append(at, len(counts))
        points = np.stack([np.interp(at, np.arange(len(near)), x) for x in near.T], -1)
    seen = (points >= frame.min).all(1) & (points <= frame.max).all(1)
    return np.asarray(points[seen])


def _place(
    size: Array, way: Array, others: Array, drawn: Array, taken: list[Bbox], frame: Bbox
) -> Array | None:
    """Return where a box (its lower left corner) is beside a line and on nothing, or None."""
    sides = np.array([(1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1), (-1, 0)])
    shift = (size / 2 + (5, 3)) * sides - size / 2
    low = (way[::-6, None] + shift).reshape(-1, 2)  # from the end of the line
    free = (low >= frame.min).all(1) & (low + size <= frame.max).all(1)
    for box in taken:
        free &= (low > box.max).any(1) | (low + size < box.min).any(1)
    free &= _inside(drawn, low - 2, low + size + 2, frame) == 0
    for far in (12, 8, 6):  # its own line is nearer
        alone = free & (_inside(others, low - far, low + size + far, frame) == 0)
        if alone.any():
            return np.asarray(low[alone][0])
    return None


def _inside(points: Array, low: Array, high: Array, frame: Bbox) -> NDArray[np.int64]:
    """Return how many points each of many boxes holds, to a pixel."""
    edges = [np.arange(a, b + 2) for a, b in zip(frame.min, frame.max, strict=True)]
    counts, _ = np.histogramdd(points, edges)
    sums = np.pad(counts, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    most = np.array(sums.shape) - 1
    (a, b), (c, d) = (
        np.clip(np.rint(at - frame.min).astype(int), 0, most).T for at in (low, high)
    )
    return np.asarray(sums[c, d] - sums[a, d] - sums[c, b] + sums[a, b], int)
