"""Rates: predictions against 120-digit solutions, the bound against draws, measurements."""

import re

import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import sqrtm

import gfcore as gf
from gfcore import rates


def rotation(size, rng):
    return np.linalg.qr(rng.standard_normal((size, size))).Q


def matrix_function(S, f):
    """f(S) for a symmetric mpmath matrix."""
    w, P = mp.eigsy(S)
    return P * mp.diag([f(x) for x in w]) * P.T


def riccati(S, M0, t):
    """M(t) of M' = S M + M S - M^2, that is (30), and (8) with S = 2 Y and M = 4 X."""
    e = matrix_function(S, lambda x: mp.exp(t * x))
    F = matrix_function(S, lambda x: mp.expm1(2 * t * x) / (2 * x) if abs(x) > 1e-50 else t)
    return e * M0 * (mp.eye(len(S)) + F * M0) ** -1 * e


def positive_part(S):
    return matrix_function(S, lambda x: max(x, mp.mpf(0)))


def test_symmetric_modes_are_the_exponents_of_every_entry():
    rng = np.random.default_rng(0)
    sigma = np.array([1.3, 0.4, -0.7])
    Phi, U0 = rotation(3, rng), rng.standard_normal((3, 4))
    with mp.workdps(120):
        P, U = mp.matrix(Phi.tolist()), mp.matrix(U0.tolist())
        # Orthogonal to 120 digits, so that Phi holds the eigenvectors to 120 digits.
        P = P * matrix_function(P.T * P, lambda x: 1 / mp.sqrt(x))
        S = P * mp.diag((2 * sigma).tolist()) * P.T
        limit = 2 * positive_part(S)
        deviation = [P.T * (riccati(S, 4 * U * U.T, t) - limit) * P for t in (20, 21)]
        measured = [
            [float(mp.log(abs(deviation[0][i, j] / deviation[1][i, j]))) for j in range(3)]
            for i in range(3)
        ]
    predicted = rates.symmetric_modes(Phi * sigma @ Phi.T)
    np.testing.assert_allclose(measured, predicted, rtol=1e-6)
    assert rates.symmetric(Phi * sigma @ Phi.T) == pytest.approx(predicted.min(), rel=1e-12)


def test_symmetric_at_singular_and_scalar_targets():
    assert rates.symmetric([[-2]]) == 8.0
    assert rates.symmetric(np.diag([3.0, 0.0])) == 0.0
    np.testing.assert_array_equal(rates.symmetric_modes(np.diag([0.0, 3.0])), [[12, 6], [6, 0]])
    for function in (rates.symmetric, rates.symmetric_modes):
        with pytest.raises(ValueError, match="Y must be symmetric"):
            function([[1, 2], [0, 1]])


def test_spectral_takes_scalars_and_arrays_and_refuses_other_lengths():
    np.testing.assert_allclose(rates.spectral([3, 0, 2], [8, -1, 0]), [10, 1, 4], rtol=1e-15)
    np.testing.assert_allclose(rates.spectral(1.5, [4, 0]), [5, 3], rtol=1e-15)
    assert rates.spectral(1.5, 4).shape == ()
    with pytest.raises(
        ValueError, match=r"lam must have shape \(2,\) to fit sigma, got shape \(3,\)"
    ):
        rates.spectral([1, 2], [1, 2, 3])


@pytest.mark.parametrize(("sigma", "lam", "x0"), [(1, 0, 0.1), (2, 3, -1.5), (0.5, -1, 4)])
def test_spectral_is_the_measured_rate_of_proposition_3(sigma, lam, x0):
    predicted = float(rates.spectral(sigma, lam))
    t = np.linspace(0, 45 / predicted, 400)
    x = gf.exact.spectral_modes([sigma], [lam], [x0], t)[:, 0]
    rate, uncertainty = rates.measured(t, np.abs(x - sigma))
    assert abs(rate - predicted) <= uncertainty < 0.01 * predicted


def exponents_of_30(Y, lam, U, V, t):
    """Slopes of log ||.|| between t and t + 1, for R R^T, U V^T, U U^T and V V^T in (30)."""
    (m, n), k = Y.shape, len(U.T)
    S, R = mp.zeros(m + n), mp.zeros(m + n, k)
    S[:m, m:], S[m:, :m] = mp.matrix(Y.tolist()), mp.matrix(Y.T.tolist())
    for i in range(m + n):
        S[i, i] = mp.mpf(lam) / 2 if i < m else -mp.mpf(lam) / 2
    R[:m, :], R[m:, :] = U, V
    limit = 2 * positive_part(S)
    D, later = (riccati(S, R * R.T, s) - limit for s in (t, t + 1))
    parts = [(slice(None), slice(None)), (slice(m), slice(m, None))]
    parts += [(slice(m), slice(m)), (slice(m, None), slice(m, None))]
    return [float(mp.log(mp.norm(D[a, b]) / mp.norm(later[a, b]))) for a, b in parts]


@pytest.mark.parametrize(("m", "n"), [(2, 3), (2, 2), (3, 2)])
@pytest.mark.parametrize("lam", [1.0, -1.0])
def test_identity_imbalance_is_the_exponent_of_every_block(m, n, lam):
    rng = np.random.default_rng(1)
    Y = rotation(m, rng)[:, : min(m, n)] * [1.4, 0.9] @ rotation(n, rng)[: min(m, n)]
    with mp.workdps(120):
        U, V = (mp.matrix(rng.standard_normal((rows, m + n)).tolist()) for rows in (m, n))
        measured = exponents_of_30(Y, lam, U, V, 30)
    predicted = [rates.identity_imbalance(Y, lam, of) for of in ("RRT", "X", "UUT", "VVT")]
    np.testing.assert_allclose(measured, predicted, rtol=1e-5)


@pytest.mark.parametrize(("m", "n", "k", "lam"), [(2, 3, 2, 1.0), (2, 3, 3, -1.0)])
def test_on_the_constraint_all_of_rrt_has_the_rate_of_x(m, n, k, lam):
    rng = np.random.default_rng(1)
    Y = rotation(m, rng) * [1.4, 0.9] @ rotation(n, rng)[:m]
    with mp.workdps(120):
        small = mp.matrix(rng.standard_normal((n if lam > 0 else m, k)).tolist())
        # A square root of small^T small + |lam| I, so that Q = lam I to 120 digits.
        large = matrix_function(small.T * small + abs(lam) * mp.eye(k), mp.sqrt)
        U, V = (large, small) if lam > 0 else (small, large)
        measured = exponents_of_30(Y, lam, U, V, 30)
    of = ("X", "X", "UUT", "X")
    predicted = [rates.identity_imbalance(Y, lam, block) for block in of]
    np.testing.assert_allclose(measured, predicted, rtol=1e-5)


def test_identity_imbalance_without_imbalance():
    rng = np.random.default_rng(1)
    Y = rotation(2, rng) * [1.4, 0.9] @ rotation(3, rng)[:2]
    with mp.workdps(250):
        U, V = (mp.matrix(rng.standard_normal((rows, 5)).tolist()) for rows in (2, 3))
        slopes = np.array([exponents_of_30(Y, 0.0, U, V, t) for t in (40, 80)])
    # A factor 1/t adds 1/t to the slope; this extrapolation removes it.
    measured = 2 * slopes[1] - slopes[0]
    predicted = [rates.identity_imbalance(Y, 0, of) for of in ("RRT", "X", "UUT", "VVT")]
    np.testing.assert_allclose(predicted, [0, 0.9, 1.8, 0], atol=1e-14)
    np.testing.assert_allclose(measured, predicted, atol=2e-3)
    # The algebraic decay itself.
    np.testing.assert_allclose(slopes[1][[0, 3]] * 80.5, 1, atol=0.03)


def test_identity_imbalance_means_the_singular_value_not_the_eigenvalue():
    Y = np.array([[1.0, 2.0], [0.0, 1.0]])  # Eigenvalues 1 and 1, singular values sqrt 2 +- 1.
    predicted = rates.identity_imbalance(Y, 0.0)
    assert predicted == pytest.approx(2 * (np.sqrt(2) - 1), rel=1e-12)
    w = gf.initial.balanced(2, 2, 2, 1.0, np.random.default_rng(0), det_sign=1)
    t = np.linspace(0, 60, 801)
    rate, uncertainty = rates.measured(t, gf.flow.solve(Y, w, t).error(Y))
    assert abs(rate - predicted) <= uncertainty < 0.1 * predicted


def test_identity_imbalance_refusals():
    with pytest.raises(ValueError, match="of must be one of RRT, X, UUT and VVT, got 'UVT'"):
        rates.identity_imbalance(np.eye(2), 1.0, "UVT")
    with pytest.raises(ValueError, match=r"lam must be a number, got shape \(1,\)"):
        rates.identity_imbalance(np.eye(2), [1.0])


@pytest.mark.parametrize(
    ("m", "n", "k", "std", "seed"),
    [(3, 5, 8, 1.0, 0), (3, 3, 6, 0.5, 1), (4, 2, 3, 1.0, 0), (2, 5, 3, 1.0, 2)],
)
def test_asymptotic_is_the_measured_rate_of_the_flow(m, n, k, std, seed):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((m, n))
    t = np.linspace(0, 60, 601)
    path = gf.flow.solve(Y, gf.initial.gaussian(m, n, k, std, rng), t)
    predicted = rates.asymptotic(gf.Weights(path.U[-1], path.V[-1]))
    rate, uncertainty = rates.measured(t, path.error(Y))
    assert abs(rate - predicted) <= uncertainty < 0.1 * predicted


def test_asymptotic_of_a_narrow_product():
    # k < m and k < n: both smallest eigenvalues are 0, and yet the decay is exponential.
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((3, 2)) @ rng.standard_normal((2, 4))
    t = np.linspace(0, 90, 601)
    path = gf.flow.solve(Y, gf.initial.gaussian(3, 4, 2, 1.0, rng), t)
    end = gf.Weights(path.U[-1], path.V[-1])
    squares = [np.linalg.svd(W, compute_uv=False)[-1] ** 2 for W in (end.U, end.V)]
    assert rates.asymptotic(end) == pytest.approx(min(squares), rel=1e-12)
    rate, uncertainty = rates.measured(t, path.error(Y))
    assert abs(rate - min(squares)) <= uncertainty < 0.01


def test_asymptotic_covers_the_closed_forms():
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((3, 5))
    sigma = np.linalg.svd(Y, compute_uv=False)
    # Prop. 3 at its end state, u v = sigma: u^2 + v^2 = sqrt(4 sigma^2 + lam^2).
    u = np.array([2.0, 1.0, 0.5])
    square = gf.initial.spectral(np.diag(sigma), u, sigma / u)
    pairs = np.add.outer(u**2, (sigma / u) ** 2)
    assert rates.asymptotic(square) == pytest.approx(pairs.min(), rel=1e-12)
    # Prop. 5 at R R^T = 2 S~_+, both signs.
    for lam in (2.0, -2.0):
        S = np.block([[lam / 2 * np.eye(3), Y], [Y.T, -lam / 2 * np.eye(5)]])
        w, P = np.linalg.eigh(S)
        R = P * np.sqrt(2 * np.maximum(w, 0))
        end = gf.Weights(R[:3], R[3:])
        np.testing.assert_allclose(end.X, Y, atol=1e-13)
        expected = rates.identity_imbalance(Y, lam, "X")
        assert rates.asymptotic(end) == pytest.approx(expected, rel=1e-12)
        assert rates.a_priori(Y, end) == pytest.approx(expected, rel=1e-12)


def test_asymptotic_is_zero_where_a_balanced_start_learns_a_singular_target():
    assert rates.asymptotic(gf.Weights(np.diag([1.0, 0.0]), np.diag([2.0, 0.0]))) == 0.0
    t = np.linspace(0, 1000, 1001)
    w = gf.Weights([[0.0, 1.0]], [[0.0, 1.0]])
    x = gf.flow.solve([[0.0]], w, t).X[:, 0, 0]
    np.testing.assert_allclose(x, 1 / (1 + 2 * t), rtol=1e-6)
    with pytest.raises(ValueError, match="no clean exponential window"):
        rates.measured(t, x)


def test_asymptotic_needs_weights():
    with pytest.raises(ValueError, match="weights must be Weights, got tuple"):
        rates.asymptotic((np.eye(2), np.eye(2)))


def draws(count):
    """Weights of all shapes, scales and ranks, and what is rounding for their rates."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        m, n, k = rng.integers(1, 6, 3)
        U, V = (rng.standard_normal((rows, k)) for rows in (m, n))
        stretch = 10 ** rng.uniform(-1.5, 1.5, k)
        weights = gf.Weights(U * stretch, V * (stretch if rng.random() < 0.5 else 1))
        yield weights, 1e-12 * np.linalg.norm(weights.R) ** 2


def test_a_priori_bounds_the_smallest_eigenvalues_from_below():
    # At Y = X0 the bound speaks of the start itself.
    gaps = []
    for weights, rounding in draws(4000):
        gram = [np.linalg.eigvalsh(W @ W.T)[0] for W in (weights.U, weights.V)]
        bound = rates.a_priori(weights.X, weights)
        assert bound <= sum(gram) + rounding
        gaps.append((sum(gram) - bound) / np.linalg.norm(weights.R) ** 2)
    # It is sharp: 0 is not all that it ever says.
    assert np.median(gaps) < 0.01


def altered_bound(weights):
    """The bound of `a_priori` at Y = X0 with s_m in both roots, which is wrong for m != n."""
    m, n = weights.X.shape
    d = np.pad(np.sort(np.linalg.eigvalsh(weights.Q)), 6)
    up, down = np.sort(np.maximum(d, 0))[::-1], np.sort(np.maximum(-d, 0))[::-1]
    s = np.linalg.svd(weights.X, compute_uv=False)[-1]
    both = up[m - 1] + down[n - 1]
    spreads = up[0] - up[m - 1], down[0] - down[n - 1]
    return sum(np.hypot(a + both, 2 * s) - a for a in spreads) / 2


def test_draws_would_show_a_wrong_bound():
    violated = square = 0
    for weights, rounding in draws(1000):
        m, n = weights.X.shape
        gram = sum(np.linalg.eigvalsh(W @ W.T)[0] for W in (weights.U, weights.V))
        if m == n:
            bound = rates.a_priori(weights.X, weights)
            assert abs(altered_bound(weights) - bound) <= rounding
            square += 1
        violated += altered_bound(weights) > gram + rounding
    assert square > 100
    assert violated > 50


@pytest.mark.parametrize("seed", range(6))
def test_a_priori_holds_along_the_flow(seed):
    rng = np.random.default_rng(seed)
    m, n = ((2, 3), (3, 2), (3, 3))[seed % 3]
    Y = rng.standard_normal((m, n))
    target = np.linalg.svd(Y, compute_uv=False)[-1]
    # One start near Y (the first root of the bound), one far and imbalanced (Delta_3 alone).
    end = gf.flow.solve(Y, gf.initial.gaussian(m, n, 6, 1.0, rng), [60.0])
    near = gf.Weights(end.U[-1] + 0.02 * target, end.V[-1])
    assert np.linalg.norm(Y - near.X) < 0.7 * target
    far = gf.Weights(rng.standard_normal((m, 8)), 4 * rng.standard_normal((n, 8)))
    for start in (near, far):
        bound = rates.a_priori(Y, start)
        assert bound > 0.01
        # Down to e^-8, far above the solver's error.
        t = np.linspace(0, 8 / bound, 41)
        error = gf.flow.solve(Y, start, t).error(Y)
        assert (error <= error[0] * np.exp(-bound * t) * (1 + 1e-6)).all()


def test_rates_of_a_stack_are_those_of_each():
    rng = np.random.default_rng(0)
    for k in (1, 4, 9):
        U, V = rng.standard_normal((2, 3, 2, k)), rng.standard_normal((2, 3, 4, k))
        Y, stack = (U @ V.mT) + 0.1 * rng.standard_normal((2, 3, 2, 4)), gf.Weights(U, V)
        bounds, sharp = rates.a_priori(Y, stack), rates.asymptotic(stack)
        for i in np.ndindex(2, 3):
            one = gf.Weights(U[i], V[i])
            assert bounds[i] == pytest.approx(rates.a_priori(Y[i], one), rel=1e-12, abs=1e-14)
            assert sharp[i] == pytest.approx(rates.asymptotic(one), rel=1e-12, abs=1e-14)


def test_a_priori_says_nothing_far_from_a_target_without_imbalance():
    w = gf.initial.balanced(3, 4, 6, 0.1, np.random.default_rng(0))
    assert rates.a_priori(np.eye(3, 4), w) < 1e-15
    wide = gf.initial.gaussian(3, 4, 100_000, 1.0, np.random.default_rng(0))
    assert rates.a_priori(np.eye(3, 4), wide) > 0
    with pytest.raises(
        ValueError, match=r"Y must have shape \(3, 4\) to fit weights0, got shape \(4, 3\)"
    ):
        rates.a_priori(np.eye(4, 3), w)
    with pytest.raises(ValueError, match="weights0 must be Weights, got ndarray"):
        rates.a_priori(np.eye(3), np.eye(3))


def floors(rng, signal):
    """`signal` on the floors it meets in practice: none, constant, noise, a norm, rounding."""
    noise = 1e-13 * rng.standard_normal((10, signal.size))
    yield "none", signal
    yield "constant", signal + 1e-13
    yield "noise", np.abs(signal + noise[0])
    yield "norm", np.sqrt(signal**2 + (noise**2).sum(0))
    yield "rounding to zero", np.abs((1.5 + signal) - 1.5)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("samples", [60, 301, 5000])
def test_measured_covers_the_slowest_exponential(seed, samples):
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.1, 10) * np.append(1.0, rng.uniform(1.3, 10, seed % 4))
    size = 10 ** rng.uniform(-1, 1, rate.size)
    t = np.linspace(0, 60 / rate[0], samples)
    for floor, error in floors(rng, np.exp(-np.outer(t, rate)) @ size):
        got = rates.measured(t, error)
        assert abs(got.rate - rate[0]) <= got.uncertainty < 0.2 * rate[0], floor


def test_measured_does_not_take_a_transient_for_the_end():
    t = np.linspace(0, 40, 401)
    # 99% of the fall down to e^-20 is the fast exponential's.
    late = np.exp(-10 * t) + 1e-4 * np.exp(-0.5 * t)
    rate, uncertainty = rates.measured(t, late)
    assert abs(rate - 0.5) <= uncertainty < 1e-6
    # A dip where two exponentials of opposite sign cancel.
    rate, uncertainty = rates.measured(t, np.abs(np.exp(-3 * t) - 0.1 * np.exp(-0.5 * t)))
    assert abs(rate - 0.5) <= uncertainty < 1e-6
    # The end in the middle of the bend.
    t = np.linspace(0, 1, 401)
    with pytest.raises(ValueError, match=r"still drifts, 9\.8\d*, 9\.\d+, 6\.\d+ in three"):
        rates.measured(t, np.exp(-10 * t) + 1e-4 * np.exp(-0.5 * t))


def test_measured_covers_an_algebraic_prefactor():
    t = np.linspace(0, 30, 301)
    for power in (-2, -1, -0.5, 0.5, 1, 2):
        rate, uncertainty = rates.measured(t, np.exp(-t) * (1 + t) ** power)
        assert abs(rate - 1) <= uncertainty < 0.2


@pytest.mark.parametrize("power", [0.25, 0.5, 1, 2, 4, 8])
@pytest.mark.parametrize("shift", [1e-3, 1.0, 100.0])
def test_measured_refuses_an_algebraic_decay(power, shift):
    for t in (np.linspace(0, 1000, 501), np.append(0, np.geomspace(0.01, 1e5, 400))):
        with pytest.raises(ValueError, match="no clean exponential window"):
            rates.measured(t, (1 + t / shift) ** -power)


@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        ([0, 1, 1], [3, 2, 1], r"t must be increasing, got 1\.0 twice"),
        ([0, 1], [3, 2, 1], r"t must have shape \(3,\) to fit error, got shape \(2,\)"),
        ([0, 1, 2], [3, 2, -1], r"error must be >= 0, got a smallest entry of -1"),
        (1e-320 * np.arange(99), np.exp(-np.arange(99.0)), "the rate is beyond all numbers"),
        (range(8), np.exp(-np.arange(8)), r"at least 9 samples are needed, got 8"),
        (range(50), np.ones(50), "0 samples fall, above a floor of 1.0e"),
        (range(50), np.zeros(50), "it is zero at every time"),
        (range(50), np.exp(np.arange(50)), "0 samples fall"),
        (range(50), 1 + np.exp(-np.arange(50)), "samples fall, above a floor of 1.0e"),
        (range(50), np.exp(-0.02 * np.arange(50)), r"spans 0\.\d+ e-foldings, fewer than 1"),
        (
            np.append(range(20), 100),
            np.exp(-np.append(range(20), 100.0)),
            "a third of the last .* has < 3 samples",
        ),
    ],
)
def test_measured_says_why_there_is_no_window(t, error, message):
    with pytest.raises(ValueError, match=message):
        rates.measured(t, error)


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-500, 2.0**200])
def test_measured_has_no_unit_of_its_own(unit):
    t = np.linspace(0, 40, 401)
    error = np.exp(-t) + 0.1 * np.exp(-0.5 * t)
    rate, uncertainty = rates.measured(t, error)
    assert rates.measured(t * unit, error) == (rate / unit, uncertainty / unit)
    t = np.linspace(0, 1, 401)
    with pytest.raises(ValueError, match="still drifts") as refusal:
        rates.measured(t * unit, np.exp(-10 * t) + 1e-4 * np.exp(-0.5 * t))
    slopes = [float(s) * unit for s in re.findall(r"\d\S*\d", str(refusal.value))]
    assert slopes == pytest.approx([9.88, 9.4, 6.4], abs=0.6)


def test_reach_is_exact_for_an_exponential_and_brackets_any_error():
    t = np.linspace(0, 7, 29) ** 1.3
    for level in (0.5, 1e-2, 1e-6):
        assert rates.reach(t, np.exp(-2 * t), level) == pytest.approx(-np.log(level) / 2, 1e-13)
    error = np.array([3.0, 1.0, 2.0, 0.5, 0.0])
    assert rates.reach(np.arange(5), error, 1.5) == pytest.approx(
        np.log(2) / np.log(3)
    )  # first
    assert rates.reach(np.arange(5), error, 0.1) == 4  # log(0) would lead back to 3
    assert rates.reach(np.arange(5), error, 3.5) == 0
    assert rates.reach(np.arange(4), error[:4], 0.5) == np.inf
    assert rates.reach([0, 300], [1e75, 1e-225], 1e-125) == pytest.approx(200, 1e-13)


@pytest.mark.parametrize(
    ("t", "error", "level", "named"),
    [([0, 1], [1, 2, 3], 1, "t must have shape"), ([1, 0], [1, 2], 1, "t must be"),
     ([0, 1, 1, 1], [1, 0.9, 0.5, 0.1], 0.3, r"t must be increasing, got 1\.0 twice"),
     ([0, 1], [1, -1], 1, "error must be"), ([0, 1], [1, 1], 0, "level must be")],
)  # fmt: skip
def test_reach_names_a_bad_argument(t, error, level, named):
    with pytest.raises(ValueError, match=named):
        rates.reach(t, error, level)


@pytest.mark.parametrize(("m", "n", "k"), [(2, 3, 4), (3, 2, 1), (1, 4, 2), (3, 3, 3)])
def test_tangent_kernel_is_what_a_small_step_does(m, n, k):
    """Central differences of outputs on the inputs Sigma^(1/2), against the kernel."""
    rng = np.random.default_rng(10 * m + n)
    C = rng.standard_normal((n, n))
    zero = np.diag(np.arange(n) / 1.0)
    for Sigma, root in ((None, np.eye(n)), (C @ C.T, sqrtm(C @ C.T)), (zero, np.sqrt(zero))):
        S = root @ root
        U, V, F = (rng.standard_normal(s) for s in ((m, k), (n, k), (m, n)))
        K = rates.tangent_kernel(gf.Weights(U, V), Sigma)
        assert K.shape == (m * n, m * n)
        assert np.array_equal(K, K.T) or np.abs(K - K.T).max() < 1e-14 * np.abs(K).max()
        # The gradient of <F, U V^T root> in U and V, and how it moves the outputs U V^T root.
        dU, dV, h = F @ root @ V, root @ F.T @ U, 1e-6
        ahead, behind = ((U + s * h * dU) @ (V + s * h * dV).T @ root for s in (1, -1))
        moved = (ahead - behind) / (2 * h)
        assert np.abs(K @ F.ravel() - moved.ravel()).max() < 1e-7 * np.abs(moved).max()
        wrong = K @ F.ravel() + 0.01 * (U @ U.T @ F @ S).ravel()
        assert np.abs(wrong - moved.ravel()).max() > 1e-5 * np.abs(moved).max()


def test_tangent_kernel_has_the_exponents_of_the_flow():
    rng = np.random.default_rng(1)
    start = gf.initial.gaussian(2, 3, 6, 1.0, rng)
    C = rng.standard_normal((3, 3))
    Y, Sigma = rng.standard_normal((2, 3)), C @ C.T + 0.2 * np.eye(3)
    end = gf.flow.solve(Y, start, [0.0, 400.0], covariance=Sigma)
    r, following = np.linalg.eigvalsh(
        rates.tangent_kernel(gf.Weights(end.U[-1], end.V[-1]), Sigma)
    )[:2]
    t = np.linspace(0, 25 / r, 101)
    X = gf.flow.solve(Y, start, t, rtol=1e-12, covariance=Sigma).X
    seen = rates.measured(t, np.linalg.norm(Y - X @ Sigma, axis=(1, 2)))
    assert following > 1.2 * r
    assert abs(seen.rate / r - 1) < 2e-3
    white = gf.flow.solve(Y, start, [0.0, 400.0])
    weights = gf.Weights(white.U[-1], white.V[-1])
    least = np.linalg.eigvalsh(rates.tangent_kernel(weights))[0]
    assert abs(least / rates.asymptotic(weights) - 1) < 1e-12


def test_tangent_kernels_come_in_stacks():
    rng = np.random.default_rng(2)
    stack = gf.Weights(rng.standard_normal((2, 5, 2, 4)), rng.standard_normal((2, 5, 3, 4)))
    K = rates.tangent_kernel(stack, np.diag([1.0, 2.0, 3.0]))
    assert K.shape == (2, 5, 6, 6)
    one = rates.tangent_kernel(
        gf.Weights(stack.U[1, 2], stack.V[1, 2]), np.diag([1.0, 2.0, 3.0])
    )
    assert np.abs(K[1, 2] - one).max() < 1e-14
    with pytest.raises(ValueError, match="weights must be Weights, got tuple"):
        rates.tangent_kernel((np.eye(2), np.eye(2)))
    with pytest.raises(ValueError, match=r"covariance must have shape \(3, 3\)"):
        rates.tangent_kernel(stack, np.eye(2))
