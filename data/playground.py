"""The playground: what a reader's settings give, as lines of Python, in curves and in words.

The page runs the very lines that it gives away. Each is executed as it is written, by the names
and values that gfcore takes, so that what gfcore says of a bad one is what the reader is told.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gfcore as gf
from gfbook import plots
from gfbook.explore import Answer, Explorer
from gfbook.live.playground import Shown

Array = NDArray[np.float64]
Given = dict[str, str]
Line = tuple[str, dict[str, Any], Array]

POINTS = 240  # times that are shown
# What a browser holds, and does in a few seconds.
MOST = {"rows": 30, "k": 2_000, "steps": 50_000, "characters": 100_000}
STIFFEST = (
    1e15  # of the rates times the time: beyond it steps in double precision see one of them
)
LARGEST = 1e30  # what is typed for weights: their products stay numbers
INDICES = "₁₂₃₄"  # of the singular values and modes that are drawn
BEYOND = 1e6  # times the sizes of target and start: what has left is not drawn
ARRIVED = 0.01  # of the error
DOUBTED = 1e-6  # of Y: an error of the integration that is told
TINY = 1e-12  # what is told as 0
GREY = "#6b7280"
COMMA = r"[+-]?\d*,\d+"
NARROW = "\u00a0\u2007\u2009\u202f"  # blanks that some write within a number
MINUS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"))
SINGLE = ("k", "std", "scale", "lam", "q1", "q2")
SEVERAL = ("u", "v", "sigma0")
SHAPED = ("Y", "U", "V", "X0", "covariance")

STYLES: dict[str, dict[str, Any]] = {
    "flow": plots.TWO_LAYER,
    "regularized flow": {"color": "#882255", "linestyle": (0, (3, 1, 1, 1))},
    "descent": {"color": "#007a55", "linestyle": (0, (7, 2, 1, 2))},
    "one layer": plots.ONE_LAYER,
    "closed form": plots.THEORY,
}
STARTS = {
    "gaussian": "gf.initial.gaussian({m}, {n}, k={k}, std={std}, rng={rng})",
    "orthogonal": "gf.initial.orthogonal({m}, {n}, k={k}, q1={q1}, q2={q2}, rng={rng})",
    "balanced": (
        "gf.initial.balanced({m}, {n}, k={k}, scale={scale}, rng={rng}, det_sign={det_sign})"
    ),
    "imbalanced": "gf.initial.imbalanced({m}, {n}, k={k}, lam={lam}, scale={scale}, rng={rng})",
    "spectral": "gf.initial.spectral(Y, u={u}, v={v}, k={k}, rng={rng})",
    "symmetric_spectral": "gf.initial.symmetric_spectral(Y, sigma0={sigma0})",
    "typed": "gf.Weights(U={U}, V={V})",
}
SIGNS = {"either": None, "1": 1, "-1": -1}


class Lines:
    """Lines of Python, each executed when it is added."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.names: dict[str, Any] = {}

    def add(self, line: str) -> None:
        """Execute a line, and keep it if it did not fail."""
        exec(line, self.names)
        self.text.append(line)

    def __getitem__(self, name: str) -> Any:
        return self.names.get(name)

    def left(self, X: Array) -> NDArray[np.bool_]:
        """Return at which times products (T, m, n) have left what can be drawn, or are NaN."""
        start = self["X0"] if self["start"] is None else self["start"].X
        bound = BEYOND * max(np.abs(self["Y"]).max(), np.abs(start).max())
        return np.asarray(~(np.abs(X).max((1, 2)) <= bound))

    @property
    def seen(self) -> str:
        """Say what comes to Y, where that is not X."""
        return "" if self["covariance"] is None else " What comes to Y is XΣ, and not X."

    def error(self, X: Array) -> Array:
        """Return the error of products, seen through inputs that are not white."""
        seen = X if self["covariance"] is None else X @ np.array(self["covariance"])
        return gf.state.relative_error(seen, self["Y"])


def number(name: str, text: str) -> int | float:
    """Return a number as one types it.

    Raises
    ------
    ValueError
        If it is none that one can calculate with.

    Examples
    --------
    >>> number("k", "3"), number("lam", "\u22121e-3")
    (3, -0.001)
    """
    text = text.translate(MINUS).strip()
    try:
        if np.isfinite(value := float(text)):
            return int(text) if re.fullmatch(r"[+-]?[\d_]+", text) else value
    except ValueError:
        pass
    point = "; a decimal has a point" * bool(re.fullmatch(COMMA, text))
    raise ValueError(f"{name} must be a number, got {short(text)}{point}")


def short(text: str) -> str:
    """Return what was typed in quotes, its beginning if it is long."""
    return repr(text if len(text) < 60 else f"{text[:57]}...")


def matrix(name: str, text: str) -> list[list[float]]:
    r"""Return rows, one a line or between semicolons, of numbers between commas or blanks.

    Rows in brackets, as Python and NumPy write them, are rows too; and lines with semicolons or
    tabs between decimals that have a comma, as spreadsheets of half of Europe save CSV. Numbers
    may have quotes around them, and columns at the margins may be empty.

    Raises
    ------
    ValueError
        If there is anything else, or what may mean one thing and another.

    Examples
    --------
    >>> matrix("Y", "1, 2; 3 4"), matrix("Y", "[[1, 2], [3, 4]]")
    ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]])
    >>> matrix("Y", "1,5;2\n3;0,25"), matrix("Y", '"1,5","2"')
    ([[1.5, 2.0], [3.0, 0.25]], [[1.5, 2.0]])
    >>> matrix("Y", "1,500;2,000\n3;4")
    Traceback (most recent call last):
    ValueError: Y has '1,500', a decimal or thousands: write it with a point, or without a comma
    """
    lines, mark = split(name, text)
    if not lines:
        raise ValueError(f"{name} must have numbers, and is empty")
    if len(lines) > 1 and not re.search(r"\d", lines[0]):
        said = lines[0].strip()
        raise ValueError(f"row 1 of {name} has no number: {said!r}; leave its words out")
    table = [cells(line, mark) for line in lines]
    for row in table:
        while not row[-1]:
            row.pop()
    while not any(row[0] for row in table):
        for row in table:
            del row[0]
    every = [cell for row in table for cell in row if re.fullmatch(r"[+-]?[\d.,]+", cell)]
    commas = [cell for cell in every if "," in cell]
    if commas and any("." in cell for cell in every):
        raise ValueError(
            f"{name} has commas and points in its numbers, as in {commas[0]!r}: "
            "write a point in decimals, and thousands without a mark"
        )
    if commas and all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell) for cell in commas):
        said = f"{commas[0]!r}, a decimal or thousands"
        raise ValueError(f"{name} has {said}: write it with a point, or without a comma")
    for i, (row, line) in enumerate(zip(table, lines, strict=True), 1):
        if not all(row):
            raise ValueError(f"row {i} of {name} has an empty place: {short(line)}")
        for cell in row:
            if not is_number(cell):
                raise ValueError(amiss(name, i, line, cell, mark))
        if len(row) != len(table[0]):
            said = f"row 1 has {len(table[0])}, row {i} has {len(row)}"
            point = "; a decimal has a point, not a comma" * ("," in text)
            raise ValueError(f"{name} must have as many numbers in each row: {said}{point}")
    return [[float(number("", cell.replace(",", "."))) for cell in row] for row in table]


def split(name: str, text: str) -> tuple[list[str], str]:
    r"""Return the lines that are not empty, and what stands between their numbers.

    A comma stands for commas or blanks. Where semicolons are within lines they are not between
    rows.

    Examples
    --------
    >>> split("Y", "1, 2; 3 4"), split("Y", "1;2\n;\n3;4\n"), split("Y", "1,5\t2")
    ((['1, 2', ' 3 4'], ','), (['1;2', '3;4'], ';'), (['1,5\t2'], '\t'))
    """
    if len(text) > MOST["characters"]:
        raise ValueError(
            f"{name} must have at most {MOST['characters']} characters on this page"
        )
    text = "\n".join(text.translate(MINUS).splitlines())
    text, brackets = re.subn(r"\]\s*[,;]?\s*\[", ";", text)
    text = (text.replace("\n", " ") if brackets else text).strip("[]\ufeff\n ")
    if found := re.search(rf"\d[{NARROW}]\d{{3}}(?!\d)", text):
        raise ValueError(f"{name} has a narrow blank in {found[0]!r}: write thousands without")
    by_lines = "\n" in text and re.search(r";[^\S\n]*[^\s;]", text)
    lines = re.split("\n" if by_lines else "[;\n]", text)
    tabs = re.search(r"[^\s,][^\S\n]*\t[^\S\n]*\S", text)
    mark = ";" if by_lines else "\t" if tabs else ","
    return [line for line in lines if line.strip(",; \t")], mark


def cells(line: str, mark: str) -> list[str]:
    """Return what stands between the marks of a line."""
    if line.count('"') % 2:
        return [line]
    if mark == "," and "," not in line:
        line, mark = " ".join(line.split()), " "
    (found,) = csv.reader([line], delimiter=mark, skipinitialspace=True)
    return [cell.strip() for cell in found]


def is_number(cell: str) -> bool:
    """Return whether a place has a number, with a point or a comma."""
    try:
        number("", cell.replace(",", "."))
    except ValueError:
        return False
    return True


def amiss(name: str, i: int, line: str, cell: str, mark: str) -> str:
    """Return what is wrong with a place that has no number.

    Examples
    --------
    >>> amiss("Y", 2, "1, two", "two", ",")
    "row 2 of Y is not numbers alone: 'two'"
    """
    point = "; a decimal has a point, not a comma" * ("," in line)
    if not all(map(is_number, re.split(r"[,\s]+", cell.strip(",")))):
        return f"row {i} of {name} is not numbers alone: {short(cell)}"
    if mark == ";":
        return (
            f"{name} has semicolons within its lines: give each row a line of its own, "
            "with commas, blanks or tabs between its numbers and a point in decimals"
        )
    said = "more than one kind of mark between its numbers"
    return f"row {i} of {name} has {said}: {short(line.strip())}{point}"


def row(name: str, text: str) -> list[float]:
    """Return the numbers of a row or a column."""
    return [value for values in matrix(name, text) for value in values]


def twofold(given: Given) -> Iterator[str]:
    r"""Yield a word on each field whose commas may be taken for what they are not.

    Examples
    --------
    >>> [*twofold({"Y": "1,5;2,5", "U": "1, 5; 2, 5"})]
    ['Each row of Y is two numbers with a comma between; a decimal has a point.']
    >>> [*twofold({"Y": "1,5;2,5\n3;4"})]
    ['The commas of Y are taken for decimal points.']
    """
    for name in sorted({*SEVERAL, *SHAPED} & given.keys()):
        lines, mark = split(name, given[name])
        if mark != "," and any("," in line for line in lines):
            yield f"The commas of {name} are taken for decimal points."
        elif (
            lines
            and "[" not in given[name]
            and all(re.fullmatch(COMMA, line.strip()) for line in lines)
        ):
            said = "two numbers with a comma between; a decimal has a point"
            yield f"Each row of {name} is {said}."


def begin(given: Given) -> Lines:
    """Write the lines that make target, inputs and start."""
    lines = Lines()
    for name, options in ("start", [*STARTS, "riccati"]), ("det_sign", [*SIGNS]):
        if given.get(name, options[0]) not in options:
            said = f"{', '.join(options)}, got {short(given[name])}"
            raise ValueError(f"{name} must be one of {said}")
    lines.add("import numpy as np")
    lines.add("import gfcore as gf")
    lines.add(f"Y = {matrix('Y', given['Y'])}")
    gf.exact.linear(lines["Y"], lines["Y"], 0.0)  # says what is wrong with Y
    m, n = np.shape(lines["Y"])
    if max(m, n) > MOST["rows"]:
        raise ValueError(f"Y must have at most {MOST['rows']} rows and columns on this page")
    if given.get("covariance", "").strip():
        Sigma = covariance(given["covariance"], lines["Y"])
        if not np.array_equal(Sigma, np.eye(len(Sigma))):  # which are white
            lines.add(f"covariance = {Sigma}")
    if given["start"] == "riccati":
        lines.add(f"X0 = {matrix('X0', given['X0'])}")
        return lines
    known: dict[str, Any] = {
        name: number(name, given[name]) for name in SINGLE if name in given
    }
    known |= {name: row(name, given[name]) for name in SEVERAL if name in given}
    known |= {name: matrix(name, given[name]) for name in "UV" if name in given}
    if known.get("k", 0) > MOST["k"]:
        raise ValueError(f"k must be at most {MOST['k']} on this page, got {known['k']}")
    for name, size, what in ("U", m, "rows"), ("V", n, "columns"):
        if name in known and len(known[name]) != size:
            got = len(known[name])
            raise ValueError(f"{name} must have {size} rows, as Y has {what}, not {got}")
    for name, value in known.items():
        if np.max(np.abs(value)) > LARGEST:
            raise ValueError(f"{name} must be at most {LARGEST:g} in size on this page")
    seed = number("seed", given.get("seed", "0"))
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
    known |= {"rng": f"np.random.default_rng({seed})", "m": m, "n": n}
    known["det_sign"] = SIGNS[given.get("det_sign", "either")]
    made = STARTS[given["start"]].format_map(known)
    if given["start"] == "symmetric_spectral":
        lines.add(f"U0 = {made}")
        made = "gf.Weights(U0, U0)"
    lines.add(f"start = {made}")
    gf.flow.solve(lines["Y"], lines["start"], 0.0)  # says whether they fit
    return lines


def covariance(text: str, Y: Any) -> list[list[float]]:
    """Return the covariance of the inputs as typed, or by eigenvalues.

    A row of n > 1 numbers has its eigenvalues, along the right singular vectors of Y.

    Examples
    --------
    >>> covariance("4, 1", [[0.0, 1.0]])
    [[1.0, 0.0], [0.0, 4.0]]
    """
    rows = matrix("covariance", text)
    if len(rows) > 1 or len(rows[0]) != np.shape(Y)[1]:
        return rows
    Psi = np.linalg.svd(Y)[2].T
    made: list[list[float]] = (((Psi * rows[0]) @ Psi.T).round(15) + 0.0).tolist()
    return made


def descend(lines: Lines, given: Given) -> str:
    """Write the lines of times and of gradient descent; say why where that is not whole."""
    step, horizon = number("step", given.get("step", "1")), number("t", given["t"])
    gf.exact.linear(lines["Y"], lines["Y"], horizon)
    if horizon == 0:
        raise ValueError("t must be above 0, got 0")
    size = np.max(np.abs(lines["Y"])) * horizon
    if size > STIFFEST and lines["start"] is not None:
        most = f"{STIFFEST / horizon:.0e} in size until t = {horizon:g}"
        raise ValueError(f"Y must be at most {most}: beside that the rest is rounding")
    even = f"t = np.linspace(0, {horizon}, {POINTS + 1})"
    if lines["start"] is None or lines["covariance"] is not None:
        lines.add(even)
        what = "for weights" if lines["start"] is None else "for inputs that are white"
        return f"Gradient descent of gfcore is {what}, and is not shown."
    gf.descent.run(lines["Y"], lines["start"], step, 0)
    steps = max(1, round(horizon / step))
    if steps > MOST["steps"]:
        least = horizon / MOST["steps"]
        raise ValueError(f"step must be at least {least:.2g} for this time, got {step}")
    why = ""
    try:
        gf.descent.run(lines["Y"], lines["start"], step, steps, steps)
    except ArithmeticError as error:
        why = f"Gradient descent leaves: {error}."
        steps = int(str(error).split()[-1]) - 1
    every = max(1, steps // POINTS)
    each = f"gf.descent.run(Y, start, step={step}, steps={steps}, every={every})"
    lines.add(f"descent = {each}")
    lines.add("t = descent.t" if not why and steps >= POINTS / 2 else even)
    return why


def solve(lines: Lines, given: Given) -> tuple[str, gf.exact.Solvable | None]:
    """Write the lines of the flow and of its closed form; say which that is, or why not."""
    also = ", covariance=covariance" if lines["covariance"] is not None else ""
    if lines["start"] is None:
        return riccati(lines), None
    lines.add(f"flow = gf.flow.solve(Y, start, t{also})")
    if towards := given.get("Q0", "").strip():
        if also:
            raise ValueError("Q0 must be empty with a covariance: (26) is for white inputs")
        lam = number("Q0", towards)
        lines.add(
            f"regularized = gf.flow.solve_regularized(Y, start.compress(), Q0={lam!r}, t=t)"
        )
        lines.add(f"closed = gf.exact.identity_product(Y, start, lam={lam!r}, t=t).X")
        said = (
            f"Closed form of the regularized flow: (30), exact.identity_product, lam = {lam}."
        )
        return said, None
    if also:
        try:
            lines.add(f"closed = gf.exact.spectral(Y, start, t{also})")
        except ValueError as error:
            return f"No closed form: {error}.", None
        return "Closed form: exact.spectral, with the covariance.", None
    found = gf.exact.solvable(lines["Y"], lines["start"])
    values = "".join(f", {name}={value!r}" for name, value in found.parameters.items())
    if found.formula == "spectral":
        lines.add("closed = gf.exact.spectral(Y, start, t)")
    elif found.formula == "identity_imbalance":
        lines.add(f"closed = gf.exact.identity_product(Y, start{values}, t=t).X")
    elif found.formula == "two_imbalances":
        m = len(lines["Y"])
        lines.add(f"closed = gf.exact.two_imbalances(Y, start{values}, t=t)[:, :{m}, {m}:]")
    elif found.formula == "zero_target":
        lines.add("P = gf.exact.zero_target(start, t)  # U^T U")
        said = "Closed form: exact.zero_target, of U^T U: these weights see nothing of Y."
        return said, found
    if found.formula:
        known = "".join(
            f", {name} = {value if abs(value) > TINY else 0:.4g}"
            for name, value in found.parameters.items()
        )
        return f"Closed form: exact.{found.formula}{known}.", found
    away = f"{found.distance:.1e} away" if np.isfinite(found.distance) else "out of reach"
    return f"No closed form: the nearest kind of start, {found.nearest}, is {away}.", found


def riccati(lines: Lines) -> str:
    """Write the lines of (5) from any symmetric X0, up to where its solution escapes."""
    try:
        lines.add("closed = gf.exact.riccati(Y, X0, t)")
    except gf.FiniteEscapeError as error:
        lines.text.pop()
        lines.add(f"t = np.linspace(0, {0.999 * error.time!r}, {POINTS + 1})")
        lines.add("closed = gf.exact.riccati(Y, X0, t)")
        return f"The solution (8) of (5) escapes to infinity at t = {error.time:.6g}."
    return "Closed form: (8), exact.riccati, which exists for all these times."


def held(times: Array, values: Array, t: Array) -> Array:
    """Return iterates at other times: each until the next, none after the last."""
    step = times[1] if len(times) > 1 else np.inf
    place = np.floor(t / step + 1e-9).astype(int)
    found: Array = values[np.minimum(place, len(times) - 1)].copy()
    found[place >= len(times)] = np.nan
    return found


def modes(Y: Any, U: Array, V: Array) -> tuple[Array, Array]:
    """Return (u, v) of each mode along its own hidden direction, (T, r) each.

    For a spectral start that is all of them, and u^2 - v^2 is kept; from others the weights of
    a mode turn, and leave the hyperbola of their start.
    """
    Phi, _, PsiT = np.linalg.svd(Y, full_matrices=False)
    a, b = Phi.T @ U, PsiT @ V  # (T, r, k)
    both = np.concatenate([a, b]).swapaxes(0, 1)  # (r, 2 T, k)
    along = np.linalg.svd(both, full_matrices=False)[2][:, 0]
    u, v = (np.einsum("trk,rk->tr", w, along) for w in (a, b))
    end = np.where(np.abs(u[-1]) > np.abs(v[-1]), u[-1], v[-1])
    sign = np.where(end < 0, -1.0, 1.0)
    return u * sign, v * sign


def hyperbola(u: float, v: float, reach: float, points: int) -> tuple[Array, Array]:
    """Return the branch of u^2 - v^2 = const that a point is on, out to the edge."""
    lam = u * u - v * v
    if lam == 0:
        way = np.linspace(-reach, reach, points)
        return way, way * (1 if u * v >= 0 else -1)
    a = np.sqrt(abs(lam))
    way = a * np.sinh(np.linspace(-1, 1, points) * np.arcsinh(reach / a))
    far = np.sqrt(lam + way**2 if lam > 0 else way**2 - lam)
    return (np.copysign(far, u), way) if lam > 0 else (way, np.copysign(far, v))


def curves(lines: Lines) -> dict[str, Array]:
    """Return X (T, m, n) by its kind, at the times that are shown."""
    several = {"flow": "flow", "regularized flow": "regularized"}
    paths = {kind: lines[name].X for kind, name in several.items() if lines[name] is not None}
    if (descent := lines["descent"]) is not None:
        paths["descent"] = held(descent.t, descent.X, lines["t"])
    paths["one layer"] = lines["one"]
    if lines["closed"] is not None:
        paths["closed form"] = lines["closed"]
    for kind, X in paths.items():
        paths[kind] = np.where(lines.left(X)[:, None, None], np.nan, X)
    return paths


def panel(name: str, y: str, t: Any, lines: Sequence[Line], text: str, **more: Any) -> Explorer:
    """Return a picture: an explorer without controls, against time if `x` is not given."""
    answer = Answer(t, [curve for *_, curve in lines], text)
    drawn = [(label, style) for label, style, _ in lines]
    x = more.pop("x", "time t")
    return Explorer(lambda: answer, {}, x=x, y=y, lines=drawn, name=name, **more)


def along(f: Callable[[Array], Any], X: Array) -> Array:
    """Return a function of a path at each of its times, NaN where it has left."""
    there = np.isfinite(X).all((1, 2))
    some = np.asarray(f(X[there]), float)
    found = np.full((len(X), *some.shape[1:]), np.nan)
    found[there] = some
    return found


def singular(X: Array) -> Array:
    """Return the singular values (T, r) of a path."""
    return np.asarray(np.linalg.svd(X, compute_uv=False))


def strengths(lines: Lines, paths: dict[str, Array]) -> Explorer:
    """Return the picture of the singular values."""
    Y = np.array(lines["Y"])
    sigma, values = singular(Y), {kind: along(singular, X) for kind, X in paths.items()}
    if lines["P"] is not None:  # of this closed form they are the roots of P (P - Q)
        P, Q = lines["P"], lines["start"].Q
        squares = np.sort(np.maximum(np.linalg.eigvals(P @ (P - Q)).real, 0))[:, ::-1]
        least = np.zeros((len(P), len(sigma)))
        values["closed form"] = np.concatenate([squares, least], 1)[:, : len(sigma)] ** 0.5
    count = min(len(INDICES), len(sigma))
    more = f" ({len(sigma) - count} more are not drawn)" if len(sigma) > count else ""
    listed = ", ".join(f"{a:.3g}" for a in sigma[:count])
    tops = {kind: float(np.nanmax(v)) for kind, v in values.items()}
    top = max(size for kind, size in tops.items() if kind != "descent")
    return panel(
        "Singular values",
        "singular values of X",
        lines["t"],
        [
            (f"{kind} σ{INDICES[i]}", STYLES[kind] | {"quiet": i > 0}, v[:, i])
            for kind, v in values.items()
            for i in range(count)
        ],
        f"Those of Y are {listed}{more}.{lines.seen}",
        ylim=(0.0, 1.1 * min(max(tops.values()), 2 * top, 20 * float(sigma[0]))),
    )


def errors(lines: Lines, paths: dict[str, Array]) -> Explorer:
    """Return the picture of the error."""
    found = {kind: along(lines.error, X) for kind, X in paths.items()}
    told = ", ".join(f"{kind} {e[np.isfinite(e)][-1]:.1e}" for kind, e in found.items())
    return panel(
        "Error",
        "‖Y − X‖/‖Y‖" if lines["covariance"] is None else "‖Y − XΣ‖/‖Y‖",
        lines["t"],
        [(kind, STYLES[kind], e) for kind, e in found.items()],
        f"At the end: {told}.",
        log=True,
    )


def determinant(lines: Lines, paths: dict[str, Array]) -> Explorer:
    """Return the picture of det X, for a square target."""
    end, found = (
        np.linalg.det(lines["Y"]),
        {k: along(np.linalg.det, X) for k, X in paths.items()},
    )
    edge = 1.5 * max(abs(end), *(abs(d[0]) for d in found.values()))
    every = np.clip(np.concatenate([[end], *found.values()]), -edge, edge)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    room = 0.08 * (high - low)
    return panel(
        "Determinant",
        "det X",
        lines["t"],
        [
            ("det Y", {"color": GREY, "linestyle": (0, (1, 3))}, np.full(len(lines["t"]), end)),
            *((kind, STYLES[kind], d) for kind, d in found.items()),
        ],
        f"det Y is {end:.3g}; det X begins at {found['one layer'][0]:.3g}.{lines.seen}",
        ylim=(low - room, high + room) if room else None,
    )


def drift(lines: Lines) -> Explorer:
    """Return the picture of how far Q is from what it was."""
    found = {"flow": lines["flow"].Q_drift}
    if lines["regularized"] is not None:
        found["regularized flow"] = lines["regularized"].Q_drift
    if (descent := lines["descent"]) is not None:
        far = np.where(lines.left(descent.X), np.nan, descent.Q_drift)
        found["descent"] = held(descent.t, far, lines["t"])
    q = np.sort(np.linalg.eigvalsh(lines["start"].compress().Q))[::-1] + 0.0
    some = [f"{a:.3g}" for a in q]
    some = some if len(q) <= 6 else [*some[:3], "…", *some[-3:]]
    still = "" if any(np.nanmax(d) for d in found.values()) else " Nothing moves it: no line."
    return panel(
        "Drift of Q",
        "‖Q(t) − Q(0)‖",
        lines["t"],
        [(kind, STYLES[kind], d) for kind, d in found.items()],
        f"Q has the eigenvalues {', '.join(some)}; its norm is {np.linalg.norm(q):.3g}.{still}",
        log=True,
    )


def plane(lines: Lines) -> Explorer:
    """Return the picture of each mode of the flow in its plane."""
    Y, flow, size = np.array(lines["Y"]), lines["flow"], len(lines["t"])
    u, v = modes(Y, flow.U, flow.V)
    sigma = singular(Y)
    count = min(len(INDICES), len(sigma))
    reach = 1.15 * float(max(np.abs([u[:, :count], v[:, :count]]).max(), sigma[0] ** 0.5))
    least = max(float(sigma[count - 1]), 1e-3 * reach) / (2 * reach)
    way = np.geomspace(least, 2 * reach, size)
    drawn: list[Line] = []
    across: list[Array] = []
    for i, style in enumerate(plots.components(count)):
        on, quiet = hyperbola(u[0, i], v[0, i], 1.5 * reach, size), {"quiet": i > 0}
        across += [on[0], way, u[:, i], u[:1, i].repeat(size)]
        kept = {"color": GREY, "linestyle": (0, (4, 3)), **quiet}
        drawn += [
            (f"hyperbola of mode {i + 1}", kept, on[1]),
            (f"uv = σ{INDICES[i]}", plots.THEORY | quiet, sigma[i] / way),
            (f"mode {i + 1}", style, v[:, i]),
            (f"start {i + 1}", style | {"marker": "o", "quiet": True}, v[:1, i].repeat(size)),
        ]
    lam, whole = (u**2 - v**2)[:, :count], (u**2 + v**2)[:, :count]
    off = float(np.abs(lam - lam[0]).max() / max(whole.max(), 1e-300))
    stay = "Each mode stays on its hyperbola" if off < 1e-8 else "Modes leave their hyperbolas"
    return panel(
        "Modes in the plane",
        "v of the mode",
        across,
        drawn,
        f"{stay}: u² − v² changes by {off:.1e}, relative.",
        x="u of the mode",
        xlim=(-reach, reach),
        ylim=(-reach, reach),
    )


def shown(rate: float, size: float) -> str:
    """Return a rate for the table; what is rounding beside a size is 0."""
    return f"{rate if rate > TINY * size else 0:.4g}"


def predicted(
    lines: Lines, given: Given, found: gf.exact.Solvable | None
) -> Iterator[tuple[str, str, str]]:
    """Yield the rates that are known beforehand: of what, the number, and where it is from."""
    Y, start = np.array(lines["Y"]), lines["start"]
    largest = 0.0 if start is None else float(start.R.size and np.linalg.norm(start.R, 2) ** 2)
    if given["start"] == "riccati":
        yield "predicted", f"{gf.rates.symmetric(Y):.4g}", "rates.symmetric (Proposition 2)"
    elif found and found.formula == "identity_imbalance":
        rate = gf.rates.identity_imbalance(Y, found.parameters["lam"], "X")
        yield (
            "predicted",
            shown(rate, float(np.linalg.norm(Y, 2))),
            "rates.identity_imbalance (Proposition 5), of almost every start that arrives",
        )
    if found and found.distances["spectral"] < TINY:
        Phi, sigma, PsiT = np.linalg.svd(Y, full_matrices=False)
        u, v = Phi.T @ start.U, PsiT @ start.V
        size, lam, x = (u * u + v * v).sum(1), (u * u - v * v).sum(1), (u * v).sum(1)
        never = (np.abs(lam) <= TINY * size) & (x <= TINY * size)
        never |= size <= TINY**2 * largest  # what the turn to the modes leaves of none
        each = [
            "none" if not_so else f"{rate:.4g}"
            for rate, not_so in zip(gf.rates.spectral(sigma, lam), never, strict=True)
        ]
        yield (
            "predicted, by mode",
            ", ".join(each[: len(INDICES)]),
            "rates.spectral (Proposition 3)",
        )
    if start is not None and lines["covariance"] is None:
        rate = gf.rates.a_priori(Y, start).item()
        yield "guaranteed", shown(rate, largest), "rates.a_priori, from the start alone"


def measured(
    lines: Lines, paths: dict[str, Array], given: Given
) -> Iterator[tuple[str, str, str]]:
    """Yield the rates that are read off."""
    if lines["flow"] is not None and lines["covariance"] is None:
        end = gf.Weights(lines["flow"].U[-1], lines["flow"].V[-1])
        left = float(lines.error(end.X))
        rate = edge = "none"
        why = said = f"the flow has not arrived: what is left is {left:.2g}"
        if left < ARRIVED:
            rate = f"{gf.rates.asymptotic(end).item():.4g}"
            why = "rates.asymptotic, of almost every start that ends where this flow is"
            edge = f"{2 / (np.linalg.norm(end.U, 2) ** 2 + np.linalg.norm(end.V, 2) ** 2):.4g}"
            said = f"2/(σ₁(U)² + σ₁(V)²) where the flow ends; the step is {given['step']}"
        yield "at the end", rate, why
    for kind, X in paths.items():
        t = lines["t"]
        if kind == "descent":
            t, X = lines["descent"].t, lines["descent"].X
        there = ~lines.left(X)
        try:
            found = gf.rates.measured(t[there], lines.error(X[there]))
            told = f"{found.rate:.4g} ± {found.uncertainty:.0e}", "rates.measured"
        except ValueError as problem:
            told = "none", str(problem)
        yield f"measured, {kind}", *told
    if lines["descent"] is not None:
        yield "largest step", edge, said


def show(given: Given) -> Shown:
    """Return what the page shows for the settings of a reader.

    Parameters
    ----------
    given : dict
        What is typed into each field, by its id, as data/playground.yml has them.

    Returns
    -------
    Shown
        Pictures, rates, sentences, and the lines of Python.

    Raises
    ------
    ValueError
        Of gfcore, which names the argument that has the name of the field.
    """
    lines = begin(given)
    why = descend(lines, given)
    form, found = solve(lines, given)
    also = ", covariance=covariance" if lines["covariance"] is not None else ""
    X0 = "X0" if lines["start"] is None else "start.X"
    lines.add(f"one = gf.exact.linear(Y, {X0}, t{also})")
    paths = curves(lines)
    of = paths.get("regularized flow", paths.get("flow"))
    if of is not None and "closed form" in paths:
        size = max(np.abs(of).max(), np.abs(lines["Y"]).max())
        off = np.abs(paths["closed form"] - of).max() / size
        form += f" It is {off:.0e} from what was integrated."
    if lines["flow"] is not None:
        doubt = float(lines["flow"].error_estimate.max())
        if doubt > DOUBTED * np.linalg.norm(lines["Y"]):
            form += f" The flow may be off by {doubt:.0e}: a saddle multiplies what is rounded."
    panels = [strengths(lines, paths), errors(lines, paths)]
    if lines["flow"] is not None:
        panels += [plane(lines), drift(lines)]
    if np.shape(lines["Y"])[0] == np.shape(lines["Y"])[1]:
        panels.append(determinant(lines, paths))
    rows = [*predicted(lines, given, found), *measured(lines, paths, given)]
    last = "closed" if lines["flow"] is None else "flow.X"
    code = [*lines.text, f"print(np.linalg.svd({last}[-1], compute_uv=False))"]
    said = [form, *([why] if why else []), *twofold(given)]
    return Shown(panels, rows, said, "\n".join(code) + "\n")
