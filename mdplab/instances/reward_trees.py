"""Trees of rewards, in whatever arithmetic their numbers have: laws of the return, and tail means of three kinds.

A tree is a list of branches (probability, reward, subtree); the empty list ends. With `fractions.Fraction` every answer
is exact.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

Tree = list[tuple[Any, Any, Any]]


def reward_tree(depth: int, *, rng: np.random.Generator) -> Tree:
    """A random tree with three branches at each of `depth` stages; rational probabilities, rewards from -4 to 4.

    Examples
    --------
    >>> len(list(return_law(reward_tree(2, rng=np.random.default_rng(0)), Fraction(1))))
    9
    """
    if depth == 0:
        return []
    weights = [int(x) for x in rng.integers(1, 6, size=3)]
    rewards = [int(x) for x in rng.integers(-4, 5, size=3)]
    return [(Fraction(w, sum(weights)), Fraction(x), reward_tree(depth - 1, rng=rng)) for w, x in zip(weights, rewards)]


def return_law(tree: Tree, gamma: Any) -> Iterator[tuple[Any, Any]]:
    """All (discounted return, probability), one for each path."""
    if not tree:
        yield 0, 1
        return
    for probability, reward, below in tree:
        for value, mass in return_law(below, gamma):
            yield reward + gamma * value, probability * mass


def lower_tail(atoms: Iterable[tuple[Any, Any]], alpha: Any) -> Any:
    """Mean of the lowest alpha of mass of a law of (value, mass): its average value at risk.

    Examples
    --------
    >>> lower_tail([(1.0, 0.5), (-1.0, 0.5)], 1.0)
    0.0
    """
    left, total = alpha, 0
    for value, mass in sorted(atoms):
        take = min(left, mass)
        total, left = total + take * value, left - take
    return total / alpha


def iterated_tail(tree: Tree, alpha: Any, gamma: Any) -> Any:
    """Lower tail mean of reward plus discounted lower tail mean, stage by stage: a Markov risk measure."""
    if not tree:
        return 0 * alpha
    return lower_tail([(x + gamma * iterated_tail(below, alpha, gamma), q) for q, x, below in tree], alpha)


def nested_tails(tree: Tree, alpha: Any, gamma: Any) -> tuple[Any, Any]:
    """Lower and upper tail mean of the law in which each subtree counts as two atoms, its own two tail means.

    Source
    ------
    The operator of Achab, Neu (2021); see `mdplab.algorithms.robust.worst_substate`.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> coin = [(half, Fraction(-1), []), (half, Fraction(1), [])]
    >>> [str(x) for x in nested_tails(coin, Fraction(1, 4), Fraction(1))]
    ['-1', '1/3']
    """
    if not tree:
        return 0 * alpha, 0 * alpha
    atoms = []
    for probability, reward, below in tree:
        low, high = nested_tails(below, alpha, gamma)
        atoms += [(reward + gamma * low, probability * alpha), (reward + gamma * high, probability * (1 - alpha))]
    low = lower_tail(atoms, alpha)
    return low, (sum(value * mass for value, mass in atoms) - alpha * low) / (1 - alpha)
