"""One style for every figure, and one function a figure of the paper."""

from typing import Any

import matplotlib as mpl
import numpy as np
from IPython.core.getipython import get_ipython
from matplotlib_inline.backend_inline import set_matplotlib_formats

#: One entry a role, the same in every figure: told apart by color, by line and in grey.
TWO_LAYER: dict[str, Any] = {"color": "#0072B2", "linestyle": "-"}
ONE_LAYER: dict[str, Any] = {"color": "#D55E00", "linestyle": (0, (5, 2))}
THEORY: dict[str, Any] = {"color": "black", "linestyle": (0, (1, 1.5))}

#: Width of a figure in inches: a phone shows its 9-point letters at about 11 pixels.
WIDTH = 4.6

_DASHES = ["-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 1, 2, 1, 2))]


def style(height: float = 2.9) -> None:
    """Set Matplotlib up for this book: SVG that is the same on each run, and no background.

    Call it once, in a chapter's first cell.

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
    if get_ipython() is not None:
        set_matplotlib_formats("svg", metadata={"Date": None})


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
