"""The exact solutions against data/reference, against integration and against each other."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import gfcore as gf
from gfbook.independent import precise
from gfcore import exact
from gfcore.exact import FiniteEscapeError

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "data" / "reference"


def cases(kind):
    stored = json.loads((REFERENCE / f"{kind}.json").read_text())
    return [pytest.param(case, id=case["name"]) for case in stored]


def values(case):
    return np.array([[[float(x) for x in row] for row in X] for X in case["X"]])


def assert_right(got, case):
    """1e-12 relative, or ten times the floor; below 1e-290 numbers run out of digits."""
    expected = values(case)
    error = np.linalg.norm(got.reshape(expected.shape) - expected, axis=(1, 2))
    allowed = np.maximum(1e-12, 10 * np.array(case["floor"]))
    bound = allowed * np.linalg.norm(expected, axis=(1, 2)) + 1e-290
    late = np.flatnonzero(~(error <= bound))
    assert late.size == 0, [(case["t"][i], error[i], bound[i]) for i in late]


def test_reference_is_current():
    command = [sys.executable, "data/reference.py", "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("case", cases("symmetric"))
def test_symmetric(case):
    assert_right(exact.symmetric(case["Y"], case["U0"], case["t"]), case)


@pytest.mark.parametrize("case", cases("riccati"))
def test_riccati(case):
    assert_right(exact.riccati(case["Y"], case["X0"], case["t"]), case)
    if "escape" not in case:
        assert np.isfinite(exact.riccati(case["Y"], case["X0"], 1e6)).all()
        return
    # The escape itself is known no better than its floor.
    time, floor = float(case["escape"]), 10 * case["escape_floor"]
    for t in ((1 + floor) * time, 1.001 * time, [0.5 * time, 1e6 * time]):
        with pytest.raises(FiniteEscapeError) as raised:
            exact.riccati(case["Y"], case["X0"], t)
        assert abs(raised.value.time / time - 1) <= max(1e-10, floor)


@pytest.mark.parametrize("case", cases("identity_imbalance"))
def test_identity_imbalance(case):
    start = gf.Weights(case["U"], case["V"])
    assert_right(exact.identity_imbalance(case["Y"], start, case["lam"], case["t"]), case)


@pytest.mark.parametrize("case", cases("spectral"))
def test_spectral(case):
    start = gf.Weights(case["U"], case["V"])
    assert_right(exact.spectral(case["Y"], start, case["t"]), case)


@pytest.mark.parametrize("case", cases("modes"))
def test_modes(case):
    if "lam" in case:
        got = exact.spectral_modes(case["sigma"], case["lam"], case["x0"], case["t"])
    else:
        got = exact.symmetric_modes(case["sigma"], case["x0"], case["t"])
    assert_right(got, case)


# The references have teeth: the formulas as printed do not pass.


def named(kind, name):
    (case,) = (p.values[0] for p in cases(kind) if p.id == name)
    return case


FULL = "4, general, dense, 3"


def at(case, t):
    i = case["t"].index(t)
    return case | {name: [case[name][i]] for name in ("t", "X", "floor")}


def literal_8(case, t):
    U0 = np.array(case["U0"])
    return gf.paper.eq_8(np.array(case["Y"]), U0 @ U0.T, t)


def literal_30(case, t):
    R0 = np.vstack([case["U"], case["V"]])
    return gf.paper.eq_30(np.array(case["Y"]), R0, case["lam"], t)


@pytest.mark.parametrize(
    ("literal", "kind", "name"),
    [
        (literal_8, "symmetric", FULL),
        (literal_30, "identity_imbalance", "3x3, general, lam -0.5, k 7, scale 1"),
    ],
)
def test_literal_formulas_fail_the_reference(literal, kind, name):
    case = named(kind, name)
    assert_right(literal(case, 0.1), at(case, 0.1))
    with np.errstate(all="ignore"), pytest.raises((AssertionError, np.linalg.LinAlgError)):
        assert_right(literal(case, 10.0), at(case, 10.0))


@pytest.mark.parametrize("seed", range(4))
def test_reference_agrees_with_8_as_printed(seed):
    rng = np.random.default_rng(seed)
    dense = [p for p in cases("symmetric") if "dense" in p.id and "large" not in p.id]
    case = rng.choice([p.values[0] for p in dense])  # "large" needs a million digits
    with mp.workdps(300):
        Y, U0 = (np.vectorize(mp.mpf)(case[name]) for name in ("Y", "U0"))
        for t in (0.1, 1.0, 10.0):
            X = gf.paper.eq_8(Y, U0 @ U0.T, t, precise(mp.expm), precise(mp.inverse))
            X = mp.matrix(X)
            stored = mp.matrix(at(case, t)["X"][0])
            assert mp.norm(X - stored) <= mp.mpf(10) ** -20 * mp.norm(X)


def test_a_wrong_eleventh_digit_fails_the_reference():
    case = named("symmetric", FULL)
    got = exact.symmetric(case["Y"], case["U0"], case["t"])
    with pytest.raises(AssertionError):
        assert_right(got * (1 + 1e-11), case)


@pytest.mark.parametrize("lam", [1e-6, 1e-9, 1e-12])
def test_spectral_constant_where_literal_22_fails(lam):
    with mp.workdps(60):
        C = float(literal_22_mp(1.0, lam, 0.1))
    assert abs(exact.spectral_constant(1.0, lam, 0.1) / C - 1) < 4e-16
    assert abs(gf.paper.eq_22(1.0, lam, 0.1) / C - 1) > 1e-6


def literal_22_mp(sigma, lam, x0):
    return gf.paper.eq_22(mp.mpf(sigma), mp.mpf(lam), mp.mpf(x0), mp.sqrt)


def test_spectral_constant():
    rng = np.random.default_rng(0)
    for _ in range(300):
        sigma, lam, x0 = rng.choice([-1, 1], 3) * 10.0 ** rng.uniform(-8, 4, 3)
        with mp.workdps(120):
            C = float(literal_22_mp(sigma, lam, x0))
        got = exact.spectral_constant(sigma, lam, x0)
        # sigma x0 + lam^2/4 has its own rounding; elsewhere nothing cancels.
        condition = 1 / max(abs(sigma * x0 + lam**2 / 4) / (abs(sigma * x0) + lam**2 / 4), 1e-3)
        assert abs(got / C - 1) < 2e-15 * condition
        assert np.sign(got) == np.sign(sigma - x0)


def test_spectral_constant_at_its_limits():
    sigma, x0 = np.array([1.0, 1.0, 1.0, 0.0, 2.0]), np.array([0.1, -0.1, 1.0, 1.0, 0.0])
    got = exact.spectral_constant(sigma, np.zeros(5), x0)
    assert np.array_equal(got, [1.125, np.inf, 0.0, -np.inf, np.inf])


def test_spectral_constant_of_modes_whose_products_underflow():
    sizes = [0.0, 1e-300, 1e-160, 1e-12, 1.0, 1e8]
    for sigma, lam, x0 in itertools.product(sizes, sizes, [*sizes, *(-x for x in sizes)]):
        got = exact.spectral_constant(sigma, lam, x0)
        if sigma == x0 or (lam == 0 and sigma * x0 <= 0 and min(sigma, abs(x0)) == 0):
            assert got == 0 if sigma == x0 else np.isinf(got)
        elif lam == 0 and x0 < 0:
            assert np.isinf(got)
        else:
            with mp.workdps(700):
                s, x = mp.mpf(sigma), mp.mpf(x0)
                C = literal_22_mp(sigma, lam, x0) if lam else (s - x) / (8 * s * x)
                if 1e-300 < abs(C) < 1e300:
                    assert abs(got / C - 1) < 1e-14, (sigma, lam, x0)


# Each solves its differential equation.


def integrated(f, start, t):
    run = solve_ivp(
        lambda _, x: f(x.reshape(start.shape)).ravel(),
        (0, t[-1]),
        start.ravel(),
        "DOP853",
        t,
        rtol=1e-12,
        atol=1e-13,
    )
    return run.y.T.reshape(len(t), *start.shape)


def test_riccati_solves_5():
    rng = np.random.default_rng(1)
    t = np.linspace(0, 0.03, 5)
    for _ in range(5):
        Y, X0 = (A + A.T for A in rng.standard_normal((2, 4, 4)))
        path = integrated(lambda X, Y=Y: gf.paper.eq_5(Y, X), X0, t)
        assert np.allclose(exact.riccati(Y, X0, t), path, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("lam", [-1.5, 0.0, 0.7])
@pytest.mark.parametrize(("m", "n"), [(2, 3), (3, 3), (4, 1)])
def test_identity_imbalance_solves_26(m, n, lam):
    rng = np.random.default_rng(m)
    Y, start = rng.standard_normal((m, n)), gf.initial.gaussian(m, n, 3, 1.0, rng)

    def flow(R):
        return np.vstack(gf.paper.eq_26(Y, R[:m], R[m:], lam * np.eye(3)))

    t = np.array([0.0, 0.3, 1.0, 2.5])
    R = integrated(flow, start.R, t)
    assert np.allclose(exact.identity_imbalance(Y, start, lam, t), R @ R.mT, atol=1e-9)


def test_spectral_solves_12():
    rng = np.random.default_rng(3)
    Y = rng.standard_normal((3, 4))
    start = gf.initial.spectral(
        Y, np.array([1.0, -0.5, 0.2]), np.array([0.3, 0.4, 2.0]), rng=rng
    )

    def flow(R):
        return np.vstack(gf.paper.eq_12(Y, R[:3], R[3:]))

    t = np.array([0.0, 0.2, 1.0, 2.0])
    R = integrated(flow, start.R, t)
    assert np.allclose(exact.spectral(Y, start, t), R[:, :3] @ R[:, 3:].mT, atol=1e-10)


def test_linear():
    t = np.array([0.0, 1e-8, 1.0, 1e6])
    with mp.workdps(50):
        expected = [float(3 + (mp.mpf("0.25") - 3) * mp.exp(-mp.mpf(float(a)))) for a in t]
    got = exact.linear([[3.0]], [[0.25]], t)
    assert np.allclose(got[:, 0, 0], expected, rtol=4e-16, atol=0)
    assert got.shape == (4, 1, 1)
    assert exact.linear(np.ones((2, 3)), np.zeros((2, 3)), 0.5).shape == (2, 3)


# Existence: E1, and the theorem that X(t) is global exactly when X0 >= Y_-.


def test_nothing_is_returned_past_an_escape_although_8_has_values():
    assert np.isclose(gf.paper.eq_8(np.eye(1), -np.eye(1), 1.0)[0, 0], 1.0380, atol=1e-4)
    for t in (np.log(2) / 4, 0.2, 1.0, [0.0, 0.1, 0.5]):
        with pytest.raises(FiniteEscapeError) as raised:
            exact.riccati([[1.0]], [[-1.0]], t)
        assert abs(raised.value.time / (np.log(2) / 4) - 1) < 1e-14
    assert exact.riccati([[1.0]], [[-1.0]], np.log(2) / 4 * (1 - 1e-9)) < -1e8


@pytest.mark.parametrize("seed", range(20))
def test_riccati_is_global_exactly_above_the_negative_part(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 6))
    P = np.linalg.qr(rng.standard_normal((m, m))).Q
    w = rng.standard_normal(m) * 10.0 ** rng.uniform(-3, 2)
    v, A = rng.standard_normal(m), rng.standard_normal((m, m))
    Y, negative = ((P * d) @ P.T for d in (w, np.minimum(w, 0)))
    N = A @ A.T + 1e-3 * np.eye(m)
    v /= np.sqrt(v @ N @ v)
    touching = N - np.outer(N @ v, N @ v)  # positive semidefinite, singular
    for shift, exists in ((1e-6, True), (-1e-6, False)):
        X0 = negative + touching + shift * np.eye(m)
        if exists:
            X = exact.riccati(Y, X0, [0.0, 1.0, 1e6])
            assert np.linalg.eigvalsh(X - negative).min() > -1e-10 * np.linalg.norm(Y)
        else:
            with pytest.raises(FiniteEscapeError):
                exact.riccati(Y, X0, 1e12)


def test_riccati_stays_at_its_fixed_points():
    rng = np.random.default_rng(5)
    P = np.linalg.qr(rng.standard_normal((5, 5))).Q
    w = np.array([-2.0, -2.0, 0.0, 1.0, 3.0])
    for kept in ([0, 1, 2, 3, 4], [0, 1], [0, 3], [4], []):
        X0 = (P[:, kept] * w[kept]) @ P[:, kept].T
        X = exact.riccati((P * w) @ P.T, X0, [0.0, 1.0, 5.0])
        assert np.abs(X - X0).max() < 1e-6  # unstable: e^(4t|w|) times the rounding of X0
    Y = (P * w) @ P.T
    assert np.abs(exact.riccati(Y, Y, [0.0, 1.0, 1e6]) - Y).max() < 1e-14


def test_symmetric_modes_escape_times():
    rng = np.random.default_rng(7)
    sigma = np.concatenate([[0.0, 1e-9, -1e-9], rng.standard_normal(40)])
    x0 = np.minimum(sigma, 0) - 10.0 ** rng.uniform(-9, 4, 43)
    for s, x in zip(sigma, x0, strict=True):
        with mp.workdps(50):
            a, b = mp.mpf(float(s)), mp.mpf(float(x))
            time = float(mp.log1p(-a / b) / (4 * a) if a else -1 / (4 * b))
        with pytest.raises(FiniteEscapeError) as raised:
            exact.symmetric_modes([s, 1.0], [x, 1.0], time * (1 + 1e-14))
        assert abs(raised.value.time / time - 1) < 1e-13
        assert exact.symmetric_modes(s, x, time * (1 - 1e-6)) < x
        with pytest.raises(FiniteEscapeError):
            exact.symmetric_modes(s, x, 1e60 * time)
    assert np.array_equal(exact.symmetric_modes(-2.0, -2.0, [1.0, 1e6]), [-2.0, -2.0])


# Structure.


@pytest.mark.parametrize("k", [1, 2, 4])
def test_rank_is_kept(k):
    rng = np.random.default_rng(k)
    t = np.concatenate([[0.0], np.logspace(-8, 6, 15)])
    A = rng.standard_normal((5, 5))
    Y = A @ A.T - 2 * np.eye(5)  # indefinite; the top k eigenvalues are well apart
    thin = rng.standard_normal((5, k))
    for U0 in (thin, thin @ rng.standard_normal((k, 7)), np.hstack([thin, thin, 0 * thin])):
        for X in exact.symmetric(Y, U0, t):
            s = np.linalg.svd(X, compute_uv=False)
            assert (s > 1e-12 * s[0]).sum() <= k
    m, n = 3, 4
    Y, start = rng.standard_normal((m, n)), gf.initial.gaussian(m, n, min(k, 3), 1.0, rng)
    M = exact.identity_imbalance(Y, start, 0.0, t)
    for X in M[:, :m, m:]:
        s = np.linalg.svd(X, compute_uv=False)
        assert (s > 1e-12 * s[0]).sum() <= k
    best = np.linalg.norm(np.linalg.svd(Y, compute_uv=False)[min(k, 3) :])
    assert abs(np.linalg.norm(Y - M[-1, :m, m:]) - best) < 1e-12


def test_the_most_ill_conditioned_pivoted_start_settles():
    m, c = 40, np.cos(0.5)
    kahan = np.diag(np.sin(0.5) ** np.arange(m)) @ (np.eye(m) - c * np.triu(np.ones((m, m)), 1))
    assert np.abs(exact.symmetric(np.eye(m), kahan.T, 1e6) - np.eye(m)).max() < 1e-13


@pytest.mark.parametrize("t", [1e-8, 0.3, 20.0, 1e6])
def test_width_gauge_and_transpose(t):
    rng = np.random.default_rng(11)
    Y, start = rng.standard_normal((2, 3)), gf.initial.gaussian(2, 3, 9, 1.0, rng)
    M = exact.identity_imbalance(Y, start, 1.3, t)
    turned = start.rotate(np.linalg.qr(rng.standard_normal((9, 9))).Q)
    swap = np.roll(np.arange(5), -2)
    transposed = exact.identity_imbalance(Y.T, gf.Weights(start.V, start.U), -1.3, t)
    for other in (
        exact.identity_imbalance(Y, start.compress(), 1.3, t),
        exact.identity_imbalance(Y, turned, 1.3, t),
        transposed[np.ix_(np.argsort(swap), np.argsort(swap))],
    ):
        assert np.linalg.norm(other - M) < 1e-13 * np.linalg.norm(M)


def test_identity_imbalance_of_one_hidden_unit_is_17():
    t = np.array([0.0, 0.1, 1.0, 5.0, 1e6])
    for u, v in ((1.0, 0.3), (0.2, -1.5), (1e-4, 1e-4), (1e4, -1e-8)):
        lam = (u - v) * (u + v)
        M = exact.identity_imbalance([[1.7]], gf.Weights([[u]], [[v]]), lam, t)
        x = exact.spectral_modes(1.7, lam, u * v, t)
        assert np.all(np.abs(M[:, 0, 1] - x) <= 1e-12 * np.linalg.norm(M, axis=(1, 2)))


def random_spectral(rng):
    """A spectral start with whatever can make the bases ambiguous, and its modes."""
    m, n, k = rng.integers(1, 7, 3)
    r, s = min(m, n), min(m, n, k)
    sigma = [
        np.abs(rng.standard_normal(r)),
        1.5 * np.ones(r),
        rng.integers(0, 3, r) * 1.0,
        1 + 10.0 ** rng.uniform(-16, -2, r),
        np.zeros(r),
    ][rng.integers(5)]
    u, v = (
        [
            rng.standard_normal(a),
            np.ones(a),
            rng.integers(-2, 3, a) * 1.0,
            rng.integers(0, 2, a) * 1.0,
        ][rng.integers(4)]
        * 10.0 ** rng.uniform(-3, 2)
        for a in (min(m, k), min(n, k))
    )
    Phi, Psi, G = (np.linalg.qr(rng.standard_normal((a, a))).Q for a in (m, n, k))
    U, V = Phi[:, : u.size] * u @ G[:, : u.size].T, Psi[:, : v.size] * v @ G[:, : v.size].T
    u, v = (np.concatenate([a[:s], np.zeros(r - s)]) for a in (u, v))
    return Phi[:, :r], Psi[:, :r], sigma, u, v, gf.Weights(U, V)


@pytest.mark.parametrize("seed", range(150))
def test_spectral_chooses_the_basis_of_the_weights(seed):
    Phi, Psi, sigma, u, v, start = random_spectral(np.random.default_rng(seed))
    t = np.array([0.0, 1e-8, 0.1, 1.0, 10.0, 1e6])
    modes = exact.spectral_modes(sigma, u**2 - v**2, u * v, t)
    expected = Phi * modes[:, None, :] @ Psi.T
    got = exact.spectral((Phi * sigma) @ Psi.T, start, t)
    size = sigma.max() + np.linalg.norm(start.U) * np.linalg.norm(start.V)
    assert np.linalg.norm(got - expected, axis=(1, 2)).max() <= 1e-13 * size


@pytest.mark.parametrize("seed", range(10))
def test_spectral_refuses_other_weights(seed):
    rng = np.random.default_rng(seed)
    Y = np.linalg.qr(rng.standard_normal((3, 3))).Q @ np.diag([3.0, 2.0, 1.0]) @ np.eye(3, 4)
    near = gf.initial.spectral(Y, np.array([1.0, 2.0, 0.5]), np.array([0.5, -1.0, 2.0]))
    exact.spectral(Y, near, 1.0)
    for wrong in (
        gf.initial.gaussian(3, 4, 5, 1.0, rng),
        gf.Weights(near.U + 1e-9 * rng.standard_normal(near.U.shape), near.V),
        gf.Weights(near.U, near.V + 1e-9 * rng.standard_normal(near.V.shape)),
        gf.Weights(near.U, np.roll(near.V, 1, axis=1)),
        # Orthogonal rows throughout, but u_i is not parallel to v_i.
        gf.Weights(np.hstack([near.U, 0 * near.U]), np.hstack([0 * near.V, near.V])),
    ):
        with pytest.raises(ValueError, match="spectral initialization"):
            exact.spectral(Y, wrong, 1.0)


def test_scalars_vectors_and_many_times_agree():
    rng = np.random.default_rng(2)
    Y, U0 = np.diag([1.0, -0.5, 0.2]), rng.standard_normal((3, 2))
    t = np.linspace(0, 30, 700)
    X = exact.symmetric(Y, U0, t)
    for i in (0, 1, 255, 256, 699):
        assert np.linalg.norm(exact.symmetric(Y, U0, t[i]) - X[i]) <= 1e-14
    assert exact.symmetric(Y, U0, [2.0]).shape == (1, 3, 3)
    assert exact.symmetric_modes(1.0, 2.0, t).shape == (700,)
    assert exact.symmetric_modes([1.0, 3.0], 2.0, t).shape == (700, 2)
    assert exact.spectral_modes([1.0, 3.0], 2.0, [0.1, 1.0], 0.0).shape == (2,)


def mode(s, lam, x, t):
    """x(t) of (17)."""
    s, h, x, t = map(mp.mpf, (s, lam / 2, x, t))
    large = mp.sqrt(mp.sqrt(x * x + h * h) + abs(h))
    if mp.sqrt(s * s + h * h) * t > 900:
        return s if h != 0 or s * x > 0 else mp.mpf(0)
    return product(s, h, *((large, x / large) if h > 0 else (x / large, large)), t)


def product(s, h, u, v, t):
    """u(t) v(t) of r' = (T - |r|^2/2) r, r = (u, v), T = [[h, s], [s, -h]]."""
    s, h, u, v, t = map(mp.mpf, (s, h, u, v, t))
    omega = mp.sqrt(s * s + h * h)
    cosh, sinh = mp.cosh(omega * t), mp.sinh(omega * t) / omega
    grown = mp.sinh(2 * omega * t) / (2 * omega) * (u * u + v * v)
    grown += sinh * sinh * (h * u * u + 2 * s * u * v - h * v * v)
    U, V = cosh * u + sinh * (h * u + s * v), cosh * v + sinh * (s * u - h * v)
    return U * V / (1 + grown)


def test_modes_of_every_size():
    rng, sizes = np.random.default_rng(7), [(-307, 75), (-5, 5), (-160, -130), (5, 75)]
    with mp.workdps(800):
        for _ in range(250):
            s, lam, x = (
                rng.choice([-1, 1]) * 10 ** rng.uniform(*sizes[rng.integers(4)])
                for _ in range(3)
            )
            lam, x = lam * (rng.random() > 0.05), s if rng.random() < 0.1 else x
            speed = 2 * np.hypot(s, lam / 2)
            t = min(10 ** rng.uniform(-3, 3.3) / max(speed, 1e-70), 1e75)
            got = exact.spectral_modes(s, lam, x, t)
            # Near where it passes through zero, as at neighboring times.
            want, near = mode(s, lam, x, t), (0.999, 1.001) if s * x < 0 else ()
            size = max(abs(want), *(abs(mode(s, lam, x, t * f)) for f in near), 0)
            error = abs(mp.mpf(float(got)) - want)
            assert error <= 2e-15 * (1 + min(speed * t, 2000)) * size + 1e-320, (s, lam, x, t)


def test_tiny_target_far_from_a_large_start():
    s, lam, x, t = 1e-250, 1e-260, -1e48, 1e-48
    both = exact.spectral_modes([s, 0.0], lam, x, t)
    with mp.workdps(800):
        for got, target in zip(both, (s, 0.0), strict=True):
            assert mp.almosteq(mp.mpf(got), mode(target, lam, x, t), 1e-14)


@pytest.mark.parametrize("size", [1e-80, 1e-120, 1e-200])
def test_weights_that_are_tiny_leave_zero_when_they_should(size):
    for y in (0.5, 100.0, -4 * np.log(size), -5 * np.log(size)):
        got = exact.spectral([[2.0]], gf.Weights([[size]], [[-3 * size]]), y / 4)
        with mp.workdps(800):
            want = float(mode(2, -8 * mp.mpf(size) ** 2, -3 * mp.mpf(size) ** 2, y / 4))
        assert got == pytest.approx(want, rel=1e-12, abs=1e-320)


@pytest.mark.parametrize("ratio", [1e3, 1e6, 1e10])
def test_layers_of_very_different_size_keep_the_imbalance_and_their_digits(ratio):
    rng, eps = np.random.default_rng(0), np.finfo(float).eps
    for u, v in rng.uniform(0.3, 2, (20, 2)) * [ratio**0.5, -(ratio**-0.5)]:
        own = (u - v) * (u + v)
        for lam, share in ((own, 300), (0.0, 40 * ratio), (-1.0, 40 * ratio)):
            t = 10 ** rng.uniform(-3, 2) / own
            M = exact.identity_imbalance([[1.7]], gf.Weights([[u]], [[v]]), lam, t)
            with mp.workdps(60):
                x = float(product(1.7, lam / 2, u, v, t))
            assert abs(M[0, 1] / x - 1) <= share * eps
