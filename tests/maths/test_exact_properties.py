"""Properties of the exact solutions for whatever arguments Hypothesis finds."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gfcore as gf
from gfcore import exact
from gfcore.exact import FiniteEscapeError

few = settings(max_examples=60)

ordinary = st.floats(-100, 100).map(lambda x: round(x, 6))
extreme = st.one_of(
    ordinary, st.floats(-1e75, 1e75), st.sampled_from([0.0, 5e-324, 1e75, -1e75])
)


def matrices(m, n, elements=ordinary):
    return arrays(np.float64, (m, n), elements=elements)


def symmetric_matrices(m, elements=ordinary):
    return matrices(m, m, elements).map(lambda A: np.triu(A) + np.triu(A, 1).T)


@st.composite
def problems(draw, elements=ordinary):
    m, n, k = (draw(st.integers(1, 4)) for _ in range(3))
    t = np.sort(draw(arrays(np.float64, draw(st.integers(1, 3)), elements=elements.map(abs))))
    return {
        "S": draw(symmetric_matrices(m, elements)),
        "X0": draw(symmetric_matrices(m, elements)),
        "Y": draw(matrices(m, n, elements)),
        "U": draw(matrices(m, k, elements)),
        "V": draw(matrices(n, k, elements)),
        "lam": draw(elements),
        "sigma": draw(arrays(np.float64, m, elements=elements)),
        "t": t,
    }


def calls(p):
    """Every public function, on the arguments of a problem."""
    s, x, u = p["sigma"], p["S"][0], p["U"][:, 0]
    return {
        "linear": lambda: exact.linear(p["Y"], p["Y"][::-1], p["t"]),
        "symmetric": lambda: exact.symmetric(p["S"], p["U"], p["t"]),
        "riccati": lambda: exact.riccati(p["S"], p["X0"], p["t"]),
        "symmetric_modes": lambda: exact.symmetric_modes(s, x, p["t"]),
        "spectral_modes": lambda: exact.spectral_modes(s, u, x, p["t"]),
        "spectral_constant": lambda: exact.spectral_constant(s, u, x),
        "spectral": lambda: exact.spectral(p["Y"], gf.Weights(p["U"], p["V"]), p["t"]),
        "identity_imbalance": lambda: exact.identity_imbalance(
            p["Y"], gf.Weights(p["U"], p["V"]), p["lam"], p["t"]
        ),
    }


@given(problems(extreme))
def test_any_numbers_give_numbers_or_the_documented_error(p):
    before = {name: np.copy(a) for name, a in p.items()}
    for name, call in calls(p).items():
        try:
            result = call()
        except (FiniteEscapeError, ValueError) as error:
            documented = {
                "riccati": 0 < getattr(error, "time", 0) <= p["t"].max() * (1 + 1e-11),
                "symmetric_modes": 0 < getattr(error, "time", 0) <= p["t"].max() * (1 + 1e-11),
                "spectral": str(error).startswith("weights0 must be a spectral"),
            }
            if not documented.get(name):
                raise
        else:
            assert name == "spectral_constant" or np.isfinite(result).all()
            assert not np.isnan(result).any()
    assert all(np.array_equal(before[name], a) for name, a in p.items())


@few
@given(problems())
def test_layout_and_type_of_arrays_do_not_matter(p):
    whole = {name: np.round(a) for name, a in p.items()}
    whole["X0"] = whole["X0"] @ whole["X0"]
    whole["S"][0] = whole["S"][:, 0] = np.abs(whole["S"][0])
    expected = {}
    for name, call in calls(whole).items():
        try:
            expected[name] = call()
        except (ValueError, FiniteEscapeError) as error:
            expected[name] = str(error)
    read_only = {name: np.array(a) for name, a in whole.items()}
    for a in read_only.values():
        a.setflags(write=False)
    others = (
        {name: np.asarray(a).astype(int) for name, a in whole.items()},
        {name: np.array(a, order="F") for name, a in whole.items()},
        {name: np.repeat(a, 2, -1)[..., ::2] if np.ndim(a) else a for name, a in whole.items()},
        read_only,
    )
    for other in others:
        for name, call in calls(other).items():
            if isinstance(expected[name], str):
                with pytest.raises((ValueError, FiniteEscapeError)):
                    call()
            else:
                size = np.abs(expected[name]).max(initial=0, where=np.isfinite(expected[name]))
                assert np.allclose(call(), expected[name], rtol=1e-9, atol=1e-9 * size)


GOOD = {
    "S": np.eye(2),
    "Y": np.ones((2, 3)),
    "U": np.ones((2, 2)),
    "X0": np.eye(2),
    "v": np.ones(2),
    "t": 1.0,
}
BAD = {
    "S": [np.array([[0.0, 1.0], [2.0, 0.0]]), np.ones((2, 3)), np.ones(2)],
    "Y": [np.ones(3), np.ones((2, 3, 1))],
    "U": [np.ones((3, 2)), np.ones(2)],
    "X0": [np.eye(3), np.array([[0.0, 1.0], [2.0, 0.0]])],
    "v": [np.ones(3), np.ones((2, 1))],
    "t": [-1.0, [1.0, 0.5], np.ones((2, 2))],
}
ALWAYS_BAD = [np.nan, np.inf, 1j, "x", None]


def bad(kind):
    broken = [np.full(np.shape(GOOD[kind]), a) for a in ALWAYS_BAD]
    return [*BAD[kind], *broken, np.empty((0,) * np.ndim(GOOD[kind]) or (0,))]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (exact.linear, {"Y": "Y", "X0": "Y", "t": "t"}),
        (exact.symmetric, {"Y": "S", "U0": "U", "t": "t"}),
        (exact.riccati, {"Y": "S", "X0": "X0", "t": "t"}),
        (exact.symmetric_modes, {"sigma": "v", "sigma0": "v", "t": "t"}),
        (exact.spectral_constant, {"sigma": "v", "lam": "v", "x0": "v"}),
        (exact.spectral_modes, {"sigma": "v", "lam": "v", "x0": "v", "t": "t"}),
    ],
)
def test_bad_arguments_are_named(function, arguments):
    good = {name: GOOD[kind] for name, kind in arguments.items()}
    function(**good)
    for name, kind in arguments.items():
        for value in bad(kind):
            with pytest.raises(ValueError, match=r"must|has entries") as raised:
                function(**good | {name: value})
            # A wrong shape may be laid to either of two arguments that disagree.
            assert any(str(raised.value).startswith(a) for a in arguments)
            if np.shape(value) == np.shape(GOOD[kind]):
                assert str(raised.value).startswith(name)


@pytest.mark.parametrize("function", [exact.spectral, exact.identity_imbalance])
def test_bad_two_layer_arguments_are_named(function):
    start = gf.Weights(np.eye(2), np.eye(3, 2))
    rest = {"lam": 0.0} if function is exact.identity_imbalance else {}
    good = {"Y": np.eye(2, 3), "weights0": start, "t": 1.0} | rest
    function(**good)
    for name, value in (
        ("Y", np.eye(3, 2)),
        ("Y", np.full((2, 3), np.nan)),
        ("Y", np.ones(3)),
        ("weights0", np.eye(2)),
        ("weights0", gf.Weights(np.eye(3), np.eye(3))),
        ("t", -1.0),
        ("t", np.inf),
        *(("lam", a) for a in (np.nan, 1j, np.ones(2)) if rest),
    ):
        with pytest.raises(ValueError, match=r"must|has entries"):
            function(**good | {name: value})


@given(symmetric_matrices(3), matrices(3, 2), st.floats(0, 3), st.floats(0, 3))
def test_semigroup(Y, U0, s, t):
    Y, U0 = Y / 50, U0 / 50
    twice = exact.riccati(Y, exact.symmetric(Y, U0, s), t)
    once = exact.symmetric(Y, U0, s + t)
    # The middle state is rounded: what is below its rounding may have grown by e^(4t|w|).
    growth = np.exp(4 * t * max(0, np.linalg.eigvalsh(Y)[-1]))
    assert np.linalg.norm(twice - once) <= 1e-13 * growth * (1 + np.linalg.norm(once))


@given(symmetric_matrices(3), matrices(3, 2), st.floats(0, 1e6), st.integers(-40, 40))
def test_units_of_time_do_not_matter(Y, U0, t, power):
    c = 2.0**power
    X = exact.symmetric(Y, U0, t)
    scaled = exact.symmetric(c * Y, 2.0 ** (power / 2) * U0, t / c)
    if power % 2 == 0:  # every product is exact
        assert np.linalg.norm(scaled - c * X) <= 1e-13 * c * np.linalg.norm(X)


@given(symmetric_matrices(3), symmetric_matrices(3), matrices(3, 1), st.floats(0, 3))
def test_order_is_kept(Y, X0, v, t):
    Y, X0, v = Y / 10, X0 / 10, v / 10
    try:
        low = exact.riccati(Y, X0, t)
    except FiniteEscapeError:
        assume(False)
    high = exact.riccati(Y, X0 + v @ v.T, t)
    # A start on the edge of escape is held there only to rounding, times e^(4t|w|).
    allowed = 1e-12 * np.exp(4 * t * np.linalg.norm(Y, 2)) * (1 + np.linalg.norm(low))
    assert np.linalg.eigvalsh(high - low).min() >= -allowed


@given(
    st.floats(0, 1e4),
    st.sampled_from([0.0, 1e-12, -1e-6, 0.1, -3.0, 1e4]),
    st.floats(-1e4, 1e4),
    st.lists(st.floats(0, 1e6), min_size=2, max_size=5).map(sorted),
)
def test_modes_go_from_start_to_target_without_turning(sigma, lam, x0, t):
    x = exact.spectral_modes(sigma, lam, x0, [0.0, *t])
    assert np.isclose(x[0], x0, rtol=1e-15, atol=1e-300)
    way = np.sign(sigma - x0) * np.diff(x)
    assert (way >= -1e-14 * np.abs(x[1:]) - 1e-300).all()
    assert (np.sign(sigma - x0) * (sigma - x) >= -1e-14 * sigma - 1e-300).all()
