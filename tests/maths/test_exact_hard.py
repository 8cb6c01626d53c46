"""Starts on the edge of what numbers can tell, low ranks and tiny signs; and stacks."""

import importlib.util
import pickle
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import block_diag

import gfcore as gf
from gfcore import _gauge, exact
from gfcore.exact import FiniteEscapeError, _riccati, _signs
from tests.maths.test_flow import mode

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("reference", ROOT / "data" / "reference.py")
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


def orthogonal(rng, m):
    return np.linalg.qr(rng.standard_normal((m, m))).Q


def spectrum(rng, m):
    """Apart, over ten orders, repeated, negative, of any size, singular."""
    return [
        np.arange(m, 0, -1.0) * rng.uniform(0.5, 2),
        10.0 ** rng.uniform(-9, 1, m) * rng.choice([-1, 1], m),
        rng.integers(-2, 3, m) * 1.0,
        -rng.uniform(0.1, 3, m),
        rng.standard_normal(m) * 10.0 ** rng.uniform(-2, 2),
        np.where(rng.random(m) < 0.4, 0, rng.standard_normal(m)),
    ][rng.integers(6)]


def uneven(rng, m, r):
    """Y, and a factor of rank r whose parts along its eigenvectors differ by ten orders."""
    P = orthogonal(rng, m) if rng.random() < 0.8 else np.eye(m)
    parts = 10.0 ** rng.uniform(-10, 0, (m, 1)) * rng.standard_normal((m, r))
    Y = (P * spectrum(rng, m)) @ P.T
    return (Y + Y.T) / 2, P @ parts * 10.0 ** rng.uniform(-4, 2)


def assert_rank(X, r):
    s = np.linalg.svd(X, compute_uv=False)
    assert ((s > 1e-12 * s[..., :1] + 1e-300).sum(-1) <= r).all()


@pytest.mark.parametrize(
    ("seed", "draws"), [(0, 2000), pytest.param(1, 8000, marks=pytest.mark.slow)]
)
def test_the_rank_of_the_start_is_kept_in_ten_thousand_draws(seed, draws):
    rng = np.random.default_rng(seed)
    drawn = defaultdict(list)
    for _ in range(draws):
        m = int(rng.integers(2, 7))
        r = int(rng.integers(1, m))
        k = r + int(rng.integers(1, 4))
        Y, A = uneven(rng, m, r)
        drawn[m, r, k].append((Y, A @ rng.standard_normal((r, k))))
    for (m, r, _), draws in drawn.items():
        Y, U = map(np.array, zip(*draws, strict=True))
        assert_rank(exact.symmetric(Y, U, [1.0, 1e6]), r)
        some = slice(len(Y) // 5)
        assert_rank(exact.riccati(Y[some], U[some] @ U[some].mT, [0.0, 20.0]), r)
        half = m // 2
        start = gf.Weights(U[some, :half], U[some, half:])
        assert_rank(exact.identity_imbalance(Y[some, :half, half:], start, 0.7, [1, 1e3]), r)


def test_a_start_of_rank_one_in_three_columns_learns_one_direction():
    P = orthogonal(np.random.default_rng(0), 3)
    Y, a = (P * [3.0, 2.0, 1.0]) @ P.T, P @ [1e-4, 1, 1]
    X = exact.symmetric(Y, np.outer(a, [1, 2, 0.7]), 20.0)
    assert np.allclose(X, 3 * np.outer(P[:, 0], P[:, 0]), rtol=0, atol=1e-12)


def short(A):
    """A to 22 bits, so that products with small integers have no rounding error."""
    mantissa, exponent = np.frexp(A)
    return np.ldexp(np.round(mantissa * 2**22) / 2**22, exponent)


def distance(X, expected):
    """Relative, but for what is below the range of numbers."""
    gap = mp.norm(mp.matrix(X.tolist()) - expected) - mp.mpf(10) ** -290
    return float(max(gap, 0) / (mp.norm(expected) or 1))


@pytest.mark.parametrize("lam", [-67108862.0, -(2.0**61), 3e48, -1e9, 0.5])
@pytest.mark.parametrize("ahead", [1e-3, 0.4, 30.0, 695.0, 1e4])
def test_growth_by_millions_keeps_what_tells_modes_apart(lam, ahead):
    # sqrt(sigma^2 + lam^2/4) and |lam|/2 are one number; of their growths in the time t the one
    # is ahead of the other by exp(ahead) all the same.
    Y = np.array([[0.0, 0.0, 0.5, 0.0]])
    Y = Y if lam < 0 else Y.T
    t, m = ahead * abs(lam), len(Y)
    u, v = [[0.0, 1.0]], [[1.0, 0], [0, 0], [1.302508e6, 3.0], [0, 2.0]]
    start = gf.Weights(u, v) if lam < 0 else gf.Weights(v, u)
    with mp.workdps(300):
        S = mp.diag([lam] * m + [-lam] * (5 - m))
        S[:m, m:] = 2 * mp.matrix(Y.tolist())
        S[m:, :m] = S[:m, m:].T
        R = mp.matrix(start.R.tolist())
        expected = reference.riccati(S, R * R.T, 2, [mp.mpf(t) / 4])[0]
        M = exact.identity_imbalance(Y, start, lam, t)
        assert distance(M, expected) <= 1e-13


@pytest.mark.parametrize("seed", range(12))
def test_no_direction_is_dropped_that_the_data_determine(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 5))
    r = int(rng.integers(1, m + 1))
    Y, A = uneven(rng, m, r)
    A, C = short(A), np.eye(r, r + 2) + rng.integers(-4, 5, (r, r + 2)) * [*[0] * r, 1, 1]
    t = [1.0, 20.0, 1e4]
    with mp.workdps(120):

        def solved(case):
            X0 = case["A"] * mp.matrix((C @ C.T).tolist()) * case["A"].T
            return reference.riccati(case["Y"], X0, r, [mp.mpf(a) for a in t])

        case = {"name": "", "Y": mp.matrix(Y.tolist()), "A": mp.matrix(A.tolist())}
        expected = solved(case)
        others = [solved(reference.disturbed(case, i)) for i in range(3)]
        for i, X in enumerate(exact.symmetric(Y, A @ C, t)):
            size = mp.norm(expected[i]) or 1
            floor = max(float(mp.norm(other[i] - expected[i]) / size) for other in others)
            assert distance(X, expected[i]) <= max(1e-12, 10 * floor)


def test_a_layer_of_zeros_beside_the_smallest_number_there_is():
    start = gf.Weights([[0.0], [0.0]], [[5e-324]])
    X = exact.spectral([[0.0], [1.0]], start, [0.0, 400.0, 1e6])
    with mp.workdps(30):
        grown = mp.mpf(5e-324) ** 2 * mp.sinh(800) / 2
    np.testing.assert_allclose(X[:, 1, 0], [0.0, float(grown), 1.0], rtol=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e-140, 1e30, 1e70])
@pytest.mark.parametrize("seed", range(4))
def test_weights_of_any_size_move_as_they_should(seed, size):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 4))
    r = int(rng.integers(1, m + 1))
    P, w = orthogonal(rng, m), rng.standard_normal(m) * 10.0 ** rng.choice([-60, 0, 20])
    Y, A = (P * w) @ P.T, rng.standard_normal((m, r)) * size
    Y = (Y + Y.T) / 2
    t = np.array([0.0, 1e-8, 0.5, 20.0, 300.0, 1e4]) / np.abs(w).max()
    with mp.workdps(160):
        Am = mp.matrix(A.tolist())
        case = {"name": "", "Y": mp.matrix(Y.tolist()), "A": Am}

        def solved(case):
            X0 = case["A"] * case["A"].T
            return reference.riccati(case["Y"], X0, r, [mp.mpf(float(a)) for a in t])

        expected = solved(case)
        others = [solved(reference.disturbed(case, i)) for i in range(3)]
        for i, X in enumerate(exact.symmetric(Y, A, t)):
            norm = mp.norm(expected[i])
            floor = max(float(mp.norm(other[i] - expected[i]) / norm) for other in others)
            assert distance(X, expected[i]) <= max(1e-12, 10 * floor)


@pytest.mark.parametrize(
    ("u", "v"), [(1e-160, 1e-160), (1e-250, 1e-200), (1e-300, 1e-300), (1e-300, 1e-10)]
)
def test_two_layers_whose_products_underflow_are_learned_in_time(u, v):
    rng = np.random.default_rng(3)
    P, B, G = (orthogonal(rng, 3) for _ in range(3))
    sigma, size = np.array([2.0, 1.0, 0.5]), 1 + rng.random((2, 3))
    u, v = u * size[0], v * size[1]
    start = gf.Weights(P * u @ G, B * v @ G)
    # Each time one of the modes is half learned.
    t = np.sort((np.log(4 * sigma) - 2 * np.log(u + v)) / (2 * sigma))
    exactly = [(s, mp.mpf(a), mp.mpf(b)) for s, a, b in zip(sigma, u, v, strict=True)]
    x = [[mode(s, a**2 - b**2, a * b, time) for s, a, b in exactly] for time in t]
    expected = P * np.array(x)[:, None] @ B.T
    M = exact.direct_sum(P * sigma @ B.T, start, t)
    assert np.abs(M[:, :3, 3:] - expected).max() < 1e-11
    assert np.abs(exact.spectral(P * sigma @ B.T, start, t) - expected).max() < 1e-11
    assert 0.1 < np.abs(x[0]).max() < 1.9
    if u[0] < v[0]:
        return
    # Balanced, and what its Gramians become with it.
    start = gf.Weights(P * u @ G, B * u @ G)
    M = exact.identity_imbalance(P * sigma @ B.T, start, 0.0, t)
    x = [[mode(s, 0, a**2, time) for s, a, _ in exactly] for time in t]
    for A, C, block in ((P, B, M[:, :3, 3:]), (P, P, M[:, :3, :3]), (B, B, M[:, 3:, 3:])):
        assert np.abs(block - A * np.array(x)[:, None] @ C.T).max() < 1e-11


@pytest.mark.parametrize("small", [1e-140, 1e-160, 1e-200, 1e-280])
@pytest.mark.parametrize("grown", [1e-3, 1.0, 9e4, 1e7])
def test_a_row_far_below_the_others_is_learned_in_time(small, grown):
    t = np.log(grown / small) / 200  # when it has grown by e^(2tw), w = 100
    X = exact.symmetric(np.diag([-1.0, 100.0]), [[1.0], [small]], t)
    with mp.workdps(400):
        Y, U = mp.diag([-1, 100]), mp.matrix([1, mp.mpf(small)])
        assert distance(X, reference.riccati(Y, U * U.T, 1, [mp.mpf(t)])[0]) <= 1e-12


@pytest.mark.parametrize("t", [1.0, 20.0, 1e6])
def test_a_hidden_unit_is_kept_however_small(t):
    U0 = np.array([[1.0, 2.0, 1e-30], [1.0, 2.0, 0.0], [1.0, 2.0, -1e-30]])
    assert _gauge.independent(U0)[0].shape == (3, 2)
    expected = exact.symmetric(np.diag([3.0, 2.0, 1.0]), U0[:, [0, 2]] * [5**0.5, 1], t)
    got = exact.symmetric(np.diag([3.0, 2.0, 1.0]), U0, t)
    assert np.linalg.norm(got - expected) < 1e-13 * np.linalg.norm(expected)
    assert np.linalg.matrix_rank(exact.symmetric(np.diag([3.0, 2.0, 1.0]), U0, 1e3)) == 2


# Signs.


@pytest.mark.parametrize("size", [1e-15, 1e-16, 1e-17, 1e-100, 1e-300, 2.3e-308])
@pytest.mark.parametrize("sigma", [1.0, 1e-3, 1e3])
def test_a_negative_start_is_negative_however_small(size, sigma):
    with mp.workdps(50):
        escape = float(mp.log1p(mp.mpf(sigma) / mp.mpf(size)) / (4 * mp.mpf(sigma)))
        t = 0.9 * escape
        grown = mp.exp(4 * mp.mpf(sigma) * mp.mpf(t))
        x = float(-mp.mpf(size) * grown / (1 - mp.mpf(size) * (grown - 1) / mp.mpf(sigma)))
    got = exact.riccati([[sigma]], [[-size]], [0.0, t])[:, 0, 0]
    assert got[0] == pytest.approx(-size, rel=1e-15, abs=0)
    assert got[1] == pytest.approx(x, rel=1e-12, abs=0)
    assert exact.symmetric_modes(sigma, -size, [0.0, t])[1] == pytest.approx(
        x, rel=1e-12, abs=0
    )
    with pytest.raises(FiniteEscapeError) as raised:
        exact.riccati([[sigma]], [[-size]], 1.01 * escape)
    assert raised.value.time == pytest.approx(escape, rel=1e-12)


def by_the_linear_system(Y, X0, t):
    """X = B A^-1 with A' = -2 Y A + 4 B and B' = 2 Y B, which is (5), with 60 digits."""
    with mp.workdps(60):
        m, (Y, X0) = len(Y), (np.vectorize(mp.mpf)(a) for a in (Y, X0))
        H = np.block([[-Y, 2 * np.vectorize(mp.mpf)(np.eye(m))], [0 * Y, Y]])
        Z = mp.expm(mp.matrix((2 * t * H).tolist())) * mp.matrix(np.vstack([np.eye(m), X0]))
        return np.array((Z[m:, :] * mp.inverse(Z[:m, :])).tolist(), float)


@pytest.mark.parametrize("graded", ["X0", "both"])
@pytest.mark.parametrize("seed", range(3))
def test_each_entry_of_a_start_has_digits_of_its_own(graded, seed):
    # Changes by 1e-15 of the largest entry would change X by 1e-11, and by all of it.
    rng = np.random.default_rng(seed)
    scale = np.outer([1.0, 1e-6, 1e-12], [1.0, 1e-6, 1e-12])
    A, B = rng.standard_normal((2, 3, 3))
    Y, X0 = np.diag([2.0, 1.0, 0.5]) if graded == "X0" else (B + B.T) * scale, A @ A.T * scale
    X, expected = exact.riccati(Y, X0, 3.0), by_the_linear_system(Y, X0, 3)
    assert np.linalg.norm(X - expected) <= 2e-14 * np.linalg.norm(expected)
    assert (np.abs(X / expected - 1) <= 1e-13).all()


def tiny_negatives(rng, kind, size):
    """Y, X0 and the rank of X0."""
    m = int(rng.integers(2, 4))
    w, P, A = (
        np.abs(rng.standard_normal(m)) + 0.1,
        orthogonal(rng, m),
        rng.standard_normal((m, m)),
    )
    if kind == "small beside Y":
        return (P * w) @ P.T, -size * A @ A.T, m
    if kind == "of rank one":
        return (P * w) @ P.T, -size * np.outer(A[0], A[0]), 1
    if kind == "among large":
        return np.diag(w), np.diag([-size, *rng.uniform(0.5, 2, m - 1)]), m
    if kind == "a block":
        Y, X0 = np.diag([1.0, *w[:2]]), np.diag([1.3, 0.0, 0.0])
        X0[1:, 1:] = -size * (A @ A.T)[:2, :2]
        Y[1:, 1:] = (P * w)[:2] @ P[:2].T
        return Y, X0, 3
    D = np.array([size**0.5, *np.ones(m - 1)])  # "a small row"
    X0 = np.eye(m)
    X0[0] = X0[:, 0] = rng.uniform(-0.3, 0.3, m)
    X0[0, 0] = -1
    return np.diag(w), X0 * D * D[:, None], m


def assert_escapes(Y, X0, rank, time, apart):
    """One eigenvalue goes to minus infinity at that time, and comes back from above."""
    t = [mp.mpf(time) * (1 + mp.mpf(a)) for a in (-apart, apart)]
    before, after = (mp.eigsy(X, eigvals_only=True) for X in reference.riccati(Y, X0, rank, t))
    assert min(before) < -1e6
    assert max(after) > 1e6
    return after


KINDS = ["small beside Y", "of rank one", "among large", "a block", "a small row"]


@pytest.mark.parametrize("size", [1e-16, 1e-20, 1e-150])
@pytest.mark.parametrize("kind", KINDS)
def test_tiny_negative_eigenvalues_decide(kind, size):
    rng = np.random.default_rng([KINDS.index(kind), round(-np.log10(size))])
    Y, X0, rank = tiny_negatives(rng, kind, size)
    Y, X0 = (Y + Y.T) / 2, (X0 + X0.T) / 2
    assert np.abs(exact.riccati(Y, X0, 0.0) - X0).max() <= 4e-15 * np.abs(X0).max()
    with pytest.raises(FiniteEscapeError) as raised:
        exact.riccati(Y, X0, 1e6)
    escape = raised.value.time
    with mp.workdps(400):
        Ym, Xm = mp.matrix(Y.tolist()), mp.matrix(X0.tolist())
        t = [escape * a for a in (0.5, 0.9)]
        expected = reference.riccati(Ym, Xm, rank, [mp.mpf(a) for a in t])
        for X, right in zip(exact.riccati(Y, X0, t), expected, strict=True):
            assert distance(X, right) < 1e-11
        assert_escapes(Ym, Xm, rank, escape, 1e-9)


@pytest.mark.parametrize("size", [1e-12, 1e-20, 1e-40, 1e-100])
@pytest.mark.parametrize("m", [2, 3])
def test_a_tiny_negative_direction_decides_where_eigenvectors_mix_it_with_others(m, size):
    rng = np.random.default_rng(m)
    P = orthogonal(rng, m)
    Y = (P * [2.5, 1.2, 0.7][:m]) @ P.T
    Y = (Y + Y.T) / 2
    X0 = np.diag([1.0, -size, 3.0 * size][:m])
    with pytest.raises(FiniteEscapeError) as raised:
        exact.riccati(Y, X0, 1e6)
    escape = raised.value.time
    with mp.workdps(600):
        Ym, Xm = mp.matrix(Y.tolist()), mp.matrix(X0.tolist())
        t = [escape * a for a in (0.5, 0.9)]
        expected = reference.riccati(Ym, Xm, m, [mp.mpf(a) for a in t])
        for X, right in zip(exact.riccati(Y, X0, t), expected, strict=True):
            assert distance(X, right) < 1e-12
        assert min(assert_escapes(Ym, Xm, m, escape, 1e-11)) > 0


@pytest.mark.parametrize("size", [1e-15, 1e-16, 1e-17, 1e-40])
def test_a_start_below_the_rounding_error_of_a_singular_target_is_itself(size):
    # The least eigenvalue of Y is 0, and -3e-17 as computed: beside X0 that is no zero.
    Y = np.array([[1.775647538052626, 0.6311662987778252], [0.0, 0.22435246194737327]])
    Y[1, 0] = Y[0, 1]
    X0 = size * np.array([[0.675255785902719, 0.10370255152271923], [0.0, 6.1705e-4]])
    X0[1, 0] = X0[0, 1]
    assert np.linalg.eigvalsh(X0)[0] < 0
    assert np.abs(exact.riccati(Y, X0, 0.0) - X0).max() <= 4e-15 * np.abs(X0).max()


@pytest.mark.parametrize("size", [1e-20, 1e-60])
def test_a_tiny_negative_start_escapes_from_a_target_of_both_signs(size):
    rng = np.random.default_rng(5)
    P, a = orthogonal(rng, 3), rng.standard_normal(3)
    Y = (P * [1.5, 0.8, -1.0]) @ P.T
    Y, X0 = (Y + Y.T) / 2, np.diag([1.0, 0.0, 0.0]) * 1e-9 - size * np.outer(a, a)
    with pytest.raises(FiniteEscapeError) as raised:
        exact.riccati(Y, X0, 1e6)
    with mp.workdps(400):
        Ym, Xm = mp.matrix(Y.tolist()), mp.matrix(X0.tolist())
        assert_escapes(Ym, Xm, 3, raised.value.time, 1e-9)


STARTS = {  # the matrix, and to which power of the size each of its directions is tiny
    "beside one": ([[-1, 0.3], [0.3, 1]], [1, 0]),
    "coupled to one": ([[0, 1], [1, 1]], [1, 0]),
    "coupling alone": ([[0, 1], [1, 0]], [1, 0]),
    "beside two": ([[-1, 0.3, -0.4], [0.3, 1, 0.2], [-0.4, 0.2, 2]], [1, 0, 0]),
    "beside two signs": ([[-1, 0.3, -0.4], [0.3, 1, 0.2], [-0.4, 0.2, -3]], [1, 0, 0]),
    "two of one size": ([[-1, 0.3, -0.4], [0.3, 1, 0.2], [-0.4, 0.2, 1]], [1, 1, 0]),
    "two sizes": ([[1, 0.3, -0.4], [0.3, -1, 0.2], [-0.4, 0.2, 2]], [1, 0.5, 0]),
    "zero diagonal": ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], [1, 0, 0]),
    "positive": ([[1, 0.3, -0.4], [0.3, 1, 0.2], [-0.4, 0.2, 1]], [1, 0.5, 0]),
}


def assert_right_to_the_escape(Y, X0):
    """That it exists or not, when it escapes, and X(t) before, against 800 digits."""
    m, escape = len(Y), np.inf
    try:
        exact.riccati(Y, X0, 1e6)
    except FiniteEscapeError as error:
        escape = error.time
    with mp.workdps(800):
        Ym, Xm = mp.matrix(Y.tolist()), mp.matrix(X0.tolist())
        w, Q = mp.eigsy(Ym)
        Z = Xm - Q * mp.diag([min(a, 0) for a in w]) * Q.T
        assert (escape < np.inf) == (min(mp.eigsy(Z, eigvals_only=True)) < 0)
        if escape < np.inf:
            assert_escapes(Ym, Xm, m, escape, 1e-12)
        t = np.array([0.5, 0.9]) * (escape if escape < np.inf else 2)
        expected = reference.riccati(Ym, Xm, m, [mp.mpf(a) for a in t])
        for X, right in zip(exact.riccati(Y, X0, t), expected, strict=True):
            assert distance(X, right) <= 1e-12


@pytest.mark.parametrize("size", [1e-3, 1e-8, 1e-20, 1e-150])
@pytest.mark.parametrize("kind", STARTS)
def test_what_is_tiny_keeps_sign_and_digits_where_it_is_coupled_to_what_is_large(kind, size):
    A, powers = map(np.array, STARTS[kind])
    D, m = size**powers, len(A)
    X0, P = A * D * D[:, None], orthogonal(np.random.default_rng(1), m)
    printed = np.array([[2, 0.5, 0.2], [0.5, 1, 0.3], [0.2, 0.3, 1.5]])[:m, :m]
    mixed = (P * [2.5, -1.2, 0.7][:m]) @ P.T
    for Y in (printed, -printed, (mixed + mixed.T) / 2, np.diag([1.0, 2.0, 0.7][:m])):
        assert_right_to_the_escape(Y, X0)


TARGETS = {
    "positive": np.diag([2.0, 1.0, 0.7]),
    "of both signs": np.diag([1.5, -1.2, 0.7]),
    "negative but one": np.diag([-0.4, 2.0, -1.0]),
    "singular": np.diag([1.0, 0.0, 2.0]),
    "repeated": np.diag([1.0, 1.0, -1.0]),
    "a block": np.array([[1.0, 0.5, 0.0], [0.5, -0.6, 0.0], [0.0, 0.0, 2.0]]),
}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", TARGETS)
def test_couplings_of_any_size_are_kept_beside_diagonals_that_are_zero_or_tiny(kind, seed):
    rng = np.random.default_rng(seed)
    span = [8, 20, 60, 150][seed % 4]
    L = np.tril(rng.choice([-1, 1], (3, 3)) * 10.0 ** rng.uniform(-span, 0, (3, 3)), -1)
    diagonal = rng.choice([-1, 1], 3) * 10.0 ** (-span - 30 * rng.random(3)) * (seed % 3)
    assert_right_to_the_escape(TARGETS[kind], L + L.T + np.diag(diagonal))


@pytest.mark.parametrize("size", [1.0, 1e-20, 1e-60])
def test_a_coupling_alone_escapes_without_a_target(size):
    with pytest.raises(FiniteEscapeError) as raised:
        exact.riccati(np.zeros((2, 2)), [[0.0, size], [size, 0.0]], 1e75)
    assert raised.value.time == pytest.approx(1 / (4 * size), rel=1e-14)


def test_a_direction_that_is_learned_before_the_escape_of_another_is_not_rounding():
    Y = block_diag(1.2, [[0.9, 0.2], [0.2, 2.1]], -1.2)  # mixes 400 with 0
    L = np.zeros((4, 4))
    L[1, 0], L[2, :2], L[3, :3] = 2e-7, (1e-14, 1e-8), (-1.5e-4, -1.2e-3, -1e-7)
    assert_right_to_the_escape(Y, L + L.T + np.diag([4e-10, 400.0, 0.0, -6e-3]))


def test_no_sign_is_turned_and_no_matrix_made_zero_by_the_threshold():
    rng = np.random.default_rng(4)
    for _ in range(200):
        m = int(rng.integers(1, 5))
        A = rng.standard_normal((m, m))
        D = 10.0 ** rng.uniform(-150, 2, m)
        signs = rng.choice([-1.0, 1.0], m)
        X0 = np.diag(signs) + 0.2 / m * (A + A.T).clip(
            -1, 1
        )  # diagonally dominant: inertia known
        X0 = X0 * D * D[:, None]
        for split in (False, True):
            W, K = _signs.signed_factor(X0, np.abs(X0), split)
            assert (np.sort(np.sign(np.linalg.eigvalsh(K))) == np.sort(signs)).all()
            assert (np.abs(W).max(0) > 0).all()
            assert np.abs(W @ np.linalg.inv(K) @ W.T - X0).max() <= 1e-14 * np.abs(X0).max()


# The rule that chooses a way, at its edges.


def ways(W, noise, log_D):
    size = np.abs(W[None]).max(2)
    limit = np.log(_riccati.DIRECT / len(W.T) ** 0.5)
    direct = bool((log_D + _riccati.longest(size, noise[None]) <= limit).all())
    return direct, not direct and bool(_riccati.inverses(W[None], np.array([True]))[0])


def test_the_rule_at_its_edges():
    W, tiny = np.eye(2), np.full(2, 1e-15)
    edge = np.log(_riccati.DIRECT / 2)  # two entries in each of two columns may be as long
    assert ways(W, tiny, np.array([[edge - 1e-9, 0]])) == (True, False)
    assert ways(W, tiny, np.array([[edge + 1e-9, 0]])) == (False, True)
    for factor, expected in ((0.99, (False, True)), (1.01, (False, False))):
        uneven = np.diag([1, 1 / (factor * 2**0.5 * _riccati.CONDITION)])
        assert ways(uneven, tiny, np.array([[edge + 1, 0]])) == expected
    for factor, direct in ((1.01, True), (0.99, False)):
        short_row = np.diag([1, factor * _riccati.UNEVEN])
        assert ways(short_row, 8 * 2.0**-52 * np.ones(2), np.zeros((1, 2)))[0] is direct


@pytest.mark.parametrize("limit", ["DIRECT", "CONDITION"])
def test_the_three_ways_agree_where_they_meet(monkeypatch, limit):
    rng = np.random.default_rng(6)
    Y, U = rng.standard_normal((50, 4, 4)), rng.standard_normal((50, 4, 4))
    Y = Y + Y.mT
    t = np.linspace(0, 3, 7)
    expected = exact.symmetric(Y, U, t)
    monkeypatch.setattr(_riccati, limit, 1e-300)
    if limit == "CONDITION":
        monkeypatch.setattr(_riccati, "DIRECT", 1e-300)  # all by pivots
    other = exact.symmetric(Y, U, t)
    size = np.linalg.norm(expected, axis=(2, 3))
    assert (np.linalg.norm(other - expected, axis=(2, 3)) <= 2e-13 * size).all()
    assert not np.array_equal(other, expected)


@pytest.mark.parametrize(("factor", "power"), [(0.5, 0.5), (0.99, 0.5), (1.01, 0.5), (0.9, 0)])
@pytest.mark.parametrize(("m", "k", "count"), [(4, 2, 1), (5, 4, 500), (300, 300, 1)])
def test_dependent_columns_are_one_up_to_the_limit_of_the_square_and_beyond(
    m, k, count, factor, power
):
    rng = np.random.default_rng(k)
    a, c = rng.uniform(0.5, 1, (m, 1)), rng.uniform(0.5, 1, k)
    w = np.linspace(0.999, 1, m)
    grown = factor * _riccati.DIRECT / (k**power * np.linalg.norm(a) * c.max())
    t = np.full(count, np.log(grown) / 2)
    expected = exact.symmetric(np.diag(w), a * np.linalg.norm(c), t[0])
    X = exact.symmetric(np.diag(w), a * c, t)
    assert np.linalg.norm(X - expected, axis=(1, 2)).max() <= 2e-14 * np.linalg.norm(expected)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("size", [1e-170, 1e-100, 1e-5, 1.0, 1e20])
def test_one_column_grows_as_far_as_it_likes(monkeypatch, m, size):
    if size > 1e-120:  # by one way alone
        monkeypatch.delattr(_riccati, "inverses")
    rng = np.random.default_rng(m)
    Y, U = [], rng.uniform(0.5, 1, (3, m, 1)) * size
    for w in ([1.0, 0.99, -1.0], [3.0, 0.0, -0.5], [-0.1, -0.2, -0.3]):
        P = orthogonal(rng, m)
        A = (P * w[:m]) @ P.T
        Y.append((A + A.T) / 2)
    edge = (np.log(_riccati.ALONE) - np.log(size)) / 2
    t = np.sort(np.abs([edge / 3 - 0.01, edge / 3 + 0.01, edge, edge + 10, 400.0]))
    X = exact.symmetric(Y, U, t)
    with mp.workdps(800):
        for y, u, path in zip(Y, U, X, strict=True):
            start = mp.matrix(u.tolist())
            expected = reference.riccati(
                mp.matrix(y.tolist()), start * start.T, 1, [mp.mpf(a) for a in t]
            )
            alone = exact.symmetric(y, u, np.repeat(t, 9))[::9]
            for got in (path, alone):
                assert max(map(distance, got, expected)) <= 1e-12


@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("apart", [1.0, 1e-4])
def test_many_times_together_are_those_times_one_by_one(k, apart):
    rng = np.random.default_rng(k)
    A, U = rng.standard_normal((k + 2, k + 2)), rng.standard_normal((k + 2, k))
    U[:, 1:] = U[:, :1] + apart * U[:, 1:]
    t = np.linspace(0, 3, 300)
    X = exact.symmetric(A + A.T, U, t)[::29]
    one = np.array([exact.symmetric(A + A.T, U, a) for a in t[::29]])
    size = np.linalg.norm(one, axis=(1, 2))
    assert (np.linalg.norm(X - one, axis=(1, 2)) <= 1e-13 * size).all()


@pytest.mark.parametrize("t", [100.0, 1e6])
def test_many_rows_far_apart_are_ordered_in_parts(t):
    rng = np.random.default_rng(8)
    m, r = 60, 40
    P = orthogonal(rng, m)
    w = np.linspace(-1, 2, m)
    X = exact.symmetric((P * w) @ P.T, rng.standard_normal((m, r)), t)
    settled = (P[:, -r:] * np.maximum(w[-r:], 0)) @ P[:, -r:].T
    expected = settled if t > 1e3 else X
    assert np.linalg.norm(X - expected) < 1e-12 * np.linalg.norm(expected)
    assert_rank(X, r)


# Stacks.


def test_stacks_are_the_problems_one_by_one():
    rng = np.random.default_rng(3)
    S, X0 = (A + A.mT for A in rng.standard_normal((2, 2, 3, 4, 4)))
    U, t = rng.standard_normal((2, 3, 4, 2)), np.array([0.0, 0.01, 0.02])
    Y, start = (
        rng.standard_normal((2, 3, 3, 4)),
        gf.Weights(rng.standard_normal((2, 3, 3, 5)), rng.standard_normal((2, 3, 4, 5))),
    )
    spectral = [[gf.initial.spectral(a, np.ones(3), [2.0, 1, 1]) for a in row] for row in Y]
    spectral = gf.Weights(
        *(np.array([[getattr(a, x) for a in row] for row in spectral]) for x in "UV")
    )
    s, lam, x = rng.standard_normal((3, 2, 3, 4))
    s, x = np.abs(s), np.abs(x)
    calls = [
        (exact.linear, (S, X0)),
        (exact.symmetric, (S, U)),
        (exact.riccati, (S, X0)),
        (exact.identity_imbalance, (Y, start, 0.3)),
        (exact.spectral, (Y, spectral)),
        (exact.symmetric_modes, (s, x)),
        (exact.spectral_modes, (s, lam, x)),
    ]

    def one(a, i):
        if isinstance(a, gf.Weights):
            return gf.Weights(a.U[i], a.V[i])
        return a[i] if np.ndim(a) else a

    for function, arguments in calls:
        for time in (t, t[2], 30 * t if function is not exact.riccati else t):
            whole = function(*arguments, time)
            for i in np.ndindex(2, 3):
                single = function(*(one(a, i) for a in arguments), time)
                assert single.shape == whole[i].shape
                assert np.abs(single - whole[i]).max() <= 1e-13 * np.abs(single).max()
    assert exact.spectral_constant(s, lam, x).shape == s.shape


def test_weights_take_stacks():
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((6, 2, 9)), rng.standard_normal((6, 3, 9))
    stack, G = gf.Weights(U, V), orthogonal(rng, 9)
    for made in (lambda a: a.X, lambda a: a.Q, lambda a: a.R, lambda a: a.compress().X,
                 lambda a: a.rotate(G).U):  # fmt: skip
        single = [made(gf.Weights(*pair)) for pair in zip(U, V, strict=True)]
        assert np.allclose(made(stack), single, rtol=1e-13, atol=1e-13)
    with pytest.raises(ValueError, match="same leading axes"):
        gf.Weights(U, V[:5])
    with pytest.raises(ValueError, match=r"of one model, got a stack of shape \(6,\)"):
        gf.flow.solve(np.ones((2, 3)), stack, 1.0)


@pytest.mark.parametrize("size", [1e-280, 1e-290, 1e-305])
def test_a_start_of_any_size_grows(size):
    # x' = 4 x - 4 x^2 from u0^2, known as log(x / (1 - x)) = 4 t + 2 log(u0) to rounding.
    t = -np.log(size) / 2 + np.array([-50.0, -1.0, 0.0, 1.0, 5.0])
    X = exact.symmetric([[1.0]], [[size]], t)[:, 0, 0]
    assert np.allclose(X, 1 / (1 + np.exp(-4 * t - 2 * np.log(size))), rtol=1e-12, atol=0)


def test_one_bad_problem_of_a_stack_is_named():
    Y = np.zeros((5, 3, 3)) + np.eye(3)
    X0 = Y.copy()
    X0[3] *= -1
    with pytest.raises(FiniteEscapeError, match=r"in problem \(3,\)") as raised:
        exact.riccati(Y, X0, 1.0)
    assert raised.value.problem == (3,)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.time, again.problem, str(again)) == (
        raised.value.time, (3,), str(raised.value)
    )  # fmt: skip
    others = [0, 1, 2, 4]
    assert np.isnan(again.result[3]).all()
    assert np.array_equal(again.result[others], exact.riccati(Y[others], X0[others], 1.0))
    sigma, start, t = [1.0, 2.0, 1.0], [-1.0, 1.0, -2.0], [0.0, 0.1, 0.15, 1.0]
    with pytest.raises(FiniteEscapeError, match=r"in problem \(2,\)") as raised:
        exact.symmetric_modes(sigma, start, t)
    assert raised.value.time == pytest.approx(np.log(1.5) / 4, rel=1e-14)
    path = raised.value.result
    assert np.isnan(path).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 0, 1]]
    for i, last in enumerate([3, 4, 2]):
        alone = exact.symmetric_modes(sigma[i], start[i], t[:last])
        assert np.array_equal(path[:last, i], alone)
    with pytest.raises(FiniteEscapeError) as raised:
        exact.symmetric_modes(1.0, -1.0, 1.0)
    assert raised.value.problem == ()
    Y[2, 0, 1] = 1e-3
    with pytest.raises(
        ValueError, match=r"Y must be symmetric, .* \(2, 0, 1\) .* differ by 1\.0e-03 "
    ):
        exact.symmetric(Y, X0, 1.0)
    Y[2, 0, 1] = np.nan
    with pytest.raises(ValueError, match=r"Y must be finite, got nan at \(2, 0, 1\)"):
        exact.symmetric(Y, X0, 1.0)
    start = gf.Weights(np.ones((4, 2, 1)), np.ones((4, 2, 1)))
    Z = np.ones((4, 2, 2))
    Z[1] = np.diag([1.0, 2.0])
    with pytest.raises(ValueError, match=r"in problem \(1,\)"):
        exact.spectral(Z, start, 1.0)
    with pytest.raises(ValueError, match=r"U0 must have shape \(5, 3, 2\) to fit Y"):
        exact.symmetric(X0, np.ones((4, 3, 2)), 1.0)


def test_importing_the_formulas_does_not_import_scipy():
    code = (
        "import sys, types; package = types.ModuleType('gfcore');"
        "package.__path__ = ['gfcore'];"
        "sys.modules['gfcore'] = package; import gfcore.exact;"
        "print([name for name in sys.modules if name.startswith('scipy')])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stdout + run.stderr


@pytest.mark.parametrize("t", [0.0, 1e-3, 1.0, 30.0])
@pytest.mark.parametrize("rank", [2, 3])
def test_linear_with_inputs_that_are_not_white(t, rank):
    rng = np.random.default_rng(rank)
    Y, X0, A = rng.standard_normal((2, 3)), rng.standard_normal((2, 3)), np.ones((3, rank))
    A[:, :rank] += np.eye(3, rank)
    Sigma = A @ A.T  # small integers: singular without rounding
    with mp.workdps(40):
        # Y and X0 side by side: the exponential of one matrix holds the integral too.
        whole = np.block([[-Sigma, np.eye(3)], [np.zeros((3, 6))]])
        both = mp.expm(mp.matrix((t * whole).tolist()))
        expected = mp.matrix(X0.tolist()) * both[:3, :3] + mp.matrix(Y.tolist()) * both[:3, 3:]
        got = exact.linear(Y, X0, t, covariance=Sigma)
        assert distance(got, expected) < 1e-13
    white = exact.linear(Y, X0, t, covariance=np.eye(3))
    assert np.allclose(white, exact.linear(Y, X0, t), rtol=1e-14, atol=1e-15)
    stack = exact.linear([Y, X0], [X0, Y], [t, t + 1], covariance=Sigma)
    assert np.allclose(stack[0, 0], got, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (5, 3)])
@pytest.mark.parametrize("equal", [False, True])
def test_spectral_starts_with_inputs_that_are_not_white(shape, equal):
    # Mode by mode: u' = (sigma - s u v) v and v' = (sigma - s u v) u, by SciPy.
    rng, r = np.random.default_rng(sum(shape)), 3
    Phi, Psi, G = (np.linalg.qr(rng.standard_normal((a, a))).Q for a in (*shape, 4))
    sigma, s = np.array([1.5, 1.5 if equal else 0.7, 0.0]), np.array([3.0, 0.5, 0.2])
    u, v = np.array([0.3, 1.0, 0.5]), np.array([0.4, -0.2, 0.6])
    others = rng.uniform(0, 2, shape[1] - r)  # variances that no weight sees
    Sigma = (Psi * np.concatenate([s, others])) @ Psi.T
    Y = (Phi[:, :r] * sigma) @ Psi[:, :r].T
    start = gf.Weights((Phi[:, :r] * u) @ G[:r], (Psi[:, :r] * v) @ G[:r])
    t = np.array([0.0, 0.1, 1.0, 4.0])

    def slope(_, w):
        a, b = w.reshape(2, r)
        return np.concatenate([(sigma - s * a * b) * b, (sigma - s * a * b) * a])

    w = solve_ivp(slope, (0, 4), np.concatenate([u, v]), "DOP853", t, rtol=1e-13, atol=1e-15).y
    expected = (Phi[:, :r] * (w[:r] * w[r:]).T[:, None]) @ Psi[:, :r].T
    X = exact.spectral(Y, start, t, covariance=Sigma)
    assert np.abs(X - expected).max() < 1e-11
    path = gf.flow.solve(Y, start, t, covariance=Sigma)
    assert np.abs(X - path.X).max() < 1e-9
    white = exact.spectral(Y, start, t, covariance=np.eye(shape[1]))
    assert np.abs(white - exact.spectral(Y, start, t)).max() < 1e-13


def test_modes_of_which_target_and_variance_add_up_to_the_same_are_told_apart():
    # 2 + 2 * 1e-6 and 1 + 1 * 1, a millionth apart, were mixed by 1e-10, and refused for that.
    for seed in range(20):
        rng = np.random.default_rng(seed)
        Phi, Psi = orthogonal(rng, 4), orthogonal(rng, 3)
        s, u = np.array([10 ** -rng.uniform(5, 8), 1.0, 0.3]), np.array([1e-6, 1e-6, 1.0])
        start, Y = gf.Weights(Phi[:, :3] * u, Psi * u), Phi[:, :3] * [2.0, 1.0, 0.0] @ Psi.T
        X = exact.spectral(Y, start, 2.0, covariance=Psi * s @ Psi.T)
        expected = [1e-12 * np.exp(8.0), 1e-12 * np.exp(4.0), 1 / (1 + 2 * 0.3 * 2.0)]
        assert np.linalg.norm(X - Phi[:, :3] * expected @ Psi.T) <= 1e-12


def test_a_covariance_chooses_the_vectors_that_target_and_weights_leave_open():
    t = np.array([0.0, 0.3, 2.0])
    for seed in range(200):
        rng = np.random.default_rng(seed)
        m, n = rng.integers(1, 5, 2)
        r, k = min(m, n), int(rng.integers(max(m, n), 7))
        Phi, Psi, G = (np.linalg.qr(rng.standard_normal((a, a))).Q for a in (m, n, k))
        sigma, s = rng.choice([0.0, 0.0, 1.0, 0.5], r), rng.choice([0.0, 2.0, 2.0, 0.3], n)
        sigma[s[:r] == 0] = 0
        u, v = rng.choice([0.0, 0.5, 1.0, -1.0, 1e-3], m), rng.choice([0.0, 0.5, 1.0, 1e-3], n)
        Y, Sigma = (Phi[:, :r] * sigma) @ Psi[:, :r].T, (Psi * s) @ Psi.T
        start = gf.Weights((Phi * u) @ G[:m], (Psi * v) @ G[:n])
        X = exact.spectral(Y, start, t, covariance=Sigma)
        path = gf.flow.solve(Y, start, t, 1e-12, covariance=Sigma)
        assert np.abs(X - path.X).max() < 1e-12, seed
    # What the weights or the target see has to be of the covariance as well.
    Sigma, E = [[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 2.0]], np.diag([1.0, 0.0, 0.0])
    assert np.abs(exact.spectral(E, gf.Weights(E, E), t, covariance=Sigma) - E).max() < 1e-15
    for diagonal in ([1.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1e-3]):
        D = np.diag(diagonal)
        for Y, W in ((D, E), (E, D)):
            with pytest.raises(ValueError, match="covariance"):
                exact.spectral(Y, gf.Weights(W, W), t, covariance=Sigma)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9, 1e-12])
def test_a_product_is_kept_where_a_larger_weight_is_beside_it(small):
    P = np.linalg.qr(np.random.default_rng(1).standard_normal((2, 2))).Q
    start = gf.Weights(P * [small, 1.0], [[0.5, 0.0]])
    for sigma in (0.0, small):
        x = exact.spectral_modes(sigma, small**2 - 0.25, small / 2, [0.0, 0.5, 9.0])
        X = exact.spectral(sigma * P[:, :1], start, [0.0, 0.5, 9.0])
        assert np.abs(X - x[:, None, None] * P[:, :1]).max() < 1e-15


def test_an_input_that_never_comes_moves_nothing():
    start = gf.Weights(np.diag([0.5, 2.0]), np.diag([1.0, 3.0]))
    Sigma, t = np.diag([4.0, 0.0]), [0.0, 1.0, 1e6]
    X = exact.spectral(np.diag([2.0, 0.0]), start, t, covariance=Sigma)
    assert np.abs(X[:, 1, 1] - 6).max() < 1e-14
    assert np.abs(X[-1] - np.diag([0.5, 6.0])).max() < 1e-14
    with pytest.raises(ValueError, match="must not be 0 along right singular vectors of Y"):
        exact.spectral(np.eye(2), start, t, covariance=Sigma)
    with pytest.raises(ValueError, match="spectral initialization for Y and covariance"):
        exact.spectral(np.diag([2.0, 1.0]), start, t, covariance=[[2.0, 1.0], [1.0, 2.0]])


def test_the_product_alone_is_a_block_of_the_whole():
    rng, t = np.random.default_rng(0), np.array([0.0, 0.3, 1e3])
    Y = rng.standard_normal((4, 2, 3))
    start = gf.Weights(rng.standard_normal((4, 2, 7)), rng.standard_normal((4, 3, 7)))
    for lam in (0.0, -2.0):
        M = exact.identity_imbalance(Y, start, lam, t)
        path = exact.identity_product(Y, start, lam, t)
        assert path.U is None
        assert np.abs(path.X - M[:, :, :2, 2:]).max() < 1e-14 * np.abs(M).max()
        assert path.error(Y).shape == (4, 3)
    one = exact.identity_product(Y[0], gf.Weights(start.U[0], start.V[0]), -2.0, 0.3)
    assert np.abs(one.X - path.X[0, 1]).max() < 1e-14


def test_a_covariance_must_be_one():
    Y = np.ones((2, 2))
    for bad in (
        np.diag([1.0, -1e-6]),
        [[1.0, 2.0], [0.0, 1.0]],
        np.eye(3),
        np.ones(2),
        np.nan * Y,
    ):
        with pytest.raises(ValueError, match="covariance"):
            exact.linear(Y, Y, 1.0, covariance=bad)
        with pytest.raises(ValueError, match="covariance"):
            exact.spectral(Y, gf.Weights(0 * Y, 0 * Y), 1.0, covariance=bad)


@pytest.mark.parametrize("sigma", [9e15, 3.0, 1e75, 1e-3, 0.0, -2.0, -1e10])
@pytest.mark.parametrize("sigma0", [2.3e-308, 1e-120, -1e-120, 0.5, 1e75])
@pytest.mark.parametrize("t", [1e-5, 1.0, 100.0, 177.0])
def test_a_mode_from_next_to_nothing_is_learned(sigma, sigma0, t):
    with mp.workdps(50):
        s = mp.mpf(sigma)
        # (5) in 1/X is linear.
        inverse = mp.exp(-4 * s * t) / sigma0 - (mp.expm1(-4 * s * t) / s if s else -4 * t)
        if sigma0 < 0 <= inverse:
            with pytest.raises(FiniteEscapeError):
                exact.symmetric_modes(sigma, sigma0, t)
        else:
            allowed = 1e-15 * (1 + 4 * t * abs(sigma)) / abs(inverse) + 1e-307
            assert abs(exact.symmetric_modes(sigma, sigma0, t) - 1 / inverse) <= allowed
