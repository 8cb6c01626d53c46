"""The paper's equations as printed, where they take more than floating-point numbers."""

import mpmath as mp
import numpy as np

import gfcore as gf
from gfbook.independent import diagonal, gradient, precise


def test_3_flow_is_the_gradient_of_3():
    rng = np.random.default_rng(0)
    for m, k in ((2, 3), (3, 3), (4, 2)):
        A, U = rng.standard_normal((m, m)), rng.standard_normal((m, k))
        Y = A + A.T
        uphill = gradient(lambda U, Y=Y: gf.paper.eq_3(Y, U), U)
        assert np.abs(uphill + gf.paper.eq_3_flow(Y, U)).max() < 1e-7


def test_8_in_many_digits_is_8_where_doubles_hold_it_and_right_where_they_do_not():
    sigma, X0 = np.array([1.3, -0.7]), np.array([[0.4, 0.1], [0.1, 0.2]])
    with mp.workdps(60):
        exact = [
            gf.paper.eq_8(
                np.diag(np.vectorize(mp.mpf)(sigma)), np.vectorize(mp.mpf)(X0), t,
                diagonal(mp.exp), precise(mp.inverse),
            ).astype(float)
            for t in (1, 8)
        ]  # fmt: skip
    printed = [gf.paper.eq_8(np.diag(sigma), X0, t) for t in (1.0, 8.0)]
    assert np.abs(printed[0] - exact[0]).max() < 1e-12
    assert np.abs(printed[1] / exact[1] - 1).max() > 0.5
    stable = gf.exact.riccati(np.diag(sigma), X0, np.array([1.0, 8.0]))
    assert np.abs(stable - exact).max() < 1e-14
