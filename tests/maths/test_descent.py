"""Gradient descent: the iterates of the formulas as printed, at any width."""

import re
import tracemalloc

import numpy as np
import pytest

import gfcore as gf
from gfcore import descent


def two_layer(Y, U, V, step, steps):
    """Footnote 2 for (12) as it stands, at full width."""
    path = [(U, V)]
    for _ in range(steps):
        dU, dV = gf.paper.eq_12(Y, U, V)
        U, V = U + step * dU, V + step * dV
        path.append((U, V))
    return path


def draw(m, n, k, std, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((m, n))
    return Y, gf.initial.gaussian(m, n, k, std, rng)


@pytest.mark.parametrize(
    ("m", "n", "k", "std"),
    [(5, 10, 50, 0.01), (5, 10, 50, 1.0), (5, 10, 1000, 0.1), (3, 4, 2, 1.0), (1, 1, 9, 1.0)],
)
def test_compressed_iterates_are_those_of_the_full_width(m, n, k, std):
    Y, start = draw(m, n, k, std)
    steps, step = 2000, 1e-3
    path = descent.run(Y, start, step, steps, every=100)
    full = two_layer(Y, start.U, start.V, step, steps)[::100]
    assert path.X.shape == (21, m, n)
    assert path.U.shape == (21, m, min(k, m + n))
    for j, (U, V) in enumerate(full):
        assert np.linalg.norm(path.X[j] - U @ V.T) <= 1e-12 * np.linalg.norm(U @ V.T)
        gram = np.vstack([U, V]) @ np.vstack([U, V]).T
        R = np.vstack([path.U[j], path.V[j]])
        assert np.linalg.norm(R @ R.T - gram) <= 1e-12 * np.linalg.norm(gram)


def test_both_layers_move_at_once():
    path = descent.run([[2.0]], gf.Weights([[1.0]], [[0.5]]), step=0.1, steps=1)
    # By hand: E = 1.5, U = 1 + 0.1 * 1.5 * 0.5, V = 0.5 + 0.1 * 1.5 * 1. With the new U in the
    # second line, V would be 0.5 + 0.1 * 1.5 * 1.075.
    assert path.U[1, 0, 0] == pytest.approx(1.075, rel=1e-15)
    assert path.V[1, 0, 0] == pytest.approx(0.65, rel=1e-15)
    assert path.t.tolist() == [0, 0.1]


def test_imbalance_drifts_by_the_exact_second_order_term():
    Y, start = draw(3, 4, 6, 1.0)
    for step in (1e-2, 1e-3):
        path = descent.run(Y, start, step, 200)
        E = Y - path.X[:-1]
        EV, EU = E @ path.V[:-1], E.mT @ path.U[:-1]
        change = step**2 * (EV.mT @ EV - EU.mT @ EU)
        assert np.abs(np.diff(path.Q, axis=0) - change).max() < 1e-13
        assert path.Q_drift[-1] > 1e-5


def test_descent_tends_to_the_flow_at_first_order():
    Y, start = draw(3, 4, 6, 0.5)
    end = gf.flow.solve(Y, start, 1.0, rtol=1e-12).X
    gaps = [
        np.linalg.norm(descent.run(Y, start, 1 / steps, steps, steps).X[-1] - end)
        for steps in (2000, 4000, 8000)
    ]
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=1e-2)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=1e-2)


def test_linear_descent_is_geometric():
    Y, start = draw(3, 4, 6, 1.0)
    path = descent.run_linear(Y, start.X, step=0.25, steps=40, every=3)
    factor = (1 - 0.25) ** (3 * np.arange(14))
    expected = Y + factor[:, None, None] * (start.X - Y)
    assert np.linalg.norm(path.X - expected) <= 1e-14 * np.linalg.norm(expected)
    assert np.allclose(path.t, 0.75 * np.arange(14), rtol=1e-15)
    assert path.U is None


@pytest.mark.parametrize("k", [1, 4, 30])
def test_symmetric_descent_is_33_in_matrix_form(k):
    rng = np.random.default_rng(k)
    Y = rng.standard_normal((4, 4))
    Y = (Y + Y.T) / 2
    U0 = 0.3 * rng.standard_normal((4, k))
    path = descent.run_symmetric(Y, U0, step=1e-2, steps=500, every=50)
    U = U0
    for j in range(501):
        if j % 50 == 0:
            X = path.X[j // 50]
            assert np.linalg.norm(X - U @ U.T) <= 1e-12 * np.linalg.norm(U @ U.T)
        U = U + 2 * 1e-2 * (Y - U @ U.T) @ U
    assert path.U.shape == (11, 4, min(k, 4))
    twice = descent.run(Y, gf.Weights(U0, U0), step=2e-2, steps=50, every=50)
    assert np.linalg.norm(path.X[1] - twice.X[1]) <= 1e-12 * np.linalg.norm(twice.X[1])


def test_symmetric_descent_is_33_for_a_number():
    path = descent.run_symmetric([[3.0]], [[0.5]], step=0.01, steps=60)
    u = 0.5
    for x in path.U[:, 0, 0]:
        assert x == pytest.approx(u, rel=1e-14)
        u = u + 2 * 0.01 * (3 - u**2) * u


def test_symmetric_descent_cannot_leave_the_positive_matrices():
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((4, 4))
    Y = (Y + Y.T) / 2
    U0 = 0.5 * rng.standard_normal((4, 30))
    path = descent.run_symmetric(Y, U0, 0.05, 2000, 2000)
    assert np.linalg.eigvalsh(path.X[-1])[0] > -1e-12
    assert path.Q_drift.max() == 0
    # The two-layer model from U = V can: rounding tells U from V, and Y's negative eigenvalues
    # drive them apart.
    loose = descent.run(Y, gf.Weights(U0, U0), 0.1, 2000, 2000)
    assert np.linalg.eigvalsh((loose.X[-1] + loose.X[-1].T) / 2)[0] < -1


@pytest.mark.parametrize(
    ("steps", "every", "kept"), [(0, 1, 1), (7, 3, 3), (9, 3, 4), (2, 5, 1)]
)
def test_every_jth_iterate_is_kept(steps, every, kept):
    Y, start = draw(2, 3, 4, 1.0)
    path = descent.run(Y, start, 0.01, steps, every)
    every_one = descent.run(Y, start, 0.01, steps)
    assert len(path.t) == kept
    assert np.array_equal(path.X, every_one.X[::every])
    assert np.allclose(path.t, every_one.t[::every], rtol=1e-15)
    assert path.t.dtype == np.float64


def test_other_iterates_are_not_stored():
    Y, start = draw(10, 10, 20, 0.1)
    tracemalloc.start()
    descent.run(Y, start, 1e-3, 2000, every=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * start.R.nbytes


@pytest.mark.parametrize(
    "run",
    [
        lambda step, steps: descent.run([[1.0]], gf.Weights([[3.0]], [[2.0]]), step, steps),
        lambda step, steps: descent.run_symmetric([[1.0]], [[3.0]], step, steps),
        lambda step, steps: descent.run_linear([[1.0]], [[2.0]], step, steps),
    ],
)
def test_overflow_names_the_step_and_the_iteration(run):
    # A warning would be an error here, see pyproject.toml.
    with pytest.raises(ArithmeticError, match=r"with step 1e\+20 exceeds 1e\+75") as info:
        run(1e20, 99)
    iteration = int(re.search(r"iteration (\d+)", str(info.value)).group(1))
    with pytest.raises(ArithmeticError, match=f"iteration {iteration}$"):
        run(1e20, iteration)
    assert len(run(1e20, iteration - 1).t) == iteration


def test_steps_just_beyond_the_edge_do_not_overflow():
    # eta_max = 2 / (sigma_1(U)^2 + sigma_1(V)^2) at a minimum: above it descent leaves the
    # minimum, without leaving every bound.
    start = gf.Weights([[2.0]], [[1.0]])
    edge = 2 / 5
    below = descent.run([[2.0]], gf.Weights([[2.0 + 1e-6]], [[1.0]]), 0.9 * edge, 2000, 2000)
    above = descent.run([[2.0]], gf.Weights([[2.0 + 1e-6]], [[1.0]]), 1.1 * edge, 2000, 2000)
    moved = [abs(path.U[-1, 0, 0] - start.U[0, 0]) for path in (below, above)]
    assert moved[0] < 1e-5
    assert moved[1] > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": 0.0}, "step must be above 0, got 0"),
        ({"step": -0.1}, "step must be above 0, got -0.1"),
        ({"step": np.nan}, "step must be finite, got nan$"),
        ({"steps": -1}, "steps must be an integer of at least 0, got -1"),
        ({"steps": 1.5}, "steps must be an integer of at least 0, got 1.5"),
        ({"steps": 10**400}, r"steps must be at most 2\*\*53"),
        ({"every": np.uint64(2**63)}, r"every must be at most 2\*\*53"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    numbers = {"step": 0.1, "steps": 3, "every": 1, **arguments}
    for run in (
        lambda: descent.run(np.eye(2), gf.Weights(np.eye(2), np.eye(2)), **numbers),
        lambda: descent.run_linear(np.eye(2), np.eye(2), **numbers),
        lambda: descent.run_symmetric(np.eye(2), np.eye(2), **numbers),
    ):
        with pytest.raises(ValueError, match=message):
            run()


def test_bad_matrices_are_refused():
    weights = gf.Weights(np.eye(2), np.eye(2))
    with pytest.raises(
        ValueError, match=r"Y must have shape \(2, 2\) to fit weights0, got shape \(2, 3\)"
    ):
        descent.run(np.ones((2, 3)), weights, 0.1, 1)
    with pytest.raises(
        ValueError, match=r"X0 must have shape \(2, 3\) to fit Y, got shape \(3, 2\)"
    ):
        descent.run_linear(np.ones((2, 3)), np.ones((3, 2)), 0.1, 1)
    with pytest.raises(ValueError, match="Y must be symmetric"):
        descent.run_symmetric([[1.0, 2.0], [0.0, 1.0]], np.eye(2), 0.1, 1)
    with pytest.raises(
        ValueError, match=r"U0 must have shape \(2, 4\) to fit Y, got shape \(3, 4\)"
    ):
        descent.run_symmetric(np.eye(2), np.ones((3, 4)), 0.1, 1)


def test_inputs_stay_as_they_are():
    Y, X0, U0 = np.eye(2), np.ones((2, 2)), np.ones((2, 3))
    copies = [x.copy() for x in (Y, X0, U0)]
    descent.run(Y, gf.Weights(U0, U0), 0.1, 5)
    descent.run_linear(Y, X0, 0.1, 5)
    descent.run_symmetric(Y, U0, 0.1, 5)
    assert all(np.array_equal(a, b) for a, b in zip(copies, (Y, X0, U0), strict=True))


@pytest.mark.parametrize("count", [1, 3, 300])
def test_many_starts_are_each_one_alone(count):
    rng = np.random.default_rng(count)
    Y = rng.standard_normal((3, 4))
    starts = [gf.initial.gaussian(3, 4, 9, 0.5, rng) for _ in range(count)]
    paths = descent.run_many(Y, iter(starts), 0.01, 60, every=20)
    assert len(paths) == count
    for path, start in zip(paths, starts, strict=True):
        U, V = two_layer(Y, start.U, start.V, 0.01, 60)[-1]
        assert np.linalg.norm(path.X[-1] - U @ V.T) < 1e-13 * np.linalg.norm(U @ V.T)
        assert np.linalg.norm(path.Q[0]) == pytest.approx(np.linalg.norm(start.Q))
        assert path.t == pytest.approx([0.0, 0.2, 0.4, 0.6])
        assert path.Q_drift[0] < 1e-13


def test_many_starts_of_one_shape_only():
    Y, start = draw(3, 4, 2, 1.0)
    assert descent.run_many(Y, [], 0.1, 1) == []
    with pytest.raises(
        ValueError, match=r"starts\[1\].*U must have shape \(3, 2\) to fit starts"
    ):
        descent.run_many(Y, [start, draw(3, 4, 5, 1.0)[1]], 0.1, 1)
    with pytest.raises(ValueError, match=r"starts\[1\].*Y must have shape \(3, 5\)"):
        descent.run_many(Y, [start, draw(3, 5, 2, 1.0)[1]], 0.1, 1)
    with pytest.raises(ValueError, match="starts must be several Weights, for one weights0"):
        descent.run_many(Y, start, 0.1, 1)
    with pytest.raises(ValueError, match=r"starts must be Weights, got int"):
        descent.run_many(Y, 3, 0.1, 1)
    with pytest.raises(ValueError, match=r"starts\[0\].*weights0 must be Weights, got int"):
        descent.run_many(Y, [3], 0.1, 1)
    with pytest.raises(ValueError, match="step must be above 0, got -1"):
        descent.run_many(Y, [], -1, 5)
    # What goes wrong where starts are drawn is not ours to rename.
    with pytest.raises(TypeError, match="unsupported operand"):
        descent.run_many(Y, (start + 1 for _ in range(2)), 0.1, 1)
    with pytest.raises(TypeError, match="unsupported operand"):
        gf.flow.solve_many(Y, (start + 1 for _ in range(2)), 1.0)
    with pytest.raises(ValueError, match="every must be an integer of at least 1"):
        descent.run_many(Y, [], 1, 5, 0)


@pytest.mark.parametrize("wrong", [[0], [2], [1, 130], [0, 1, 2]])
def test_one_that_diverges_does_not_stop_the_others(wrong):
    Y = np.array([[1.0]])
    starts = [gf.Weights([[0.5]], [[0.1 * (1 + i % 3)]]) for i in range(max(3, wrong[-1] + 2))]
    for i in wrong:
        starts[i] = gf.Weights([[1e3]], [[1e3]])
    fine = [start for i, start in enumerate(starts) if i not in wrong]
    with pytest.raises(
        gf.BatchError, match=f"problem {wrong[0]} of the batch: descent"
    ) as info:
        descent.run_many(Y, starts, 0.1, 40, every=10)
    error = info.value
    assert list(error.errors) == wrong
    for i in wrong:
        with pytest.raises(ArithmeticError) as alone:
            descent.run(Y, starts[i], 0.1, 40)
        assert str(alone.value) == str(error.errors[i])
        assert np.isnan(error.result[i].X[-1]).all()
    kept = [path for i, path in enumerate(error.result) if i not in wrong]
    expected = descent.run_many(Y, fine, 0.1, 40, every=10) if fine else []
    for path, other in zip(kept, expected, strict=True):
        assert np.array_equal(path.X, other.X)
