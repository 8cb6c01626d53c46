"""What the chapters check against sees a wrong sign, a wrong order, and a wrong slope."""

import numpy as np
import sympy

from gfbook.independent import derivative, gradient, integrate, letters, terms


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
