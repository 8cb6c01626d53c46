"""The state: products, imbalance, compression to m+n hidden units, and trajectories."""

import copy
import dataclasses
import pickle
import tracemalloc
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import gfcore as gf
from gfcore import _gauge

WIDTHS = [(3, 4, 1), (3, 4, 6), (3, 4, 7), (3, 4, 8), (5, 2, 40), (1, 1, 5)]


def draw(m, n, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, k)), rng.standard_normal((n, k))


def test_properties_are_those_of_the_paper():
    U, V = draw(2, 3, 4)
    weights = gf.Weights(U, V)
    assert np.allclose(weights.X, [[U[i] @ V[j] for j in range(3)] for i in range(2)])
    Q = [[U[:, i] @ U[:, j] - V[:, i] @ V[:, j] for j in range(4)] for i in range(4)]
    assert np.allclose(weights.Q, Q, rtol=0, atol=1e-14)
    assert np.array_equal(weights.R[:2], U)
    assert np.array_equal(weights.R[2:], V)


def test_weights_are_read_only_copies():
    U, V = draw(2, 3, 4)
    weights = gf.Weights(U, V)
    U[:] = 0
    assert weights.U.any()
    with pytest.raises(ValueError, match="read-only"):
        weights.V[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        weights.U = V
    assert gf.Weights([[1, 2]], [[3, 4]]).U.dtype == np.float64


@pytest.mark.parametrize(
    ("U", "V", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), r"same width k, got \(2, 3\) and \(2, 4\)"),
        (np.ones(3), np.ones((2, 3)), r"U must have 2 or more axes, got shape \(3,\)"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), r"V must be finite, got nan"),
        (np.ones((2, 3)) * 1j, np.ones((2, 3)), "U must be real"),
        (np.ones((2, 0)), np.ones((2, 0)), "U must not be empty"),
    ],
)
def test_bad_weights_are_refused(U, V, message):
    with pytest.raises(ValueError, match=message):
        gf.Weights(U, V)


@pytest.mark.parametrize(("m", "n", "k"), WIDTHS)
def test_compression_keeps_the_gram_matrix_and_rotates_the_imbalance(m, n, k):
    weights = gf.Weights(*draw(m, n, k))
    small = weights.compress()
    width = min(k, m + n)
    assert small.U.shape == (m, width)
    assert small.V.shape == (n, width)
    gram = weights.R @ weights.R.T
    assert np.linalg.norm(small.R @ small.R.T - gram) <= 1e-14 * np.linalg.norm(gram)
    assert np.linalg.norm(small.X - weights.X) <= 1e-14 * np.linalg.norm(gram)
    # The rotation itself, for the comparison only: R = small.R G^T.
    G = np.linalg.lstsq(small.R, weights.R, rcond=None)[0].T
    if k >= m + n:
        assert np.linalg.norm(G.T @ G - np.eye(width)) < 1e-11
        assert np.linalg.norm(G.T @ weights.Q @ G - small.Q) <= 1e-11 * np.linalg.norm(gram)
        assert np.linalg.norm(G @ small.Q @ G.T - weights.Q) <= 1e-11 * np.linalg.norm(gram)
    if k <= m + n:
        assert small is weights


def test_compression_keeps_small_weights_beside_large_ones():
    U, V = draw(3, 4, 50)
    weights = gf.Weights(1e4 * U, 1e-4 * V)
    X = weights.compress().X
    assert np.linalg.norm(X - weights.X) <= 1e-14 * np.linalg.norm(U) * np.linalg.norm(V)


def exact_singular_values(A):
    with mpmath.workdps(40):
        return np.array([float(s) for s in mpmath.svd_r(mpmath.matrix(A), compute_uv=False)])


@pytest.mark.parametrize("apart", [1.0, 0.3, 1e-4, 1e-9, 0.0])
def test_compression_is_a_rotation_to_rounding_however_dependent_the_rows_are(apart):
    # What another R than the given one would show: singular values, of rows of length one.
    U, V = draw(2, 3, 40)
    V[2] = V[1] + apart * V[2]
    size = 10.0 ** np.array([[-60], [70], [-5], [0], [3]])
    R = size * np.concatenate([U, V])
    L = gf.Weights(R[:2], R[2:]).compress().R
    unit = np.linalg.norm(R / size, axis=1, keepdims=True)
    before, after = (exact_singular_values(A / size / unit) for A in (R, L))
    assert np.abs(before - after).max() < 1e-15


def test_rows_that_are_far_from_dependent_are_compressed_by_one_product(monkeypatch):
    by_qr, qr = [], np.linalg.qr
    monkeypatch.setattr(np.linalg, "qr", lambda A, mode: by_qr.append(len(A)) or qr(A, mode))
    e = np.eye(2, 8)
    for far, calls in ((1.01, 0), (0.99, 1)):
        # Two rows of length one have the eigenvalues 1 +- cos of the angle between them.
        cos = 1 - far * _gauge._LEAST
        rows = np.stack([e[0], cos * e[0] + np.sqrt(1 - cos**2) * e[1]])
        stack = np.stack([rows, e])
        by_qr.clear()
        L = _gauge.narrowed(stack[:, :1], stack[:, 1:])
        assert len(by_qr) == calls
        assert np.abs(L @ L.mT - stack @ stack.mT).max() < 1e-15
        # One of a stack is what it is alone.
        assert all(
            np.array_equal(one, _gauge.narrowed(R)) for one, R in zip(L, stack, strict=True)
        )


def test_compression_of_a_wide_start_needs_no_memory():
    U, V = draw(2, 3, 200_000)
    weights = gf.Weights(U, V)
    tracemalloc.start()
    weights.compress()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.2 * (U.nbytes + V.nbytes)


def test_rotation_is_a_gauge():
    weights = gf.Weights(*draw(3, 4, 6))
    G = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6))).Q
    turned = weights.rotate(G)
    assert np.linalg.norm(turned.X - weights.X) < 1e-13
    assert np.linalg.norm(turned.Q - G.T @ weights.Q @ G) < 1e-13
    assert np.linalg.norm(turned.U - weights.U) > 1
    with pytest.raises(
        ValueError, match=r"G must be orthogonal, but G\^T G is off by .*, got shape \(6, 6\)"
    ):
        weights.rotate(G + 1e-6)
    with pytest.raises(
        ValueError, match=r"G must have shape \(6, 6\) to fit U and V, got shape \(2, 2\)"
    ):
        weights.rotate(np.eye(2))


@pytest.mark.parametrize("shape", [(), (5,)])
def test_trajectory_measures_the_path(shape):
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((*shape, 2, 4)), rng.standard_normal((*shape, 3, 4))
    Y, Q0 = rng.standard_normal((2, 3)), np.eye(4)
    path = gf.Trajectory(np.zeros(shape), U @ V.mT, U, V, Q0)
    for index in np.ndindex(shape):
        weights = gf.Weights(U[index], V[index])
        relative = np.linalg.norm(Y - weights.X) / np.linalg.norm(Y)
        assert path.error(Y)[index] == pytest.approx(relative, rel=1e-14)
        sigma = np.sqrt(np.linalg.eigvalsh(weights.X @ weights.X.T)[::-1])
        assert np.allclose(path.singular_values()[index], sigma, rtol=1e-10)
        assert np.allclose(path.Q[index], weights.Q, rtol=0, atol=1e-14)
        drift = np.linalg.norm(weights.Q - Q0)
        assert path.Q_drift[index] == pytest.approx(drift, rel=1e-14)
    assert path.error(Y).shape == path.Q_drift.shape == shape


def test_drift_counts_from_the_first_state_unless_the_start_is_known():
    U, V = np.ones((3, 1, 1)), np.arange(3.0).reshape(3, 1, 1)
    assert gf.Trajectory(np.arange(3.0), U * V, U, V).Q_drift.tolist() == [0, 1, 4]
    start = np.array([[0.0]])
    assert gf.Trajectory(np.arange(3.0), U * V, U, V, start).Q_drift.tolist() == [1, 0, 3]


def test_trajectory_refuses_what_it_cannot_answer():
    path = gf.Trajectory(np.zeros(1), np.ones((1, 2, 3)))
    with pytest.raises(ValueError, match="one-layer trajectory has no U and V"):
        path.Q_drift  # noqa: B018
    with pytest.raises(
        ValueError, match=r"Y must have shape \(2, 3\) to fit X, got shape \(3, 2\)"
    ):
        path.error(np.ones((3, 2)))
    with pytest.raises(ValueError, match="Y must not be zero"):
        path.error(np.zeros((2, 3)))


@pytest.mark.parametrize(("m", "n", "k"), WIDTHS)
def test_laws_are_counted_by_the_rank_of_the_weights(m, n, k):
    U, V = draw(m, n, k)
    V[-1] = V[0]  # a dependent row, where V has two
    r = min(k, m + n - (n > 1))
    assert gf.state.laws(gf.Weights(U, V)) == r * k - r * (r - 1) // 2


@pytest.mark.parametrize("least", [1e-20, 1e-300])
def test_laws_are_counted_in_any_units(least):
    D = np.diag([1.0, least])
    assert gf.state.laws(gf.Weights(D, D)) == 3
    U, V = draw(2, 3, 4)
    V[-1] = V[0]  # of rank 4, with 10 laws
    rows, units = np.array([[1.0], [least]]), np.array([1.0, least, 1.0, least])
    assert gf.state.laws(gf.Weights(rows * U, least * V)) == 10
    assert gf.state.laws(gf.Weights(U * units, V * units)) == 10


def test_blocks_are_those_of_a_stack_too():
    U, V = np.random.default_rng(0).standard_normal((2, 5, 3, 4))
    R = np.concatenate([U, V[:, :2]], axis=1)
    UU, X, VV = gf.state.blocks(R @ R.mT, 3)
    for i in range(5):
        assert np.allclose(UU[i], U[i] @ U[i].T)
        assert np.allclose(X[i], U[i] @ V[i, :2].T)
        assert np.allclose(VV[i], V[i, :2] @ V[i, :2].T)
    (entry,), _, _ = gf.state.blocks(np.array([[Fraction(1, 3), 0], [0, 1]], dtype=object), 1)
    assert entry == Fraction(1, 3)  # numbers of other kinds keep their digits


def test_relative_error_is_that_of_a_trajectory():
    X, Y = np.arange(24.0).reshape(2, 3, 4), np.eye(3, 4)
    error = gf.state.relative_error(X, Y)
    assert np.array_equal(error, gf.Trajectory(np.arange(2.0), X).error(Y))
    assert gf.state.relative_error(X[0], Y) == error[0]
    with pytest.raises(ValueError, match="Y must not be zero"):
        gf.state.relative_error(X, 0 * Y)
    with pytest.raises(ValueError, match="X must have shape"):
        gf.state.relative_error(X.mT, Y)


def test_drift_of_a_single_state_counts_from_itself_or_the_start():
    U, V = np.array([[2.0]]), np.array([[1.0]])
    assert gf.Trajectory(np.array(1.0), U * V, U, V).Q_drift == 0
    assert gf.Trajectory(np.array(1.0), U * V, U, V, np.array([[1.0]])).Q_drift == 2


def test_a_stack_of_paths_has_time_after_it():
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((4, 3, 2, 5)), rng.standard_normal((4, 3, 6, 5))
    Y, Q0 = rng.standard_normal((4, 2, 6)), rng.standard_normal((4, 5, 5))
    stack = gf.Trajectory(np.arange(3.0), U @ V.mT, U, V, Q0, np.ones((4, 3)))
    bare = gf.Trajectory(np.arange(3.0), U @ V.mT, U, V)
    for i in range(4):
        one = gf.Trajectory(np.arange(3.0), (U @ V.mT)[i], U[i], V[i], Q0[i])
        assert np.allclose(stack.Q_drift[i], one.Q_drift, rtol=1e-14)
        assert np.allclose(stack.error(Y)[i], one.error(Y[i]), rtol=1e-14)
        with pytest.raises(ValueError, match=rf"zero for a .*, as it is in problem \({i},\)"):
            stack.error(Y * (np.arange(4) != i)[:, None, None])
        assert np.allclose(stack.error(Y[0])[i], one.error(Y[0]), rtol=1e-14)
        assert np.allclose(bare.Q_drift[i], np.linalg.norm(one.Q - one.Q[0], axis=(1, 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": np.zeros(4)}, r"X must have shape \(4, 2, 3\) to fit t, got shape \(5, 2, 3\)"),
        ({"t": np.zeros((5, 1))}, r"X must have shape \(\*T, m, n\), got \(5, 2, 3\) for t of"),
        ({"X": np.zeros(5)}, r"X must have shape \(\*T, m, n\)"),
        (
            {"U": np.zeros((5, 3, 4))},
            r"U must have shape \(5, 2, 4\) to fit X, got shape \(5, 3, 4\)",
        ),
        (
            {"V": np.zeros((5, 3, 3))},
            r"V must have shape \(5, 3, 4\) to fit X and U, got shape \(5, 3, 3\)",
        ),
        ({"V": None}, "U, V and Q0 must be given together"),
        ({"Q0": np.zeros((3, 3))}, r"Q0 must have shape \(4, 4\) to fit U, got shape \(3, 3\)"),
        ({"error_estimate": np.zeros(())}, r"error_estimate must have shape \(5,\)"),
        ({"t": None}, "t must be real numbers"),
        ({"X": np.zeros((5, 2, 3)) + 0j}, "X must be real numbers, got complex128"),
        ({"U": "U"}, "U must be real numbers"),
        ({"V": [[1.0], [1.0, 2.0]]}, "V must be a real array"),
        ({"X": np.full((5, 2, 3), np.longdouble("1e400"))}, r"X must fit into .*, got 1e\+400"),
        ({"X": np.zeros((5, 0, 3))}, r"X must not be empty, got shape \(5, 0, 3\)"),
        ({"rates": (0, 1)}, "rates must be above 0, got 0 and 1"),
        ({"rates": (1, "1")}, "rates must be real numbers"),
        ({"t": [0, 1, 3, 2, 4]}, "t must be non-decreasing, got 3.0 before 2.0"),
        ({"t": [-1, 1, 2, 3, 4]}, "t must be >= 0, got a smallest entry of -1.0"),
        ({"t": [0, 1, 2, 3, np.nan]}, r"t must be finite, got nan at \(4,\)"),
    ],
)
def test_a_trajectory_of_shapes_that_do_not_fit_is_refused(change, message):
    good = {"t": np.zeros(5), "X": np.zeros((5, 2, 3)), "U": np.zeros((5, 2, 4))}
    good |= {"V": np.zeros((5, 3, 4)), "Q0": np.zeros((4, 4)), "error_estimate": np.zeros(5)}
    gf.Trajectory(**good)
    with pytest.raises(ValueError, match=message):
        gf.Trajectory(**(good | change))


def results():
    """What each public function gives that holds arrays, by its name."""
    rng = np.random.default_rng(0)
    Y, start = rng.standard_normal((2, 2)), gf.initial.gaussian(2, 2, 3, 1.0, rng)
    t, S = [0.0, 1.0], Y + Y.T
    return {
        "Weights": start,
        "compress": gf.initial.gaussian(2, 2, 9, 1.0, rng).compress(),
        "Trajectory": gf.Trajectory(np.zeros(1), np.zeros((1, 2, 2))),
        "solve": gf.flow.solve(Y, start, t),
        "solve, one time": gf.flow.solve(Y, start, 1.0),
        "solve_many": gf.flow.solve_many(Y, [start, start], t),
        "solve_regularized": gf.flow.solve_regularized(Y, start, 0.0, t),
        "run": gf.descent.run(Y, start, 0.1, 2),
        "run_many": gf.descent.run_many(Y, [start, start], 0.1, 2)[1],
        "run_linear": gf.descent.run_linear(Y, Y, 0.1, 2),
        "run_symmetric": gf.descent.run_symmetric(S, Y, 0.1, 2),
        "identity_product": gf.exact.identity_product(Y, start, 0.0, t),
    }


AGAIN = {
    "as it is": lambda kept: kept,
    "pickled": lambda kept: pickle.loads(pickle.dumps(kept, 5)),
    "copied": copy.copy,
    "copied deep": copy.deepcopy,
}


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
def test_results_are_read_only_however_they_are_stored(again):
    for name, kept in results().items():
        stored = again(kept)
        for part, array in vars(kept).items():
            if isinstance(array, np.ndarray):
                assert np.array_equal(vars(stored)[part], array), name
                holder = vars(stored)[part]
                while isinstance(holder, np.ndarray):
                    assert not holder.flags.writeable, (name, part)
                    holder = holder.base


def test_a_trajectory_is_none_of_the_arrays_that_it_was_given():
    t, X, U, V = np.arange(2.0), np.ones((2, 1, 1)), np.ones((2, 1, 3)), np.ones((2, 1, 3))
    view = X.view()
    view.flags.writeable = False  # but what it is a view of may be written to
    path = gf.Trajectory(t, view, U, V, error_estimate=t)
    for array in t, X, U, V:
        array += 7
    assert path.t.tolist() == path.error_estimate.tolist() == [0, 1]
    assert path.X.max() == path.U.max() == path.V.max() == 1
    # An array that nobody can write to need not be copied.
    assert gf.Trajectory(path.t, path.X).X is path.X


def test_what_a_start_is_solved_by_stays_as_it_was_found():
    found = gf.exact.solvable([[1.0]], gf.Weights([[1.0]], [[1.0]]))
    for stored in found, pickle.loads(pickle.dumps(found)), copy.deepcopy(found):
        assert stored == found
        with pytest.raises(TypeError, match="does not support item assignment"):
            stored.parameters["lam"] = 1.0


def test_a_trajectory_may_be_given_as_lists():
    path = gf.Trajectory([0, 1], [[[2]], [[np.nan]]], [[[1]], [[1]]], [[[2]], [[3]]])
    assert path.error([[4]])[0] == 0.5
    assert path.Q.tolist() == [[[-3]], [[-8]]]
    assert path.Q_drift.tolist() == [0, 5]


def test_a_tiny_target_is_not_zero():
    # Its square underflows.
    Y = np.array([[3e-200, 4e-200]])
    X = np.stack([0 * Y, Y, 3 * Y])
    for error in gf.state.relative_error(X, Y), gf.Trajectory(np.arange(3.0), X).error(Y):
        assert error == pytest.approx([1, 0, 2], rel=1e-15)
    assert gf.state.relative_error([[1.0, 1e-170]], [[1.0, 0.0]]) == 1e-170
    with np.errstate(all="raise"):
        assert gf.state.relative_error([[1e75]], [[1e-300]]) == np.inf


def test_what_failed_in_a_batch_comes_back_from_another_process():
    error = gf.BatchError({3: ArithmeticError("no end in sight")}, [1.0, np.nan])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert list(again.errors) == [3]
    assert again.result[0] == 1
    with pytest.raises(TypeError, match="does not support item assignment"):
        again.errors[3] = None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: gf.state.laws(w), "weights must be the Weights of one model"),
        (lambda w: gf.state.laws(w.U), "weights must be Weights, got ndarray"),
        (
            lambda w: gf.state.blocks(np.ones((2, 3)), 1),
            "M must be square with more than m = 1",
        ),
        (lambda w: gf.state.blocks(np.ones(3), 1), "M must be square"),
        (lambda w: gf.state.blocks(np.eye(3), 3), "M must be square with more than m = 3"),
        (lambda w: gf.state.blocks(np.ma.masked_less(np.eye(3), 1), 1), "M has masked entries"),
        (lambda w: gf.state.blocks(np.eye(3) > 0, 1), "M must be real numbers, got bool"),
        (lambda w: gf.state.blocks([[1.0], [1.0, 2.0]], 1), "M must be a real array"),
        (lambda w: gf.state.blocks(np.eye(3), -1), "m must be an integer of at least 1"),
        (lambda w: gf.rates.asymptotic(w.U), "weights must be Weights, got ndarray"),
        (lambda w: gf.rates.identity_imbalance(np.eye(2), 1.0, np.array(["X", "RRT"])), "of "),
        (
            lambda w: gf.initial.balanced(2, 2, 2, 1.0, np.random.default_rng(), True),
            "det_sign",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(gf.Weights(np.ones((5, 2, 4)), np.ones((5, 3, 4))))
