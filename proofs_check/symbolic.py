"""The generic model with two states and two actions, and whether rational functions vanish identically."""

from collections.abc import Iterable
from dataclasses import dataclass

import sympy

_GAMMA = sympy.Symbol("gamma", positive=True)
_MOVES = sympy.ImmutableMatrix(2, 2, sympy.symbols("p00 p01 p10 p11", real=True))
_REWARDS = sympy.ImmutableMatrix(2, 2, sympy.symbols("r00 r01 r10 r11", real=True))


def first_nonzero(expressions: Iterable[sympy.Expr]) -> sympy.Expr:
    """The expanded numerator of the first expression that is not identically 0; 0 if all are.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> first_nonzero([1 / x - (x + 1) / (x**2 + x), 1 / x - 1])
    1 - x
    """
    for expression in expressions:
        whole = sympy.sympify(expression).is_polynomial()
        numerator = sympy.expand(expression if whole else sympy.fraction(sympy.together(expression))[0])
        if numerator != 0:
            return numerator
    return sympy.Integer(0)


@dataclass(frozen=True)
class TwoByTwo:
    """All discounted models with two states and two actions: P[s][a] = (p_sa, 1 - p_sa), rewards r[s, a], symbolic.

    Examples
    --------
    >>> model = TwoByTwo()
    >>> pi = sympy.Matrix([[1, 0], [0, 1]])
    >>> v = model.value(pi)
    >>> first_nonzero(v - (pi.multiply_elementwise(model.q(v)) * sympy.ones(2, 1)))
    0
    """

    gamma: sympy.Symbol = _GAMMA
    moves: sympy.Matrix = _MOVES
    r: sympy.Matrix = _REWARDS

    def row(self, s: int, a: int) -> sympy.Matrix:
        """(1, 2), the law of the next state."""
        return sympy.Matrix([[self.moves[s, a], 1 - self.moves[s, a]]])

    def chain(self, weights: sympy.Matrix) -> sympy.Matrix:
        """sum_a weights[s, a] P[s][a], (2, 2); linear in the weights, so that it serves derivatives too."""
        return sympy.Matrix.vstack(*(weights[s, 0] * self.row(s, 0) + weights[s, 1] * self.row(s, 1) for s in range(2)))

    def resolvent(self, pi: sympy.Matrix) -> sympy.Matrix:
        """(I - gamma P_pi)^-1, by the adjugate."""
        system = sympy.eye(2) - self.gamma * self.chain(pi)
        return system.adjugate() / system.det()

    def value(self, pi: sympy.Matrix, r: sympy.Matrix | None = None) -> sympy.Matrix:
        """V^pi, (2, 1), of the model's rewards or of others."""
        rewards = self.r if r is None else r
        return self.resolvent(pi) * pi.multiply_elementwise(rewards) * sympy.ones(2, 1)

    def q(self, v: sympy.Matrix, r: sympy.Matrix | None = None) -> sympy.Matrix:
        """r + gamma P v, (2, 2)."""
        rewards = self.r if r is None else r
        return sympy.Matrix(2, 2, lambda s, a: rewards[s, a] + self.gamma * (self.row(s, a) * v)[0])


def two_state_policy(name: str) -> sympy.Matrix:
    """A policy (2, 2) whose rows sum to one identically.

    Examples
    --------
    >>> two_state_policy("x")
    Matrix([
    [x0, 1 - x0],
    [x1, 1 - x1]])
    """
    x, y = sympy.symbols(f"{name}0 {name}1", real=True)
    return sympy.Matrix([[x, 1 - x], [y, 1 - y]])


def softmax_policy(weights: sympy.Matrix) -> sympy.Matrix:
    """Rows weights / sum; with weights exp(theta), d/dtheta is weight times d/dweight, and everything is rational.

    Examples
    --------
    >>> softmax_policy(sympy.Matrix([[1, 3]]))
    Matrix([[1/4, 3/4]])
    """
    return sympy.Matrix(weights.rows, weights.cols, lambda s, a: weights[s, a] / sum(weights[s, :]))
