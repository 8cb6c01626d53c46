"""Every public function, given every guise of good input, and every kind of bad input.

What is given is known by its name, which stands for one thing all over, and the shape of the
answer is taken from the docstring: a new function is tried as soon as it is there.

Three promises: a good argument may come as a list, an integer, a read-only or a strided array
and the answer is the same to the last bit; a bad one raises ValueError and nothing else; and
whatever the size of the numbers, the answer is finite or the documented error, without a
warning and where NumPy is told to raise at every one of them. Arguments are never modified.
"""

import copy
import datetime
import decimal
import fractions
import inspect
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gfcore as gf

SIZES = st.integers(1, 4)
# Ordinary numbers, many of them integers, zeros and repetitions; and numbers of any size.
MODERATE = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-3, 3).map(lambda x: round(x, 3) + 0.0)
)
WILD = st.one_of(MODERATE, st.floats(-1e75, 1e75), st.floats(-1e-70, 1e-70))


class Draw:
    """Draws of arguments whose entries come from one strategy."""

    def __init__(self, draw, entries, square=False):
        self.draw, self.entries, self.square = draw, entries, square
        self.m, self.n, self.k = (draw(SIZES) for _ in range(3))
        if square:
            self.n = self.m

    def array(self, *shape):
        return self.draw(hnp.arrays(np.float64, shape, elements=self.entries))

    def symmetric(self, m):
        half = self.array(m, m)
        return np.tril(half) + np.tril(half, -1).T

    def target(self):
        return self.symmetric(self.m) if self.square else self.array(self.m, self.n)

    def positive(self, shape=()):
        return np.abs(self.array(*shape))

    def number(self):
        return float(self.draw(self.entries))

    def weights(self):
        return gf.Weights(self.array(self.m, self.k), self.array(self.n, self.k))

    def times(self):
        count = self.draw(st.integers(0, 4))
        return np.asarray(np.sort(self.positive((count,))) if count else self.positive())

    def rng(self):
        return np.random.default_rng(self.draw(st.integers(0, 9)))


# What each name of an argument stands for, wherever it stands.
NAMES = {
    "m": lambda d: d.m,
    "n": lambda d: d.n,
    "k": lambda d: d.k,
    "Y": lambda d: d.target(),
    "X0": lambda d: d.target(),
    "U0": lambda d: d.array(d.m, d.k),
    "U": lambda d: d.array(d.m, d.k),
    "V": lambda d: d.array(d.n, d.k),
    "Q0": lambda d: d.symmetric(d.k),
    "sigma": lambda d: d.array(d.m),
    "sigma0": lambda d: d.positive((d.m,)),
    "lam": lambda d: d.number(),
    "x0": lambda d: d.array(d.m),
    "q1": lambda d: abs(d.number()),
    "q2": lambda d: -abs(d.number()),
    "weights": Draw.weights,
    "weights0": Draw.weights,
    "t": Draw.times,
    "rng": Draw.rng,
    "std": lambda d: abs(d.number()),
    "scale": lambda d: abs(d.number()),
    "step": lambda d: 0.01,
    "steps": lambda d: d.draw(st.integers(0, 9)),
    "every": lambda d: d.draw(st.integers(1, 4)),
    "of": lambda d: d.draw(st.sampled_from(["RRT", "X", "UUT", "VVT"])),
}
OPTIONAL = {"k", "rng", "every", "of"}  # that are given as well


def spectral(d, given):
    Y, size = given["Y"], min(d.m, d.n, d.k)
    return {"weights0": gf.initial.spectral(Y, d.array(size), d.array(size), d.k)}


def spectral_modes(d, given):
    return {"sigma": d.positive((d.m,)), "lam": d.array(d.m)}


def direct_sum(d, given):
    """A spectral start in the standard basis, so that its parts are exact."""
    m, n = d.m, d.n
    r = min(m, n)
    Y, U, V = np.zeros((m, n)), np.zeros((m, r)), np.zeros((n, r))
    for A in (Y, U, V):
        A[range(r), range(r)] = d.array(r)
    return {"Y": Y, "weights0": gf.Weights(U, V)}


def orthogonal(d, given):
    return {"k": d.m + d.n + d.k}


def imbalanced(d, given):
    return {"k": min(d.k, d.m, d.n)}


def initial_spectral(d, given):
    return {"u": d.array(min(d.m, d.k)), "v": d.array(min(d.n, d.k))}


def reach(d, given):
    t = np.unique(d.positive((d.k,)))
    return {"t": t, "error": d.positive(t.shape), "level": abs(d.number()) or 1.0}


def measured(d, given):
    t = np.cumsum(0.1 + d.positive((d.draw(st.integers(9, 40)),)))
    rate, size = d.positive((2,)), d.positive((2,))
    with np.errstate(over="ignore", under="ignore"):
        error = np.exp(-np.outer(t, rate)) @ size
    # Wild sizes can overflow here; what cannot be an argument is not one.
    return {"t": np.minimum(t, 1e75), "error": np.minimum(error, 1e75)}


def rotate(d, given):
    return {"self": d.weights(), "G": np.eye(d.k)[d.draw(st.permutations(range(d.k)))]}


def error(d, given):
    path = gf.Trajectory(np.arange(float(d.k)), d.array(d.k, d.m, d.n))
    return {"self": path, "Y": 1 + d.positive((d.m, d.n))}


def rates_spectral(d, given):
    return {"lam": d.array(d.m)}


def distances(Y, weights0):
    found = gf.exact.solvable(Y, weights0)
    return [np.minimum(list(found.distances.values()), 9), found.distance]


def properties(U, V):
    w = gf.Weights(U, V)
    return [w.X, w.Q, w.R, w.compress().R]


# Where a name stands for something more special.
SPECIAL = {
    gf.exact.spectral: spectral,
    gf.exact.spectral_constant: spectral_modes,
    gf.exact.spectral_modes: spectral_modes,
    gf.exact.direct_sum: direct_sum,
    gf.initial.orthogonal: orthogonal,
    gf.initial.imbalanced: imbalanced,
    gf.initial.spectral: initial_spectral,
    gf.rates.spectral: rates_spectral,
    gf.rates.reach: reach,
    gf.rates.measured: measured,
    gf.Weights.rotate: rotate,
    gf.Trajectory.error: error,
}


def layers(d):
    return [(d.m, d.k), (d.n, d.k)]


def products(d):
    return [(d.m, d.n), (d.k, d.k), (d.m + d.n, d.k), (d.m + d.n, min(d.k, d.m + d.n))]


# What a docstring does not say as the shape of an array.
SHAPES = {
    gf.rates.measured: lambda d: [(), ()],
    gf.Weights: layers,
    gf.Weights.rotate: layers,
    gf.Trajectory.error: lambda d: [(d.k,)],
    distances: lambda d: [(5,), ()],
    properties: products,
}
# run and solve are these with one start, and distances are those of solvable.
LEFT = {gf.descent.run_many, gf.flow.solve_many, gf.exact.solvable}
PUBLIC = [
    member
    for module in (gf.exact, gf.flow, gf.descent, gf.initial, gf.rates)
    for name, member in vars(module).items()
    if inspect.isfunction(member) and member.__module__.startswith(module.__name__)
    if not name.startswith("_") and member not in LEFT
]
FUNCTIONS = [*PUBLIC, gf.Weights, gf.Weights.rotate, gf.Trajectory.error, distances, properties]


def drawn(function, draw, entries):
    """Return arguments as their names and the docstring say, and the shapes of the answer."""
    text = inspect.getdoc(function) or ""
    d = Draw(draw, entries, square=bool(re.search(r"^Y\b.* : .*\bm, m\) array", text, re.M)))
    taken = inspect.signature(function).parameters.items()
    names = [name for name, p in taken if p.default is p.empty or name in OPTIONAL]
    given = {name: NAMES[name](d) for name in names if name in NAMES}
    given |= SPECIAL.get(function, lambda d, given: {})(d, given)
    assert given.keys() >= {*names}, f"{function.__name__}: what are {names}?"
    known = {"m": d.m, "n": d.n, "k": d.k, "stack": ()} | given
    try:
        return given, SHAPES[function](d) if function in SHAPES else said(text, known)
    except (NameError, TypeError) as error:
        why = f"{function.__name__}: no shape in m, n, k below Returns, as `(m, n) ndarray`"
        raise AssertionError(f"{why}: {error}") from None


def said(text, known):
    """Return the shapes that a docstring promises, for arguments of these sizes."""
    text = text.partition("Returns\n-------\n")[2].partition("\n\n")[0]

    def shape(written):
        return tuple(eval(f"({written},)".replace(",,", ","), {"min": min}, dict(known)))

    if text.startswith("float"):
        return [()]
    if text.startswith("Weights"):
        return [shape(written) for written in re.findall(r"[UV]0? \(([^()]*)\)", text)]
    if text.startswith("Trajectory"):
        X = shape(re.search(r"\bX(?: = U U\^T)? \(([^()]*)\)", text)[1])
        width = re.search(r"compressed to\s+(min\([^()]*\))|all (k) hidden", text)
        widths = shape(width[1] or width[2]) if width else ()
        return [X[:-2], X, *((*X[:-2], rows, k) for k in widths for rows in X[-2:])]
    return [shape(re.match(r"\(([^()]*)\) (?:nd)?array", text)[1])]


# What else than ValueError is documented, for numbers of any size.
ERRORS = {
    gf.exact.riccati: gf.FiniteEscapeError,
    gf.descent.run: ArithmeticError,
    gf.descent.run_linear: ArithmeticError,
    gf.descent.run_symmetric: ArithmeticError,
    gf.rates.measured: ValueError,
}
# Arguments that must have a shape that the others set; doubled along an axis they do not fit.
TIED = {"X0", "U0", "sigma0", "x0", "Q0", "G", "error"}
NEEDS_SYMMETRY = {
    gf.exact.riccati,
    gf.exact.symmetric,
    gf.descent.run_symmetric,
    gf.initial.symmetric_spectral,
    gf.rates.symmetric,
    gf.rates.symmetric_modes,
}


def name_of(function):
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"


every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)


@every_function
def test_help_shows_types_by_their_names(function):
    assert "_typing" not in str(inspect.signature(function))


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def answer(function, arguments):
    """The arrays of an answer, from copies of the arguments' generators."""
    fresh = {
        name: copy.deepcopy(value) if isinstance(value, np.random.Generator) else value
        for name, value in arguments.items()
    }
    with np.errstate(all="raise"):  # whatever a caller makes of it
        result = function(**fresh)
    if isinstance(result, gf.Weights):
        return [result.U, result.V]
    if isinstance(result, gf.Trajectory):
        return [a for a in (result.t, result.X, result.U, result.V) if a is not None]
    return list(map(np.asarray, result if isinstance(result, tuple | list) else [result]))


def bits(value):
    """The bytes of an argument or of what it holds, to see that nobody has modified it."""
    if isinstance(value, gf.Weights):
        return value.U.tobytes(), value.V.tobytes()
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def check_answer(function, arrays, shapes):
    # C of (22) is infinite where (17) has no finite constant, the time to a level that is never
    # reached as well; both say so.
    infinite = (gf.exact.spectral_constant, gf.rates.reach)
    fine = (lambda a: a == a) if function in infinite else np.isfinite
    for array, shape in zip(arrays, shapes, strict=True):
        assert array.dtype == np.float64
        assert array.shape == shape
        assert fine(array).all()


def readonly(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    big = np.full([2 * length + 1 for length in array.shape], np.nan)
    inside = big[(..., *(slice(1, None, 2) for _ in array.shape))]
    inside[...] = array
    return inside


def backwards(array):
    return array[..., ::-1].copy()[..., ::-1] if array.ndim else array


def integers(array):
    return array.astype(np.int32) if (array == np.rint(array)).all() else array


GUISES = [np.ndarray.tolist, readonly, strided, backwards, integers, np.asfortranarray]


@every_function
@fuzz(40)
@given(data=st.data())
def test_good_arguments_give_the_same_answer_in_every_guise(function, data):
    arguments, shapes = drawn(function, data.draw, MODERATE)
    disguised = {
        name: data.draw(st.sampled_from(GUISES))(value)
        if isinstance(value, np.ndarray)
        else value
        for name, value in arguments.items()
    }
    before = {name: bits(value) for name, value in disguised.items() if name != "rng"}
    try:
        expected = answer(function, arguments)
    except ERRORS.get(function, ()) as error:
        with pytest.raises(type(error)):
            answer(function, disguised)
    else:
        check_answer(function, expected, shapes)
        got = answer(function, disguised)
        assert [a.tobytes() for a in got] == [a.tobytes() for a in expected]
    assert before == {name: bits(value) for name, value in disguised.items() if name != "rng"}


def spoiled(function, name, value):
    """Bad versions of a good argument."""
    if name == "self":
        return
    if isinstance(value, np.ndarray):
        for poison in (np.nan, np.inf, -np.inf, 1e200):
            poisoned = value.copy()
            poisoned.flat[-1] = poison
            yield poisoned
        yield from (value + 0j, value > 0, value.astype(str), value.astype(object))
        yield from (np.zeros((0,) * max(value.ndim, 1)), value[None, None], [[1.0, 2.0], [3.0]])
        yield from (None, "text")
        if name in TIED and (value.ndim == 2 or value.shape > (1,)):
            yield np.concatenate([value, value])
        if name == "t":
            yield from (-1.0 - value, np.array([1.0, 0.5]))
        if name == "Y" and function in NEEDS_SYMMETRY:
            yield np.hstack([value, value])
            if len(value) > 1:
                yield value + np.triu(np.ones_like(value), 1)
        if name == "error" or (name == "sigma0" and function is gf.initial.symmetric_spectral):
            yield -1.0 - value
        if name == "G":
            yield 2 * value
    elif isinstance(value, gf.Weights):
        yield from (None, value.U, (value.U, value.V))
        if name == "weights0" and function is not gf.exact.zero_target:
            yield gf.Weights(np.vstack([value.U, value.U]), value.V)
    elif isinstance(value, np.random.Generator):
        yield from (0, "rng", np.random.RandomState(0))
    elif isinstance(value, int):
        yield from (-1, 1.5, "1", True, [1], np.nan)
        if name != "steps":
            yield 0
    elif isinstance(value, float):
        yield from (np.nan, -np.inf, 1j, "1", [1.0], None, True, np.zeros((2, 2)))
        if name == "q2":
            yield 1.0 - value
        if name in {"std", "scale", "step", "q1", "level"}:
            yield -1.0
        if name in {"step", "level"}:
            yield 0.0
    else:
        yield from ("XYZ", None, 3, [])


@every_function
@fuzz(8)
@given(data=st.data())
def test_a_bad_argument_raises_valueerror(function, data):
    arguments, _ = drawn(function, data.draw, MODERATE)
    for name, value in arguments.items():
        for bad in spoiled(function, name, value):
            before = bits(bad)
            try:
                answer(function, arguments | {name: bad})
            except ValueError as refusal:
                message = str(refusal)
            else:
                pytest.fail(f"{name} = {bad!r} was accepted")
            # Of two arguments that do not fit, either may be named.
            assert name in message or name in TIED | {"weights0"}
            assert bits(bad) == before


class Stubborn:
    """An object that becomes no array, cannot be compared, and has no text."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("call detach first")

    def __eq__(self, other):
        raise RuntimeError("neither equal nor different")

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no text")


class Frame:
    """A table with columns of different types, as a data frame may be."""

    def __array__(self, dtype=None, copy=None):
        return np.array([[1.0, 2.0]], dtype=object)


# What no argument is, whatever it stands for; each by itself, and in a list.
SCALARS = [
    "text", "2", b"2", 1j, 1 + 0j, True, np.True_, object(), Stubborn(), float, len, ...,
    {0: 1.0}, {1.0}, decimal.Decimal(2), fractions.Fraction(2), np.datetime64("2021-07-18"),
    np.timedelta64(1, "s"), np.timedelta64(2), datetime.timedelta(1), np.longdouble("1e4000"),
    10**400, -(2**70), np.nan, np.inf, -np.inf, 1e300, np.random.RandomState(0), np.ma.masked,
]  # fmt: skip


def ugly():
    """Return all of that, and what is no matrix."""
    return [
        *SCALARS,
        *([value] for value in [*SCALARS, None]),
        Frame(),
        (x for x in (0.0, 1.0)),
        [[1.0, 2.0], [3.0]],
        np.zeros(2, [("a", float), ("b", float)]),
        np.ma.array([[1.0, 2.0]], mask=[[False, True]]),
        np.zeros((0, 3)),
    ]


ONE = gf.Weights(np.ones((2, 4)), np.ones((3, 4)))
TARGET = np.arange(6.0).reshape(2, 3)
OTHERS = {
    gf.flow.solve_many: {"Y": TARGET, "weights0": [ONE], "t": 1.0},
    gf.descent.run_many: {"Y": TARGET, "starts": [ONE], "step": 0.01, "steps": 1},
    gf.exact.solvable: {"Y": TARGET, "weights0": ONE},
    gf.state.blocks: {"M": np.eye(5), "m": 2},
    gf.state.laws: {"weights": ONE},
    gf.state.relative_error: {"X": TARGET, "Y": TARGET},
    gf.Trajectory: {"t": 1.0, "X": ONE.X, "U": ONE.U, "V": ONE.V, "Q0": ONE.Q},
}


@pytest.mark.parametrize(
    "function",
    [f for f in [*FUNCTIONS, *OTHERS] if f not in (distances, properties)],
    ids=name_of,
)
@fuzz(1)
@given(data=st.data())
def test_what_no_argument_is_is_refused_by_name(function, data):
    arguments = OTHERS.get(function) or drawn(function, data.draw, MODERATE)[0]
    names = inspect.signature(function).parameters.keys() - {"self"}
    for name, bad in ((name, bad) for name in sorted(names) for bad in ugly()):
        if name == "progress" and callable(bad):
            continue
        if name == "starts" and isinstance(bad, np.ndarray) and bad.shape[:1] == (0,):
            continue  # no start, no path
        if function is gf.Trajectory and isinstance(bad, float):
            continue  # which is what is left of a path that fails
        try:
            with np.errstate(all="raise"):
                function(**arguments | {name: bad})
        except ValueError as refusal:
            kind, message = type(refusal), str(refusal)
        else:
            pytest.fail(f"{name}: {type(bad)} was accepted")
        assert kind is ValueError, (name, message)
        assert name in message


@pytest.mark.parametrize(
    "function", [f for f in FUNCTIONS if f.__module__ != "gfcore.flow"], ids=name_of
)
@fuzz(60)
@given(data=st.data())
def test_numbers_of_any_size_give_a_finite_answer_or_the_documented_error(function, data):
    # Not the integrator: how long a stiff problem takes is not bounded.
    arguments, shapes = drawn(function, data.draw, WILD)
    try:
        arrays = answer(function, arguments)
    except (ValueError, ERRORS.get(function, ValueError)):
        return
    check_answer(function, arrays, shapes)
