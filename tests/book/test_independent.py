"""What the chapters check against sees a wrong sign, a wrong order, and a wrong slope."""

import mpmath as mp
import numpy as np
import sympy
from scipy.linalg import expm

from gfbook.independent import (
    derivative,
    diagonal,
    gradient,
    integrate,
    inverse,
    letters,
    numerators,
    precise,
    spell,
    terms,
)


def test_integration_of_numbers_and_matrices():
    t = np.linspace(0, 2, 5)
    assert np.allclose(integrate(lambda x: -x, 3.0, t), 3 * np.exp(-t), rtol=1e-11, atol=0)
    A = np.array([[0.0, 1.0], [-1.0, 0.0]])
    path = integrate(lambda X: A @ X, np.eye(2), t)
    turned = np.array([[[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in t])
    assert np.abs(path - turned).max() < 1e-10
    assert np.abs(path - turned.mT).max() > 0.1


def test_gradient_of_a_matrix():
    A = np.array([[1.0, 2.0, -3.0], [0.5, 0.0, 4.0]])
    found = gradient(lambda X: np.sum(X**4) / 4, A)
    assert np.abs(found - A**3).max() < 1e-7
    assert np.abs(found - A**2).max() > 1


def test_derivative_keeps_the_order_of_letters():
    A, B, C = letters("A B C")
    rules = {A: B}
    assert derivative(A * C * A, rules) == B * C * A + A * C * B
    assert derivative(C * 3, rules) == 0
    # What a matrix times its inverse gives does not move.
    assert terms(derivative(A**-1, rules) * A + A**-1 * derivative(A, rules)) == 0
    assert terms(derivative(A * C, rules) - C * B) == 2


def test_terms_of_a_matrix_are_its_entries():
    x = sympy.symbols("x")
    assert terms(sympy.Matrix([[x, (x + 1) ** 2 - x**2 - 2 * x - 1], [0, 1]])) == 2


def test_a_formula_is_spelled_in_the_order_of_its_products():
    A, B = letters("A B")
    assert spell(lambda X, Y: 2 * X @ Y @ X - Y @ X + X, A, B) == 2 * A * B * A - B * A + A


def test_inverses_of_symbols_and_of_many_digits():
    a, b, c, d = sympy.symbols("a:d")
    A = np.array([[a, b], [c, d]])
    assert terms(numerators(A @ inverse(A) - np.eye(2, dtype=int))) == 0
    assert terms(numerators(inverse(A) @ A - 2 * np.eye(2, dtype=int))) == 2
    with mp.workdps(60):
        B = np.array([[mp.mpf(2), mp.mpf(1)], [mp.mpf(1), mp.mpf(3)]])
        gap = B @ precise(mp.inverse)(B) - np.eye(2, dtype=int)
        assert np.abs(gap).max() < 1e-55


def test_a_function_of_a_diagonal_matrix_is_that_of_its_entries():
    a = np.array([0.3, -1.2])
    assert np.allclose(diagonal(np.exp)(np.diag(a)).astype(float), expm(np.diag(a)), atol=1e-15)
