"""Rates of convergence: predicted, guaranteed from the start, asymptotic and measured.

A rate r means that the error falls as e^(-r t). A predicted rate of 0 means that the decay, if
there is any, is slower than every exponential, such as 1/t.
"""

from __future__ import annotations

import reprlib
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore.state import Weights


class MeasuredRate(NamedTuple):
    """A rate read off a decaying error, with its uncertainty."""

    rate: float
    uncertainty: float


@_check.quiet
def symmetric(Y: ArrayLike) -> float:
    """Return 4 min |sigma_i|, the rate of X(t) in the symmetric model (Prop. 2, (10)).

    Sharp for almost every U0 with more columns than Y has positive eigenvalues. With as many
    it is so where the smallest |sigma_i| is that of a positive one; else X(t) has the larger
    rate 2 (|sigma_i| + the smallest positive eigenvalue).

    Parameters
    ----------
    Y : (m, m) array_like
        Symmetric target; sigma_i are its eigenvalues, of either sign.

    Returns
    -------
    float
        The rate at which X(t) approaches the projection of Y on the PSD cone.

    Raises
    ------
    ValueError
        If Y is not a symmetric matrix.

    Examples
    --------
    >>> symmetric(np.diag([3.0, -0.5]))
    2.0
    """
    return float(4 * np.abs(np.linalg.eigvalsh(_check.symmetric("Y", Y))).min())


@_check.quiet
def symmetric_modes(Y: ArrayLike) -> Array:
    """Return 2 (|sigma_i| + |sigma_j|), the rate of every entry of X(t) in Y's eigenbasis.

    The entry phi_i^T (X(t) - Y~) phi_j, with Y~ the projection of Y on the PSD cone, decays at
    its own rate for almost every positive definite X0. Prop. 2 gives the smallest of them.

    Parameters
    ----------
    Y : (m, m) array_like
        Symmetric target.

    Returns
    -------
    (m, m) ndarray
        Rates, the eigenvalues of Y in descending order along both axes.

    Raises
    ------
    ValueError
        If Y is not a symmetric matrix.

    Examples
    --------
    >>> symmetric_modes(np.diag([3.0, -0.5]))
    array([[12.,  7.],
           [ 7.,  2.]])
    """
    size = np.abs(np.linalg.eigvalsh(_check.symmetric("Y", Y))[::-1])
    return np.asarray(2 * (size[:, None] + size))


@_check.quiet
def spectral(sigma: ArrayLike, lam: ArrayLike) -> Array:
    """Return sqrt(4 sigma^2 + lam^2), the rate of each mode of a spectral start (Prop. 3).

    It needs lam != 0 or x0 > 0: a balanced mode that starts at x0 <= 0 never reaches sigma.

    Parameters
    ----------
    sigma : scalar or 1-D array_like
        Singular values of Y.
    lam : scalar or 1-D array_like
        Imbalance u_i^2 - v_i^2 of each mode; as long as sigma, or either is a scalar.

    Returns
    -------
    (m,) array, or a scalar
        Rates, of the shape of sigma and lam together.

    Raises
    ------
    ValueError
        If an argument is not real and finite, or the lengths differ.

    Examples
    --------
    >>> spectral([2.0, 1.5], lam=[3.0, 0.0])
    array([5., 3.])
    """
    sigma, lam = _check.array("sigma", sigma, (0, 1)), _check.array("lam", lam, (0, 1))
    if sigma.ndim and lam.ndim:
        _check.shape("lam", lam, sigma.shape, "sigma")
    return np.asarray(np.hypot(2 * sigma, lam))


@_check.quiet
def identity_imbalance(Y: ArrayLike, lam: float, of: str = "RRT") -> float:
    """Return the rate of a block of R R^T in (30) (Prop. 5, corrected).

    With s = sqrt(sigma_min^2 + lam^2/4), sigma_min the smallest of the min(m, n) singular
    values of Y (the paper says eigenvalue), the slowest exponents are

    ======  ==========  ==============  ==============
    of      m = n       m < n           m > n
    ======  ==========  ==============  ==============
    "X"     2 s         s + abs(lam)/2  s + abs(lam)/2
    "UUT"   2 s         2 s             abs(lam)
    "VVT"   2 s         abs(lam)        2 s
    "RRT"   2 s         abs(lam)        abs(lam)
    ======  ==========  ==============  ==============

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    lam : float
        The constant lambda_0 in (29), of either sign or 0.
    of : {"RRT", "X", "UUT", "VVT"}
        R R^T as a whole, or its block U V^T, U U^T or V V^T.

    Returns
    -------
    float
        The rate for almost every R0 of (29) with enough columns, k >= m + n. For m != n and
        lam = 0 the larger Gramian decays as 1/t, a rate of 0.

    Raises
    ------
    ValueError
        If Y or lam is not real and finite, or `of` is none of the four names.

    Notes
    -----
    For m < n the entry abs(lam) bounds the rate of every R0 that reaches the limit. It is sharp
    for almost every one but in two cases, in which R R^T and the larger Gramian have the rate
    of X: k = m and lam > 0, where the rank of R is too small for the slow part; and k = n,
    lam < 0 on the constraint Q = lam I_k, where (29) is the flow (12) itself. For m > n
    exchange U and V, and the sign of lam.

    Examples
    --------
    >>> Y = [[2.0, 0.0, 0.0], [0.0, 1.5, 0.0]]
    >>> [identity_imbalance(Y, 4.0, of) for of in ("RRT", "X", "UUT", "VVT")]
    [4.0, 4.5, 5.0, 4.0]
    """
    target, lam = _check.array("Y", Y, 2), abs(_check.array("lam", lam, 0).item())
    m, n = target.shape
    s = float(np.hypot(np.linalg.svd(target, compute_uv=False)[-1], lam / 2))
    # A pair of S~'s modes decays at the sum of their |eigenvalues|: s_i where a singular value
    # couples the two sides, |lam|/2 for the |m - n| modes that the larger side has to itself.
    odd = lam / 2
    slowest = {
        "X": s + (s if m == n else odd),
        "UUT": 2 * (odd if m > n else s),
        "VVT": 2 * (odd if m < n else s),
    }
    slowest["RRT"] = min(slowest.values())
    if not isinstance(of, str) or of not in slowest:
        raise ValueError(f"of must be one of RRT, X, UUT and VVT, got {reprlib.repr(of)}")
    return slowest[of]


@_check.quiet
def asymptotic(weights: Weights) -> Array:
    """Return the sharp rate of X(t) near an end state: lambda_min(U U^T) + lambda_min(V V^T).

    From (12), E = Y - U V^T obeys E' = -(U U^T E + E V V^T), whose exponents are the sums of
    an eigenvalue of each Gramian. A product of width k < min(m, n) cannot leave the matrices
    of rank k, where the sum of two zeros has no direction; what is left is the smaller of
    sigma_k(U)^2 and sigma_k(V)^2.

    Parameters
    ----------
    weights : Weights
        The end state of a flow that has reached its target, U V^T = Y, or a stack of them.

    Returns
    -------
    float or (*stack,) array
        The rate for almost every start that ends here. It is 0 where both Gramians are
        singular (for k < min(m, n): where either has rank below k), as when a balanced start
        learns a singular Y: the decay is then not ruled by the linearization, and is 1/t in
        that example.

    Raises
    ------
    ValueError
        If `weights` are not Weights.

    Examples
    --------
    >>> float(asymptotic(Weights([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]])))
    2.0
    """
    weights = _check.weights("weights", weights, stack=True)
    (m, k), n = weights.U.shape[-2:], weights.V.shape[-2]
    u, v = (np.linalg.svd(W, compute_uv=False)[..., -1] ** 2 for W in (weights.U, weights.V))
    rate = np.minimum(u, v) if k < min(m, n) else u * (k >= m) + v * (k >= n)
    return np.asarray(rate)[()]


@_check.quiet
def a_priori(Y: ArrayLike, weights0: Weights) -> Array:
    """Return a rate that the start alone guarantees, for all t >= 0.

    ||Y - X(t)||_F <= e^(-rate t) ||Y - X(0)||_F along the flow (12). With D = Q0, which the
    flow conserves, lam_i and lam_i- the i-th largest eigenvalues of D and of -D where positive
    and 0 elsewhere, Delta_1 = lam_1 - lam_m, Delta_2 = lam_1- - lam_n- and
    Delta_3 = lam_m + lam_n-,

        lambda_min(U U^T) + lambda_min(V V^T) >= 1/2 (
            sqrt((Delta_1 + Delta_3)^2 + 4 s_n^2) - Delta_1
            + sqrt((Delta_2 + Delta_3)^2 + 4 s_m^2) - Delta_2),

    where s_i = sigma_i(X), 0 for i > min(m, n). Along the flow ||Y - X||_F never grows, so
    sigma_i(X(t)) >= sigma_i(Y) - ||Y - X(0)||_F, or 0 where that is negative; the bound with
    these s_i is returned.

    Parameters
    ----------
    Y : (m, n) array_like
        Target, or a stack of them.
    weights0 : Weights
        The start, U (m, k) and V (n, k), or a stack of them.

    Returns
    -------
    float or (*stack,) array
        The rate. Where the start is farther from Y than its smallest singular value, it is
        Delta_3, which is 0 unless Q0 has m positive or n negative eigenvalues. For Y = U0 V0^T
        it is the bound on `asymptotic(weights0)`.

    Raises
    ------
    ValueError
        If Y is not a matrix that fits weights0.

    References
    ----------
    The inequality: Xu, Min, Tarmoun, Mallada and Vidal, "Linear convergence of gradient
    descent for finite width over-parametrized linear networks with general initialization",
    AISTATS 2023.

    Examples
    --------
    >>> weights = Weights([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]])
    >>> a_priori(weights.X, weights).round(3).item(), asymptotic(weights).item()
    (1.472, 2.0)
    """
    target = _check.target(Y, weights0, stack=True)
    m, n = target.shape[-2:]
    d = np.linalg.eigvalsh(weights0.compress().Q)
    # Padded: D has at most m positive and n negative eigenvalues, whatever its size.
    room = np.zeros((*d.shape[:-1], max(m, n)))
    up = np.concatenate([np.maximum(d[..., ::-1], 0), room], -1)
    down = np.concatenate([np.maximum(-d, 0), room], -1)
    distance = np.linalg.norm(target - weights0.X, axis=(-2, -1))
    least = np.maximum(np.linalg.svd(target, compute_uv=False)[..., -1] - distance, 0)
    both = up[..., m - 1] + down[..., n - 1]

    def gain(spread: Array, s: Array) -> Array:
        """Sqrt(a^2 + 4 s^2) - a for a = spread + both, without its cancellation."""
        a = spread + both
        return 2 * s * (2 * s / np.where(s > 0, a + np.hypot(a, 2 * s), 1))

    first = gain(up[..., 0] - up[..., m - 1], least * (n <= m))
    second = gain(down[..., 0] - down[..., n - 1], least * (m <= n))
    return np.asarray(both + (first + second) / 2)[()]


@_check.quiet
def tangent_kernel(weights: Weights, covariance: ArrayLike | None = None) -> Array:
    """Return the tangent kernel E -> U U^T E + E V V^T as a matrix on the entries of E.

    For any loss of X = U V^T with the gradient -G, the flow U' = G V, V' = G^T U moves X by
    X' = U U^T G + G V V^T, which is this kernel times G. At an end of the flow its eigenvalues
    are the exponents of the error, the smallest of them `asymptotic`.

    For inputs with the covariance Sigma, E = Y - U V^T Sigma, the kernel is that of the outputs
    on the inputs Sigma^(1/2): F -> U U^T F Sigma + F Sigma^(1/2) V V^T Sigma^(1/2) for
    F = E Sigma^(-1/2), and its eigenvalues at an end are the exponents again.

    Parameters
    ----------
    weights : Weights
        U (m, k) and V (n, k), or a stack of them.
    covariance : (n, n) array_like, optional
        Sigma, symmetric positive semidefinite. The identity if it is not given.

    Returns
    -------
    (*stack, m*n, m*n) array
        Symmetric; the entries of E are counted row by row, as ``E.ravel()`` does.

    Raises
    ------
    ValueError
        If `weights` are not Weights, or covariance is not a covariance of n inputs.

    Examples
    --------
    >>> weights = Weights([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]])
    >>> tangent_kernel(weights).diagonal()
    array([ 5., 13.,  2., 10.])
    >>> tangent_kernel(weights, covariance=np.diag([0.5, 1.0])).diagonal()
    array([ 2.5, 13. ,  1. , 10. ])
    """
    weights = _check.weights("weights", weights, stack=True)
    U, V = weights.U, weights.V
    m, n = U.shape[-2], V.shape[-2]
    Sigma = np.eye(n)
    if covariance is not None:
        Sigma = _check.covariance(covariance, n, "weights")
        d, P = np.linalg.eigh(Sigma)
        V = (P * np.sqrt(np.maximum(d, 0))) @ P.T @ V
    A, B = U @ U.mT, V @ V.mT
    K = A[..., :, None, :, None] * Sigma[:, None, :]
    K = K + np.eye(m)[:, None, :, None] * B[..., None, :, None, :]
    return np.asarray(K.reshape(*A.shape[:-2], m * n, m * n))


def _samples(t: ArrayLike, error: ArrayLike) -> tuple[Array, Array]:
    """Return increasing times and the errors >= 0 at them, or raise ValueError."""
    t, error = _check.times(t), _check.array("error", error, 1)
    _check.shape("t", t, error.shape, "error")
    if (stays := np.diff(t) <= 0).any():
        raise ValueError(f"t must be increasing, got {t[stays.argmax()]} twice")
    if (error < 0).any():
        raise ValueError(f"error must be >= 0, got a smallest entry of {error.min()}")
    return t, error


def _clean(error: Array) -> tuple[slice, float]:
    """Find where `error` falls, after its last rise and above its floor; return both."""
    # Some 500 samples, or the fall from one to the next drowns in rounding too early.
    stride = max(1, error.size // 500)
    e = error[::stride]
    tenth = max(3, e.size // 10)
    rises = np.flatnonzero(np.diff(e) >= 0)
    floor = 0.0
    if rises.size and rises[-1] >= e.size - 1 - tenth:
        # Still rising at the end: the floor spans the last cluster of rises.
        gaps = np.flatnonzero(np.diff(rises) > tenth)
        first = rises[gaps[-1] + 1] if gaps.size else rises[0]
        floor = max(e[first:].max(), e[e > 0].min(initial=np.inf))
    elif e[-1 - tenth] < 1.01 * e[-1] and e[-1 - tenth] ** 2 < e[-1] * e[-1 - 2 * tenth]:
        # Flat at the end, and ever flatter: a constant floor, not a slow exponential.
        floor = e[-1 - tenth]
    # At ten thousand times the floor its pull on the slope is small, and is accounted for.
    low = error <= 1e4 * floor
    stop = int(low.argmax()) if low.any() else error.size
    before = rises[rises * stride < stop - 1]
    return slice((before[-1] + 1) * stride if before.size else 0, stop), floor


@_check.quiet
def measured(t: ArrayLike, error: ArrayLike) -> MeasuredRate:
    """Measure the asymptotic rate of a decaying error, and how far it can be trusted.

    The rounding floor is found where the error stops falling, and is left out with a margin of
    ten thousand; so is everything before the last rise. The latest part of the rest is cut in
    three windows of equal length, and their slopes are continued to late times in two ways: as
    if a faster exponential were dying out, which gives the rate, and as if the slope drifted as
    1/t. The uncertainty is five times the distance of the rate from the second continuation or
    the last slope, whichever is larger, plus the scatter of the fit and the pull of the floor.

    Nothing can show a slower exponential that has not yet emerged from the faster ones; and a
    floor half reached looks like one, so let the data end well above it or well past it.

    Parameters
    ----------
    t : (T,) array_like
        Increasing times >= 0.
    error : (T,) array_like
        Error >= 0, such as `Trajectory.error(Y)` or the absolute value of one entry.

    Returns
    -------
    MeasuredRate
        The rate and its uncertainty, which is the smaller of the two.

    Raises
    ------
    ValueError
        If t or error is malformed, or there is no clean exponential window: too few samples or
        too small a fall above the floor, or a slope that does not settle, as in an algebraic
        decay or where the data end in the middle of a transient.

    Examples
    --------
    >>> t = np.linspace(0, 50, 501)
    >>> rate, uncertainty = measured(t, np.exp(-2 * t) + 0.1 * np.exp(-t) + 1e-16)
    >>> abs(rate - 1) <= uncertainty < 0.01
    True
    >>> measured(t, 1 / (1 + t))
    Traceback (most recent call last):
        ...
    ValueError: error has no clean exponential window: above a floor of 0e+00, the last part \
of the fall spans 0.65 e-foldings, fewer than 1
    """
    t, error = _samples(t, error)
    refused = "error has no clean exponential window: "
    if not error.any():
        raise ValueError(f"{refused}it is zero at every time")
    if error.size < 9:
        raise ValueError(f"{refused}at least 9 samples are needed, got {error.size}")
    clean, floor = _clean(error)
    positive = error[clean] > 0
    t, y = t[clean][positive], np.log(error[clean][positive])
    if t.size < 9:
        raise ValueError(f"{refused}{t.size} samples fall, above a floor of {floor:.1e}")
    # In a unit in which no square of a time underflows.
    unit = float(np.ldexp(1.0, np.frexp(t[-1])[1]))
    t = t / unit
    # The last 60% in time, and no more than the last half of the fall.
    begin = max(t[0] + 0.4 * (t[-1] - t[0]), t[np.argmax(y <= (y[0] + y[-1]) / 2)])
    edges = np.linspace(begin, t[-1], 4)
    windows = [(t >= lo) & (t <= hi) for lo, hi in pairwise(edges)]
    if min(w.sum() for w in windows) < 3:
        last = (t[-1] - begin) * unit
        raise ValueError(f"{refused}a third of the last {last:.3g} has < 3 samples")
    # Clustered samples can leave a window without a slope; it is then not a number.
    with np.errstate(all="ignore"):
        center = np.array([t[w].mean() for w in windows])
        slope, scatter = np.array([_slope(t[w], y[w]) for w in windows]).T
        folds = slope[2] * (t[-1] - begin)
        drift = slope[2] - slope[1]
        # Of the time constants 1/slope, the steps between windows shrink by a constant ratio as
        # a faster exponential dies out; they are equal in an algebraic decay.
        step = np.diff(1 / slope)
        ratio = step[1] / step[0]
        rate = slope[2]
        if 0 < ratio < 1:
            rate = 1 / (1 / rate + step[1] * ratio / (1 - ratio))
        settled = 0 < ratio < 1 or abs(drift) <= 0.001 * rate
        algebraic = slope[2] + drift * center[1] / (center[2] - center[1])
        length = (t[-1] - begin) / 3
        rounding = np.finfo(float).eps * (1 + np.abs(y).max())
        uncertainty = (
            5 * max(abs(rate - slope[2]), abs(rate - algebraic))
            + 2 * scatter[2]
            + (floor / np.exp(y[-1]) + rounding) / length
        )
    if not folds >= 1:
        raise ValueError(
            f"{refused}above a floor of {floor:.0e}, the last part of the fall spans "
            f"{folds:.2g} e-foldings, fewer than 1"
        )
    if not (settled and uncertainty < rate):
        slopes = ", ".join(f"{float(s) / unit:.4g}" for s in slope)
        raise ValueError(
            f"{refused}the slope of log(error) still drifts, {slopes} in three windows"
        )
    found = MeasuredRate(float(rate) / unit, float(uncertainty) / unit)
    if found.rate == float("inf"):
        raise ValueError(
            f"{refused}the rate is beyond all numbers, of times up to {t[-1] * unit}"
        )
    return found


def _slope(t: Array, y: Array) -> tuple[float, float]:
    """Return minus the slope of the line fitted to y(t), and its standard error."""
    x = t - t.mean()
    y = y - y.mean()
    slope = x @ y / (x @ x)
    residual = y - slope * x
    return -slope, np.sqrt(residual @ residual / (t.size - 2) / (x @ x))


@_check.quiet
def reach(t: ArrayLike, error: ArrayLike, level: float) -> float:
    """Return the first time at which an error is below a level.

    Between two samples log(error) is taken to be linear in time. With iterations for t, the
    first iteration below the level is the next whole number.

    Parameters
    ----------
    t : (T,) array_like
        Increasing times >= 0.
    error : (T,) array_like
        Error >= 0, such as `Trajectory.error(Y)`.
    level : float
        The level, > 0.

    Returns
    -------
    float
        The time: t[0] if the error begins below the level, inf if it never gets there.

    Raises
    ------
    ValueError
        If t or error is malformed, or level is not positive.

    Examples
    --------
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> [reach(t, np.exp(-t), level) for level in (2.0, np.exp(-1.5), 0.1)]
    [0.0, 1.5, inf]
    """
    t, error = _samples(t, error)
    level = _check.positive("level", level)
    if not (error < level).any():
        return float("inf")
    i = int(np.argmax(error < level))
    if i == 0 or error[i] == 0:
        return float(t[i])
    above, below = np.log(error[i - 1 : i + 1]) - np.log(level)
    return float(t[i - 1] + (t[i] - t[i - 1]) * above / (above - below))
