"""Classes of deterministic policies over a finite horizon, and their spanning capacity by enumeration.

A class is an int array (m, H, n): the action of policy i at step h in state s, out of n states that every step has.
Every episode starts in state 0.
"""

from itertools import product

import numpy as np


def constant_policies(A: int, H: int, n: int) -> np.ndarray:
    """The A policies that always take one action.

    Examples
    --------
    >>> spanning_capacity(constant_policies(3, 3, 2), 3).tolist()
    [3, 3, 3]
    """
    return np.tile(np.arange(A)[:, None, None], (1, H, n))


def all_policies(A: int, H: int, n: int) -> np.ndarray:
    """All A^(H n) policies.

    Examples
    --------
    >>> spanning_capacity(all_policies(2, 3, 2), 2).tolist()
    [2, 4, 4]
    """
    return np.array(list(product(range(A), repeat=H * n))).reshape(-1, H, n)


def single_deviations(H: int, n: int) -> np.ndarray:
    """The H n policies of two actions that take action 1 in one state of one step, and action 0 else ("singletons").

    Notes
    -----
    With n >= h states the capacity of step h is h + 1: the path of zeros and both actions at its end, and one path for
    each earlier step at which a policy may leave it, of zeros ever after.

    Examples
    --------
    >>> spanning_capacity(single_deviations(3, 3), 2).tolist()
    [2, 3, 4]
    """
    return np.eye(H * n, dtype=np.int64).reshape(-1, H, n)


def random_class(m: int, A: int, H: int, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """m policies with uniform actions.

    Examples
    --------
    >>> random_class(2, 3, 2, 4, rng=np.random.default_rng(0)).shape
    (2, 2, 4)
    """
    return rng.integers(A, size=(m, H, n))


def spanning_capacity(policies: np.ndarray, A: int, *, count: str = "pairs") -> np.ndarray:
    """For each step, the most pairs (state, action) that the class reaches in one deterministic model; its max is C.

    Parameters
    ----------
    policies : int array (m, H, n)
        The class.
    A : int
        Number of actions.
    count : {"pairs", "states"}
        What is counted; "states" is an ablation.

    Returns
    -------
    int array (H,)

    Notes
    -----
    Goes through all assignments of next states to reached pairs, n to the power of them: for tiny classes.

    Source
    ------
    Jia, Li, Rakhlin, Sekhari, Srebro (NeurIPS 2023), "When is agnostic reinforcement learning statistically
    tractable?", arXiv:2310.06113; definition from the abstract and memory.

    Examples
    --------
    >>> spanning_capacity(np.zeros((1, 2, 3), int), 2).tolist()
    [1, 1]
    """
    m, H, n = policies.shape
    best = np.zeros(H, dtype=np.int64)
    seen: set[tuple[int, bytes]] = set()

    def visit(h: int, state: np.ndarray) -> None:
        if h == H or (h, state.tobytes()) in seen:
            return
        seen.add((h, state.tobytes()))
        pair = state * A + policies[np.arange(m), h, state]
        reached, place = np.unique(pair, return_inverse=True)
        best[h] = max(best[h], reached.size if count == "pairs" else np.unique(state).size)
        if h + 1 < H:
            for after in product(range(n), repeat=reached.size):
                visit(h + 1, np.array(after)[place])

    visit(0, np.zeros(m, dtype=np.int64))
    return best
