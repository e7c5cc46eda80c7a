"""Trees against their definitions: masses, tails by hand, and the order of the three kinds of tail mean."""

from fractions import Fraction

import numpy as np

from mdplab.instances.reward_trees import iterated_tail, lower_tail, nested_tails, return_law, reward_tree

HALF = Fraction(1, 2)
COIN = [(HALF, Fraction(-1), []), (HALF, Fraction(1), [])]
TWO_COINS = [(q, x, COIN) for q, x, _ in COIN]


def test_two_coins_by_hand():
    """Returns -2, 0, 0, 2. At 1/4: -2 on the whole, 2 (-1) stage by stage; nested: first (-1, 1/3), then -2."""
    law = sorted(return_law(TWO_COINS, 1))
    assert [value for value, _ in law] == [-2, 0, 0, 2] and sum(mass for _, mass in law) == 1
    quarter = Fraction(1, 4)
    assert lower_tail(law, quarter) == -2 and iterated_tail(TWO_COINS, quarter, 1) == -2
    # Atoms -2, -2/3, 0, 4/3 of masses 1/8, 3/8, 1/8, 3/8: the lowest quarter is (-2 - 2/3) / 2.
    assert nested_tails(TWO_COINS, quarter, 1)[0] == Fraction(-4, 3)


def test_orders_and_means():
    rng = np.random.default_rng([44])
    gamma, strict = Fraction(9, 10), 0
    for _ in range(20):
        tree = reward_tree(3, rng=rng)
        law = list(return_law(tree, gamma))
        mean = sum(value * mass for value, mass in law)
        for alpha in (Fraction(1, 10), HALF):
            low, high = nested_tails(tree, alpha, gamma)
            static, iterated = lower_tail(law, alpha), iterated_tail(tree, alpha, gamma)
            assert alpha * low + (1 - alpha) * high == mean
            assert iterated <= static <= low <= mean
            strict += iterated < static < low
        assert lower_tail(law, Fraction(1)) == mean == iterated_tail(tree, Fraction(1), gamma)
    assert strict >= 30
