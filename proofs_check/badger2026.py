"""Lemmas against naive robust policy iteration (Badger, Huang, Petrik 2026): it cycles, and a line search cannot start.

Naive policy iteration fixes the greedy choices of both players and solves the linear system they make, as if nature's
choice did not depend on the value: Newton's method on the Bellman residual.
"""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked
from proofs_check.intervals import pinned

# Arguments that make each statement false: discounts and a tie at which the method works.
FALSIFIED = {
    "cycle": {"gamma": Fraction(1, 2)},
    "cycle_of_a_matrix_game": {"gamma": Fraction(1, 4)},
    "armijo_finds_no_step": {"gamma": Fraction(1, 5)},
}

_SOURCE = "Badger, Huang, Petrik 2026"


def lemma_cycle(gamma: Fraction = Fraction(9, 10)) -> Checked:
    """On three states with two deterministic successors an action, the iterates alternate between two vectors for ever.

    They are (7, 1, -2) and (-6, 1, -2); the robust value is (-11/10, 1, -2). No choice on the way is a tie. The
    residual is the distance between the two.
    """
    tenth = Fraction(1, 10)
    r = [(-6 * tenth, 7 * tenth), (1 * tenth, -4 * tenth), (-2 * tenth, -9 * tenth)]
    successors = [((0, 0), (0, 2)), ((1, 1), (0, 1)), ((2, 1), (1, 2))]

    def choices(v: tuple) -> list[tuple[Fraction, Fraction, int]]:
        """Greedy value, reward and worst successor of each state."""
        return [
            max(
                (reward + gamma * min(v[t] for t in pair), reward, min(pair, key=lambda t: v[t]))
                for reward, pair in row
            )
            for row in (list(zip(*part)) for part in zip(r, successors))
        ]

    def newton(v: tuple) -> tuple:
        chosen = choices(v)
        chain = sympy.Matrix(3, 3, lambda s, t: int(chosen[s][2] == t))
        rewards = sympy.Matrix([sympy.Rational(reward) for _, reward, _ in chosen])
        return tuple((sympy.eye(3) - sympy.Rational(gamma) * chain).LUsolve(rewards))

    one, other = (7, 1, -2), (-6, 1, -2)
    robust = (-11 * tenth, 1, -2)
    fixed = tuple(value for value, _, _ in choices(robust)) == robust
    cycles = newton(one) == other and newton(other) == one
    gap = max(abs(x - y) for x, y in zip(one, other))
    return Checked(
        "COUNTEREXAMPLE",
        "naive robust policy iteration goes (7, 1, -2) -> (-6, 1, -2) -> (7, 1, -2); the value is (-11/10, 1, -2)",
        _SOURCE + ", policy iteration without a safeguard; instance derived",
        f"successors {successors}, gamma = {gamma}; two exact linear solves",
        gap if cycles and fixed and gap == 13 else 0,
    )


def lemma_cycle_of_a_matrix_game(gamma: Fraction = Fraction(3, 4)) -> Checked:
    """Van der Wal's game: the iterates are 12, 4, 12, 4, ... and the value is 8.

    One live state; payoffs ((3, 6), (2, 1)) to the row player, the game goes on with probabilities ((1, 1/3), (1, 1)),
    gamma = 3/4. Every matrix game met on the way has a saddle point in pure choices.
    """
    payoff = ((3, 6), (2, 1))
    alive = ((Fraction(1), Fraction(1, 3)), (Fraction(1), Fraction(1)))

    def saddle(v: Fraction) -> tuple[Fraction, int, int] | None:
        game = [[x + gamma * q * v for x, q in zip(*rows)] for rows in zip(payoff, alive)]
        for i, row in enumerate(game):
            for j, x in enumerate(row):
                if x == min(row) and x == max(line[j] for line in game):
                    return x, i, j
        return None

    def newton(v: Fraction) -> Fraction | None:
        found = saddle(v)
        return found and payoff[found[1]][found[2]] / (1 - gamma * alive[found[1]][found[2]])

    high, low = Fraction(12), Fraction(4)
    value = saddle(Fraction(8))
    cycles = newton(high) == low and newton(low) == high and value is not None and value[0] == 8
    gap = abs(high - low)
    return Checked(
        "COUNTEREXAMPLE",
        "naive policy iteration on Van der Wal's game alternates 12, 4, 12, 4, ...; the value is 8",
        "van der Wal 1978; " + _SOURCE,
        "saddle points of three 2 x 2 games, in rationals",
        gap if cycles and gap == 8 else Fraction(0),
    )


def lemma_armijo_finds_no_step(gamma: Fraction = Fraction(3, 5)) -> Checked:
    """Along the Newton step the squared residual rises at once, although the formula for its slope gives -2.

    Rewards (-sqrt(2)/2, -1/2, 1/2), states 1 and 2 absorbing, state 0 goes where nature chooses, to 1 or 2; start at
    v = 0, the tie broken to 2. The squared residual at t d is 1 + (3 sqrt(2)/2 - 2) t + c t^2 with c > 0: above 1 for
    every t > 0. The other tie gives the solution in one step.
    """
    t = sympy.Symbol("t", positive=True)
    root = sympy.sqrt(2) / 2
    half, gamma = sympy.Rational(1, 2), sympy.Rational(gamma)
    far = half / (1 - gamma)  # value of state 2; that of state 1 is its negative
    d = (gamma * far - root, -far, far)
    # Nature prefers state 1 for every t > 0.
    residual = (
        t * d[0] + root - gamma * t * d[1],
        t * d[1] + half - gamma * t * d[1],
        t * d[2] - half - gamma * t * d[2],
    )
    objective = sympy.Poly(sympy.expand(sum(x**2 for x in residual)), t)
    curvature, slope, start = objective.all_coeffs()
    # What the formula gives: the same derivative with the tied choice, state 2, in state 0.
    formula = 2 * (root * (d[0] - gamma * d[2]) + half * (d[1] - gamma * d[1]) - half * (d[2] - gamma * d[2]))
    sound = start == 1 and curvature > 0 and sympy.expand(formula) == -2
    return Checked(
        "COUNTEREXAMPLE",
        "the squared residual exceeds 1, its value at the start, for every step t > 0: backtracking never ends",
        _SOURCE + ", Filar-Tolwinski line search; instance of the paper",
        f"squared residual as a polynomial in t: {objective.as_expr()}",
        # A rational number below the slope.
        pinned(slope, {}, "0.121320") if sound and sympy.expand(slope - (3 * root - 2)) == 0 else 0,
    )
