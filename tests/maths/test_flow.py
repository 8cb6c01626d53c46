"""The flow against closed forms, an mpmath integration and SciPy, and its conservation laws."""

import re
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import binom

import gfcore as gf
from gfbook.independent import precise
from gfcore import _explicit, _radau, _taylor, flow

LONG = np.concatenate([[0.0], np.logspace(-6, 6, 49)])


def size(stack):
    return np.linalg.norm(stack, axis=(-2, -1))


def allowed(path, Y, rtol):
    """What `solve` promises: rtol, and the rounding of the weights."""
    X = size(path.X)
    scale = np.maximum(X, np.minimum(np.maximum.accumulate(X), np.linalg.norm(Y)))
    return rtol * scale + 4e-15 * size(path.U) * size(path.V)


def assert_honest(path, Y, rtol, error, reference=0.0):
    """The error is what was asked for, and the estimate is no smaller where it matters."""
    promised = allowed(path, Y, rtol) + reference
    assert (error <= 2 * promised).all()
    assert (error <= np.maximum(3 * path.error_estimate + reference, 0.02 * promised)).all()


def assert_conserved(path, rtol=1e-10):
    gram = size(path.U) ** 2 + size(path.V) ** 2
    assert (path.Q_drift <= max(1e-12, rtol / 100) * np.maximum.accumulate(gram)).all()


# ---- closed forms


def mode(sigma, lam, x0, t):
    """x(t) of (21), x' = 2 (sigma - x) sqrt(x^2 + lam^2 / 4), by (17) with (22), 60 digits."""
    with mp.workdps(60):
        s, lam, x = mp.mpf(sigma), mp.mpf(lam), mp.mpf(x0)
        if s == x:
            return float(s)
        w = mp.sqrt(4 * s**2 + lam**2)
        root = w * mp.sqrt(4 * x**2 + lam**2)
        C = (s - x) / (root + 4 * s * x + lam**2)
        q = mp.exp(-w * mp.mpf(t))
        top = s - 2 * C * lam**2 * q - 4 * s * lam**2 * C**2 * q**2
        return float(top / (1 + 8 * s * C * q - 4 * lam**2 * C**2 * q**2))


def spectral_case(scale, imbalance, seed):
    """A start that is diagonal in the singular vectors of Y, and the exact X(t)."""
    rng = np.random.default_rng(seed)
    m, n, k = [(3, 4, 6), (4, 3, 5), (2, 2, 2), (1, 3, 1)][seed % 4]
    Phi, Psi, G = (np.linalg.qr(rng.standard_normal((r, r))).Q for r in (m, n, k))
    rank = min(m, n, k)
    sigma = np.array([3.0, 1.0, 0.4])[:rank]
    u = scale * (0.5 + rng.random(rank))
    v = scale * imbalance * (0.5 + rng.random(rank))
    Y = Phi[:, :rank] * sigma @ Psi[:, :rank].T
    start = gf.Weights(Phi[:, :rank] * u @ G[:rank], Psi[:, :rank] * v @ G[:rank])

    def exact(t):
        x = [
            [mode(*args, time) for args in zip(sigma, u**2 - v**2, u * v, strict=True)]
            for time in t
        ]
        return (Phi[:, :rank] * np.array(x)[:, None]) @ Psi[:, :rank].T

    return Y, start, exact


@pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10, 1e-12])
@pytest.mark.parametrize(
    ("scale", "imbalance"),
    [(1e-2, 1.0), (1.0, 1.0), (1.0, 1e-3), (30.0, 0.5), (1e3, 1e-5), (1e4, 1.0)],
)
def test_spectral_starts_follow_the_closed_form(scale, imbalance, rtol):
    for seed in range(4):
        Y, start, exact = spectral_case(scale, imbalance, seed)
        path = flow.solve(Y, start, LONG, rtol)
        assert_honest(path, Y, rtol, size(path.X - exact(LONG)))
        assert_conserved(path, rtol)


@pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10])
def test_starts_near_the_saddle_are_as_right_as_their_condition_allows(rtol):
    # From 1e-8, one rounding error in one mode is 1e-8 of a later one when that sets out.
    for seed in range(4):
        Y, start, exact = spectral_case(1e-8, 1.0, seed)
        path = flow.solve(Y, start, np.linspace(0, 60, 61), rtol)
        error = size(path.X - exact(path.t))
        assert (error <= np.maximum(3 * path.error_estimate, allowed(path, Y, rtol))).all()
        assert (error <= 10 * allowed(path, Y, max(rtol, 1e-7))).all()
        assert_conserved(path, rtol)
        # While X is some 1e-16, the estimate is small beside it, and honest.
        early = flow.solve(Y, start, np.linspace(0, 1, 21), rtol)
        error = size(early.X - exact(early.t))
        assert (error <= 10 * early.error_estimate).all()
        assert (early.error_estimate <= 1e-2 * size(early.X)).all()


def literal_30(Y, R0, lam, t):
    """The U V^T block of (30) as printed, with 80 digits."""
    m = len(Y)
    with mp.workdps(80):
        Y, R0, lam, t = (np.vectorize(mp.mpf)(a)[()] for a in (Y, R0, lam, t))
        X = gf.paper.eq_30(Y, R0, lam, t, precise(mp.expm), precise(mp.inverse))
        return X.astype(float)[:m, m:]


@pytest.mark.parametrize(
    ("m", "n", "k", "lam"), [(3, 3, 3, 0.7), (2, 3, 2, 1.5), (3, 2, 2, -1.0)]
)
@pytest.mark.parametrize("rtol", [1e-5, 1e-9, 1e-12])
def test_imbalance_lam_times_identity_follows_30(m, n, k, lam, rtol):
    rng = np.random.default_rng(3)
    Y = rng.standard_normal((m, n))
    start = gf.initial.imbalanced(m, n, k, lam, 0.5, rng)
    t = [0.3, 1.0, 4.0]
    exact = np.array([literal_30(Y, start.R, lam, time) for time in t])
    regularized = flow.solve_regularized(Y, start, lam * np.eye(k), t, rtol)
    for path in (flow.solve(Y, start, t, rtol), regularized):
        assert_honest(path, Y, rtol, size(path.X - exact))


# ---- independent integrations


def slope(Y, Q0):
    """The right side of (26) as printed, or of (12) if Q0 is None."""
    if Q0 is None:
        return lambda U, V: gf.paper.eq_12(Y, U, V)
    return lambda U, V: gf.paper.eq_26(Y, U, V, Q0)


def by_mpmath(Y, weights, Q0, t):
    """X(t) by mpmath's Taylor series solver, 20 digits, on NumPy arrays of mpmath numbers."""
    m, k = weights.U.shape
    exact = np.vectorize(mp.mpf, otypes=[object])
    f = slope(exact(Y), None if Q0 is None else exact(Q0))

    def flat(_, y):
        R = np.array(y, object).reshape(-1, k)
        return list(np.concatenate(f(R[:m], R[m:])).ravel())

    with mp.workdps(20):
        solution = mp.odefun(flat, 0, list(exact(weights.R).ravel()))
        R = [np.array(solution(time), float).reshape(-1, k) for time in t]
    return np.array([r[:m] @ r[m:].T for r in R])


@pytest.mark.parametrize(("m", "n", "k"), [(1, 2, 2), (2, 2, 1), (2, 1, 3)])
@pytest.mark.parametrize("regularized", [False, True])
def test_small_cases_agree_with_mpmath(m, n, k, regularized):
    rng = np.random.default_rng(m + 10 * n + 100 * k)
    Y, start = rng.standard_normal((m, n)), gf.initial.gaussian(m, n, k, 1.0, rng)
    Q0 = rng.standard_normal((k, k))
    Q0 = Q0 + Q0.T if regularized else None
    t = [0.25, 1.0, 2.0]
    exact = by_mpmath(Y, start, Q0, t)
    for rtol in (1e-4, 1e-8, 1e-12):
        if regularized:
            path = flow.solve_regularized(Y, start, Q0, t, rtol)
        else:
            path = flow.solve(Y, start, t, rtol)
        assert_honest(path, Y, rtol, size(path.X - exact))


def by_scipy(Y, weights, Q0, t):
    """R(t) at full width by SciPy's DOP853, its tolerance as tight as it goes."""
    m, shape = Y.shape[0], weights.R.shape
    f = slope(Y, Q0)

    def flat(_, r):
        R = r.reshape(shape)
        return np.concatenate(f(R[:m], R[m:])).ravel()

    run = solve_ivp(
        flat, (0, t[-1]), weights.R.ravel(), "DOP853", t, rtol=3e-14, atol=1e-16, max_step=0.02
    )
    return run.y.T.reshape(-1, *shape)


FAMILY = {
    # m, n, k, std of U, std of V
    "wide": (3, 4, 20, 1.0, 1.0),
    "balanced scale": (3, 4, 9, 0.1, 0.1),
    "narrow": (3, 4, 2, 1.0, 1.0),
    "one unit": (3, 4, 1, 1.0, 1.0),
    "one row": (1, 4, 3, 1.0, 1.0),
    "one column": (4, 1, 3, 1.0, 1.0),
    "tall": (5, 2, 3, 1.0, 1.0),
    "between": (3, 4, 5, 3.0, 3.0),
    "imbalanced": (3, 4, 6, 8.0, 0.1),
    "U = 0": (3, 4, 3, 0.0, 1.0),
    "scalar": (1, 1, 1, 1.0, 1.0),
}


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("regularized", [False, True])
def test_nonspectral_starts_agree_with_scipy(name, regularized):
    m, n, k, std_U, std_V = FAMILY[name]
    rng = np.random.default_rng(len(name))
    Y = rng.standard_normal((m, n))
    start = gf.Weights(std_U * rng.standard_normal((m, k)), std_V * rng.standard_normal((n, k)))
    Q0 = rng.standard_normal((k, k))
    Q0 = start.Q + (Q0 + Q0.T) / 4 if regularized else None
    t = np.linspace(0, 3, 13)
    R = by_scipy(Y, start, Q0, t)
    exact = R[:, :m] @ R[:, m:].mT
    for rtol in (1e-4, 1e-7, 1e-10, 1e-12):
        if regularized:
            path = flow.solve_regularized(Y, start, Q0, t, rtol)
            assert np.abs(path.U - R[:, :m]).max() <= 30 * rtol * np.abs(R).max() + 1e-12
        else:
            path = flow.solve(Y, start, t, rtol)
            assert_conserved(path, rtol)
        # SciPy's own error, some 1e-13, on top.
        reference = 2e-13 * (size(R[:, :m]) * size(R[:, m:]) + 1)
        assert_honest(path, Y, rtol, size(path.X - exact), reference)


# ---- what the flow keeps


@pytest.mark.parametrize("rtol", [1e-4, 1e-10])
@pytest.mark.parametrize("name", FAMILY)
def test_imbalance_is_kept_over_any_horizon(name, rtol):
    m, n, k, std_U, std_V = FAMILY[name]
    rng = np.random.default_rng(len(name) + 100)
    start = gf.Weights(std_U * rng.standard_normal((m, k)), std_V * rng.standard_normal((n, k)))
    path = flow.solve(rng.standard_normal((m, n)), start, LONG, rtol)
    assert_conserved(path, rtol)
    assert (path.Q_drift <= max(1e-12, rtol / 100) * np.linalg.norm(start.Q)).all()


def test_projection_restores_the_imbalance_and_leaves_the_product():
    rng = np.random.default_rng(0)
    start = gf.initial.gaussian(3, 4, 6, 1.0, rng)
    frame = _radau._frame(rng.standard_normal((3, 4)), start.R, None)
    moved = frame.Z + 1e-7 * rng.standard_normal((5, *frame.Z.shape))
    K = frame.Z.mT @ (frame.J * frame.Z)
    back = _radau.conserve(moved, K, frame.J, frame.scale)
    K_moved, K_back = (Z.mT @ (frame.J * Z) for Z in (moved, back))
    assert (size(K_moved - K) > 1e-7).all()
    assert (size(K_back - K) < 1e-14).all()
    X_moved, X_back = (
        R[:, :3] @ R[:, 3:].mT for R in (moved * frame.scale, back * frame.scale)
    )
    assert size(X_back - X_moved).max() < 1e-12


def test_imbalance_drifts_without_the_projection(monkeypatch):
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 6, 0.3, rng)

    def drift():
        R, _ = _radau.path(Y, start.R, None, np.linspace(0, 5, 50), 1e-4, True, 0.0)
        U, V = R[:, :3], R[:, 3:]
        return size(U.mT @ U - V.mT @ V - start.Q).max() / np.linalg.norm(start.Q)

    assert drift() < 1e-14
    monkeypatch.setattr(_radau, "conserve", lambda Z, *_: Z)
    assert drift() > 1e-9


def test_rank_of_a_narrow_start_is_kept():
    # The stationary state of rank 2 nearest to Y leaves its last singular value as residual.
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((3, 4))
    path = flow.solve(Y, gf.initial.gaussian(3, 4, 2, 1.0, rng), [1e2, 1e6])
    residual = size(Y - path.X)
    assert residual == pytest.approx(np.linalg.svd(Y)[1][2], rel=1e-12)
    assert (path.singular_values()[:, 2] < 1e-15).all()


def test_missing_rank_stays_missing():
    # The second singular vector of Y is not in the start, so never in X, though rounding brings
    # it in and it would grow like exp(2 t).
    rng = np.random.default_rng(0)
    Phi, Psi, G = (np.linalg.qr(rng.standard_normal((2, 2))).Q for _ in range(3))
    w = np.array([0.5, 0.0])
    path = flow.solve(Phi * [2.0, 1.0] @ Psi.T, gf.Weights(Phi * w @ G, Psi * w @ G), LONG)
    x = np.array([mode(2.0, 0.0, 0.25, t) for t in LONG])
    exact = x[:, None, None] * np.outer(Phi[:, 0], Psi[:, 0])
    assert size(path.X - exact).max() < 1e-9
    assert path.singular_values()[:, 1].max() < 1e-15


@pytest.mark.parametrize("rtol", [1e-4, 1e-8])
def test_error_falls_straight_far_below_the_tolerance(rtol):
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 4, 1.0, rng)
    t = np.linspace(0, 50, 201)
    error, exact = (flow.solve(Y, start, t, tol).error(Y) for tol in (rtol, 1e-13))
    far = (exact < 1e-9) & (exact > 1e-12)
    assert far.sum() > 10
    assert np.abs(np.log(error[far] / exact[far])).max() < 0.02


@pytest.mark.parametrize("k", [1, 3, 12])
def test_states_at_rest_stay(k):
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((3, k)) @ rng.standard_normal((k, 4))
    Phi, sigma, PsiT = np.linalg.svd(Y, full_matrices=False)
    U, V = np.zeros((2, 3, k)), np.zeros((2, 4, k))
    rank = min(k, 3)
    U[1, :, :rank] = (Phi * sigma**0.5)[:, :rank]
    V[1, :, :rank] = (PsiT.T * sigma**0.5)[:, :rank]
    for start in map(gf.Weights, U, V):
        path = flow.solve(Y, start, LONG)
        assert np.array_equal(path.X, np.broadcast_to(start.compress().X, path.X.shape))
        assert path.error_estimate.max() <= 1e-13
        regularized = flow.solve_regularized(Y, start, start.Q, LONG)
        assert size(regularized.X - start.X).max() <= 1e-14


def test_slow_decay_costs_few_steps(monkeypatch):
    # A singular value 0 of Y and a balanced start: x' = -2 x^2, beside a mode that is 1e6 times
    # faster in the end.
    collocate, calls = _radau._collocate, []

    def counted(*args):
        calls.append(args)
        return collocate(*args)

    monkeypatch.setattr(_radau, "_collocate", counted)
    start = gf.Weights(np.eye(2), np.eye(2))
    path = flow.solve(np.diag([5.0, 0.0]), start, LONG)
    assert path.X[:, 1, 1] == pytest.approx(1 / (1 + 2 * LONG), rel=1e-10)
    assert len(calls) < 200


def test_error_estimate_sees_the_condition_of_the_problem():
    # 1e-12 of the second singular vector of Y, beside 1 of the first, is known to 1e-4 at best,
    # and comes to be seen at t = 28.
    w, t = np.array([1.0, 1e-12]), np.linspace(0, 40, 81)
    x = np.array([[mode(s, 0.0, u**2, at) for s, u in ((2, 1), (1, 1e-12))] for at in t])
    seen = (x[:, 1] > 1e-3) & (x[:, 1] < 0.999)
    largest = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        Phi, Psi, G = (np.linalg.qr(rng.standard_normal((2, 2))).Q for _ in range(3))
        start = gf.Weights(Phi * w @ G, Psi * w @ G)
        path = flow.solve(Phi * [2.0, 1.0] @ Psi.T, start, t, 1e-6)
        error = size(path.X - (Phi * x[:, None]) @ Psi.T)
        assert (error[seen] <= 5 * path.error_estimate[seen]).all(), seed
        assert (path.error_estimate[t < 1] < 1e-6).all()
        assert path.error_estimate.max() < 0.1
        largest.append(error[seen].max())
    # Or there is nothing to see; a single one may be right by luck.
    assert np.quantile(largest, 0.1) > 1e-9


# ---- the regularized flow


def test_penalty_falls_and_the_constraint_attracts():
    rng = np.random.default_rng(2)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 5, 0.7, rng)
    Q0 = gf.initial.gaussian(3, 4, 5, 1.0, rng).Q
    path = flow.solve_regularized(Y, start, Q0, np.linspace(0, 200, 201))
    penalty = size(path.Q - Q0)
    assert (np.diff(penalty) <= 1e-12).all()
    assert penalty[0] > 1
    assert penalty[-1] < 1e-8
    # On the constraint it is the flow (12); the final state has the imbalance asked for.
    on = flow.solve_regularized(Y, start, start.Q, path.t)
    assert np.abs(on.X - flow.solve(Y, start, path.t).X).max() < 1e-10
    assert size(on.Q - start.Q).max() < 1e-10


@pytest.mark.parametrize(
    ("size_0", "turned"), [(1e-9, False), (1e-6, False), (1e-6, True), (1e-3, True)]
)
def test_a_small_mode_leaves_a_saddle_of_the_regularized_flow(size_0, turned):
    # Beside a unit of size 1, its own units are next to nothing until it is learned.
    sigma, w = np.array([1.0, 0.5, 0.4]), np.array([1.0, size_0, 3 * size_0])
    sides = [np.eye(3), np.eye(4, 3), np.eye(3)]
    if turned:
        rng = np.random.default_rng(0)
        sides = [np.linalg.qr(rng.standard_normal(a.shape)).Q for a in sides]
    Phi, Psi, G = sides
    Y, start = Phi * sigma @ Psi.T, gf.Weights(Phi * w @ G.T, Psi * w @ G.T)
    t = -np.log(size_0) * np.array([0.0, 0.5, 1.0, 1.8, 2.0, 2.2, 2.5, 3.0])
    x = np.array([[mode(s, 0.0, u**2, at) for s, u in zip(sigma, w, strict=True)] for at in t])
    for rtol in (1e-4, 1e-7, 1e-10, 1e-13):
        path = flow.solve_regularized(Y, start, 0.0, t, rtol)
        error = size(path.X - (Phi * x[:, None]) @ Psi.T)
        assert (error <= path.error_estimate).all()
        if not turned:  # else the start itself has rounding errors of the learned mode
            assert error.max() < max(1e-12, 10 * rtol)


def test_penalty_obeys_its_own_linear_equation():
    # P' = -(P N + N P) / 2, N = R^T R, by a difference quotient of fourth order.
    rng = np.random.default_rng(5)
    Y, start = rng.standard_normal((2, 3)), gf.initial.gaussian(2, 3, 4, 1.0, rng)
    Q0, h = np.diag([1.0, 2.0, -1.0, 0.5]), 1e-3
    path = flow.solve_regularized(Y, start, Q0, 0.5 + h * np.arange(-2, 3), 1e-12)
    P = path.Q - Q0
    R = np.concatenate([path.U[2], path.V[2]])
    N = R.T @ R
    quotient = (P[0] - 8 * P[1] + 8 * P[3] - P[4]) / (12 * h)
    assert np.abs(quotient + (P[2] @ N + N @ P[2]) / 2).max() < 1e-8


@pytest.mark.parametrize("k", [1, 2])
def test_what_moves_too_slowly_to_be_seen_is_in_the_estimate(k):
    # A layer of size one beside one of 1e-10, too narrow for Y: rounding errors of the penalty
    # hide how one turns to the largest modes of Y, which takes 1e20.
    rng = np.random.default_rng(k)
    Y = 1e-10 * rng.standard_normal((3, 3))
    U, V = 1e-4 * rng.standard_normal((2, 3, k))
    t = np.array([1e2, 1e8, 1e9, 1e10])
    path = flow.solve_regularized(Y, gf.Weights(U, V), -2.0, t, 1e-12)
    exact = gf.exact.identity_product(Y, gf.Weights(U, V), -2.0, t)
    error = size(path.X - exact.X)
    assert (error[1:] > 1e-13 * size(exact.X)[1:]).any()
    assert (error <= path.error_estimate).all()
    assert (path.error_estimate <= 1e-6 * size(exact.X)).all()


@pytest.mark.parametrize(
    ("Y", "U", "V", "lam", "t", "rtol"),
    [
        # Both paths leave a step as late as they are, so that their distance does not tell.
        ([[0.15, -0.006]], [[-0.1]], [[0.25], [-1.9]], -3.2, np.linspace(0.5, 10, 20), 2e-4),
        # What a long step has left is there soon after it, in the next one.
        (
            [[-0.0761793, 0.0935503, -0.0673000, -0.0430791]],
            [[0.865209]],
            [[0.164996], [-0.407740], [0.517883], [-0.173264]],
            -24.8551,
            np.array([1.19378, 1.83926, 2.12138, 2.41880]),
            3.71554e-9,
        ),
    ],
)
def test_what_no_two_paths_tell_apart_is_in_the_estimate(Y, U, V, lam, t, rtol):
    path = flow.solve_regularized(Y, gf.Weights(U, V), lam, t, rtol)
    error = size(path.X - gf.exact.identity_product(Y, gf.Weights(U, V), lam, t).X)
    assert (error <= path.error_estimate).all()
    assert (path.error_estimate <= rtol * size(path.X)).all()


@pytest.mark.parametrize(
    ("Y", "U", "V", "lam", "t"),
    [
        (np.diag([3.0, 0.5]), [[0.3], [0.6]], [[0.5], [0.2]], 0.1, [20.0, 90.0]),
        (np.outer([0.6, -0.8], [0.16, -0.06]), [[0.2], [0.2]], [[0.26], [0.01]], 13.0, [1, 14]),
    ],
)
def test_what_a_penalty_makes_of_a_short_rank_is_in_doubt(Y, U, V, lam, t):
    # Rounding errors leave the saddle between the times asked for: by Y, or by the penalty.
    start = gf.Weights(np.repeat(U, 2, axis=1), np.repeat(V, 2, axis=1))
    path = flow.solve_regularized(Y, start, lam, t, 3e-6)
    error = size(path.X - gf.exact.identity_product(Y, start, lam, t).X)
    assert (error <= path.error_estimate).all()
    assert error[1] > 0.1
    assert path.error_estimate[0] < 1e-6


@pytest.mark.parametrize("kind", ["general", "multiple of I", "three eigenvalues", "zero"])
def test_wide_regularized_flow_in_an_invariant_subspace(kind):
    m, n, k = 2, 3, 17
    rng = np.random.default_rng(7)
    Y, start = rng.standard_normal((m, n)), gf.initial.gaussian(m, n, k, 0.5, rng)
    G = np.linalg.qr(rng.standard_normal((k, k))).Q
    eigenvalues = {
        "general": rng.standard_normal(k),
        "multiple of I": np.full(k, 2.0),
        "three eigenvalues": np.repeat([1.0, -1.0, 0.5], [9, 4, 4]),
        "zero": np.zeros(k),
    }[kind]
    Q0 = G * eigenvalues @ G.T
    width = {"general": 17, "multiple of I": 5, "three eigenvalues": 13, "zero": 5}[kind]
    assert flow._invariant_basis(start.R.T, (Q0 + Q0.T) / 2)[0].shape == (k, width)
    path = flow.solve_regularized(Y, start, Q0, [0.0, 1.0, 2.0])
    R = by_scipy(Y, start, Q0, [0.0, 1.0, 2.0])
    assert np.abs(path.U - R[:, :m]).max() < 1e-10
    assert np.abs(path.V - R[:, m:]).max() < 1e-10
    assert path.Q_drift[0] < 1e-13


def test_regularized_flow_runs_long_and_far_from_the_constraint():
    # No state has the imbalance 2 I of 9 hidden units: m = 3 of them can, at most.
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 9, 1.0, rng)
    path = flow.solve_regularized(Y, start, 2 * np.eye(9), LONG)
    assert path.error(Y)[-1] < 1e-12
    assert size(path.Q - 2 * np.eye(9))[-1] == pytest.approx(2 * np.sqrt(9 - 3), rel=1e-6)


# ---- times, widths and bad input


def test_an_imbalance_out_of_reach_is_told_soon(monkeypatch):
    monkeypatch.setattr(_radau, "TRIED", 100)
    start, Q0 = gf.Weights([[1.0, 0.5, 0.2]], [[0.3, -0.2, 0.7]]), np.diag([8.0, 5.0, 1e-3])
    path = flow.solve_regularized([[1.0]], start, Q0, 60.0)
    with pytest.raises(ArithmeticError) as told:
        flow.solve_regularized([[1.0]], start, Q0, 1e6)
    # The best that weights can do is the largest eigenvalue; what they are away is then 5.
    assert abs(np.linalg.norm(path.Q - Q0) - 5) < 1e-3
    assert "with U^T U - V^T V 5 away from Q0; no weights have it: it has 3 eig" in str(
        told.value
    )
    assert "m = 1 and n = 1" in str(told.value)


def test_width_costs_nothing_but_its_factorization():
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((5, 10)), gf.initial.gaussian(5, 10, 20_000, 0.01, rng)
    path = flow.solve(Y, start, [0.0, 0.5, 1.0])
    small = flow.solve(Y, start.compress(), [0.0, 0.5, 1.0])
    assert path.U.shape == (3, 5, 15)
    assert np.array_equal(path.X, small.X)
    assert np.abs(path.X[0] - start.X).max() <= 1e-13 * np.abs(start.X).max()
    full = by_scipy(Y, gf.Weights(start.U[:, :40], start.V[:, :40]), None, [0.0, 1.0])
    narrow = flow.solve(Y, gf.Weights(start.U[:, :40], start.V[:, :40]), [0.0, 1.0])
    assert np.abs(full[1, :5] @ full[1, 5:].T - narrow.X[1]).max() < 1e-11


def test_scalar_and_repeated_times():
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((2, 3)), gf.initial.gaussian(2, 3, 4, 1.0, rng)
    Q0 = np.eye(4)
    for run in (flow.solve, lambda *args: flow.solve_regularized(*args[:2], Q0, *args[2:])):
        one = run(Y, start, 1.5)
        assert one.X.shape == (2, 3)
        assert one.U.shape == (2, 4)
        assert one.error_estimate.shape == one.Q_drift.shape == one.error(Y).shape == ()
        many = run(Y, start, [0.0, 0.0, 1.5, 1.5])
        assert many.X.shape == (4, 2, 3)
        assert np.abs(many.X[:2] - start.X).max() <= 1e-15
        assert np.array_equal(many.X[2], many.X[3])
        assert np.array_equal(many.X[3], one.X)
        assert np.array_equal(run(Y, start, 0.0).X, run(Y, start, [0.0]).X[0])


def test_times_between_steps_are_as_right_as_the_others():
    rng = np.random.default_rng(1)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 5, 0.5, rng)
    t = np.linspace(0, 10, 1001)
    exact = flow.solve(Y, start, t, 1e-13).X
    for rtol in (1e-4, 1e-8):
        path = flow.solve(Y, start, t, rtol)
        assert (size(path.X - exact) <= rtol * size(exact)).all()


def test_narrowed_attempts_are_reported(monkeypatch):
    monkeypatch.setattr(_taylor, "ATTEMPTS", 3)
    monkeypatch.setattr(_radau, "ATTEMPTS", 3)
    with pytest.raises(ArithmeticError, match=r"got no further than t = .* of 50"):
        flow.solve(np.eye(2), gf.Weights(0.1 * np.eye(2), 0.1 * np.eye(2)), 50.0)


@pytest.mark.parametrize("exponent", [-100, -60, 60, 74])
def test_extreme_scales_work_or_are_refused(exponent):
    start = gf.Weights([[10.0**exponent]], [[10.0**exponent]])
    path = flow.solve([[1.0]], start, [0.0, 1e-200, 1.0, 1e3])
    assert path.X[0, 0, 0] == pytest.approx(10.0 ** (2 * exponent), rel=1e-14)
    assert path.X[-1, 0, 0] == pytest.approx(1.0, abs=1e-15 * 10.0 ** max(2 * exponent, 0))


@pytest.mark.parametrize("exponent", [-140, -60, -9, 0])
def test_a_layer_that_is_zero_is_learned_from_the_other(exponent):
    v, t = 10.0**exponent, np.linspace(1, 700, 101)
    exact = np.array([mode(1.0, v * v, 0.0, at) for at in t])
    for start in gf.Weights([[0.0]], [[v]]), gf.Weights([[v]], [[0.0]]):
        path = flow.solve([[1.0]], start, t, 1e-10)
        assert path.X[:, 0, 0] == pytest.approx(exact, rel=1e-9, abs=1e-300)
        assert (np.abs(path.X[:, 0, 0] - exact) <= path.error_estimate + 1e-13 * exact).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"Y": np.ones((3, 2))},
            r"Y must have shape \(2, 3\) to fit weights0, got shape \(3, 2\)",
        ),
        ({"Y": np.full((2, 3), np.inf)}, r"Y must be finite, got inf at \(0, 0\)"),
        ({"weights0": np.eye(2)}, "weights0 must be Weights, got ndarray"),
        ({"t": -1.0}, "t must be >= 0"),
        ({"t": [1.0, 0.5]}, "t must be non-decreasing"),
        ({"t": []}, "t must not be empty"),
        ({"t": [0.0, np.nan]}, r"t must be finite, got nan at \(1,\)"),
        ({"rtol": 0.0}, "rtol must be above 0, got 0"),
        ({"rtol": 1.0}, "rtol must be below 1, got 1"),
        ({"Q0": np.eye(3)}, r"Q0 must have shape \(4, 4\) to fit weights0, got shape \(3, 3\)"),
        ({"Q0": np.ones((4, 3))}, r"Q0 must be square, got shape \(4, 3\)"),
        (
            {"Q0": np.triu(np.ones((4, 4)))},
            r"Q0 must be symmetric, but the entries at \(0, 1\) and \(1, 0\) differ by 1",
        ),
    ],
)
def test_bad_input_is_refused(arguments, message):
    good = {"Y": np.ones((2, 3)), "weights0": gf.Weights(np.ones((2, 4)), np.ones((3, 4)))}
    given = {**good, "t": 1.0, "Q0": np.eye(4), **arguments}
    with pytest.raises(ValueError, match=message):
        flow.solve_regularized(**given)
    del given["Q0"]
    if "Q0" not in arguments:
        with pytest.raises(ValueError, match=message):
            flow.solve(**given)


def test_inputs_stay_as_they_are():
    rng = np.random.default_rng(0)
    Y, t, Q0 = rng.standard_normal((2, 3)), np.linspace(0, 1, 5), np.eye(4)
    start = gf.initial.gaussian(2, 3, 4, 1.0, rng)
    copies = [x.copy() for x in (Y, t, Q0, start.U, start.V)]
    given = Y, t, Q0, start.U, start.V
    for path in flow.solve(Y, start, t), flow.solve_regularized(Y, start, Q0, t):
        parts = path.t, path.X, path.U, path.V, path.Q0, path.error_estimate
        assert not any(np.shares_memory(a, b) for a in given for b in parts)
    assert all(np.array_equal(a, b) for a, b in zip(copies, given, strict=True))
    assert Y.flags.writeable
    assert t.flags.writeable


# ---- many problems, other inputs, and an estimate that bounds the error


def longer(Y, weights, t, covariance=None, rates=(1.0, 1.0), Q0=None):
    """R(t) in long double: a Taylor series of order 24, term by term as the flow is written."""
    p, exact, m = 24, np.longdouble, Y.shape[0]
    Y, R, now, states = Y.astype(exact), weights.R.astype(exact), exact(0), []
    Sigma = np.eye(Y.shape[1]) if covariance is None else covariance
    a, b = map(exact, rates)
    while len(states) < len(t):
        U, V, E, P = [R[:m]], [R[m:]], [], []
        for j in range(p):
            E.append((j == 0) * Y - sum(U[i] @ V[j - i].T for i in range(j + 1)) @ Sigma)
            U.append(a * sum(E[i] @ V[j - i] for i in range(j + 1)) / (j + 1))
            V.append(b * sum(E[i].T @ U[j - i] for i in range(j + 1)) / (j + 1))
            if Q0 is not None:
                P.append(sum(S[i].T @ S[j - i] * s for S, s in ((U, 1), (V, -1))
                             for i in range(j + 1)) - (j == 0) * Q0)  # fmt: skip
                U[-1] -= sum(U[i] @ P[j - i] for i in range(j + 1)) / (2 * j + 2)
                V[-1] += sum(V[i] @ P[j - i] for i in range(j + 1)) / (2 * j + 2)
        noise = 1e-18 * (np.abs(Y) + np.abs(U[0]) @ np.abs(V[0].T) @ np.abs(Sigma))
        if (np.abs(E[0]) <= noise).all() and Q0 is None:
            return np.array(states + [R] * (len(t) - len(states)))
        h = min(
            (exact(1e-20) * (size(S[0]) or size(S[1])) / size(S[q])) ** (exact(1) / q)
            for S in (U, V)
            for q in (p, p - 1)
            if size(S[q])
        )
        terms = np.array([np.concatenate(pair) for pair in zip(U, V, strict=True)])
        while len(states) < len(t) and t[len(states)] <= now + h:
            powers = (t[len(states)] - now) ** np.arange(p + 1)
            states.append(np.tensordot(powers, terms, 1))
        now, R = now + h, np.tensordot(h ** np.arange(p + 1), terms, 1)
    return np.array(states)


def drawn(seed):
    """A problem of one of six kinds, that many of which are hard."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 5, 2)
    k = int(rng.integers(1, m + n + 2))
    y, std = 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-1, 0.5, 2)
    match rng.integers(6):
        case 0:
            std = np.full(2, std[0])
        case 1:  # near the saddle
            std = 10 ** rng.uniform(-8, -1, 2)
        case 2:  # large and stiff
            std = 10 ** rng.uniform([0, -3], 2.5)
        case 3:  # a tiny target
            y = 10 ** rng.uniform(-9, -2)
        case 4:  # narrow
            k = int(rng.integers(1, max(2, min(m, n))))
        case 5:  # of two sizes
            std = 10 ** rng.uniform(-6, 2, 2)
    Y = y * rng.standard_normal((m, n))
    U, V = std[0] * rng.standard_normal((m, k)), std[1] * rng.standard_normal((n, k))
    fast = max(np.linalg.norm(U, 2) ** 2 + np.linalg.norm(V, 2) ** 2, np.linalg.norm(Y, 2))
    end = 10 ** rng.uniform(-1, 2) / fast
    return Y, gf.Weights(U, V), end * np.array([0.1, 0.3, 0.6, 1.0]), 10 ** rng.uniform(-13, -3)


@pytest.mark.parametrize("first", range(0, 150, 15))
def test_the_estimate_bounds_the_error_at_every_tolerance(first):
    for seed in range(first, first + 15):
        Y, start, t, rtol = drawn(seed)
        path, m = flow.solve(Y, start, t, rtol), Y.shape[0]
        R = longer(Y, start, t)
        error = size((path.X - R[:, :m] @ R[:, m:].mT).astype(float))
        assert (error <= path.error_estimate).all(), seed
        assert (error <= 2 * allowed(path, Y, rtol)).all(), seed
        assert_conserved(path, rtol)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1600, 50))
def test_the_estimate_bounds_the_error_of_other_flows_as_well(first):
    # Of 5,000 such draws, and of weights down to 1e-100, a few exceed it, by a third.
    for seed in range(first, first + 50):
        Y, start, t, rtol = drawn(seed)
        (m, n), k, rng = Y.shape, start.U.shape[1], np.random.default_rng(seed)
        root, Q0 = rng.standard_normal((n, n)), rng.standard_normal((k, k))
        more = [
            {"rates": tuple(10 ** rng.uniform(-1, 1, 2))},
            {"covariance": root @ root.T / n},
            {"Q0": start.Q + 0.1 * (Q0 + Q0.T)},
            {"Q0": float(rng.standard_normal())},
        ][seed % 4]
        run = flow.solve_regularized if "Q0" in more else flow.solve
        path = run(Y, start, t=t, rtol=rtol, **more)
        if seed % 4 == 3:
            more["Q0"] = more["Q0"] * np.eye(k)
        R = longer(Y, start, t, **more)
        error = size((path.X - R[:, :m] @ R[:, m:].mT).astype(float))
        assert (error <= 2 * path.error_estimate).all(), seed


def test_explicit_steps_know_their_error(monkeypatch):
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    # In the last, fast decays kept errors of hundreds of tolerances at the edge of stability.
    for seed in (*range(50), 90096):
        Y, start, t, rtol = drawn(seed)
        path, m = flow.solve(Y, start, t, rtol), Y.shape[0]
        R = longer(Y, start, t)
        error = size((path.X - R[:, :m] @ R[:, m:].mT).astype(float))
        assert (error <= 2 * path.error_estimate).all(), seed
        assert (error <= 2 * allowed(path, Y, rtol)).all(), seed
        assert_conserved(path, rtol)


def beside_what_rests(seed, m, n, k):
    """Y, a start of one tiny and m - 1 large modes in the same units, t, rtol, and X(t)."""
    rng = np.random.default_rng(seed)
    Phi, Psi, G = (np.linalg.qr(rng.standard_normal((a, a))).Q[:, :m] for a in (m, n, k))
    sigma, u = np.exp(rng.uniform(-1, 1, m)), 10 ** rng.uniform(0, 0.8, m)
    u[0] = 10 ** rng.uniform(-11, -7)
    t = -np.log(u[0]) / sigma[0] * np.array([0.5, 1.0, 1.1])
    x = np.array([[mode(s, 0.0, a**2, at) for s, a in zip(sigma, u, strict=True)] for at in t])
    start = gf.Weights(Phi * u @ G.T, Psi * u @ G.T)
    return Phi * sigma @ Psi.T, start, t, 10 ** rng.uniform(-6, -3), (Phi * x[:, None]) @ Psi.T


@pytest.mark.parametrize(
    ("m", "n", "k", "seeds"), [(2, 2, 3, range(24)), (2, 120, 100, [4, 5, 14])]
)
def test_explicit_steps_know_the_error_of_a_mode_far_below_its_units(
    monkeypatch, m, n, k, seeds
):
    # Fine and rough errors were not in proportion: one in four was above its estimate.
    if m * n * k < 100:
        monkeypatch.setattr(_explicit, "_LARGE", 0)
    assert _explicit.suits(m * n * k)
    for seed in seeds:
        Y, start, t, rtol, exact = beside_what_rests(seed, m, n, k)
        path = flow.solve(Y, start, t, rtol)
        assert (size(path.X - exact) <= path.error_estimate).all(), seed


def paths_tried(monkeypatch):
    """Force explicit steps; the list that is returned counts their paths."""
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    path, tried = _explicit.path, []
    monkeypatch.setattr(_explicit, "path", lambda *a, **k: tried.append(1) or path(*a, **k))
    return tried


@pytest.mark.parametrize("seed", [8, 22])
def test_explicit_steps_try_no_more_tolerances_where_errors_of_the_start_count(
    monkeypatch, seed
):
    # Of these, magnified by a saddle, the estimate is; 21 paths came to the same.
    tried = paths_tried(monkeypatch)
    Y, start, t, rtol, exact = beside_what_rests(seed, 2, 2, 3)
    path = flow.solve(Y, start, t, rtol)
    assert len(tried) <= 7
    assert (size(path.X - exact) <= path.error_estimate).all()
    assert (path.error_estimate <= 10 * allowed(path, Y, rtol)).all()


@pytest.mark.parametrize(("imbalance", "rtol"), [(1e-10, 1e-3), (1e-10, 1e-4), (3e-11, 1e-3)])
def test_explicit_steps_look_from_a_start_as_near_as_they_must(monkeypatch, imbalance, rtol):
    # A rough path from farther away is too late at the saddle to tell anything: 30 were tried,
    # and the estimate was a tenth of X.
    tried = paths_tried(monkeypatch)
    u, v = 2.0, -np.sqrt(4 - imbalance)
    with mp.workdps(40):
        lam, x0 = mp.mpf(u) ** 2 - mp.mpf(v) ** 2, mp.mpf(u) * mp.mpf(v)
    t = -np.log(imbalance) * np.array([0.5, 1.0, 1.1, 2.0])
    x = np.array([mode(1.0, lam, x0, moment) for moment in t])
    path = flow.solve([[1.0]], gf.Weights([[u]], [[v]]), t, rtol)
    assert len(tried) <= 13
    assert (np.abs(path.X[:, 0, 0] - x) <= path.error_estimate).all()
    assert (path.error_estimate <= 5e-3 * np.abs(x) + 1e-12).all()


def leaving_a_saddle(seed):
    """Y and a start of which one mode is learned and rests while small ones grow."""
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((4, 4))
    Phi, sigma, PsiT = np.linalg.svd(Y)
    d = np.sqrt(sigma) * [1, 0, 0, 0]
    U, V = Phi * d, PsiT.T * d
    U, V = (W + 1e-8 * rng.standard_normal((4, 4)) for W in (U, V))
    return Y, gf.Weights(U, V), 18 / sigma[1] * np.array([0.1, 0.5, 0.8, 0.9, 1.0])


@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-10])
def test_a_small_mode_leaves_a_saddle_in_steps_of_its_own(rtol):
    # A step as long as the mode that rests allows is too long for it, on both paths; so is one
    # whose last terms are the rounding of what rests.
    for seed in (6, 7, 10, 23):
        Y, start, t = leaving_a_saddle(seed)
        path, R = flow.solve(Y, start, t, rtol), longer(Y, start, t)
        error = size((path.X - R[:, :4] @ R[:, 4:].mT).astype(float))
        assert (error <= path.error_estimate).all(), seed
        assert (error <= 2 * allowed(path, Y, rtol)).all(), seed


def modes_at_rest(seed):
    """Sigma, sizes e of the modes, times and rtol: some modes rest, others leave a saddle."""
    rng = np.random.default_rng(seed)
    r = rng.integers(2, 5)
    sigma, e = np.sort(rng.uniform(0.1, 1, r))[::-1], 10 ** -rng.uniform(1, 14, r)
    sigma[0], rest = 1.0, rng.integers(1, r)
    e[:rest] = 1.0 if rng.random() < 0.6 else sigma[:rest] ** 0.5
    learned = -np.log(e[rest:]) / sigma[rest:]
    t = np.sort(np.concatenate([0.9 * learned, learned, 1.1 * learned]))
    return sigma, e, t[-1:] if rng.random() < 0.3 else t, 10 ** -rng.uniform(3, 10)


@pytest.mark.parametrize(("run", "count"), [(flow.solve, 120), (flow.solve_regularized, 8)])
def test_modes_in_hidden_units_of_their_own_may_rest_or_leave_a_saddle(run, count):
    # Two paths whose steps were limited by the same thing lost the same, and showed nothing.
    for seed in range(count):
        sigma, e, t, rtol = modes_at_rest(seed)
        start, more = gf.Weights(np.diag(e), np.diag(e)), {} if run is flow.solve else {"Q0": 0}
        path = run(np.diag(sigma), start, t=t, rtol=rtol, **more)
        s, u, moment = (np.longdouble(a) for a in (sigma, e, t[:, None]))
        x = s / (1 + (s / u**2 - 1) * np.exp(-2 * s * moment))
        error = size((path.X - x[:, None] * np.eye(len(e))).astype(float))
        assert (error <= path.error_estimate).all(), seed


def wrong_side(seed):
    """Y and a balanced start of which the determinant has the other sign, kept on the way."""
    if seed is None:
        Y, start = np.array([[3.0, 1.0], [1.0, 2.0]]), gf.Weights(np.eye(2), np.eye(2)[::-1])
    else:
        rng = np.random.default_rng(seed)
        Y = rng.standard_normal((2, 2))
        sign = -int(np.sign(np.linalg.det(Y)))
        start = gf.initial.balanced(2, 2, 2, 1.0, rng, det_sign=sign)
    return Y, start


@pytest.mark.parametrize("rtol", [1e-3, 1e-10])
@pytest.mark.parametrize("seed", [None, 1, 6, 8, 10])
def test_a_saddle_that_only_rounding_leaves_is_in_doubt_from_then_on(seed, rtol):
    Y, start = wrong_side(seed)
    t = np.array([15, 25, 36, 40]) / np.linalg.svd(Y)[1][1]
    R = longer(Y, start, t)
    X = (R[:, :2] @ R[:, 2:].mT).astype(float)
    # Neither path is at the saddle at the last time; one has to look before.
    for part in (t, t[3:]):
        path = flow.solve(Y, start, part, rtol)
        assert (size(path.X - X[-len(part) :]) <= path.error_estimate).all()
    assert path.error_estimate > 0.9 * np.linalg.svd(Y)[1][1]
    assert flow.solve(Y, start, t[0], rtol).error_estimate < 1e-2


@pytest.mark.parametrize("k", [2, 5, 9])
@pytest.mark.parametrize("e", [5e-16, 1e-20])
def test_a_late_mode_in_a_hidden_unit_of_its_own_is_kept_however_small(e, k):
    R = np.array([[1.0], [e]]) * np.eye(2, k)
    t, start = -2 * np.log(e) * np.array([0.7, 1.0, 1.3, 3.0]), gf.Weights(R, R)
    late = np.array([mode(0.5, 0.0, e**2, at) for at in t])
    Y = np.diag([1.0, 0.5])
    many = flow.solve_many(Y, [start, start], t)
    for path in flow.solve(Y, start, t), flow.solve_regularized(Y, start, 0.0, t):
        assert (np.abs(path.X[:, 1, 1] - late) <= path.error_estimate).all()
        assert path.error_estimate.max() < 1e-9
        assert np.abs(many.X - path.X).max() < 1e-9


@pytest.mark.parametrize(("k", "rank"), [(3, 1), (3, 2), (7, 2)])
def test_a_rank_that_is_short_but_for_rounding_is_kept_and_in_doubt(k, rank):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        Y, A = rng.standard_normal((3, 3)), rng.standard_normal((rank, k))
        start = gf.Weights(*(rng.standard_normal((3, rank)) @ A for _ in range(2)))
        t = np.array([5.0, 25.0, 60.0]) / np.linalg.svd(Y)[1][1]
        path, R = flow.solve(Y, start, t, 1e-6), longer(Y, start, t)
        assert (path.singular_values()[:, rank:] < 1e-12).all()
        error = size((path.X - R[:, :3] @ R[:, 3:].mT).astype(float))
        assert (error <= path.error_estimate).all()
        assert path.error_estimate[0] < 1e-6
        assert rank == 2 or path.error_estimate[2] > 0.1
        # What is zero as given is so for certain.
        B = start.U[:, :rank], start.V[:, :rank]
        sure = flow.solve(Y, gf.Weights(*(np.pad(W, ((0, 0), (0, 2))) for W in B)), t, 1e-6)
        assert sure.error_estimate[2] < 1e-5


@pytest.mark.parametrize(("t", "k"), [(700.0, 2), (1e4, 1)])
def test_weights_that_decay_below_all_numbers_are_zero_or_in_doubt(t, k):
    # x decays to 0, and x = 1 attracts all that a rounding error takes off its way.
    start = gf.Weights(np.ones((1, k)), -np.ones((1, k)))
    grown = gf.Weights(np.ones((1, k)), np.ones((1, k)))
    path = flow.solve([[1.0]], start, t, 1e-4)
    many = flow.solve_many([[1.0]], [start, grown], t, 1e-4)
    for x, error in [
        (path.X.item(), path.error_estimate),
        (many.X[0].item(), many.error_estimate[0]),
    ]:
        assert abs(x) < 1e-300 or abs(x - 1) < 1e-12
        assert error > 1
    assert many.X[1].item() == pytest.approx(1.0, abs=1e-12)
    assert many.error_estimate[1] < 1e-4


@pytest.mark.parametrize("scale", [1e3, 1e8, 1e20])
@pytest.mark.parametrize("target", [0.0, 1e-200])
def test_large_weights_that_forget_what_they_are_come_to_rest(monkeypatch, scale, target):
    # One layer decays below all numbers, whose noise made each step as short as the decay.
    monkeypatch.setattr(_radau, "ATTEMPTS", 1000)
    path = flow.solve([[target]], gf.Weights([[2 * scale]], [[scale]]), [1.0, 1e6])
    assert (np.abs(path.X[:, 0, 0] - target) <= path.error_estimate).all()
    assert (path.error_estimate <= 1e-145).all()
    assert path.U[-1].item() == pytest.approx(3**0.5 * scale, rel=1e-9)


def test_what_will_not_reach_the_end_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(_taylor, "TRIED", 100)
    monkeypatch.setattr(_radau, "TRIED", 100)
    start = gf.initial.gaussian(2, 3, 2, 1.0, np.random.default_rng(0))
    with pytest.raises(ArithmeticError, match=r"of 1000, as 1.15 of Y is where inputs have no"):
        flow.solve(np.eye(2, 3), start, 1e3, covariance=np.ones((3, 3)))
    narrow = gf.Weights(np.ones((2, 2)), np.ones((3, 2)))
    with pytest.raises(ArithmeticError, match=r"got no further than t = .* of 1e\+15"):
        flow.solve(np.eye(2, 3), narrow, 1e15)


@pytest.mark.parametrize("scale", [1e-12, 1e-20, 1e-30, 1e-45])
def test_what_is_learned_late_keeps_its_digits(scale):
    # When the first mode is learned, the third is 1e-26 and less, in hidden units of its own.
    # In units shared with the first it was learned from rounding errors, and too early. From
    # 1e-45 no digit of it is left in units of its own either, and the estimate says so.
    for seed in (0, 1, 4, 5) if scale > 1e-40 else (0,):
        Y, start, exact = spectral_case(scale, 1.0, seed)
        t = np.linspace(0, 3 - 3 * np.log(scale), 61)
        path = flow.solve(Y, start, t, 1e-9)
        error = size(path.X - exact(t))
        assert (error <= np.maximum(3 * path.error_estimate, allowed(path, Y, 1e-9))).all()
        assert error.max() < max(1e-9, 5e-3 * (1e-30 / scale) ** 0.25)
        assert (path.error_estimate[-1] < 1e-4) == (scale > 1e-40)
        assert_conserved(path)


def test_weights_between_ends_are_those_of_hermites_polynomial():
    x, t = np.array([0.0, 0.3, 0.5, 1.0]), np.array([0.3, 0.4, 0.9])
    all_of_them = np.ones((1, 4), bool)
    for degree in range(8):
        values, slopes = np.moveaxis(_explicit._hermite(x, t, all_of_them)[:, 0], 2, 0)
        f = values @ x**degree + slopes @ (degree * x ** max(degree - 1, 0))
        np.testing.assert_allclose(f, t**degree, rtol=1e-12)
    values = _explicit._hermite(1e20 * x, 1e20 * t, all_of_them)[:, 0, :, 0]
    assert np.allclose(values.sum(1), 1, rtol=1e-13)
    # Those that are left out have no weight, and none in that of the others.
    some = _explicit._hermite(x, t, np.array([[True, False, True, True]]))[:, 0]
    expected = _explicit._hermite(x[[0, 2, 3]], t, all_of_them[:, 1:])[:, 0]
    assert np.array_equal(some[:, [0, 2, 3]], expected)
    assert not some[:, 1].any()
    # Ends that are close magnify rounding errors, and are left out; the last is not.
    x = np.array([0.0, 0.01, 0.5, 1.0, 1.01])
    assert _explicit._spaced(x, np.arange(5)).tolist() == [1, 2, 4]


def test_two_implicit_paths_do_not_go_by_the_same_steps():
    # Both took the same steps once, and told nothing from each other.
    rng = np.random.default_rng(111)
    Y = rng.standard_normal((2, 4))
    U, V = 30 * rng.standard_normal((2, 8)), 0.1 * rng.standard_normal((4, 8))
    t, R = np.array([3 / np.linalg.norm(U, 2) ** 2]), np.concatenate([U, V])
    rough, fine = (_radau.path(Y, R, None, t, tol, tol < 1e-3, 0.0)[0] for tol in (1e-3, 1e-4))
    exact = longer(Y, gf.Weights(U, V), t)
    X_rough, X, truth = (r[:, :2] @ r[:, 2:].mT for r in (rough, fine, exact))
    assert size((X - truth).astype(float)) <= size(X - X_rough) + 4e-15 * size(U) * size(V)


@pytest.mark.parametrize("shape", [(7,), (2, 3)])
@pytest.mark.parametrize("one_target", [True, False])
@pytest.mark.parametrize("t", [1.5, np.linspace(0, 3, 5)])
def test_many_problems_are_each_one_alone(shape, one_target, t):
    rng = np.random.default_rng(1)
    count = int(np.prod(shape))
    starts = [gf.initial.gaussian(2, 3, 8, 10.0 ** -(i % 3), rng) for i in range(count)]
    Y = rng.standard_normal((2, 3) if one_target else (count, 2, 3))
    many = flow.solve_many(Y, starts, t)
    assert many.X.shape == (count, *np.shape(t), 2, 3)
    assert many.U.shape == (count, *np.shape(t), 2, 5)
    assert many.error_estimate.shape == many.Q_drift.shape == (count, *np.shape(t))
    for i, start in enumerate(starts):
        target = Y if one_target else Y[i]
        one = flow.solve(target, start, t)
        assert size(many.X[i] - one.X).max() < 1e-13 * size(one.X).max()
        assert np.allclose(many.error(Y)[i], one.error(target), rtol=1e-9, atol=1e-13)
        assert np.array_equal(many.error_estimate[i], one.error_estimate)
    assert (many.Q_drift <= 1e-12 * np.abs(many.Q).max()).all()


@pytest.mark.parametrize("k", [1, 3, 5, 12])
def test_what_is_in_a_stack_changes_no_bit_of_a_problem(k):
    # Of targets of all sizes, each with times of its own at which its paths are looked at, from
    # starts near saddles, of short rank and with hidden units of very different size.
    rng = np.random.default_rng(k)
    Y = rng.standard_normal((24, 2, 3)) * 10 ** rng.uniform(-3, 2, (24, 1, 1))
    U, V = (rng.standard_normal((24, rows, k)) for rows in (2, 3))
    size = 10 ** rng.uniform(-6, 1, (24, 1, 1)) * np.ones(k)
    size[::4] = 10 ** rng.uniform(-9, 0, (6, 1, k))
    U, V = size * U, size * V
    U[1::4, :, -1], V[1::4, :, -1] = U[1::4, :, 0], V[1::4, :, 0]
    t = np.array([0.0, 0.1, 3.0, 20.0])
    for rtol in (1e-6, 1e-10):
        many = flow.solve_many(Y, gf.Weights(U, V), t, rtol)
        for i in range(24):
            one = flow.solve(Y[i], gf.Weights(U[i], V[i]), t, rtol)
            for name in ("X", "U", "V", "error_estimate"):
                assert np.array_equal(getattr(many, name)[i], getattr(one, name)), (i, name)


def test_many_problems_show_progress_and_groups_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    Y, starts = rng.standard_normal((2, 2)), [gf.initial.gaussian(2, 2, 3, 0.5, rng)] * 5
    monkeypatch.setattr(flow, "_GROUP", 1)
    seen = []

    def progress(groups):
        for group in groups:
            seen.append((group, len(groups)))
            yield group

    whole = flow.solve_many(Y, starts, 1.0, progress=progress)
    assert [group for group, _ in seen] == [0, 1, 2, 3, 4]
    assert {length for _, length in seen} == {5}
    assert np.array_equal(whole.X, np.broadcast_to(whole.X[0], (5, 2, 2)))


@pytest.mark.parametrize("k", [2, 5, 20])
def test_starts_lie_in_memory_alike_whatever_their_width(k):
    # Or a product has other bits in a stack than alone.
    rng = np.random.default_rng(0)
    start = flow._start(*(rng.standard_normal((3, rows, k)) for rows in (1, 3)))
    assert start.R.flags.c_contiguous
    assert start.part(np.arange(2)).Z.flags.c_contiguous


def test_paths_that_take_the_places_of_others_are_the_same_to_the_last_bit(monkeypatch):
    # Long paths beside short ones, some at rest from the start and some that hand over.
    rng = np.random.default_rng(3)
    sizes = [0.3, 1.0, 0.0, 3.0, 30.0, 0.01, 1.0, 10.0, 0.1]
    Y = rng.standard_normal((len(sizes), 2, 3))
    starts = [gf.initial.gaussian(2, 3, 5, max(std, 1e-9), rng) for std in sizes]
    starts[2] = gf.Weights(0 * starts[2].U, 0 * starts[2].V)
    times = np.array([0.0, 0.1, 2.0, 40.0])
    together = flow.solve_many(Y, starts, times)
    monkeypatch.setattr(_taylor, "_CACHE", 1)  # so that there are two places
    in_turn = flow.solve_many(Y, starts, times)
    for name in ("X", "U", "V", "error_estimate"):
        assert np.array_equal(getattr(together, name), getattr(in_turn, name))
    for i, (y, start) in enumerate(zip(Y, starts, strict=True)):
        assert np.array_equal(flow.solve(y, start, times).U, together.U[i])


def test_a_problem_that_fails_is_named_and_the_others_are_kept(monkeypatch):
    def refuse(*args):
        raise ArithmeticError("no further")

    monkeypatch.setattr(flow, "_finish", refuse)
    monkeypatch.setattr(_taylor, "ATTEMPTS", 3)
    fine, far = gf.Weights([[1.0]], [[1.0]]), gf.Weights([[0.1]], [[0.1]])
    with pytest.raises(gf.BatchError, match=r"problem \(1,\) of the batch: no further") as info:
        flow.solve_many([[1.0]], [fine, far, fine], [0.0, 50.0])
    assert list(info.value.errors) == [(1,)]
    path = info.value.result
    assert np.isnan(path.X[1]).all()
    assert np.isnan(path.error_estimate[1]).all()
    assert path.X[[0, 2], 1, 0, 0] == pytest.approx(1.0, rel=1e-14)
    with pytest.raises(ArithmeticError, match="no further"):
        flow.solve([[1.0]], far, [0.0, 50.0])


def test_large_problems_that_fail_are_not_numbers_and_others_are(monkeypatch):
    large = flow._large

    def refuse(Y, nudged, R, *rest):
        if np.abs(R).max() < 0.5:
            raise ArithmeticError("no further")
        return large(Y, nudged, R, *rest)

    monkeypatch.setattr(flow, "_large", refuse)
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    starts = [gf.Weights([[a]], [[a]]) for a in (0.1, 1.0)]
    with pytest.raises(gf.BatchError, match=r"problem \(0,\) of the batch: no further") as info:
        flow.solve_many([[1.0]], starts, [0.0, 1.0, 50.0])
    path = info.value.result
    assert np.isnan(path.X[0]).all()
    assert np.isnan(path.error_estimate[0]).all()
    assert path.X[1, :, 0, 0] == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("size", [1e12, 1e14, 1e16, 1e18, 1e30])
def test_what_is_too_stiff_to_follow_is_said_and_spares_the_others(size):
    # Implicit steps that left the numbers met a decomposition with an error of its own.
    start = gf.Weights(0.1 * np.eye(2), 0.1 * np.eye(2))
    Y = np.array([np.diag([size, 1.0]), np.diag([2.0, 1.0])])
    errors: dict[tuple[int, ...], ArithmeticError] = {}
    try:
        path = flow.solve_many(Y, [start, start], 1.0)
    except gf.BatchError as problem:
        path, errors = problem.result, problem.errors
    assert list(errors) in ([], [(0,)])
    if errors:
        assert re.search("no further|leave the range", str(errors[0,]))
    else:  # rounding may happen to put X on Y, where the path rests
        exact = gf.exact.spectral(Y[0], start, 1.0)
        assert np.linalg.norm(path.X[0] - exact) <= path.error_estimate[0]
    assert path.X[1] == pytest.approx(gf.exact.spectral(Y[1], start, 1.0), abs=1e-9)


@pytest.mark.parametrize(("m", "n", "k"), [(2, 40, 3), (40, 2, 3), (3, 50, 60), (25, 22, 25)])
def test_large_problems_agree_with_scipy(m, n, k):
    # Rows that do not move are left out, and the last goes by explicit steps.
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((m, n)) / 6, gf.initial.gaussian(m, n, k, 0.3, rng)
    t = np.linspace(0, 1, 6)
    R = by_scipy(Y, start, None, t)
    exact = R[:, :m] @ R[:, m:].mT
    for rtol in (1e-5, 1e-9, 1e-12):
        path = flow.solve(Y, start, t, rtol)
        assert_honest(path, Y, rtol, size(path.X - exact), 2e-13 * size(exact) + 1e-12)
        assert_conserved(path, rtol)


def test_rows_that_do_not_move_make_no_problem_large(monkeypatch):
    # Explicit steps took three times as long for what is 2 by 6.
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((2, 3000)) / 50, gf.initial.gaussian(2, 3000, 4, 0.02, rng)
    assert _explicit.suits(Y.size * 4)
    monkeypatch.setattr(_explicit, "path", None)
    path = flow.solve(Y, start, 1.0)
    U, V = np.split(by_scipy(Y, start, None, np.array([0.0, 1.0]))[-1], [2])
    assert size(path.X - U @ V.T) <= 1e-10 * size(path.X)


def test_explicit_steps_hand_a_stiff_path_over(monkeypatch):
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 5, 3.0, rng)
    t = np.append(np.linspace(0, 1, 5), 1e4)
    expected = flow.solve(Y, start, t, 1e-11)
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    implicit, begun = _radau.path, []
    monkeypatch.setattr(_radau, "path", lambda *args: begun.append(args[6]) or implicit(*args))
    for patience, hard in (10, True), (10_000, False):
        monkeypatch.setattr(_explicit, "_PATIENCE", patience)
        begun.clear()
        path = flow.solve(Y, start, t, 1e-8)
        assert (size(path.X - expected.X) <= 1e-8 * size(expected.X)).all()
        assert_conserved(path)
        # Or the path is at rest before that many steps are done.
        assert bool(begun) == hard
        assert all(0 < now < t[-1] for now in begun)


def test_explicit_steps_do_not_hand_over_what_is_only_small(monkeypatch):
    # Its steps are short as weights grow by 1e150, which implicit ones would have to follow.
    Y, start, t = np.diag([2.0, 1.0]), gf.Weights(1e-150 * np.eye(2), 1e-150 * np.eye(2)), [0.0]
    t += [100.0, 170.0, 300.0, 345.0, 400.0, 1e6]
    exact = [[mode(s, 0.0, 1e-300, at) for s in (2.0, 1.0)] for at in t]
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    monkeypatch.setattr(_explicit, "_PATIENCE", 300)
    monkeypatch.setattr(_radau, "path", None)
    steps, weigh = [], _explicit.hands_over
    monkeypatch.setattr(
        _explicit, "hands_over", lambda hard, *rest: steps.append(hard) or weigh(hard, *rest)
    )
    path = flow.solve(Y, start, t, 1e-6)
    for i in range(2):
        assert path.X[:, i, i] == pytest.approx(np.array(exact)[:, i], rel=1e-6, abs=1e-300)
    assert max(steps) < 300 < 2000 < len(steps)


@pytest.mark.parametrize(
    ("order", "edge", "settled"), [(8, 6.1, 20), (3, _explicit._damped(_explicit._STAGES), 50)]
)
def test_explicit_steps_stay_where_they_damp_the_fastest_decay(order, edge, settled):
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((9, 8)), gf.initial.gaussian(9, 8, 10, 1.0, rng)
    z, hard = [], []
    for _, h, y, _, limited, _ in _explicit._ends(Y, start.R, 30.0, 30.0, 1e-3, order):
        R = y.reshape(start.R.shape)
        fast = np.linalg.norm(R[:9], 2) ** 2 + np.linalg.norm(R[9:], 2) ** 2
        z.append(h * fast)
        hard.append(limited)
    z, hard = np.array(z), np.array(hard)
    assert 0.7 * edge < z[settled:-2].min()  # or the steps are shorter than they need be
    assert z[1:].max() < edge
    assert hard[settled:-2].all()
    assert not hard[:2].any()


def growth(method, z):
    """What one step makes of y' = z y from 1."""
    K = np.zeros(len(method.A))
    for weights, place in zip(method.A, method.places, strict=True):
        K[place] = z * (1 + weights @ K)
    return 1 + method.A[-1] @ K, method.errors @ K


@pytest.mark.parametrize("s", range(3, _explicit._STAGES + 1, 2))
def test_stabilized_steps_damp_all_decays_that_their_stages_reach(s):
    method, edge = _explicit._stabilized(s), _explicit._damped(s)
    y = np.array([growth(method, z)[0] for z in -np.linspace(0, edge, 1000)])
    assert (np.abs(y[1:]) < 1).all()
    assert np.abs(y[300:]).max() < 0.78
    # Of order 2, with errors that the estimate sees.
    for z in (0.01, -0.01):
        y, (estimate,) = growth(method, z)
        assert 0.05 < (np.exp(z) - y) / z**3 < 0.11
        assert 1 < estimate / (np.exp(z) - y) < 2


def test_explicit_steps_may_hand_over_before_the_first_time(monkeypatch):
    Y, start, t = np.array([[1.0, 0.5]]), gf.Weights([[0.3]], [[0.2], [0.1]]), [1.0, 4.0]
    expected = flow.solve(Y, start, t)
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    monkeypatch.setattr(_explicit, "hands_over", lambda *args: True)
    path = flow.solve(Y, start, t)
    assert (size(path.X - expected.X) <= 1e-10 * size(expected.X)).all()


def test_which_method_follows_the_path():
    assert not _explicit.suits(_explicit._LARGE)
    assert _explicit.suits(_explicit._LARGE + 1)
    h, left = np.ones(4), np.array([0.0, 100.0, 101.0, np.inf])
    assert not _taylor.hands_over(99, h, left).any()
    assert _taylor.hands_over(100, h, left).tolist() == [False, False, True, True]
    # Large matrices bear with more, as implicit steps cost more of the explicit ones.
    assert not _taylor.hands_over(100, h, left, 101).any()
    assert _taylor.hands_over(101, h, left, 101).tolist() == [False, False, False, True]


@pytest.mark.parametrize("m", [1, 3])
def test_errors_grow_as_the_integral_of_the_spectral_norm_of_E(m, monkeypatch):
    # From U = V = a I each x = a^2 learns x' = 2 (1 - x) x. What one more hidden unit has of it
    # changes no X but by its square, and grows by exp(integral of |1 - x|) = |x / x(0)|^(1/2).
    monkeypatch.setattr(_taylor._Series, "left_out", lambda *args: 0)  # nothing but the start
    t = np.linspace(0, 3, 13)
    for a in (1e-3, 0.3, 0.9, 1.5):
        R = a * np.tile(np.eye(m, m + 1), (2, 1))
        path = _taylor.path(np.eye(m)[None], R[None], t, np.array([1e-13]), None)
        x = path.states[0, :, 0, 0] * path.states[0, :, m, 0]
        grown = np.exp(np.abs(np.log(x / x[0])) / 2)
        error = path.error[0, 1:] / (_taylor.START * np.linalg.norm(R))
        assert (error >= grown[1:]).all()
        assert (error <= 1.5 * grown[-1] ** m ** (1 / 8)).all()
    # Any error of any start, also where E is large and weights are opposite.
    rng = np.random.default_rng(0)
    for i in range(8):
        n, k = int(rng.integers(1, 4)), int(rng.integers(1, 8))
        Y = rng.standard_normal((m, n)) * 10 ** rng.uniform(-1, 0.5, (1, n))
        R = rng.standard_normal((m + n, k)) * 10 ** rng.uniform(-1, 0.2)
        if i % 2:
            R[:m] = -Y @ R[m:]
        away = R + 1e-7 * rng.standard_normal(R.shape)
        t = np.array([0.3, 2.0]) / np.linalg.norm(Y, 2)
        path = _taylor.path(Y[None], R[None], t, np.array([1e-13]), None)
        ends = (longer(Y, gf.Weights(S[:m], S[m:]), t) for S in (R, away))
        apart = np.linalg.norm(np.subtract(*ends).astype(float), axis=(1, 2))
        error = path.error[0] / (_taylor.START * np.linalg.norm(R))
        assert (apart <= 1.001 * error * np.linalg.norm(away - R)).all()


def test_where_errors_grow_by_little_a_path_goes_alone():
    Y = np.diag([2.0, 1.0])[None]
    wide, small = np.full((1, 4, 4), 0.5), np.full((1, 4, 4), 0.01)
    wide[:, 1::2, ::2] *= -1
    assert 0 < flow._promising(Y, wide, 1e-10)[0] <= 1e-13
    assert flow._promising(Y, small, 1e-10)[0] == 0
    assert flow._promising(Y, wide, 1e-13)[0] == 0  # what a step rounds is more than that
    assert flow._promising(Y, wide[..., :1], 1e-3)[0] == 0  # too narrow for Y
    assert not flow._promising(np.eye(30)[None], np.eye(60)[None], 1e-3).any()  # large
    # The edge: the tolerance is what a step rounds.
    edge = 1e-12 * _taylor.STEP / flow._promising(Y, wide, 1e-12)[0]
    assert flow._promising(Y, wide, 0.999 * edge)[0] == 0
    least = flow._promising(Y, wide, 1.001 * edge)[0]
    assert least == pytest.approx(1.001 * _taylor.STEP)


def test_a_later_time_changes_little_of_what_comes_before():
    # What is drawn from a step that is cut short rounds in another way.
    rng = np.random.default_rng(0)
    for _ in range(20):
        Y, R = rng.standard_normal((2, 3)), rng.standard_normal((5, 6))
        start, t = gf.Weights(R[:2], R[2:]), [0.1, 0.3]
        path = flow.solve(Y, start, t, 1e-6)
        for last in (0.4, 3.0, 100.0):
            more = flow.solve(Y, start, [*t, last], 1e-6)
            assert (size(more.X[:2] - path.X) <= 1e-11 * size(path.X)).all()
            assert (more.error_estimate[:2] <= 5 * path.error_estimate).all()
            assert (more.error_estimate[:2] >= path.error_estimate / 5).all()


def test_a_bound_that_is_too_large_gives_way_to_a_second_path(monkeypatch):
    rng = np.random.default_rng(0)
    Y, R, t = np.ones((3, 2, 3)), rng.standard_normal((3, 5, 4)), np.ones(1)
    weights = gf.Weights(R[:, :2], R[:, 2:])
    tol = flow._promising(Y, R, 1e-8)
    R_alone, bound, good = flow._bounded(Y, R, t, 1e-8, tol)
    assert (tol > 0).all()
    assert good.all()
    alone = flow.solve_many(Y, weights, t, 1e-8)
    assert np.array_equal(alone.error_estimate, bound)
    assert np.array_equal(alone.U, R_alone[:, :, :2])
    # The second of these three has not what was asked for, and is followed anew.
    monkeypatch.setattr(
        flow, "_bounded", lambda *args: (R_alone * np.nan, bound, good & [True, False, True])
    )
    path = flow.solve_many(Y, weights, t, 1e-8)
    assert np.isnan(path.X[[0, 2]]).all()
    np.testing.assert_allclose(path.X[1], alone.X[1], rtol=1e-8)
    assert path.error_estimate[1] != bound[1]


def test_eulers_sum_weighs_terms_as_a_binomial_law_does():
    # t^i = beta^i sum_j C(j-1, i-1) z^j, cut at order p, is t^i times the chance of at least
    # i successes in p trials, each of chance 1 - z.
    p, beta = _taylor._ORDER, 1.7
    for t in (0.0, 0.1, 0.5, 2.0):
        z = t / (t + beta)
        powers = _taylor._powers(np.array(z)) @ _taylor._EULER
        weights = (powers * _taylor._powers(np.array(beta)))[::-1]
        i = np.arange(p + 1)
        expected = t**i * np.where(i > 0, binom.sf(i - 1, p, 1 - z), 1)
        np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=1e-300)


def test_decays_that_the_series_does_not_see_are_damped_by_its_sum():
    p, i = _taylor._ORDER, np.arange(_taylor._ORDER + 1)
    factorials = np.cumprod(np.maximum(i, 1.0))
    for z in np.linspace(0, 0.8, 41):
        weights = np.where(i > 0, binom.sf(i - 1, p, 1 - z), 1) / factorials
        x = np.linspace(0.5, _taylor._FALL * (1 + _taylor._FARTHER * z) * p, 500)[:, None]
        assert (np.abs(((-x) ** i * weights).sum(1)) <= 2 / 3).all()


@pytest.mark.parametrize(("std", "least"), [(2.0, 1.8), (0.3, 1.1)])
def test_eulers_sum_goes_farther_than_the_series_and_errs_by_less_than_the_tolerance(
    std, least
):
    rng = np.random.default_rng(0)
    Y, R = rng.standard_normal((3, 4)), std * rng.standard_normal((7, 7))
    for tol in (1e-8, 1e-10, 1e-13):
        series = _taylor._Series(1, 3, 4, 7, None)
        series.fill(np.array([0.01]), Y[None], R[None])
        plain, reach = series.reach(np.array([[tol**2]]), np.zeros((1, 1)))
        assert reach > least * plain
        for part in (0.5, 1.0):
            end = np.empty((1, 1, *R.shape))
            series.sum(series.weights(part * reach[:, None], np.ones((1, 1))), ..., end)
            t = np.array([0.01 * part * reach[0]])
            exact = longer(Y, gf.Weights(R[:3], R[3:]), t)[0].astype(float)
            error = np.linalg.norm(end - exact)
            assert error < (tol + 4e-15) * np.linalg.norm(R)
            assert error < series.left_out(np.array([[tol**2]]))[0]


def general(Y, weights, t, Sigma, a, b):
    """X(t) and the weights by SciPy, for inputs that are not white and a rate a layer."""
    m, shape = Y.shape[0], weights.R.shape

    def flat(_, r):
        U, V = r.reshape(shape)[:m], r.reshape(shape)[m:]
        E = Y - U @ V.T @ Sigma  # (12) is that with Sigma = I
        return np.concatenate([a * E @ V, b * E.T @ U]).ravel()

    run = solve_ivp(
        flat, (0, t[-1]), weights.R.ravel(), "DOP853", t, rtol=3e-14, atol=1e-16, max_step=0.01
    )
    return run.y.T.reshape(-1, *shape)


@pytest.mark.parametrize("rank", [4, 2])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.3, 2.0), (2.0, 2.0)])
@pytest.mark.parametrize("k", [2, 6, 12])
def test_covariance_and_rates_agree_with_scipy(rank, a, b, k):
    rng = np.random.default_rng(k)
    root = rng.standard_normal((4, rank))
    Sigma, Y = root @ root.T, rng.standard_normal((3, 4))
    start, t = gf.initial.gaussian(3, 4, k, 0.6, rng), np.linspace(0, 1, 9)
    R = general(Y, start, t, Sigma, a, b)
    exact = R[:, :3] @ R[:, 3:].mT
    path = flow.solve(Y, start, t, 1e-10, covariance=Sigma, rates=(a, b))
    assert (size(path.X - exact) <= path.error_estimate + 2e-12 * size(exact)).all()
    gram = size(path.U) ** 2 / a + size(path.V) ** 2 / b
    assert (path.Q_drift <= 1e-12 * np.maximum.accumulate(gram)).all()
    many = flow.solve_many(Y, [start, start], t, covariance=Sigma, rates=(a, b))
    assert size(many.X - path.X).max() < 1e-13 * size(path.X).max()
    gram = path.U.mT @ path.U / a - path.V.mT @ path.V / b
    assert np.allclose(gram, path.Q, rtol=0, atol=1e-13 * np.abs(gram).max())


def test_white_inputs_are_the_covariance_of_one():
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 5, 0.5, rng)
    white, same = (flow.solve(Y, start, 2.0, covariance=c) for c in (None, np.eye(4)))
    assert size(white.X - same.X) < 1e-13
    plain = flow.solve(Y, start, 2.0, rates=(3.0, 3.0)).X
    assert size(plain - flow.solve(Y, start, 6.0).X) < 1e-13


def test_a_number_regularizes_towards_its_multiple_of_the_identity():
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((3, 4)), gf.initial.gaussian(3, 4, 9, 0.5, rng)
    for lam in (0, -1.5):
        number = flow.solve_regularized(Y, start, lam, [0.5, 2.0])
        matrix = flow.solve_regularized(Y, start, lam * np.eye(9), [0.5, 2.0])
        assert np.array_equal(number.X, matrix.X)
        R = by_scipy(Y, start, lam * np.eye(9), [0.5, 2.0])
        assert size(number.X - R[:, :3] @ R[:, 3:].mT).max() < 1e-10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"covariance": np.eye(2)},
            r"covariance must have shape \(3, 3\) to fit Y, got shape \(2, 2\)",
        ),
        (
            {"covariance": -np.eye(3)},
            "covariance must be positive semidefinite, but has the eigenvalue -1",
        ),
        ({"covariance": np.triu(np.ones((3, 3)))}, "covariance must be symmetric"),
        ({"rates": (1.0, 0.0)}, "rates must be above 0, got 1 and 0"),
        ({"rates": (1e-320, 1.0)}, "rates must be above 0, and at least 1e-155, got 9.99"),
        ({"rates": (1.0,)}, r"rates must have shape \(2,\), got shape \(1,\)"),
        ({"rtol": 1e-14}, "rtol must be at least 1e-13"),
        ({"weights0": []}, "weights0 must not be empty"),
        ({"weights0": 3}, "weights0 must be Weights, got int"),
        ({"weights0": [None]}, r"weights0\[0\] must be Weights, got NoneType"),
        (
            {"Y": np.ones((4, 2, 3))},
            r"Y must have shape \(2, 2, 3\) to fit weights0, got shape \(4, 2, 3\)",
        ),
        ({"progress": None}, "progress must be callable, got NoneType"),
        ({"progress": len}, "progress must return what to loop over, got int"),
        *(
            (
                {"progress": lambda groups, given=given: given},
                "progress must return what it was",
            )
            for given in ([5], [0, 0], ["a"], [[0]], [None], [False], [-1], [0.0], "0", [2**70])
        ),
    ],
)
def test_bad_input_to_many_is_refused(arguments, message):
    start = gf.Weights(np.ones((2, 4)), np.ones((3, 4)))
    good = {"Y": np.ones((2, 3)), "weights0": [start, start], "t": 1.0}
    with pytest.raises(ValueError, match=message):
        flow.solve_many(**(good | arguments))
    other = gf.Weights(np.ones((2, 5)), np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"U of weights0\[1\] must have shape \(2, 4\)"):
        flow.solve_many(**(good | {"weights0": [start, other]}))


def test_the_flow_is_imported_without_what_only_large_problems_need():
    code = "import sys, gfcore.flow; print('scipy.integrate' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("Y", "size", "t"),
    [(1.0, 1e-170, 400.0), (1e-170, 1e-90, 1e6), (0.0, 1e-200, 1.0)],
)
def test_weights_and_targets_whose_squares_underflow(Y, size, t):
    start, times = gf.Weights([[size]], [[size]]), np.array([0.0, t, 1.1 * t])
    x = gf.exact.identity_imbalance([[Y]], start, 0.0, times)[:, 0, 1]
    path = flow.solve([[Y]], start, times)
    assert np.abs(path.X[:, 0, 0] - x).max() <= 1e-10 * Y
    soon = flow.solve_regularized([[Y]], start, 0.0, 20.0)
    assert abs(soon.U.item() / (size * np.exp(Y * 20)) - 1) < 1e-9


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-170])
def test_the_imbalance_of_next_to_nothing_is_kept_without_a_division_by_zero(size):
    Z, J = np.full((1, 2, 1), size), np.array([[1.0], [-1.0]])
    assert np.array_equal(_radau.conserve(Z, np.zeros((1, 1)), J), Z)


def test_a_large_problem_may_start_at_zero():
    Y, start = np.ones((100, 100)), gf.Weights(np.zeros((100, 64)), np.zeros((100, 64)))
    assert flow._explicit.suits(Y.size * 64)
    assert not flow.solve(Y, start, 1e-3).X.any()


def test_large_weights_that_decay_keep_no_imbalance_of_rounding():
    Y, U, t = np.zeros((35, 35)), np.zeros((35, 35)), np.array([1.0, 4.0, 10.0])
    Y[0, 0], Y[1, 1], U[0, 0] = 3.0, 1e-3, 0.1
    path = flow.solve(Y, gf.Weights(U, -U), t)
    expected = -0.03 / (3.01 * np.exp(6 * t) - 0.01)  # x = -u^2, u' = -(3 + u^2) u
    gap = np.linalg.norm(path.X - expected[:, None, None] * (U != 0), axis=(1, 2))
    assert (gap <= path.error_estimate).all()
    assert gap.max() < 1e-14


@pytest.mark.parametrize("unit", [1e-16, 1e8])
def test_large_problems_do_not_depend_on_the_unit_of_time(unit):
    rng, t = np.random.default_rng(1), np.array([0.013, 0.3, 2.0])
    Y, R = rng.standard_normal((40, 40)) / 6, 0.3 * rng.standard_normal((80, 36))
    X = flow.solve(Y, gf.Weights(R[:40], R[40:]), t).X
    R *= unit**0.5
    other = flow.solve(unit * Y, gf.Weights(R[:40], R[40:]), t / unit).X / unit
    assert np.abs(other - X).max() < 1e-11


def test_what_progress_leaves_out_is_not_a_number():
    start = gf.Weights([[1.0]], [[1.0]])
    path = flow.solve_many([[1.0]], [start, start], [0.0, 1.0], progress=lambda groups: [])
    assert np.isnan(path.X).all()
    assert np.isnan(path.error_estimate).all()


@pytest.mark.parametrize("slow", [1e-20, 1e-40, 1e-75])
@pytest.mark.parametrize("k", [2, 5])
def test_a_layer_that_hardly_learns_leaves_a_linear_flow_to_the_other(slow, k):
    # U' = (Y - U V^T) V with V at rest: U = U0 exp(-S t) + Y V (1 - exp(-S t))/S, S = V^T V.
    rng = np.random.default_rng(0)
    Y, start, t = rng.standard_normal((2, 3)), gf.initial.gaussian(2, 3, k, 1.0, rng), 1.0
    d, P = np.linalg.eigh(start.V.T @ start.V)
    decay, rise = np.exp(-d * t), np.where(d > 1e-9, -np.expm1(-d * t) / np.maximum(d, 1e-9), t)
    exact = ((start.U @ P) * decay + (Y @ start.V @ P) * rise) @ P.T @ start.V.T
    path = flow.solve(Y, start, t, rates=(1.0, slow))
    assert size(path.X - exact) <= path.error_estimate + 1e-14
    turned = flow.solve(Y.T, gf.Weights(start.V, start.U), t, rates=(slow, 1.0))
    assert size(turned.X.T - exact) <= turned.error_estimate + 1e-14


def test_a_layer_of_zeros_is_zero_at_the_start_and_right_just_after():
    rng = np.random.default_rng(0)
    Y, V, t = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), 1e-9
    path = flow.solve(Y, gf.Weights(np.zeros((3, 5)), V), [0.0, t])
    assert not path.X[0].any()
    assert size(path.X[1] - t * Y @ V @ V.T) < 1e-7 * size(path.X[1])


def test_what_a_target_sees_of_a_start_keeps_its_digits_beside_larger_rows():
    # v' = u_1 - v |u|^2, of which a rotation of the rows that mixes u_1 with the others, a
    # million times as large, leaves ten digits.
    u, v, t = np.array([[3e-7], [0.6], [0.2], [-0.1]]), 1e-6, np.array([0.5, 3.4])
    Y = np.eye(4, 1)
    R = longer(Y, gf.Weights(u, [[v]]), t)
    exact = (R[:, :4] @ R[:, 4:].mT).astype(float)
    start, turned = gf.Weights(u, [[v]]), gf.Weights([[v]], u)
    for rtol in (1e-4, 1e-12):
        for X in flow.solve(Y, start, t, rtol).X, flow.solve(Y.T, turned, t, rtol).X.mT:
            assert (size(X - exact) <= rtol * size(exact)).all()
        # The penalty has rounding errors of its own.
        path = flow.solve_regularized(Y, start, start.Q, t, rtol)
        assert (size(path.X - exact) <= path.error_estimate).all()


def among_equal_modes(seed, m, n, k, flip):
    """Y of equal singular values, and a start almost at rest, or almost opposite to Y."""
    rng = np.random.default_rng(seed)
    P, B, G = (np.linalg.qr(rng.standard_normal((a, a))).Q for a in (m, n, k))
    r = min(m, n)
    U, V = np.outer(P[:, 0], G[0]), np.outer(B[:, 0], G[0]) * (-1 if flip else 1)
    eps = 10 ** rng.uniform(-11, -7)
    U, V = (W + eps * rng.standard_normal(W.shape) for W in (U, V))
    return P[:, :r] @ B[:, :r].T, gf.Weights(U, V), -np.log(eps) * np.array([0.3, 0.8, 1.2])


@pytest.mark.parametrize(
    ("m", "n", "k", "flip", "seeds"),
    [
        (4, 4, 9, False, range(8)),
        (4, 2, 1, True, [*range(8), 109, 116, 127, 129, 130, 153]),
        (3, 3, 5, True, range(8)),
        (1, 3, 6, True, range(8)),
    ],
)
def test_the_estimate_knows_what_a_rotation_of_rows_or_units_has_rounded(m, n, k, flip, seeds):
    # The entries of what is rotated are as wrong as what they were mixed from, and where modes
    # are equal no single direction is that of the one that counts: to change a start along what
    # it has of them makes it grow, and does not turn it.
    for seed in seeds:
        Y, start, t = among_equal_modes(seed, m, n, k, flip)
        R = longer(Y, start, t)
        exact = (R[:, :m] @ R[:, m:].mT).astype(float)
        path = flow.solve(Y, start, t, 1e-12)
        assert (size(path.X - exact) <= path.error_estimate).all(), seed


def test_the_smallest_numbers_overflow_nowhere():
    U, V, Y = (5e-324 * np.ones(shape) for shape in [(3, 5), (4, 5), (3, 4)])
    with np.errstate(all="raise"):
        path = flow.solve(Y, gf.Weights(U, V), [0.0, 1.0, 1e6])
    assert not path.X.any()


def fast_decays(seed):
    """Large weights, whose decays limit explicit steps, and times between the ends of steps."""
    rng = np.random.default_rng([77, seed])
    m, n, k = rng.integers(2, 6, 3)
    scale = 10 ** rng.uniform(0.3, 1.2)
    Y = rng.standard_normal((m, n))
    start = gf.Weights(scale * rng.standard_normal((m, k)), scale * rng.standard_normal((n, k)))
    fast = np.linalg.norm(start.U, 2) ** 2 + np.linalg.norm(start.V, 2) ** 2
    T = 10 ** rng.uniform(1.3, 2.6) / fast
    return Y, start, np.sort(np.append(T * rng.random(6), T)), 10 ** -rng.uniform(6, 12)


@pytest.mark.parametrize("seed", [34, 51, 65, 74, 91, 93, 94, 111, 114, 240, 261, 270])
def test_explicit_steps_know_errors_that_are_about_to_decay(monkeypatch, seed):
    # They are far above the tolerance of a step, and were told at the last time only.
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    Y, start, t, rtol = fast_decays(seed)
    path, R = flow.solve(Y, start, t, rtol), longer(Y, start, t)
    error = size((path.X - R[:, : len(Y)] @ R[:, len(Y) :].mT).astype(float))
    assert (error <= path.error_estimate).all()


def test_a_first_step_far_too_long_is_tried_again(monkeypatch):
    # The rough path grows from 1e-23 in steps each ten times the last, and one overflows.
    monkeypatch.setattr(_explicit, "_LARGE", 0)
    start = gf.initial.gaussian(3, 4, 4, 1e-23, np.random.default_rng(0))
    for end in (50.0, 100.0, 200.0):
        for y in (0.3, 0.5, 1.0):
            path = flow.solve(y * np.eye(3, 4), start, end, 1e-3)
            assert path.error_estimate <= 1e-2 * size(path.X)


@pytest.mark.parametrize("variance", [1e-16, 1e-8, 1e-4, 1e-2, 1e4, 1e8, 1e16, 1e75])
@pytest.mark.parametrize("rtol", [1e-6, 1e-10, 1e-13])
def test_inputs_of_any_variance_are_followed_to_the_end(variance, rtol):
    # What rests is E = Y - U V^T Sigma; without its Sigma rest is seen far too early.
    s, t, x0 = np.longdouble(variance), np.longdouble(25), np.longdouble(0.1) ** 2
    exact = 1 / (1 + (1 / (s * x0) - 1) * np.exp(-2 * t)) / s
    for scale, other in ((1.0, variance), (variance, 1.0)):
        start = gf.Weights(np.diag([0.1, 0.1]), np.diag([0.1, 0.1]))
        path = flow.solve(np.eye(2), start, 25.0, rtol, covariance=np.diag([scale, other]))
        error = abs(path.X[0, 0] - (exact if scale == variance else path.X[0, 0]))
        error += abs(path.X[1, 1] - (exact if other == variance else path.X[1, 1]))
        assert error <= path.error_estimate
        assert path.error_estimate <= 1e-3 * np.linalg.norm(path.X)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e10])
@pytest.mark.parametrize("rtol", [1e-4, 1e-13])
def test_inputs_of_very_different_variance_are_followed_in_few_steps(
    monkeypatch, condition, rtol
):
    # What they see most of decays so fast that the series would need a million steps.
    fill, steps = _taylor._Series.fill, []
    monkeypatch.setattr(_taylor._Series, "fill", lambda *a: steps.append(1) or fill(*a))
    for seed in range(2):
        rng = np.random.default_rng(seed)
        A, B, G = (np.linalg.qr(rng.standard_normal((a, a))).Q for a in (4, 3, 5))
        s, y, x0 = condition ** -np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.7, 0.5]), 0.01
        start = gf.Weights(0.1 * A[:, :3] @ G[:3], 0.1 * B @ G[:3])
        t = np.append([5.0, 10.0, 20.0], [100.0, 1e3])
        path = flow.solve(A[:, :3] * y @ B.T, start, t, rtol, covariance=(B * s) @ B.T)
        x = y / s / (1 + (y / s / x0 - 1) * np.exp(-2 * y * t[:, None]))
        error = size(path.X - (A[:, :3] * x[:, None]) @ B.T)
        # Sigma, rounded, has its least eigenvalue to no more digits than that.
        floor = 1e-15 * condition * size(path.X)
        assert (error <= path.error_estimate + floor).all()
        assert (path.error_estimate <= 2 * allowed(path, Y=x, rtol=rtol) + 100 * floor).all()
        assert_conserved(path, rtol)
    assert len(steps) < 1500


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8, 1e-10, 1e-12])
def test_weights_that_grow_for_ever_are_stiff_to_what_inputs_see(rtol):
    # The mode that they do not see grows as exp(4 t), and with it the decay of the other, of
    # which rounding errors reach the first.
    t = np.array([2.0, 4.0, 8.0])
    x = np.stack([1 / (1 + 3 * np.exp(-2 * t)), 0.25 * np.exp(4 * t)], axis=1)
    for seed in range(3):
        A, G = (
            np.linalg.qr(np.random.default_rng(seed).standard_normal((a, a))).Q for a in (3, 4)
        )
        start = gf.Weights(0.5 * A[:, :2] @ G[:2], 0.5 * G[:2])
        path = flow.solve(A[:, :2] * [1.0, 2.0], start, t, rtol, covariance=np.diag([1.0, 0.0]))
        error = size(path.X - A[:, :2] * x[:, None])
        assert (error <= path.error_estimate).all()
        assert (path.error_estimate <= (rtol + 1e-4) * size(path.X)).all()


def test_weights_without_end_are_followed_while_there_are_numbers_for_them():
    start = gf.Weights(np.diag([0.1, 0.1]), np.diag([0.1, 0.1]))
    path = flow.solve(np.eye(2), start, [25.0, 100.0], covariance=np.diag([1.0, 0.0]))
    assert path.X[:, 1, 1] == pytest.approx(0.01 * np.exp(2 * path.t), rel=1e-9)
    with pytest.raises(ArithmeticError, match="no variance"):
        flow.solve(np.eye(2), start, 1e5, covariance=np.diag([1.0, 0.0]))


def test_rates_of_any_size_are_a_unit_of_time():
    start = gf.Weights([[2.0]], [[0.5]])
    path = flow.solve([[1.0]], start, 1.0)
    slow = flow.solve([[1.0]], start, 1e70, rates=(1e-70, 1e-70))
    assert slow.X.item() == pytest.approx(path.X.item(), rel=1e-9)
    rest = flow.solve([[1.0]], gf.Weights([[1.0]], [[1.0]]), 1.0, rates=(1e-155, 1e-155))
    assert rest.X.item() == 1.0


def test_singular_values_of_what_failed_are_not_numbers_and_others_are():
    start = gf.Weights([[1.0]], [[1.0]])
    path = flow.solve_many(np.ones((200, 1, 1)), [start] * 200, 1.0, progress=lambda g: g[:1])
    values = path.singular_values()
    assert values.shape == (200, 1)
    assert values[0, 0] == pytest.approx(1.0)
    assert np.isnan(values[-1]).all()


@pytest.mark.parametrize("k", [2, 3, 5])
def test_a_regularized_path_says_which_mode_of_its_start_is_all_rounding(k):
    rng = np.random.default_rng(k)
    P, B, G = (np.linalg.qr(rng.standard_normal((a, a))).Q for a in (2, 2, k))
    Y = P * [3.0, 2.0] @ B.T
    start = gf.Weights(P * [1, 1e-17] @ G[:, :2].T, B * [1, 1e-17] @ G[:, :2].T)
    early, late = (flow.solve_regularized(Y, start, 0.0, t) for t in (1.0, 40.0))
    assert early.error_estimate < 1e-10 * np.linalg.norm(early.X)  # as asked for
    # With that mode X would be Y by then, without it the first mode of Y.
    assert late.error_estimate >= max(
        np.linalg.norm(late.X - A) for A in (Y, 3 * np.outer(P[:, 0], B[:, 0]))
    )
