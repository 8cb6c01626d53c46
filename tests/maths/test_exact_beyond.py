"""Two eigenvalues of Q, direct sums, no target, and by which formula a start is solved."""

import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import block_diag, expm

import gfcore as gf
from gfcore import exact
from gfcore.exact import two_values


def orthogonal(rng, m):
    return np.linalg.qr(rng.standard_normal((m, m))).Q


def matrix(A):
    return A if isinstance(A, mp.matrix) else mp.matrix(np.asarray(A).tolist())


def moved(A, rng):
    """A with every entry changed by one part in 2^52, up or down."""
    A = matrix(A)
    change = rng.choice([-1, 1], (A.rows, A.cols)).tolist()
    return mp.matrix(
        [
            [A[i, j] * (1 + change[i][j] * mp.ldexp(1, -52)) for j in range(A.cols)]
            for i in range(A.rows)
        ]
    )


def distance(A, expected):
    size = mp.norm(matrix(expected)) or 1
    return float(mp.norm(matrix(A) - matrix(expected)) / size)


def target(rng, m, n):
    """Apart, repeated, zero, over eight orders, singular."""
    r = min(m, n)
    sigma = [
        rng.standard_normal(r),
        np.ones(r),
        np.zeros(r),
        10.0 ** rng.uniform(-6, 2, r),
        np.where(rng.random(r) < 0.5, 0, 2),
    ][rng.integers(5)]
    return orthogonal(rng, m)[:, :r] * sigma @ orthogonal(rng, n)[:, :r].T


def two_valued(rng, m, n, q1, q2, boost):
    """R0 with these eigenvalues of Q: what leaves J invariant, times the orthogonal start."""
    K, A = boost * rng.standard_normal((m, n)), np.zeros((m + n, m + n))
    A[:m, m:], A[m:, :m] = K, K.T
    R = expm(A) * np.sqrt(np.repeat([q1, -q2], [m, n]))
    return R @ orthogonal(rng, m + n + 2)[: m + n]


# The matrix Riccati equation, by its linear system, with the digits that it loses to spare.


def literal(Y, R, q1, q2, t):
    """((C + D H) M0 + mu D)(C - D H + D M0)^(-1)."""
    Y, R, q1, q2, t = matrix(Y), matrix(R), mp.mpf(q1), mp.mpf(q2), mp.mpf(t)
    m, N = Y.rows, R.rows
    lam, mu = q1 + q2, -q1 * q2
    H = mp.diag([lam / 2] * m + [-lam / 2] * (N - m))
    H[:m, m:], H[m:, :m] = Y, Y.T
    h, P = mp.eigsy(H)
    omega = [mp.sqrt(a * a + mu) for a in h]
    C = P * mp.diag([mp.cosh(w * t) for w in omega]) * P.T
    D = P * mp.diag([mp.sinh(w * t) / w for w in omega]) * P.T
    M0 = R * R.T
    return ((C + D * H) * M0 + mu * D) * (C - D * H + D * M0) ** -1


def digits(t, *sizes):
    return 100 + int(1.5 * t * sum(float(np.max(np.abs(a))) for a in sizes))


def draw(rng):
    """A start of the kind, of low rank, of uneven rows, or with growth by many orders."""
    m, n = (int(a) for a in rng.integers(1, 4, 2))
    N, q1, q2 = m + n, 10.0 ** rng.uniform(-16, 8), -(10.0 ** rng.uniform(-16, 8))
    kind, scale = rng.integers(4), 10.0 ** rng.uniform(-8, 4)
    if kind == 0:
        R = two_valued(rng, m, n, q1, q2, rng.uniform(0, 3))
    elif kind == 1:
        R = scale * rng.standard_normal((N, int(rng.integers(1, N))))
    elif kind == 2:
        R = 10.0 ** rng.uniform(-8, 4, (N, 1)) * rng.standard_normal((N, N + 2))
    else:
        R, q1, q2 = scale * rng.standard_normal((N, N)), q1 * 1e-20, q2 * 1e-12
    return target(rng, m, n), R, q1, q2


@pytest.mark.parametrize("seed", range(25))
def test_two_imbalances_is_the_solution_of_its_riccati_equation(seed):
    rng = np.random.default_rng(seed)
    Y, R, q1, q2 = draw(rng)
    start = gf.Weights(R[: len(Y)], R[len(Y) :])
    for t in (0.0, 1e-8, 0.1, 3.0, 50.0, 1e3):
        with mp.workdps(digits(t, Y, q1, q2)):
            if mp.mp.dps > 600:
                break
            expected = literal(Y, R, q1, q2, t)
            error = distance(exact.two_imbalances(Y, start, q1, q2, t), expected)
            if error > 1e-12:
                near = [moved(a, rng) for a in (Y, R, [[q1, q2, t]])]
                floor = distance(literal(*near[:2], *near[2]), expected)
                assert error < 10 * floor, (t, error, floor)


def test_growth_over_many_orders_is_met_by_the_draws_above(monkeypatch):
    met, graded = [], two_values.graded
    monkeypatch.setattr(two_values, "graded", lambda *a: met.append(seed) or graded(*a))
    for seed in range(25):
        Y, R, q1, q2 = draw(np.random.default_rng(seed))
        exact.two_imbalances(Y, gf.Weights(R[: len(Y)], R[len(Y) :]), q1, q2, [0.1, 3.0, 50.0])
    assert len(set(met)) >= 5


def test_the_literal_formula_fails_in_numbers_of_16_digits():
    rng = np.random.default_rng(0)
    Y, R = rng.standard_normal((2, 3)), two_valued(rng, 2, 3, 1e-8, -1e-8, 0.5)
    got = exact.two_imbalances(Y, gf.Weights(R[:2], R[2:]), 1e-8, -1e-8, 20.0)
    with mp.workdps(100):
        assert distance(got, literal(Y, R, 1e-8, -1e-8, 20.0)) < 1e-14
    with mp.workdps(16):
        assert distance(got, literal(Y, R, 1e-8, -1e-8, 20.0)) > 1e-9


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 2), (2, 3), (3, 1), (2, 2)])
@pytest.mark.parametrize(("q1", "q2"), [(1.3, -0.6), (0.5, -0.5), (1e-6, -2.0)])
def test_two_imbalances_is_the_flow(m, n, q1, q2):
    rng = np.random.default_rng(m + 10 * n)
    Y, R = rng.standard_normal((m, n)), two_valued(rng, m, n, q1, q2, 0.6)
    start, t = gf.Weights(R[:m], R[m:]), [0.0, 0.3, 1.0, 3.0, 30.0]
    path = gf.flow.solve(Y, start, t)
    M = exact.two_imbalances(Y, start, q1, q2, t)
    assert np.abs(M[:, :m, m:] - path.X).max() < 1e-11
    J = np.repeat([1.0, -1.0], [m, n])
    kept = J[:, None] * (M * J) @ M - (q1 + q2) * J[:, None] * M + q1 * q2 * np.eye(m + n)
    assert np.abs(kept).max() < 1e-12 * np.abs(M).max() ** 2
    # One part in a hundred more of an eigenvalue is another path.
    other = exact.two_imbalances(Y, start, 1.01 * q1, 1.01 * q2, t)
    assert np.abs(other[:, :m, m:] - path.X).max() > 1e-6


@pytest.mark.parametrize(("m", "n"), [(2, 2), (2, 4), (4, 1)])
def test_two_imbalances_at_its_ends(m, n):
    rng = np.random.default_rng(n)
    Y, q1, q2 = rng.standard_normal((m, n)), 2.0, -0.3
    start = gf.initial.orthogonal(m, n, m + n + 3, q1, q2, rng)
    M = exact.two_imbalances(Y, start, q1, q2, [0.0, 1e6])
    assert distance(M[0], start.R @ start.R.T) < 1e-15
    assert np.abs(M[1, :m, m:] - Y).max() < 1e-14 * np.abs(Y).max()
    # The end: U U^T = (q1 + q2)/2 + ((q1 - q2)^2/4 + Y Y^T)^(1/2), and so V V^T.
    w, P = np.linalg.eigh(Y @ Y.T)
    UUT = (P * (0.85 + np.sqrt(1.15**2 + np.maximum(w, 0)))) @ P.T
    assert distance(M[1, :m, :m], UUT) < 1e-14
    for zero in ((q1, 0.0), (0.0, q2), (0.0, 0.0), (1e-290, q2)):
        got = exact.two_imbalances(Y, start, *zero, [0.3, 40.0])
        expected = exact.identity_imbalance(Y, start, sum(zero), [0.3, 40.0])
        assert np.abs(got - expected).max() <= 1e-14 * np.abs(expected).max()


def test_layers_enter_the_product_by_the_sum_of_their_scales():
    rng = np.random.default_rng(0)
    Y, t = rng.standard_normal((3, 4)), np.linspace(0, 3, 7)
    paths = [
        exact.two_imbalances(Y, gf.initial.orthogonal(3, 4, 9, a, b, rng), a, b, t)[:, :3, 3:]
        for a, b in ((1.0, -1.0), (1.9, -0.1), (0.1, -1.9), (1.0, -1.02))
    ]
    assert np.abs(paths[1] - paths[0]).max() < 1e-14
    assert np.abs(paths[2] - paths[0]).max() < 1e-14
    assert np.abs(paths[3] - paths[0]).max() > 1e-3


def test_stacks_widths_and_rotations_of_two_imbalances():
    rng = np.random.default_rng(3)
    Y, U, V = (rng.standard_normal(s) for s in ((2, 2, 3), (2, 2, 9), (2, 3, 9)))
    start, t = gf.Weights(U, V), [0.1, 2.0]
    M = exact.two_imbalances(Y, start, 3.0, -2.0, t)
    assert M.shape == (2, 2, 5, 5)
    swap = np.roll(np.arange(5), 2)
    for i in range(2):
        one = gf.Weights(U[i], V[i])
        for other in (one, one.compress(), one.rotate(orthogonal(rng, 9))):
            assert distance(exact.two_imbalances(Y[i], other, 3, -2, 2.0), M[i, 1]) < 1e-14
        swapped = exact.two_imbalances(Y[i].T, gf.Weights(V[i], U[i]), 2.0, -3.0, 2.0)
        assert distance(swapped[np.ix_(swap, swap)], M[i, 1]) < 1e-14


# Direct sums.


def summed(rng, kinds, boost=0.7):
    """Y, R0, Lam, Theta of parts of these kinds, and the bases that hide them."""
    Ys, tops, lows, Lams, Thetas = [], [], [], ([], []), ([], [])
    for kind in kinds:
        q1, q2 = 10.0 ** rng.uniform(-2, 1), -(10.0 ** rng.uniform(-2, 1))
        m, n = (int(a) for a in rng.integers(1, 4, 2))
        if kind == "two":
            A = two_valued(rng, m, n, q1, q2, boost)
            A = np.linalg.qr(A.T, mode="r").T  # (m + n) hidden units
        elif kind == "one":  # of rank m <= n, and of either sign
            m, n = min(m, n), max(m, n)
            W = gf.initial.imbalanced(m, n, m, q1 if rng.random() < 0.5 else q2, 1.0, rng)
            A, (q1, q2) = W.R, (np.diag(W.Q)[0], 0.0)
        elif kind == "balanced":
            A, (q1, q2) = gf.initial.balanced(m, n, min(m, n), 1.0, rng).R, (0.0, 0.0)
        else:  # outputs alone, which rest
            n, (q1, q2) = 0, (0.0, 0.0)
            A = rng.standard_normal((m, m))
        Ys.append(rng.standard_normal((m, n)))
        tops.append(A[:m])
        lows.append(A[m:])
        for both, value in ((Lams, q1 + q2), (Thetas, -q1 * q2)):
            for blocks, size in zip(both, (m, n), strict=True):
                blocks.append(value * np.eye(size))
        if not n:
            Lams[0][-1] = A @ A.T
    U, V = (
        block_diag(*tops),
        block_diag(*[a if a.size else np.zeros((0, a.shape[1])) for a in lows]),
    )
    P, B, G = (orthogonal(rng, size) for size in (len(U), len(V), U.shape[1] + 1))
    G = G[: U.shape[1]]
    turned = [
        block_diag(P @ block_diag(*a) @ P.T, B @ block_diag(*b) @ B.T)
        for a, b in (Lams, Thetas)
    ]
    return P @ block_diag(*Ys) @ B.T, np.concatenate([P @ U, B @ V]) @ G, *turned


def riccati(Y, R, Lam, Theta, t):
    """M' = H M + M H - M^2 + Theta, H = S + J Lam/2, by its linear system."""
    Y, R, Lam, Theta, t = *map(matrix, (Y, R, Lam, Theta)), mp.mpf(t)
    m, N = Y.rows, R.rows
    both = mp.zeros(2 * N)
    H = mp.diag([1] * m + [-1] * (N - m)) * (Lam + Lam.T) / 4
    H[:m, m:], H[m:, :m] = Y, Y.T
    both[:N, :N], both[:N, N:] = H, (Theta + Theta.T) / 2
    both[N:, :N], both[N:, N:] = mp.eye(N), -H
    E, M0 = mp.expm(t * both), R * R.T
    return (E[:N, :N] * M0 + E[:N, N:]) * (E[N:, :N] * M0 + E[N:, N:]) ** -1


KINDS = [
    ["two", "one"],
    ["two", "two"],
    ["one", "one", "rest"],
    ["balanced", "two"],
    ["two", "balanced", "one"],
    ["rest", "two", "two"],
]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("seed", range(2))
def test_a_direct_sum_is_found_and_solved(kinds, seed):
    rng = np.random.default_rng(seed)
    Y, R, Lam, Theta = summed(rng, kinds)
    start, m, times = gf.Weights(R[: len(Y)], R[len(Y) :]), len(Y), (0.0, 0.3, 2.0, 10.0)
    got = exact.direct_sum(Y, start, times)
    for M, t in zip(got, times, strict=True):
        with mp.workdps(100 + int(3 * t * np.linalg.norm(Lam, 2))):
            expected = riccati(Y, R, Lam, Theta, t)
            error = distance(M, expected)
            if error > 1e-12:
                near = riccati(*(moved(a, rng) for a in (Y, R, Lam, Theta)), t)
                floor = distance(near, expected)
                assert error < 10 * floor, (t, error, floor)
    path = gf.flow.solve(Y, start, times, rtol=1e-12)
    assert np.abs(got[:, :m, m:] - path.X).max() < 1e-10 * max(1, np.abs(path.X).max())
    found = exact.solvable(Y, start)
    assert found.formula in ("direct_sum", "spectral")
    assert found.distances["direct_sum"] < 1e-13 < 1e-3 < found.distances["two_imbalances"]


def sides(rng, m, n):
    return orthogonal(rng, m), orthogonal(rng, n)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("sigma", [[2.0, 1.0, 0.5], [1.0, 1.0, 1.0], [2.0, 2.0, 0.0]])
def test_direct_sum_of_a_spectral_start_is_spectral(scale, sigma):
    rng = np.random.default_rng(4)
    P, B = sides(rng, 3, 4)
    Y = P * sigma @ B[:, :3].T
    start = gf.initial.spectral(Y, [scale, 0.7, 0.0], [1.0, -0.2 * scale, 0.4], 5, rng)
    t = [0.0, 0.1, 1.0, 30.0, 1e6]
    M, X = exact.direct_sum(Y, start, t), exact.spectral(Y, start, t)
    size = np.linalg.norm(M, axis=(1, 2))
    # Rounding of the start, of the size of its largest layer, grows as fast as weights do.
    noise = 1e-15 * max(1.0, scale) / min(1.0, scale)
    assert (np.linalg.norm(M[:, :3, 3:] - X, axis=(1, 2)) <= (1e-12 + noise) * size).all()
    assert distance(M[0], start.R @ start.R.T) < 1e-13
    assert (np.abs(M - M.mT).max((1, 2)) <= 1e-15 * size).all()


def test_parts_that_are_equal_to_one_another_stay_together():
    """Circulant weights: their modes are complex, and each real part has two of them."""
    rng = np.random.default_rng(0)
    Y, U, V = (sum(c * np.roll(np.eye(5), j, 0) for j, c in enumerate(rng.standard_normal(5)))
               for _ in range(3))  # fmt: skip
    start, t = gf.Weights(U, V), np.array([0.0, 0.2, 1.0, 4.0])
    found = exact.solvable(Y, start)
    assert found.formula == "spectral"
    assert found.distances["direct_sum"] < 1e-13 < found.distances["two_imbalances"]
    path = gf.flow.solve(Y, start, t, rtol=1e-12)
    M = exact.direct_sum(Y, start, t)
    assert np.abs(M[:, :5, 5:] - path.X).max() < 1e-10
    R = np.concatenate([path.U, path.V], axis=1)
    assert np.abs(M - R @ R.mT).max() < 1e-9


def test_one_output_and_one_input_are_solved_at_any_width():
    rng = np.random.default_rng(0)
    t = np.array([0.0, 0.4, 2.0, 1e3])
    for k in (1, 2, 3, 1000):
        for u, v in ((1.0, 1.0), (1e-6, 3.0), (0.0, 1.0), (0.0, 0.0)):
            start = gf.Weights(u * rng.standard_normal((1, k)), v * rng.standard_normal((1, k)))
            M = exact.direct_sum([[1.5]], start, t)
            found = exact.solvable([[1.5]], start)
            assert found.formula in ("identity_imbalance", "two_imbalances")
            again = getattr(exact, found.formula)([[1.5]], start, *found.parameters.values(), t)
            assert np.abs(M - again).max() <= 1e-13 * np.abs(again).max()
            path = gf.flow.solve([[1.5]], start, t, rtol=1e-12)
            R = np.concatenate([path.U, path.V], axis=1)
            assert np.abs(M - R @ R.mT).max() < 1e-10 * np.abs(M).max() + 1e-300


def test_direct_sums_in_stacks_and_starts_that_are_none():
    rng = np.random.default_rng(1)
    Y, R, *_ = summed(rng, ["two", "one"])
    m, t = len(Y), [0.1, 2.0]
    P, B = sides(rng, *Y.shape)
    both = np.stack([Y, P @ Y @ B.T])
    stack = gf.Weights(np.stack([R[:m], P @ R[:m]]), np.stack([R[m:], B @ R[m:]]))
    M = exact.direct_sum(both, stack, t)
    turn = block_diag(P, B)
    assert distance(M[1, 1], turn @ M[0, 1] @ turn.T) < 1e-13
    assert exact.direct_sum(both, stack, 0.1).shape == M[:, 0].shape
    bent = stack.U + 1e-6 * np.array([0.0, 1.0])[:, None, None] * rng.standard_normal(
        R[:m].shape
    )
    with pytest.raises(
        ValueError, match=r"one or two imbalances in problem \(1,\), not off by"
    ):
        exact.direct_sum(both, gf.Weights(bent, stack.V), t)
    with pytest.raises(ValueError, match="weights0 must fall into parts"):
        exact.direct_sum(np.ones((2, 3)), gf.initial.gaussian(2, 3, 4, 1.0, rng), t)


# No target.


def gramian(U, V, t):
    """U^T U from the solution (8) of its equation, Q being formed with all digits."""
    U, V, t = matrix(U), matrix(V), mp.mpf(t)
    q, B = mp.eigsy(U.T * U - V.T * V)
    zero = mp.mpf(10) ** (-mp.mp.dps // 2) * mp.norm(U.T * U)
    growth = [mp.expm1(2 * a * t) / a if abs(a) > zero else 2 * t for a in q]
    W = U * B
    F = mp.diag([mp.exp(a * t) for a in q]) * W.T
    return B * F * (mp.eye(U.rows) + W * mp.diag(growth) * W.T) ** -1 * F.T * B.T


def weights(rng, kind):
    m, n, k = (int(a) for a in rng.integers(1, [4, 4, 8]))
    U, V = rng.standard_normal((m, k)), rng.standard_normal((n, k))
    if kind == "scales":
        return U * 10.0 ** rng.uniform(-8, 4), V * 10.0 ** rng.uniform(-8, 4)
    if kind == "rows":
        return U * 10.0 ** rng.uniform(-8, 0, (m, 1)), V
    if kind == "integers":
        return np.rint(2 * U), np.rint(V)
    return U, np.resize(U, (n, k))  # equal rows: low rank, or balanced


@pytest.mark.parametrize("kind", ["scales", "rows", "integers", "equal"])
@pytest.mark.parametrize("seed", range(6))
def test_zero_target_solves_its_riccati_equation(kind, seed):
    rng = np.random.default_rng(seed)
    U, V = weights(rng, kind)
    for t in (0.0, 1e-8, 0.1, 3.0, 50.0, 1e6):
        with mp.workdps(digits(2 * t, np.linalg.norm(U) ** 2, np.linalg.norm(V) ** 2)):
            if mp.mp.dps > 600:
                break
            expected = gramian(U, V, t)
            got = exact.zero_target(gf.Weights(U, V), t)
            # Where all decays, the exponent's rounding is seen.
            assert distance(got, expected) < 1e-15 * (20 + 4 * t * np.linalg.norm(V) ** 2)


def test_squares_of_hidden_units_are_not_negative():
    # The first two have none; what rounding left of theirs was -1e-19.
    start = gf.Weights(
        [[0.0, 0.0, 1.0]], [[-2.0, 1.0, -1.0], [-2.0, 0.0, 2.0], [1.0, 1.0, 1.0]]
    )
    P = exact.zero_target(start, [0.0, 0.5])
    assert (np.diagonal(P, axis1=1, axis2=2) >= 0).all()
    assert P[0] == pytest.approx(np.diag([0.0, 0.0, 1.0]), abs=1e-15)


def test_zero_target_gives_the_flow_of_weights_that_see_nothing_of_the_target():
    rng = np.random.default_rng(5)
    t = np.array([0.0, 0.2, 1.0, 5.0])
    Phi, Psi = orthogonal(rng, 4), orthogonal(rng, 5)
    unseen = gf.Weights(
        Phi[:, 2:] @ rng.standard_normal((2, 6)), Psi[:, 2:] @ rng.standard_normal((3, 6))
    )
    for Y, start in (
        (np.zeros((4, 5)), gf.initial.gaussian(4, 5, 6, 1.0, rng)),
        (Phi[:, :2] @ rng.standard_normal((2, 2)) @ Psi[:, :2].T, unseen),
    ):
        path, P = gf.flow.solve(Y, start, t), exact.zero_target(start, t)
        N = P - start.Q
        loss = (np.linalg.norm(Y) ** 2 + np.trace(P @ N, axis1=1, axis2=2)) / 2
        assert np.abs(loss - ((Y - path.X) ** 2).sum((1, 2)) / 2).max() < 1e-11
        squares = np.sort(np.linalg.eigvals(P @ N).real)[:, :-5:-1]
        singular = np.linalg.svd(path.X, compute_uv=False)
        assert np.abs(squares - singular**2).max() < 1e-11
    wrong = gf.flow.solve(Y, gf.initial.gaussian(4, 5, 6, 1.0, rng), t)
    P = exact.zero_target(gf.Weights(wrong.U[0], wrong.V[0]), t)
    loss = (np.linalg.norm(Y) ** 2 + np.trace(P @ (P - wrong.Q[0]), axis1=1, axis2=2)) / 2
    assert np.abs(loss - ((Y - wrong.X) ** 2).sum((1, 2)) / 2).max() > 0.1


def test_zero_target_at_any_width_and_in_stacks():
    rng = np.random.default_rng(8)
    U, V = rng.standard_normal((2, 2, 40)), rng.standard_normal((2, 3, 40))
    P = exact.zero_target(gf.Weights(U, V), [0.0, 0.7])
    assert P.shape == (2, 2, 40, 40)
    for i in range(2):
        with mp.workdps(60):
            assert distance(P[i, 0], U[i].T @ U[i]) < 1e-14
        G = np.linalg.qr(np.concatenate([U[i], V[i]]).T).Q
        thin = exact.zero_target(gf.Weights(U[i] @ G, V[i] @ G), 0.7)
        assert distance(P[i, 1], G @ thin @ G.T) < 1e-13
    # V^T V to its own last digit, long after P - Q has lost them all.
    strong = gf.Weights([[3.0]], [[1.0]])
    last = exact.zero_target(gf.Weights([[1.0]], [[3.0]]), 5.0)
    assert abs(last / (8 / (9 * np.exp(80) - 1)) - 1) < 1e-13
    assert exact.zero_target(strong, 5.0) - strong.Q == 0


# By which formula.


def solved(Y, start, found, t):
    """X(t), or X(t)^T X(t) where the formula gives no more."""
    m = len(Y)
    solve = getattr(exact, found.formula)
    if found.formula == "zero_target":
        N = exact.zero_target(gf.Weights(start.V, start.U), t)
        return np.trace(solve(start, t) @ N, axis1=1, axis2=2)
    if found.formula == "spectral":
        return solve(Y, start, t)
    if found.formula == "direct_sum":
        return solve(Y, start, t)[:, :m, m:]
    return solve(Y, start, *found.parameters.values(), t)[:, :m, m:]


@pytest.mark.parametrize("size", [0.1, 1.0, 2.0])
def test_solvable_names_a_formula_that_solves_the_flow(size):
    rng = np.random.default_rng(int(10 * size))
    Y, t = rng.standard_normal((2, 3)), np.array([0.0, 0.5, 2.0])
    general, wide = gf.initial.gaussian(2, 3, 3, size, rng), rng.standard_normal((2, 9))
    R = two_valued(rng, 2, 3, size, -0.4, 0.7)
    for expected, Z, start in (
        ("identity_imbalance", Y, gf.initial.balanced(2, 3, 9, size, rng)),
        ("identity_imbalance", Y, gf.initial.imbalanced(2, 3, 2, size, 1.0, rng)),
        ("identity_imbalance", Y, gf.initial.imbalanced(2, 3, 3, -size, 1.0, rng)),
        ("identity_imbalance", Y, gf.initial.gaussian(2, 3, 1, size, rng)),
        ("identity_imbalance", Y[:, :2], gf.Weights(general.U, general.U)),
        ("identity_imbalance", Y[:1, :1], gf.Weights(general.U[:1], -2 * general.U[:1])),
        ("identity_imbalance", Y, gf.Weights(0 * general.U, 0 * general.V)),
        ("two_imbalances", Y, gf.initial.orthogonal(2, 3, 9, size, -1.0, rng)),
        ("two_imbalances", Y, gf.Weights(R[:2], R[2:])),
        ("two_imbalances", Y[:1, :1], gf.Weights(size * wide[:1], wide[1:])),
        ("zero_target", 0 * Y, general),
        ("spectral", Y, gf.initial.spectral(Y, [size, 1.0], [0.5, 2.0], 5, rng)),
    ):
        found = exact.solvable(Z, start)
        assert (found.formula, found.nearest) == (expected, expected)
        assert found.distance == found.distances[expected] < 1e-14
        path = gf.flow.solve(Z, start, t).X
        if expected == "zero_target":
            path = (path**2).sum((1, 2))
        assert np.abs(solved(Z, start, found, t) - path).max() < 1e-11


def test_a_general_start_is_solved_by_none():
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((2, 3))
    for k in (2, 3, 5, 20):
        found = exact.solvable(Y, gf.initial.gaussian(2, 3, k, 1.0, rng))
        assert found.formula is None
        assert found.distance > 0.1
        assert found.distance == min(found.distances.values())
    spectral = gf.initial.spectral(Y, [1.0, 2.0], [0.5, 0.1], 4)
    assert exact.solvable(Y[:, ::-1], spectral).formula is None


@pytest.mark.parametrize("weights", [1e-30, 1e-170, 1e-300])
@pytest.mark.parametrize("target", [1e-300, 1e-170, 1.0])
def test_no_formula_is_found_because_squares_underflow(weights, target):
    rng = np.random.default_rng(0)
    Y, U, V = rng.standard_normal((2, 3)), rng.standard_normal((2, 4)), np.ones((3, 4))
    found = exact.solvable(target * Y, gf.Weights(weights * U, weights * V))
    usual = exact.solvable(Y, gf.Weights(U, V))
    assert found.formula is usual.formula is None
    assert found.distances == pytest.approx(usual.distances, rel=1e-9)


def test_the_distance_is_that_of_the_start():
    rng = np.random.default_rng(0)
    R = gf.initial.orthogonal(2, 3, 9, 1e-12, -1e4, rng).R
    bent, step, Y = R.copy(), rng.standard_normal(R.shape[1]), rng.standard_normal((2, 3))
    distances = []
    for epsilon in (1e-9, 1e-6, 1e-3):
        bent[0] = R[0] + epsilon * np.linalg.norm(R[0]) * step
        found = exact.solvable(Y, gf.Weights(bent[:2], bent[2:]))
        assert (found.formula, found.nearest) == (None, "two_imbalances")
        distances.append(found.distance / epsilon)
    assert min(distances) > 0.01
    assert max(distances) < 1.1 * min(distances)
    # Of two scales 16 orders apart, the small one is seen.
    found = exact.solvable(np.ones((2, 3)), gf.Weights(R[:2], R[2:]))
    assert found.formula == "two_imbalances"
    assert abs(found.parameters["q1"] / 1e-12 - 1) < 1e-14
    wide = [gf.initial.gaussian(2, 3, k, 1.0, rng) for k in (400, 40000)]
    far, near = (exact.solvable(np.ones((2, 3)), w).distances["two_imbalances"] for w in wide)
    assert 5 < far / near < 20


@pytest.mark.parametrize(
    ("variances", "sigma"),
    [((1e8, 1e-8), (2, 1)), ((1e20, 1e-20), (2, 1)), ((1, 0), (2, 0)), ((0, 3), (0, 0.5))],
)
def test_inputs_of_any_variance(variances, sigma):
    start, t = gf.Weights(0.1 * np.eye(2), np.diag([0.1, -0.2])), np.array([0, 0.5, 2, 6.0])
    got = exact.spectral(np.diag(sigma), start, t, covariance=np.diag(variances))
    for i, (s, variance, v) in enumerate(zip(sigma, variances, (0.1, -0.2), strict=True)):
        scale = variance or 1.0
        mode = exact.spectral_modes(s, scale * (0.01 - v * v), scale * 0.1 * v, t) / scale
        expected = mode if variance else 0.1 * v
        assert got[:, i, i] == pytest.approx(expected, rel=1e-13)
    assert not got[:, [0, 1], [1, 0]].any()
