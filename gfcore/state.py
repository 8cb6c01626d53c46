"""The state of a two-layer linear model and its path through time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore._gauge import narrowed, positive
from gfcore._scale import norm, sized


class _Sealed:
    """Data whose arrays are read-only, those that were copied or unpickled as well."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                _check.seal(value)
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class Weights(_Sealed):
    """The weights of a two-layer linear model, X = U V^T (11).

    Parameters
    ----------
    U : (*stack, m, k) array_like
        Output weights; with leading axes, those of many models.
    V : (*stack, n, k) array_like
        Input weights, for the same k hidden units.

    Raises
    ------
    ValueError
        If U or V is not a finite real matrix or a stack of them, or their widths k or
        leading axes differ.

    Notes
    -----
    U and V are read-only copies of what was given.

    Examples
    --------
    >>> weights = Weights([[2.0, 0.0]], [[3.0, 1.0]])
    >>> weights.X
    array([[6.]])
    >>> weights.Q
    array([[-5., -3.],
           [-3., -1.]])
    """

    U: Array
    V: Array

    @_check.quiet
    def __post_init__(self) -> None:
        U = _check.array("U", self.U, 2, stack=True)
        V = _check.array("V", self.V, 2, stack=True)
        if U.shape[-1] != V.shape[-1]:
            raise ValueError(f"U and V must have the same width k, got {U.shape} and {V.shape}")
        if U.shape[:-2] != V.shape[:-2]:
            raise ValueError(
                f"U and V must have the same leading axes, got {U.shape} and {V.shape}"
            )
        for name, matrix in (("U", U), ("V", V)):
            matrix.flags.writeable = False
            object.__setattr__(self, name, matrix)

    @property
    @_check.quiet
    def X(self) -> Array:
        """The product U V^T (11), (*stack, m, n)."""
        return self.U @ self.V.mT

    @property
    @_check.quiet
    def Q(self) -> Array:
        """The imbalance U^T U - V^T V (13), (*stack, k, k), which the flow conserves."""
        return self.U.mT @ self.U - self.V.mT @ self.V

    @property
    def R(self) -> Array:
        """U over V, (*stack, m+n, k), as in (24) but in Y's own coordinates."""
        return np.concatenate([self.U, self.V], axis=-2)

    @_check.quiet
    def compress(self) -> Weights:
        """Return weights with the same R R^T and at most m+n hidden units.

        A rotation of the hidden units, the gauge G of (14), can turn all but m+n of them off.
        It changes neither X nor its path, for the flow and for gradient descent alike, and
        R = L G^T with L lower triangular is found without G, by one product where that loses no
        digit, else by a QR factorization of R^T.

        Returns
        -------
        Weights
            (*stack, m, k') and (*stack, n, k') with k' = min(k, m+n). Their Q is the k' by k'
            block of G^T Q G that is not zero. The weights themselves if k <= m+n.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> wide = Weights(rng.standard_normal((2, 1000)), rng.standard_normal((3, 1000)))
        >>> narrow = wide.compress()
        >>> narrow.U.shape, narrow.V.shape, np.allclose(narrow.X, wide.X, rtol=1e-12)
        ((2, 5), (3, 5), True)
        """
        m, k = self.U.shape[-2:]
        if k <= m + self.V.shape[-2]:
            return self
        L = narrowed(self.U, self.V)
        return Weights(L[..., :m, :], L[..., m:, :])

    @_check.quiet
    def rotate(self, G: ArrayLike) -> Weights:
        """Return the weights (U G, V G), the gauge freedom of (14).

        Parameters
        ----------
        G : (k, k) array_like
            Orthogonal to 1e-8, the same for all of a stack.

        Returns
        -------
        Weights
            With the same X and the imbalance G^T Q G.

        Raises
        ------
        ValueError
            If G is not a (k, k) orthogonal matrix.

        Examples
        --------
        >>> weights = Weights([[2.0, 0.0]], [[3.0, 1.0]])
        >>> swapped = weights.rotate([[0, 1], [1, 0]])
        >>> swapped.U, swapped.X
        (array([[0., 2.]]), array([[6.]]))
        """
        k = self.U.shape[-1]
        rotation = _check.array("G", G, 2)
        _check.shape("G", rotation, (k, k), "U and V")
        defect = np.abs(rotation.T @ rotation - np.eye(k)).max()
        if defect > 1e-8:
            raise ValueError(
                f"G must be orthogonal, but G^T G is off by {defect:.1e}, got shape {(k, k)}"
            )
        return Weights(self.U @ rotation, self.V @ rotation)


class BatchError(ArithmeticError):
    """Some problems of a batch fail, and the others are done.

    Attributes
    ----------
    errors : mapping
        The exception of each problem that fails, by its index.
    result
        What the call would return, with NaN where a problem fails.

    Examples
    --------
    >>> error = BatchError({3: ArithmeticError("no end in sight")}, None)
    >>> str(error)
    'problem 3 of the batch: no end in sight'
    """

    def __init__(self, errors: Mapping[Any, ArithmeticError], result: Any) -> None:
        index, first = next(iter(errors.items()))
        more = f" (and {len(errors) - 1} more of them fail)" if len(errors) > 1 else ""
        super().__init__(f"problem {index} of the batch: {first}{more}")
        self.errors: Mapping[Any, ArithmeticError] = MappingProxyType(dict(errors))
        self.result = result

    def __reduce__(self) -> tuple[type, tuple[dict[Any, ArithmeticError], Any]]:
        return type(self), (dict(self.errors), self.result)


@dataclass(frozen=True, eq=False)
class Trajectory(_Sealed):
    """A path X(t), or a stack of them, and for a two-layer model the weights behind it.

    Parameters
    ----------
    t : (*T,) array
        Times >= 0, a scalar or one non-decreasing axis; for gradient descent, step size times
        iteration.
    X : (*stack, *T, m, n) array
        Products.
    U, V : (*stack, *T, m, k') and (*stack, *T, n, k') arrays, optional
        Weights. The hidden units are those of the start as `Weights.compress` leaves them.
    Q0 : (*stack, k', k') array, optional
        Imbalance of the start, at t = 0.
    error_estimate : (*stack, *T) array, optional
        Estimated ||X - exact X||_F of a numerical integration.
    rates : (float, float)
        Learning rates a of U and b of V, if they are not the same.

    Raises
    ------
    ValueError
        If a shape does not fit that of X, X is empty, an argument is not real, times fall, are
        negative or not finite, or rates are not above 0.

    Notes
    -----
    The arrays are read-only: copies, unless nobody can write to what was given.

    Examples
    --------
    >>> path = Trajectory(np.array([0.0, 1.0]), np.array([[[1.0, 0.0]], [[3.0, 4.0]]]))
    >>> path.error([[3.0, 4.0]]).round(3)
    array([0.894, 0.   ])
    >>> path.singular_values()
    array([[1.],
           [5.]])
    """

    t: Array
    X: Array
    U: Array | None = None
    V: Array | None = None
    Q0: Array | None = None
    error_estimate: Array | None = None
    rates: tuple[float, float] = (1.0, 1.0)

    @_check.quiet
    def __post_init__(self) -> None:
        for name in ("t", "X", "U", "V", "Q0", "error_estimate"):
            if (value := getattr(self, name)) is not None or name in ("t", "X"):
                # What failed in a batch is NaN, so the numbers need not be finite.
                object.__setattr__(self, name, _check.sealed(name, _check.real(name, value)))
        object.__setattr__(self, "rates", _check.rates(self.rates))
        axes, steps = self.X.shape, self.t.shape
        if not self.X.size:
            raise ValueError(f"X must not be empty, got shape {axes}")
        if len(steps) > 1 or len(axes) < len(steps) + 2:
            raise ValueError(f"X must have shape (*T, m, n), got {axes} for t of shape {steps}")
        _check.ordered(self.t)
        stack, (m, n) = axes[: len(axes) - 2 - len(steps)], axes[-2:]
        fit = [("X", (*stack, *steps, m, n), "t"), ("error_estimate", (*stack, *steps), "X")]
        if self.U is None or self.V is None:
            if self.U is not None or self.V is not None or self.Q0 is not None:
                raise ValueError("U, V and Q0 must be given together, or U and V without Q0")
        else:
            k = np.shape(self.U)[-1:]
            fit += [("U", (*stack, *steps, m, *k), "X"), ("Q0", (*stack, *k, *k), "U")]
            fit += [("V", (*stack, *steps, n, *k), "X and U")]
        for name, shape, other in fit:
            if (value := getattr(self, name)) is not None:
                _check.shape(name, value, shape, other)

    @_check.quiet
    def error(self, Y: ArrayLike) -> Array:
        """Return the reconstruction error ||Y - X(t)||_F / ||Y||_F of Section 6, (*stack, *T).

        Parameters
        ----------
        Y : (m, n) or (*stack, m, n) array_like
            Target, the same for all of a stack or one for each.

        Raises
        ------
        ValueError
            If Y does not have this shape, or is zero.
        """
        stack = self.X.shape[: self.X.ndim - 2 - np.ndim(self.t)]
        target = _check.array("Y", Y, (2, 2 + len(stack)))
        shape = (*(stack if target.ndim > 2 else ()), *self.X.shape[-2:])
        _check.shape("Y", target, shape, "X")
        return _relative(self.X, target, target.ndim > 2 and np.ndim(self.t) > 0)

    @_check.quiet
    def singular_values(self) -> Array:
        """Return the singular values of X(t), largest first, (*stack, *T, min(m, n)).

        Where X is NaN, as where `flow.solve_many` failed, so are they.
        """
        known = np.asarray(np.isfinite(self.X).all(axis=(-2, -1), keepdims=True))
        values = np.linalg.svd(np.where(known, self.X, 0.0), compute_uv=False)
        return np.asarray(np.where(known[..., 0], values, np.nan))

    @property
    @_check.quiet
    def Q(self) -> Array:
        """Imbalance U^T U / a - V^T V / b (13), a = b = 1 as a rule, (*stack, *T, k', k').

        Raises
        ------
        ValueError
            If the trajectory is that of a one-layer model.
        """
        if self.U is None or self.V is None:
            raise ValueError("a one-layer trajectory has no U and V, so no Q")
        a, b = self.rates
        return self.U.mT @ self.U / a - self.V.mT @ self.V / b

    @property
    @_check.quiet
    def Q_drift(self) -> Array:
        """||Q(t) - Q(0)||_F, (*stack, *T): 0 along the flow (13), of order the step in descent.

        Without Q0 it counts from the first time.
        """
        Q, start = self.Q, self.Q0
        if start is None:
            start = Q[..., 0, :, :] if np.ndim(self.t) else Q
        if np.ndim(self.t):
            start = start[..., None, :, :]
        return np.asarray(np.linalg.norm(Q - start, axis=(-2, -1)))


def blocks(M: ArrayLike, m: int) -> tuple[Array, Array, Array]:
    """Return the blocks U U^T, X and V V^T of R R^T, R = [U; V] as in (24).

    Parameters
    ----------
    M : (..., m+n, m+n) array_like
        R R^T, or a stack of them such as `exact.identity_imbalance` returns. An array of
        objects is taken as it is, such as numbers of mpmath or symbols of SymPy.
    m : int
        Rows of U.

    Returns
    -------
    tuple of (..., m, m), (..., m, n) and (..., n, n) ndarrays

    Raises
    ------
    ValueError
        If M is not real and square, or m is not from 1 to less than its size.

    Examples
    --------
    >>> weights = Weights([[2.0, 0.0]], [[3.0, 1.0]])
    >>> blocks(weights.R @ weights.R.T, 1)
    (array([[4.]]), array([[6.]]), array([[10.]]))
    """
    objects = isinstance(M, np.ndarray) and M.dtype == object
    M, m = np.asarray(M) if objects else _check.real("M", M), _check.count("m", m, 1)
    if M.ndim < 2 or M.shape[-2] != M.shape[-1] or M.shape[-1] <= m:
        raise ValueError(f"M must be square with more than m = {m} rows, got shape {M.shape}")
    return M[..., :m, :m], M[..., :m, m:], M[..., m:, m:]


@_check.quiet
def laws(weights: Weights) -> int:
    """Return how many independent conserved quantities Q of (13) has at these weights.

    It is the rank of the derivative of Q, found numerically; r k - r (r-1)/2 for R of rank r.
    Neither depends on the units of an output, an input or a hidden unit, and each is taken in
    its own.

    Parameters
    ----------
    weights : Weights
        U (m, k) and V (n, k).

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If `weights` are not Weights, or a stack of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> laws(Weights(rng.standard_normal((2, 3)), rng.standard_normal((2, 3))))
    6
    """
    R = _check.weights("weights", weights).R
    for axis in (1, 0):
        R = R / positive(np.abs(R).max(axis, keepdims=True))
    moves = np.eye(R.size).reshape(-1, *R.shape)
    signs = np.repeat([1.0, -1.0], [len(weights.U), len(weights.V)])
    half = moves.mT @ (signs[:, None] * R)
    return int(np.linalg.matrix_rank((half + half.mT).reshape(R.size, -1)))


@_check.quiet
def relative_error(X: ArrayLike, Y: ArrayLike) -> Array:
    """Return the reconstruction error ||Y - X||_F / ||Y||_F of Section 6.

    Parameters
    ----------
    X : (*stack, m, n) array_like
        Products, one or a stack of them.
    Y : (m, n) array_like
        Target.

    Returns
    -------
    (*stack,) array

    Raises
    ------
    ValueError
        If Y is not a matrix or is zero, or X does not end in its shape.

    Examples
    --------
    >>> relative_error([[[1.0, 0.0]], [[3.0, 4.0]]], [[3.0, 4.0]]).round(3)
    array([0.894, 0.   ])
    """
    target = _check.array("Y", Y, 2)
    products = _check.array("X", X, 2, stack=True)
    _check.shape("X", products, products.shape[:-2] + target.shape, "Y")
    return _relative(products, target)


def _relative(X: Array, Y: Array, several: bool = False) -> Array:
    """Return the error of products X for each target Y, each at `several` times or at one."""
    zero = ~np.asarray(Y.any((-2, -1)))
    if zero.any():
        where = f", as it is in problem {_check.first(zero)}" * bool(zero.ndim)
        raise ValueError(f"Y must not be zero for a relative error{where}")
    if several:
        Y = Y[..., None, :, :]
    target, unit = sized(Y)
    with np.errstate(over="ignore"):  # infinite is what it is to a Y next to nothing
        return norm((Y - X) / unit) / norm(target)
