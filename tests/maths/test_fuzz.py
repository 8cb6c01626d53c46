"""Every public function, given every guise of good input, and every kind of bad input.

Three promises: a good argument may come as a list, an integer, a read-only or a strided array
and the answer is the same to the last bit; a bad one raises ValueError and nothing else; and
whatever the size of the numbers, the answer is finite or the documented error, without a
warning and where NumPy is told to raise at every one of them. Arguments are never modified.
"""

import copy
import inspect

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

    def __init__(self, draw, entries):
        self.draw, self.entries = draw, entries

    def sizes(self, count):
        return [self.draw(SIZES) for _ in range(count)]

    def array(self, *shape):
        return self.draw(hnp.arrays(np.float64, shape, elements=self.entries))

    def symmetric(self, m):
        half = self.array(m, m)
        return np.tril(half) + np.tril(half, -1).T

    def positive(self, shape=()):
        return np.abs(self.array(*shape))

    def number(self):
        return float(self.draw(self.entries))

    def weights(self, m, n, k):
        return gf.Weights(self.array(m, k), self.array(n, k))

    def times(self):
        count = self.draw(st.integers(0, 4))
        return np.asarray(np.sort(self.positive((count,))) if count else self.positive())

    def rng(self):
        return np.random.default_rng(self.draw(st.integers(0, 9)))


def weights_shapes(m, n, k):
    return [(m, k), (n, k)]


def path_shapes(times, m, n, *widths):
    return [times, (*times, m, n), *((*times, rows, k) for k in widths for rows in (m, n))]


def linear(d):
    m, n = d.sizes(2)
    t = d.times()
    return {"Y": d.array(m, n), "X0": d.array(m, n), "t": t}, [(*t.shape, m, n)]


def riccati(d):
    (m,) = d.sizes(1)
    t = d.times()
    return {"Y": d.symmetric(m), "X0": d.symmetric(m), "t": t}, [(*t.shape, m, m)]


def symmetric(d):
    m, k = d.sizes(2)
    t = d.times()
    return {"Y": d.symmetric(m), "U0": d.array(m, k), "t": t}, [(*t.shape, m, m)]


def symmetric_modes(d):
    (m,) = d.sizes(1)
    t = d.times()
    return {"sigma": d.array(m), "sigma0": d.positive((m,)), "t": t}, [(*t.shape, m)]


def spectral_constant(d):
    (m,) = d.sizes(1)
    return {"sigma": d.positive((m,)), "lam": d.array(m), "x0": d.array(m)}, [(m,)]


def spectral_modes(d):
    (m,) = d.sizes(1)
    t = d.times()
    arguments = {"sigma": d.positive((m,)), "lam": d.array(m), "x0": d.array(m), "t": t}
    return arguments, [(*t.shape, m)]


def spectral(d):
    m, n, k = d.sizes(3)
    t, Y = d.times(), d.array(m, n)
    size = min(m, n, k)
    start = gf.initial.spectral(Y, d.array(size), d.array(size), k)
    return {"Y": Y, "weights0": start, "t": t}, [(*t.shape, m, n)]


def identity_imbalance(d):
    m, n, k = d.sizes(3)
    t = d.times()
    arguments = {"Y": d.array(m, n), "weights0": d.weights(m, n, k), "lam": d.number(), "t": t}
    return arguments, [(*t.shape, m + n, m + n)]


def identity_product(d):
    arguments, _ = identity_imbalance(d)
    return arguments, path_shapes(arguments["t"].shape, *arguments["Y"].shape)


def two_imbalances(d):
    m, n, k = d.sizes(3)
    t, q1, q2 = d.times(), abs(d.number()), -abs(d.number())
    arguments = {"Y": d.array(m, n), "weights0": d.weights(m, n, k), "q1": q1, "q2": q2}
    return arguments | {"t": t}, [(*t.shape, m + n, m + n)]


def direct_sum(d):
    """A spectral start in the standard basis, so that its parts are exact."""
    m, n = d.sizes(2)
    r, t = min(m, n), d.times()
    Y, U, V = np.zeros((m, n)), np.zeros((m, r)), np.zeros((n, r))
    for A in (Y, U, V):
        A[range(r), range(r)] = d.array(r)
    return {"Y": Y, "weights0": gf.Weights(U, V), "t": t}, [(*t.shape, m + n, m + n)]


def zero_target(d):
    m, n, k = d.sizes(3)
    t = d.times()
    return {"weights0": d.weights(m, n, k), "t": t}, [(*t.shape, k, k)]


def distances(Y, weights0):
    found = gf.exact.solvable(Y, weights0)
    return [np.minimum(list(found.distances.values()), 9), found.distance]


def solvable(d):
    m, n, k = d.sizes(3)
    return {"Y": d.array(m, n), "weights0": d.weights(m, n, k)}, [(5,), ()]


def solve(d):
    m, n, k = d.sizes(3)
    t = d.times()
    arguments = {"Y": d.array(m, n), "weights0": d.weights(m, n, k), "t": t}
    return arguments, path_shapes(t.shape, m, n, min(k, m + n))


def solve_regularized(d):
    m, n, k = d.sizes(3)
    t = d.times()
    arguments = {"Y": d.array(m, n), "weights0": d.weights(m, n, k), "Q0": d.symmetric(k)}
    return arguments | {"t": t}, path_shapes(t.shape, m, n, k)


def run(d):
    m, n, k = d.sizes(3)
    steps, every = d.draw(st.integers(0, 9)), d.draw(st.integers(1, 4))
    arguments = {"Y": d.array(m, n), "weights0": d.weights(m, n, k), "step": 0.01}
    shapes = path_shapes((1 + steps // every,), m, n, min(k, m + n))
    return arguments | {"steps": steps, "every": every}, shapes


def run_linear(d):
    m, n = d.sizes(2)
    steps, every = d.draw(st.integers(0, 9)), d.draw(st.integers(1, 4))
    arguments = {"Y": d.array(m, n), "X0": d.array(m, n), "step": 0.01}
    shapes = path_shapes((1 + steps // every,), m, n)
    return arguments | {"steps": steps, "every": every}, shapes


def run_symmetric(d):
    m, k = d.sizes(2)
    steps, every = d.draw(st.integers(0, 9)), d.draw(st.integers(1, 4))
    arguments = {"Y": d.symmetric(m), "U0": d.array(m, k), "step": 0.01}
    shapes = path_shapes((1 + steps // every,), m, m, min(k, m))
    return arguments | {"steps": steps, "every": every}, shapes


def gaussian(d):
    m, n, k = d.sizes(3)
    arguments = {"m": m, "n": n, "k": k, "std": abs(d.number()), "rng": d.rng()}
    return arguments, weights_shapes(m, n, k)


def orthogonal(d):
    m, n, k = d.sizes(3)
    arguments = {"m": m, "n": n, "k": m + n + k, "q1": abs(d.number()), "q2": -abs(d.number())}
    return arguments | {"rng": d.rng()}, weights_shapes(m, n, m + n + k)


def balanced(d):
    m, n, k = d.sizes(3)
    arguments = {"m": m, "n": n, "k": k, "scale": abs(d.number()), "rng": d.rng()}
    return arguments, weights_shapes(m, n, k)


def initial_spectral(d):
    m, n, k = d.sizes(3)
    arguments = {"Y": d.array(m, n), "u": d.array(min(m, k)), "v": d.array(min(n, k))}
    return arguments | {"k": k, "rng": d.rng()}, weights_shapes(m, n, k)


def symmetric_spectral(d):
    (m,) = d.sizes(1)
    return {"Y": d.symmetric(m), "sigma0": d.positive((m,))}, [(m, m)]


def imbalanced(d):
    m, n, k = d.sizes(3)
    k, lam = min(k, m, n), d.number()
    arguments = {"m": m, "n": n, "k": k, "lam": lam, "scale": abs(d.number()), "rng": d.rng()}
    return arguments, weights_shapes(m, n, k)


def one_symmetric(d):
    return {"Y": d.symmetric(*d.sizes(1))}, [()]


def all_symmetric(d):
    (m,) = d.sizes(1)
    return {"Y": d.symmetric(m)}, [(m, m)]


def rates_spectral(d):
    (m,) = d.sizes(1)
    return {"sigma": d.array(m), "lam": d.array(m)}, [(m,)]


def rates_identity(d):
    arguments = {"Y": d.array(*d.sizes(2)), "lam": d.number()}
    return arguments | {"of": d.draw(st.sampled_from(["RRT", "X", "UUT", "VVT"]))}, [()]


def asymptotic(d):
    return {"weights": d.weights(*d.sizes(3))}, [()]


def tangent_kernel(d):
    m, n, k = d.sizes(3)
    return {"weights": d.weights(m, n, k)}, [(m * n, m * n)]


def a_priori(d):
    m, n, k = d.sizes(3)
    return {"Y": d.array(m, n), "weights0": d.weights(m, n, k)}, [()]


def reach(d):
    count = d.draw(st.integers(1, 4))
    level = abs(d.number()) or 1.0
    t, error = np.sort(d.positive((count,))), d.positive((count,))
    return {"t": t, "error": error, "level": level}, [()]


def measured(d):
    t = np.cumsum(0.1 + d.positive((d.draw(st.integers(9, 40)),)))
    rate, size = d.positive((2,)), d.positive((2,))
    with np.errstate(over="ignore", under="ignore"):
        error = np.exp(-np.outer(t, rate)) @ size
    # Wild sizes can overflow here; what cannot be an argument is not one.
    return {"t": np.minimum(t, 1e75), "error": np.minimum(error, 1e75)}, [(), ()]


def weights(d):
    m, n, k = d.sizes(3)
    return {"U": d.array(m, k), "V": d.array(n, k)}, weights_shapes(m, n, k)


def properties(U, V):
    w = gf.Weights(U, V)
    return [w.X, w.Q, w.R, w.compress().R]


def weights_properties(d):
    arguments, ((m, k), (n, _)) = weights(d)
    return arguments, [(m, n), (k, k), (m + n, k), (m + n, min(k, m + n))]


def rotate(d):
    m, n, k = d.sizes(3)
    turn = np.eye(k)[d.draw(st.permutations(range(k)))]
    return {"self": d.weights(m, n, k), "G": turn}, weights_shapes(m, n, k)


def error(d):
    count, m, n = d.sizes(3)
    path = gf.Trajectory(np.arange(float(count)), d.array(count, m, n))
    return {"self": path, "Y": 1 + d.positive((m, n))}, [(count,)]


CASES = {
    gf.exact.linear: linear,
    gf.exact.riccati: riccati,
    gf.exact.symmetric: symmetric,
    gf.exact.symmetric_modes: symmetric_modes,
    gf.exact.spectral_constant: spectral_constant,
    gf.exact.spectral_modes: spectral_modes,
    gf.exact.spectral: spectral,
    gf.exact.identity_imbalance: identity_imbalance,
    gf.exact.identity_product: identity_product,
    gf.exact.two_imbalances: two_imbalances,
    gf.exact.direct_sum: direct_sum,
    gf.exact.zero_target: zero_target,
    distances: solvable,
    gf.flow.solve: solve,
    gf.flow.solve_regularized: solve_regularized,
    gf.descent.run: run,
    gf.descent.run_linear: run_linear,
    gf.descent.run_symmetric: run_symmetric,
    gf.initial.gaussian: gaussian,
    gf.initial.orthogonal: orthogonal,
    gf.initial.balanced: balanced,
    gf.initial.spectral: initial_spectral,
    gf.initial.symmetric_spectral: symmetric_spectral,
    gf.initial.imbalanced: imbalanced,
    gf.rates.symmetric: one_symmetric,
    gf.rates.symmetric_modes: all_symmetric,
    gf.rates.spectral: rates_spectral,
    gf.rates.identity_imbalance: rates_identity,
    gf.rates.asymptotic: asymptotic,
    gf.rates.tangent_kernel: tangent_kernel,
    gf.rates.a_priori: a_priori,
    gf.rates.measured: measured,
    gf.rates.reach: reach,
    gf.Weights: weights,
    properties: weights_properties,
    gf.Weights.rotate: rotate,
    gf.Trajectory.error: error,
}

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


every_function = pytest.mark.parametrize("function", CASES, ids=name_of)


def test_no_public_function_is_left_out():
    # run and solve are run_many and solve_many with one start; solvable is seen by distances.
    fuzzed = {*CASES, gf.descent.run_many, gf.flow.solve_many, gf.exact.solvable}
    for module in (gf.exact, gf.flow, gf.descent, gf.initial, gf.rates):
        for name, member in vars(module).items():
            if inspect.isfunction(member) and member.__module__.startswith(module.__name__):
                assert name.startswith("_") or member in fuzzed, name


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
    arguments, shapes = CASES[function](Draw(data.draw, MODERATE))
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
    arguments, _ = CASES[function](Draw(data.draw, MODERATE))
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


@pytest.mark.parametrize(
    "function", [f for f in CASES if f.__module__ != "gfcore.flow"], ids=name_of
)
@fuzz(60)
@given(data=st.data())
def test_numbers_of_any_size_give_a_finite_answer_or_the_documented_error(function, data):
    # Not the integrator: how long a stiff problem takes is not bounded.
    arguments, shapes = CASES[function](Draw(data.draw, WILD))
    try:
        arrays = answer(function, arguments)
    except (ValueError, ERRORS.get(function, ValueError)):
        return
    check_answer(function, arrays, shapes)
