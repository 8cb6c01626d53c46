"""Initial states: the definitions, the conditions for existence and the refusals."""

from itertools import product

import numpy as np
import pytest

import gfcore as gf
from gfcore import initial

EPS = np.finfo(float).eps
SIZES = list(product((1, 2, 5), (1, 3, 5), (1, 2, 5, 12)))


def rounding(weights):
    """A bound on the rounding of U^T U - V^T V."""
    return 50 * EPS * np.linalg.norm(weights.R) ** 2


def test_gaussian_draws_u_first_and_scales():
    weights = initial.gaussian(3, 4, 6, 0.1, np.random.default_rng(7))
    z = np.random.default_rng(7).standard_normal(7 * 6)
    np.testing.assert_array_equal(weights.U, 0.1 * z[:18].reshape(3, 6))
    np.testing.assert_array_equal(weights.V, 0.1 * z[18:].reshape(4, 6))


def test_gaussian_width_needs_no_square_array():
    weights = initial.gaussian(2, 3, 200_000, 1.0, np.random.default_rng(0))
    assert weights.R.shape == (5, 200_000)
    # Beyond the standard error of 1e6 squares, sqrt(2e-6), by a factor of four.
    assert abs(np.mean(weights.R**2) - 1) < 4 * np.sqrt(2e-6)


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_balanced_has_no_imbalance_and_full_rank(m, n, k, scale):
    weights = initial.balanced(m, n, k, scale, np.random.default_rng(m + 10 * n + 100 * k))
    assert (weights.U.shape, weights.V.shape) == ((m, k), (n, k))
    assert np.linalg.norm(weights.Q) <= rounding(weights)
    for factor in (weights.U, weights.V, weights.X):
        assert np.linalg.matrix_rank(factor) == min(m, n, k)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("sign", [1, -1])
def test_balanced_has_the_sign_asked_for(m, sign):
    for seed in range(20):
        weights = initial.balanced(m, m, m + seed % 3, 0.5, np.random.default_rng(seed), sign)
        assert np.linalg.slogdet(weights.X).sign == sign
        assert np.linalg.norm(weights.Q) <= rounding(weights)


def test_balanced_signs_are_equally_likely_unless_asked_for():
    rng = np.random.default_rng(0)
    signs = [np.linalg.slogdet(initial.balanced(3, 3, 5, 1.0, rng).X).sign for _ in range(400)]
    # Four standard deviations of 400 fair coins.
    assert abs(sum(signs)) < 80


@pytest.mark.parametrize("m", [2, 3])
def test_balanced_square_start_reaches_y_only_with_its_sign(m):
    t = np.array([0.0, 400.0])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        # Singular values 1, 2, ..., so that 400 units of time are enough for every start.
        Phi, Psi = (np.linalg.qr(rng.standard_normal((m, m))).Q for _ in range(2))
        Y = Phi * np.arange(1.0, m + 1) @ Psi
        sign = int(np.linalg.slogdet(Y).sign)
        good = initial.balanced(m, m, m + 1, 0.5, np.random.default_rng(seed), sign)
        bad = initial.balanced(m, m, m + 1, 0.5, np.random.default_rng(seed), -sign)
        assert gf.flow.solve(Y, good, t).error(Y)[-1] < 1e-9
        # det X keeps its sign, so X stays beyond the singular matrices, and the nearest of them
        # is sigma_min(Y) = 1 away from Y.  (At a saddle, which rounding leaves much later.)
        stuck = gf.flow.solve(Y, bad, [0.0, 6.0])
        assert np.linalg.slogdet(stuck.X[-1]).sign == -sign
        assert np.linalg.norm(Y - stuck.X[-1]) >= 1


def test_balanced_refuses_a_sign_where_there_is_no_determinant():
    rng = np.random.default_rng(0)
    for m, n, k, scale in ((2, 3, 4, 1.0), (3, 3, 2, 1.0), (3, 3, 3, 0.0)):
        with pytest.raises(
            ValueError, match=r"det_sign needs m = n <= k and scale > 0.*got m ="
        ):
            initial.balanced(m, n, k, scale, rng, det_sign=1)
    for wrong in (0, 2, 0.5, "+"):
        with pytest.raises(ValueError, match="det_sign must be 1, -1 or None, got"):
            initial.balanced(3, 3, 3, 1.0, rng, det_sign=wrong)


@pytest.mark.parametrize(("m", "n", "k"), [(3, 5, 8), (5, 3, 4), (3, 3, 2), (1, 4, 1)])
@pytest.mark.parametrize("seed", [None, 0])
def test_spectral_is_diagonal_in_the_singular_vectors(m, n, k, seed):
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((m, n))
    u, v = rng.standard_normal(min(m, k)), rng.standard_normal(min(n, k))
    gauge = None if seed is None else np.random.default_rng(seed)
    weights = initial.spectral(Y, u, v, k, gauge)
    Phi, _, PsiT = np.linalg.svd(Y)
    r = min(m, n, k)
    X = np.zeros((m, n))
    X[np.arange(r), np.arange(r)] = u[:r] * v[:r]
    np.testing.assert_allclose(Phi.T @ weights.X @ PsiT.T, X, atol=1e-13)
    # Each Gramian is diagonal in its own singular vectors, with u^2 and v^2 as eigenvalues.
    for basis, factor, diagonal in ((Phi, weights.U, u), (PsiT.T, weights.V, v)):
        square = np.zeros(len(basis))
        square[: diagonal.size] = diagonal**2
        np.testing.assert_allclose(
            basis.T @ factor @ factor.T @ basis, np.diag(square), atol=1e-13
        )
    # Q0 = G diag(u^2 - v^2) G^T: the gauge leaves its eigenvalues alone.
    padded = [np.pad(d**2, (0, k - d.size)) for d in (u, v)]
    np.testing.assert_allclose(
        np.linalg.eigvalsh(weights.Q), np.sort(padded[0] - padded[1]), atol=1e-13
    )
    diagonal_q = np.allclose(weights.Q, np.diag(np.diag(weights.Q)), atol=1e-13)
    assert diagonal_q == (seed is None or k == 1)


def test_spectral_default_width_short_diagonals_and_large_width():
    Y = np.diag([3.0, 2.0, 1.0])[:, :2]
    weights = initial.spectral(Y, u=[0.5], v=[2, 1])
    assert (weights.U.shape, weights.V.shape) == ((3, 3), (2, 3))
    np.testing.assert_allclose(np.abs(weights.X), np.diag([1.0, 0, 0])[:, :2], atol=1e-15)
    wide = initial.spectral(Y, [0.5], [2, 1], k=500_000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(wide.X, weights.X, atol=1e-14)


def test_spectral_refuses_diagonals_that_do_not_fit():
    Y = np.ones((2, 3))
    message = r"u must .* the diagonal of a \(2, 4\) matrix, as Y and k set it; got 3"
    with pytest.raises(ValueError, match=message):
        initial.spectral(Y, [1, 2, 3], [1], k=4)
    message = r"v must .* the diagonal of a \(3, 1\) matrix, as Y and k set it; got 2"
    with pytest.raises(ValueError, match=message):
        initial.spectral(Y, [1], [1, 2], k=1)
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        initial.spectral(Y, [1], [1], k=0)
    with pytest.raises(ValueError, match=r"rng must be a numpy.random.Generator, got int"):
        initial.spectral(Y, [1], [1], rng=0)


def test_symmetric_spectral_follows_the_eigenvalues_downwards():
    rng = np.random.default_rng(0)
    G = np.linalg.qr(rng.standard_normal((4, 4))).Q
    sigma, sigma0 = np.array([5.0, 2.0, -1.0, -3.0]), np.array([0.0, 4.0, 0.25, 1.0])
    U0 = initial.symmetric_spectral(G * sigma @ G.T, sigma0)
    np.testing.assert_allclose(U0 @ U0.T, G * sigma0 @ G.T, atol=1e-14)
    np.testing.assert_allclose(U0.T @ U0, np.diag(sigma0), atol=1e-14)


def test_symmetric_spectral_refusals():
    with pytest.raises(
        ValueError, match=r"sigma0 must have shape \(2,\) to fit Y, got shape \(3,\)"
    ):
        initial.symmetric_spectral(np.eye(2), [1, 2, 3])
    with pytest.raises(ValueError, match="sigma0 must be >= 0, got a smallest entry of -1"):
        initial.symmetric_spectral(np.eye(2), [1, -1])
    with pytest.raises(ValueError, match="Y must be symmetric"):
        initial.symmetric_spectral([[1, 2], [0, 1]], [1, 1])


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
@pytest.mark.parametrize("lam", [2.5, -2.5, 1e-12, -1e4, 0.0])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_imbalanced_exists_exactly_where_the_inertia_allows(m, n, k, lam, scale):
    rng = np.random.default_rng(m + 10 * n + 100 * k)
    if (lam > 0 and k > m) or (lam < 0 and k > n):
        name, rows = ("m", m) if lam > 0 else ("n", n)
        with pytest.raises(ValueError, match=rf"needs k <= {name}.*k = {k}, {name} = {rows}"):
            initial.imbalanced(m, n, k, lam, scale, rng)
    else:
        weights = initial.imbalanced(m, n, k, lam, scale, rng)
        assert (weights.U.shape, weights.V.shape) == ((m, k), (n, k))
        assert np.linalg.norm(weights.Q - lam * np.eye(k)) <= rounding(weights)


def test_imbalanced_keeps_a_tiny_imbalance_beside_a_tiny_start():
    weights = initial.imbalanced(3, 4, 3, 1e-12, 1e-8, np.random.default_rng(0))
    np.testing.assert_allclose(weights.Q, 1e-12 * np.eye(3), atol=1e-26)


def test_orthonormal_columns_favor_no_direction():
    rng = np.random.default_rng(0)
    draws = np.array([initial._orthonormal(4, 2, rng) for _ in range(4000)])
    np.testing.assert_allclose(
        draws.mT @ draws, np.broadcast_to(np.eye(2), (4000, 2, 2)), atol=1e-14
    )
    # Entries have mean 0 and variance 1/4, their squares a variance below 2/16; so have those
    # of any rotated draw.  Four standard errors.
    turned = _turn(np.ones(4) / 2) @ draws
    for sample in (draws, turned):
        np.testing.assert_allclose(sample.mean(0), 0, atol=4 * np.sqrt(1 / 4 / 4000))
        np.testing.assert_allclose((sample**2).mean(0), 1 / 4, atol=4 * np.sqrt(2 / 16 / 4000))


def _turn(direction):
    """The reflection at the plane normal to a unit vector."""
    return np.eye(direction.size) - 2 * np.outer(direction, direction)


def test_draws_depend_on_nothing_but_the_generator():
    for draw in (
        lambda rng: initial.gaussian(2, 3, 4, 1.0, rng),
        lambda rng: initial.balanced(2, 3, 4, 1.0, rng),
        lambda rng: initial.imbalanced(2, 3, 2, 1.0, 1.0, rng),
        lambda rng: initial.spectral(np.ones((2, 3)), [1.0], [1.0], 4, rng),
    ):
        first, again, other = (draw(np.random.default_rng(seed)).R for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, 4, 1.0), "m must be an integer of at least 1, got 0"),
        ((2, 3.0, 4, 1.0), "n must be an integer of at least 1, got 3.0"),
        ((2, 3, -1, 1.0), "k must be an integer of at least 1, got -1"),
        ((2, 3, 4, -1.0), "(std|scale) must be >= 0, got -1.0"),
        ((2, 3, 4, np.nan), "(std|scale) must be finite, got nan$"),
        ((2, 3, 4, [1.0]), r"(std|scale) must be a number, got shape \(1,\)"),
    ],
)
def test_sizes_and_scales_are_checked_before_anything_is_drawn(arguments, message):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    *sizes, scale = arguments
    for call in (
        lambda: initial.gaussian(*sizes, scale, rng),
        lambda: initial.balanced(*sizes, scale, rng),
        lambda: initial.imbalanced(*sizes, 0.5, scale, rng),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert rng.bit_generator.state == before
    with pytest.raises(ValueError, match=r"lam must be finite, got inf$"):
        initial.imbalanced(2, 3, 2, np.inf, 1.0, rng)
    with pytest.raises(
        ValueError, match=r"rng must be a numpy\.random\.Generator, got NoneType"
    ):
        initial.gaussian(2, 3, 4, 1.0, None)


@pytest.mark.parametrize("det_sign", [1 + 0j, np.timedelta64(1), True, "1", 0.5, [1], {}])
def test_what_is_no_sign_is_no_sign_of_a_determinant(det_sign):
    rng = np.random.default_rng(0)
    for sign in (1, np.float64(-1.0), np.int8(1)):
        X = initial.balanced(2, 2, 3, 1.0, rng, det_sign=sign).X
        assert np.sign(np.linalg.det(X)) == sign
    with pytest.raises(ValueError, match="det_sign must be 1, -1 or None, got"):
        initial.balanced(2, 2, 3, 1.0, rng, det_sign=det_sign)


def test_a_spread_too_large_is_named():
    for sizes in ((2, 3, 2), (3, 2, 2)):
        rng = np.random.default_rng(0)
        with pytest.raises(ValueError, match=r"std must be smaller.* 1e\+75, got 1e\+75"):
            initial.gaussian(*sizes, 1e75, rng)
        with pytest.raises(ValueError, match="scale must be smaller"):
            initial.balanced(*sizes, 1e75, rng)
        for lam in (1e75, 0.0, -1e75):
            with pytest.raises(ValueError, match="scale must be smaller"):
                initial.imbalanced(*sizes, lam, 1e75, rng)
