r"""Many-actions policy gradient: several actions are drawn in every state of a trajectory, one of them is executed.

    g = (1 / T) sum_{t<T} (1 / N) sum_{n<N} Upsilon(s_t, a_t^n),   a_t^n ~ pi(. | s_t),   s_{t+1} ~ P(. | s_t, a_t^0)

With N = 1 it is the usual estimate along one trajectory. Upsilon(s, a) is what one sample says about the gradient;
`score_table` gives Q(s, a) grad log pi(a | s) of a tabular softmax policy. For the estimate to average to the gradient
of the average reward the first state is drawn from the stationary law, and Q is the differential one.

Source: Nauman and Cygan (2023), "On Many-Actions Policy Gradient", arXiv:2210.13011, of which the abstract was read.
The paper takes Q of further samples from a learnt model; here every Q is given. Cost: T N draws a replicate, vectorised
over replicates.
"""

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_array, check_count, check_rows


def score_table(pi: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Upsilon(s, a) = q(s, a) grad log pi(a | s) in the logits of a tabular softmax policy, (S, A, S A).

    Parameters
    ----------
    pi : array (S, A)
        Probabilities.
    q : array (S, A)
        Action values; any function of the state may be subtracted without changing the mean.

    Raises
    ------
    ValueError
        Shapes that differ, rows of pi that are not distributions, values that are not finite.

    Examples
    --------
    >>> score_table(np.array([[0.25, 0.75]]), np.array([[4.0, 8.0]])).tolist()
    [[[3.0, -3.0], [-2.0, 2.0]]]
    """
    pi = _policy(pi)
    S, A = pi.shape
    q = check_array("q", q, (S, A))
    score = np.zeros((S, A, S, A))
    for s in range(S):
        # Row s of the score is e_a - pi(. | s), the other rows are 0.
        score[s, :, s] = np.eye(A) - pi[s]
    return (q[:, :, None, None] * score).reshape(S, A, S * A)


def many_actions_gradient(
    P: np.ndarray,
    pi: np.ndarray,
    table: np.ndarray,
    T: int,
    N: int,
    *,
    start: np.ndarray,
    replicates: int,
    rng: np.random.Generator,
    executed: int | None = 0,
) -> np.ndarray:
    """Independent estimates (replicates, d) of the stationary mean of Upsilon.

    Parameters
    ----------
    P : array (S, A, S)
        Transitions.
    pi : array (S, A)
        Probabilities of actions.
    table : array (S, A, d)
        Upsilon.
    T, N
        States of a trajectory and actions in each of them, at least 1.
    start : array (S,)
        Law of the first state; the stationary one makes the estimate unbiased for every T and N.
    replicates
        At least 1.
    executed
        Which of the N samples is executed; they are exchangeable, so that it does not matter which. None: an action
        drawn apart, which is another estimate: what the executed action does to later states no longer correlates with
        what was averaged.

    Raises
    ------
    ValueError
        Sizes below 1, shapes that do not belong together, rows that are not distributions, or an index beyond the
        samples.

    Examples
    --------
    >>> P, pi = np.full((1, 2, 1), 1.0), np.array([[0.25, 0.75]])
    >>> table = score_table(pi, np.array([[0.0, 4.0]]))
    >>> how = {"start": np.array([1.0]), "replicates": 1000, "rng": np.random.default_rng(0)}
    >>> many_actions_gradient(P, pi, table, 5, 20, **how).mean(axis=0).round(2).tolist()
    [-0.75, 0.75]
    """
    pi = _policy(pi)
    S, A = pi.shape
    P, start = check_rows("P", P, (S, A, S)), check_rows("start", start, (S,))
    if np.ndim(table) != 3:
        raise ValueError(f"table has shape {np.shape(table)}; expected ({S}, {A}, d)")
    table = check_array("table", table, (S, A, np.shape(table)[2]))
    T, N, replicates = (check_count(name, x) for name, x in (("T", T), ("N", N), ("replicates", replicates)))
    if executed is not None and check_count("executed", executed, 0) >= N:
        raise ValueError(f"executed is {executed}; expected None or one of the {N} samples")
    next_state, action, first = (_cumulative(rows) for rows in (P, pi, start))
    state = _draw(first, rng.random(replicates))
    total = np.zeros((replicates, table.shape[2]))
    for t in range(T):
        drawn = _draw(action[state][:, None], rng.random((replicates, N)))
        total += table[state[:, None], drawn].sum(axis=1)
        if t + 1 < T:
            done = _draw(action[state], rng.random(replicates)) if executed is None else drawn[:, executed]
            state = _draw(next_state[state, done], rng.random(replicates))
    return total / (T * N)


def _policy(pi: np.ndarray) -> np.ndarray:
    if np.ndim(pi) != 2:
        raise ValueError(f"pi has shape {np.shape(pi)}; expected (S, A)")
    return check_rows("pi", pi, np.shape(pi))


def _cumulative(rows: np.ndarray) -> np.ndarray:
    """Cumulative rows; from the last possible entry on they are 1, since sums of floats may end below it."""
    n = rows.shape[-1]
    last = n - 1 - np.argmax(rows[..., ::-1] > 0, axis=-1)
    return np.where(np.arange(n) >= last[..., None], 1.0, np.cumsum(rows, axis=-1))


def _draw(cumulative: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Indices (...) from cumulative rows (..., n) and uniforms (...) below 1."""
    return (u[..., None] >= cumulative).sum(axis=-1)
