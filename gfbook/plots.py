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
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: One entry a role, the same in every figure: told apart by color, by line and in grey.
TWO_LAYER: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
ONE_LAYER: dict[str, Any] = {"color": "#D55E00", "linestyle": (0, (5, 2))}
THEORY: dict[str, Any] = {"color": "black", "linestyle": (0, (1, 1.5))}

#: Width of a figure in inches: a phone shows its 9-point letters at about 11 pixels.
WIDTH = 4.6

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
            "legend.fontsize": 8.5,
            "lines.linewidth": 1.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.fonttype": "path",
            "svg.hashsalt": "gfcore",
        }
    )
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        set_matplotlib_formats("svg", metadata={"Date": None})
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
    panels = figure.axes
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

    Parameters
    ----------
    count : int
        Number of lines.

    Examples
    --------
    >>> len(components(5)), components(5)[0]["linestyle"]
    (5, '-')
    """
    colors = mpl.colormaps["cividis"](np.linspace(0, 0.8, count))
    return [
        {"color": color, "linestyle": _DASHES[i % len(_DASHES)]}
        for i, color in enumerate(colors)
    ]
