"""Explorers: a few controls, curves that answer, and the answer in words.

One ES module (explore.js) draws an explorer in both of its hosts. With a kernel it is an
anywidget: each move of a control calls the Python function again. On a page of the book there
is no kernel, and the same module answers from values that the function gave at build time, for
every position of the controls.
"""

import base64
import io
import itertools
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gfbook.glue import powers

if TYPE_CHECKING:
    import anywidget
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
SUBSCRIPTS = str.maketrans("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
HERE = Path(__file__).resolve().parent
PAGE = "GFBOOK_PAGE"  # set while the book is built: no kernel will answer there


class Answer(NamedTuple):
    """What an explorer's function returns: x (T,), one curve (T,) a line, and a sentence.

    In the plane each line has an x of its own, and x is (L, T). `plane` is for the drawing
    beside: x and y, both (S,), for each of its lines.
    """

    x: ArrayLike
    curves: Sequence[ArrayLike]
    text: str
    plane: Sequence[tuple[ArrayLike, ArrayLike]] = ()


class Plane(NamedTuple):
    """A drawing in the plane, beside one against time: a path, and what it keeps to.

    Parameters
    ----------
    x, y : str
        Labels of the axes.
    lines : sequence of (name, style)
        One entry a line of `Answer.plane`.
    xlim, ylim : (float, float)
        Ranges of the axes.
    """

    x: str
    y: str
    lines: Sequence[tuple[str, dict[str, Any]]]
    xlim: tuple[float, float]
    ylim: tuple[float, float]

    @property
    def spec(self) -> dict[str, Any]:
        """What the front end needs."""
        return {
            "x": _typeset(self.x),
            "y": _typeset(self.y),
            "lines": [{"name": _typeset(name), **_drawn(style)} for name, style in self.lines],
            "xlim": self.xlim,
            "ylim": self.ylim,
        }


def spaced(x: ArrayLike, y: ArrayLike, count: int = 81) -> tuple[Array, Array]:
    """Return points of a path in the plane, at equal distances along it.

    Parameters
    ----------
    x, y : array_like, shape (T,)
        The path.
    count : int
        How many.

    Examples
    --------
    >>> spaced([0, 1, 1], [0, 0, 3], count=3)
    (array([0., 1., 1.]), array([0., 1., 3.]))
    """
    path = np.array([x, y], float)
    length = np.append(0, np.hypot(*np.diff(path)).cumsum())
    at = np.linspace(0, length[-1], count)
    return np.interp(at, length, path[0]), np.interp(at, length, path[1])


def seen(answer: Answer, line: int, until: float, above: float) -> tuple[float, float]:
    """Return the last point of a falling curve, up to x = until, that is still in the drawing.

    Parameters
    ----------
    answer : Answer
        With one x for all of its curves.
    line : int
        Which of the curves.
    until : float
        Where the point is, if the curve is above the drawing's lower edge there.
    above : float
        That edge.

    Examples
    --------
    >>> answer = Answer([0, 1, 2], [[1, 0.1, 0.01]], "")
    >>> seen(answer, 0, 2, 1e-3), seen(answer, 0, 2, 0.05)
    ((2.0, 0.01), (1.0, 0.1))
    """
    x, y = np.asarray(answer.x, float), np.asarray(answer.curves[line], float)
    last = np.flatnonzero((x <= until) & (y >= above))[-1]
    return float(x[last]), float(y[last])


@dataclass(frozen=True)
class Slider:
    """A number between two bounds, on a linear or a logarithmic scale.

    Parameters
    ----------
    label : str
        Its name with the paper's symbol, in plain Unicode.
    low, high : float
        Bounds, both included.
    value : float
        Where it stands at first; the nearest of the positions is taken.
    log : bool
        Whether the positions are spaced by ratio.
    positions : int
        How many there are on a page; with a kernel there are a hundred times as many.
    form : str
        How a value is written.

    Raises
    ------
    ValueError
        If `value` is not within the bounds, there are no two positions, or a logarithmic scale
        begins at zero or below.

    Examples
    --------
    >>> Slider("imbalance λ₀", 0, 8, value=2, positions=5).at(1)
    2.0
    """

    label: str
    low: float
    high: float
    value: float
    log: bool = False
    positions: int = 41
    form: str = "{:.3g}"

    def __post_init__(self) -> None:
        bounds = f"from {self.low:g} to {self.high:g}"
        if not (self.low < self.high and self.low <= self.value <= self.high):
            raise ValueError(f"{self.label}: value must be {bounds}, got {self.value:g}")
        if self.positions < 2:
            raise ValueError(f"{self.label}: positions must be 2 or more, got {self.positions}")
        if self.log and self.low <= 0:
            raise ValueError(f"{self.label}: a logarithmic scale is above 0, this is {bounds}")

    def at(self, position: float) -> float:
        """Return the value at a position, a number from 0 to positions - 1."""
        share = position / (self.positions - 1)
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return float(self.low + (self.high - self.low) * share)

    @property
    def first(self) -> int:
        """The position nearest to the value."""
        every = np.array([self.at(i) for i in range(self.positions)])
        return int(np.abs(every - self.value).argmin())

    def say(self, position: float) -> str:
        """Return the value at a position in words."""
        return _typeset(self.form.format(self.at(position)))

    @property
    def spec(self) -> dict[str, Any]:
        """What the front end needs."""
        return {"kind": "slider", "label": self.label, "positions": self.positions}


@dataclass(frozen=True)
class Choice:
    """One of a few values, each with its name.

    Examples
    --------
    >>> Choice("start", {"small": 0.01, "large": 1.0}).at(1)
    1.0
    """

    label: str
    options: dict[str, Any]
    first: int = 0

    def __post_init__(self) -> None:
        if self.first not in range(self.positions):
            raise ValueError(f"{self.label}: first of {self.positions} is {self.first}")

    @property
    def positions(self) -> int:
        """How many there are."""
        return len(self.options)

    def at(self, position: float) -> Any:
        """Return the value at a position."""
        return list(self.options.values())[round(position)]

    def say(self, position: float) -> str:
        """Return its name."""
        return list(self.options)[round(position)]

    @property
    def spec(self) -> dict[str, Any]:
        """What the front end needs."""
        return {"kind": "choice", "label": self.label, "options": list(self.options)}


class Grip(NamedTuple):
    """A point of the drawing that one can drag, and the sliders that it moves.

    Parameters
    ----------
    at : callable
        Takes the value of each control by its keyword and returns the point's x and y.
    moves : sequence of str
        Keywords of sliders. They go to where the point comes nearest to the pointer.
    plane : bool
        Whether the point is in the drawing beside.
    """

    at: Callable[..., tuple[float, float]]
    moves: Sequence[str]
    plane: bool = False


def module() -> str:
    """Return the ES module of both hosts: uPlot, its style and explore.js, as one text."""
    folder = HERE / "uplot"
    plot = (folder / "uPlot.iife.min.js").read_text(encoding="utf-8")
    style = (folder / "uPlot.min.css").read_text(encoding="utf-8")
    style += (HERE / "explore.css").read_text(encoding="utf-8")
    own = (HERE / "explore.js").read_text(encoding="utf-8")
    return f"{plot}\nconst STYLE = {json.dumps(style)};\n{own}"


def script() -> str:
    """Return the same front end as a script for pages.

    A browser refuses to load a module into a page that was opened from a file.
    """
    body = module().replace("export default { render };", "")
    return f"(() => {{\n{body}\n}})();\n"


@dataclass(frozen=True, eq=False)
class Explorer:
    """Curves that follow a few controls. Show it as the last value of a cell.

    Parameters
    ----------
    function : callable
        Takes the value of each control by its keyword and returns an `Answer`.
    controls : dict of {str: Slider or Choice}
        By the keyword of `function`.
    x, y : str
        Labels of the axes, with the paper's symbols in plain Unicode.
    lines : sequence of (name, style)
        One entry a curve, in the order of the answer; styles are those of `plots`. A `quiet`
        one has no name in the drawing; in the plane `points` are names of its points.
    name : str
        Identifier on the page, such as "explore-3-order".
    ylim : (float, float), optional
        Range of the y axis; that of the curves shown if not given.
    log : bool
        Whether the reader may turn the y axis to a logarithmic one, which is then the first.
    xlim : (float, float), optional
        Range of the x axis of lines in the plane, whose x may go back and forth. A line whose
        style has a marker gets a dot at each of its points.
    grips : sequence of Grip
        Points that one can drag; the sliders do the same by keyboard.
    plane : Plane, optional
        What is drawn beside.

    Raises
    ------
    ValueError
        If the answer does not have a curve for each line of each drawing, or their lengths
        differ from x; or a grip moves what is no slider.

    Examples
    --------
    >>> explorer = Explorer(
    ...     lambda a: Answer([0, 1], [[0, a]], f"It ends at {a:g}."),
    ...     {"a": Slider("slope a", 0, 2, value=1, positions=3)},
    ...     x="x", y="a x", lines=[("a x", {"color": "#0072B2"})], name="explore-slope",
    ... )
    >>> explorer.answer([1])["text"]
    'It ends at 1.'
    """

    function: Callable[..., Answer]
    controls: dict[str, Slider | Choice]
    x: str
    y: str
    lines: Sequence[tuple[str, dict[str, Any]]]
    name: str
    ylim: tuple[float, float] | None = None
    log: bool = False
    xlim: tuple[float, float] | None = None
    grips: Sequence[Grip] = ()
    plane: Plane | None = None

    def __post_init__(self) -> None:
        for name in (name for grip in self.grips for name in grip.moves):
            if not isinstance(self.controls.get(name), Slider):
                raise ValueError(f"{self.name}: a grip moves {name!r}, which is no slider")

    def answer(self, position: Sequence[float]) -> dict[str, Any]:
        """Return the state of the front end at one position of each control."""
        return self._answer(position) | {"grips": self._grips(position)}

    def _answer(self, position: Sequence[float]) -> dict[str, Any]:
        """Return what is drawn and said at one position of each control."""
        x, curves, text, beside = self.function(**self._values(position))
        if len(curves) != len(self.lines):
            raise ValueError(f"curves must be {len(self.lines)}, got {len(curves)}")
        drawn = [np.asarray(curve, float) for curve in curves]
        across = np.atleast_2d(np.asarray(x, float))
        if any(curve.shape != across.shape[1:] for curve in drawn) or across.ndim != 2:
            shapes = [curve.shape for curve in drawn]
            raise ValueError(
                f"curves must have the shape (T,) of x, got {shapes} and {np.shape(x)}"
            )
        if len(across) != (len(drawn) if self.xlim else 1):
            raise ValueError(f"x must be one for each line in the plane, got {np.shape(x)}")
        said = [c.say(p) for c, p in zip(self.controls.values(), position, strict=True)]
        numbers = {
            "x": [_short(each) for each in across],
            "y": [_short(each) for each in drawn],
        }
        if self.plane:
            count, pairs = len(self.plane.lines), np.asarray(beside, float)
            if pairs.ndim != 3 or pairs.shape[:2] != (count, 2):
                raise ValueError(f"plane must be ({count}, 2, S), got {pairs.shape}")
            for name, values in zip(("plane_x", "plane_y"), pairs.swapaxes(0, 1), strict=True):
                numbers[name] = [_short(each) for each in values]
        return {**numbers, "text": _typeset(text), "said": said}

    def _values(self, position: Sequence[float]) -> dict[str, Any]:
        given = zip(self.controls.items(), position, strict=True)
        return {name: control.at(p) for (name, control), p in given}

    def _place(self, grip: Grip, position: Sequence[float]) -> list[float]:
        """Return where a grip is at one position of each control."""
        return [float(f"{a:.5g}") for a in grip.at(**self._values(position))]

    def _grips(self, position: Sequence[float]) -> list[dict[str, Any]]:
        """Return where each grip is, and where it is at all positions of its sliders."""
        found = []
        for grip in self.grips:
            places = [
                range(c.positions) if name in grip.moves else [p]
                for (name, c), p in zip(self.controls.items(), position, strict=True)
            ]
            track = [self._place(grip, p) for p in itertools.product(*places)]
            found.append({"at": self._place(grip, position), "track": track})
        return found

    @property
    def spec(self) -> dict[str, Any]:
        """What the front end needs beside the state."""
        return {
            "name": self.name,
            "controls": [
                control.spec | {"label": _typeset(control.label)}
                for control in self.controls.values()
            ],
            "x": _typeset(self.x),
            "y": _typeset(self.y),
            "lines": [{"name": _typeset(name), **_drawn(style)} for name, style in self.lines],
            "xlim": self.xlim,
            "ylim": self.ylim,
            "log": self.log,
            "grips": [
                {
                    "controls": [i for i, n in enumerate(self.controls) if n in grip.moves],
                    "plane": grip.plane,
                }
                for grip in self.grips
            ],
            "plane": self.plane.spec if self.plane else None,
        }

    @property
    def first(self) -> list[int]:
        """The position of each control at first."""
        return [control.first for control in self.controls.values()]

    @cached_property
    def start(self) -> dict[str, Any]:
        """The state of the front end at first."""
        return self.answer(self.first)

    def widget(self) -> "anywidget.AnyWidget":
        """Return the widget of a live kernel."""
        import anywidget
        import traitlets

        class Widget(anywidget.AnyWidget):
            """`position` comes from the front end, `state` goes there."""

            _esm = traitlets.Unicode(module()).tag(sync=True)
            spec = traitlets.Dict(self.spec).tag(sync=True)
            position: Any = traitlets.List(self.first).tag(sync=True)
            state = traitlets.Dict(self.start).tag(sync=True)

        widget = Widget()
        widget.observe(
            lambda change: widget.set_trait("state", self.answer(change["new"])), "position"
        )
        return widget

    def page(self) -> str:
        """Return the HTML of a page: every answer, and what shows where no script runs."""
        counts = [range(control.positions) for control in self.controls.values()]
        positions = [*itertools.product(*counts)]
        answers = [self._answer(position) for position in positions]
        said = [[c.say(p) for p in range(c.positions)] for c in self.controls.values()]
        data = {
            "spec": self.spec,
            "first": self.first,
            "said": said,
            "text": [answer["text"] for answer in answers],
            "grips": [[self._place(grip, p) for p in positions] for grip in self.grips],
            **_packed("x", [answer["x"] for answer in answers], False),
            **_packed("y", [answer["y"] for answer in answers], self.log),
        }
        for name in ("plane_x", "plane_y") if self.plane else ():
            data |= _packed(name, [answer[name] for answer in answers], False)
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        )
        words = escape(self.start["text"])
        still = base64.b64encode(picture(self).encode()).decode()
        views = [(self.x, self.y, self.lines)]
        views += [(self.plane.x, self.plane.y, self.plane.lines)] if self.plane else []
        alt = " ".join(
            f"{y} against {x}: {', '.join(name for name, a in lines if not a.get('quiet'))}."
            for x, y, lines in views
        )
        return (
            f'<div class="explorer" id="{escape(self.name)}"><noscript><p>'
            f'<img alt="{escape(_typeset(alt))}" src="data:image/svg+xml;base64,{still}"></p>'
            f"</noscript><p>{words}</p>"
            "<p><em>Its controls need JavaScript, or a notebook with a kernel.</em></p>"
            f'<script type="application/json">{text}</script></div>'
            '<script defer src="../_static/explore.js"></script>'
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        text = {"text/plain": f"{self.name}: {self.start['text']}"}
        if os.environ.get(PAGE):
            return text | {"text/html": self.page()}
        return self.widget()._repr_mimebundle_(**options)


def draw(*explorers: Explorer) -> "Figure":
    """Return what explorers show at first as one figure, one drawing below the other.

    Those without controls have their names as titles.
    """
    from matplotlib.figure import Figure

    from gfbook import plots

    count = sum(1 + bool(explorer.plane) for explorer in explorers)
    figure = Figure((plots.WIDTH, 2.9 * count), layout="constrained")
    places = iter(np.ravel(figure.subplots(count)))
    for explorer in explorers:
        state, log = explorer.start, explorer.log
        across = state["x"] if explorer.xlim else state["x"] * len(explorer.lines)
        log = log and any(y is not None and y > 0 for ys in state["y"] for y in ys)
        axes = next(places)
        _draw(axes, explorer, across, state["y"])
        title = "" if explorer.controls else explorer.name
        axes.set(title=title, yscale="log" if log else "linear")
        if explorer.plane:
            _draw(next(places), explorer.plane, state["plane_x"], state["plane_y"])
    plots.name(*figure.axes)
    return figure


def _draw(axes: "Axes", view: Explorer | Plane, across: list[Any], curves: list[Any]) -> None:
    """Draw the lines of one drawing, with the names that they have."""
    for (name, style), x, y in zip(view.lines, across, curves, strict=True):
        known = {key: a for key, a in style.items() if key not in ("quiet", "points")}
        points, label = np.array([x, y], float), "_" * style.get("quiet", False) + name
        axes.plot(*points, **known, label=label, markersize=3, linewidth=1.4)
    axes.set(xlabel=view.x, ylabel=view.y, xlim=view.xlim, ylim=view.ylim)


def picture(*explorers: Explorer) -> str:
    """Return what explorers show at first as SVG."""
    file = io.StringIO()
    draw(*explorers).savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _short(values: Array) -> list[float | None]:
    """Return what JSON can hold: six digits, and null for what is not a number."""
    return [float(f"{a:.6g}") if np.isfinite(a) else None for a in values]


def _typeset(text: str) -> str:
    """Return a text with powers of ten, minus signs and subscripts in place of what is typed.

    No line ends at a sign of equality.

    Examples
    --------
    >>> _typeset("from -2.5e-09 to -∞, below σ_min, a half-step")
    'from −2.5·10⁻⁹ to −∞, below σₘᵢₙ, a half-step'
    """
    text = re.sub(r"(?<!\w)-(?=[\d∞])", "−", powers(text)).replace(" = ", "\xa0=\xa0")
    return re.sub(
        r"(?<=\w)_([0-9aeh-pr-vx]+)\b", lambda found: found[1].translate(SUBSCRIPTS), text
    )


def _drawn(style: dict[str, Any]) -> dict[str, Any]:
    """Return a Matplotlib line style as the front end draws it."""
    dash = style.get("linestyle", "-")
    return {
        "color": style["color"] if isinstance(style["color"], str) else _hex(style["color"]),
        "dash": [] if isinstance(dash, str) else [2 * a for a in dash[1]],
        "dots": "marker" in style,
        **{key: style[key] for key in ("points", "quiet") if key in style},
    }


def _hex(color: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in color[:3])


def _packed(name: str, values: list[list[list[float | None]]], log: bool) -> dict[str, Any]:
    """Return numbers as 16-bit steps of their range: a thousandth of a pixel, and few bytes.

    Each state has a range of its own. Logarithms are packed where a logarithmic axis may show
    them. 65535 is a gap.
    """
    array = np.array(values, float)
    if (array == array[:1]).all():
        array = array[:1]
    if log:
        array = np.log10(np.where(array > 0, array, np.nan))
    seen = np.isfinite(array) | ~np.isfinite(array).any((1, 2))[:, None, None]
    filled = np.where(np.isfinite(array), array, 0)
    low, high = (
        f((1, 2), where=seen, initial=a)
        for f, a in ((filled.min, np.inf), (filled.max, -np.inf))
    )
    width = np.where(high > low, high - low, 1)[:, None, None]
    steps = np.round((array - low[:, None, None]) / width * 65534)
    steps = np.where(np.isnan(steps), 65535, steps).astype("<u2")
    # Differences along a curve are small numbers, which compress better.
    steps[..., 1:] -= steps[..., :-1].copy()
    return {
        name: base64.b64encode(steps.tobytes()).decode("ascii"),
        f"{name}_shape": array.shape,
        f"{name}_range": [[*map(float, ends)] for ends in zip(low, high, strict=True)],
        f"{name}_log": log,
    }
