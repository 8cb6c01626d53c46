"""A factor of R R^T no wider than high, which is all that the width k of a model costs.

By the gauge freedom of (14) the k hidden units can be rotated until all but m+n of them are
zero: R = L G^T with L lower triangular. A QR factorization of R^T finds L and keeps every
digit, but goes over all of R once for each row. R R^T = L L^T is one product, and its Cholesky
factor is the same L. In general it has lost half of the digits: rounding moves R R^T, with rows
of length one, by 1e-16, as would a change of R by 1e-16 over the root of the least eigenvalue.
The rows of a wide random start are nearly orthogonal, that eigenvalue is not small, and nothing
is lost; `_LEAST` says where.

Where columns depend on each other up to rounding, `independent` finds a narrower factor still.
"""

from itertools import combinations_with_replacement

import numpy as np

from gfcore._check import EPS, Array

_WIDE = 2  # times as many columns as rows: with fewer, random rows are nearly dependent
_LEAST = 0.05  # eigenvalue of R R^T, rows of length one; of orthogonal rows it is 1
_SHORTEST = 1e-140  # the squares of shorter rows underflow
_CHUNK = 2**13  # columns that stay in the cache
TYPICAL = 0.25  # of the bound of a rounding error, how much is handed on


def narrowed(*layers: Array) -> Array:
    """Return L (*stack, p, min(p, k)) with L L^T = R R^T, R (*stack, p, k) in layers of rows.

    It is R itself where that is no wider than high.
    """
    rows, k = sum(A.shape[-2] for A in layers), layers[0].shape[-1]
    apart = np.array(False)
    if k >= _WIDE * rows:
        ends = np.cumsum([A.shape[-2] for A in layers])
        blocks = [slice(end - A.shape[-2], end) for A, end in zip(layers, ends, strict=True)]
        square = np.zeros((*layers[0].shape[:-2], rows, rows))  # its lower half is filled
        for j in range(0, k, _CHUNK):
            parts = [(s, A[..., j : j + _CHUNK]) for s, A in zip(blocks, layers, strict=True)]
            for (s, A), (below, B) in combinations_with_replacement(parts, 2):
                square[..., below, s] += B @ A.mT
        length = np.sqrt(np.diagonal(square, axis1=-2, axis2=-1))
        unit = np.maximum(length, _SHORTEST)
        least = np.linalg.eigvalsh(square / unit[..., None] / unit[..., None, :])[..., 0]
        apart = (least >= _LEAST) & (length > _SHORTEST).all(-1)
        if apart.all():
            return np.linalg.cholesky(square)
    R = layers[0] if len(layers) == 1 else np.concatenate(layers, axis=-2)
    if k <= rows:
        return R
    L = np.asarray(np.linalg.qr(R.mT, mode="r")).mT
    if apart.any():
        L[apart] = np.linalg.cholesky(square[apart])
    return L


def independent(R: Array) -> tuple[Array, Array]:
    """Return Z (p, r) and C (r, k), its rows orthonormal, with R = Z C and r the rank of R.

    A column counts as dependent if it is one up to the rounding of the entries of R: of each
    row relative to its own length, of each column relative to its own. The longest columns
    of Z come first.
    """
    from scipy.linalg.lapack import dgeqp3  # type: ignore[import-untyped]

    H = R / positive(np.abs(R).max(1)[:, None])
    width = positive(np.abs(H).max(0))
    T, pivots, _, _, _ = dgeqp3(np.asfortranarray(H / width), lwork=32 * (R.shape[1] + 1))
    pivots -= 1
    size, q = np.abs(np.diagonal(T)), min(R.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(np.abs(np.triu(T[:q, :q]).T) / size)
    noise = np.full(q, 4 * max(R.shape) * EPS)
    bad = size <= np.linalg.solve(np.eye(q) - TYPICAL * np.tril(share, -1), noise)
    rank = int(np.argmax(bad)) if bad.any() else q
    Z, C = R, np.eye(R.shape[1])
    if rank < len(C):
        kept, C = pivots[:rank], np.empty((rank, len(C)))
        C[:, pivots] = np.linalg.solve(np.triu(T[:rank, :rank]), np.triu(T[:rank]))
        C[np.abs(C) <= noise[0]] = 0  # the rounding of a long column may exceed a short one
        B, T = np.linalg.qr((C * width).T)
        Z, C = R[:, kept] / width[kept] @ T.T, B.T
    order = np.argsort(-np.linalg.norm(Z, axis=0))
    return Z[:, order], C[order]


def positive(length: Array) -> Array:
    """Return lengths to divide by, 1 for 0."""
    return np.where(length > 0, length, 1)
