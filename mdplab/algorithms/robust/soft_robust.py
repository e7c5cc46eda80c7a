r"""Soft-robust (entropic) policy evaluation and direct policy gradient.

Nature may change every row at a price, and the price of a step is discounted with what follows it:

    V(s) = sum_a pi(a | s) [r(s, a) + gamma min_q { q . V + KL(q || P(. | s, a)) / beta }]
         = sum_a pi(a | s) [r(s, a) - (gamma / beta) log E_{P(. | s, a)} exp(-beta V)]

so that a larger beta is more averse to risk; nature's row is q ~ P exp(-beta V). In the terms of
`mdplab.models.SoftKL` its temperature is gamma / beta. With the rows frozen, V is the linear value of reward
r + (gamma / beta) KL(q || P), and the gradient of mu . V is D(s) Q(s, a) with the occupancy
D = (I - gamma q_pi^T)^-1 mu of the *worst* rows, unnormalised.

Source: Zhang, Hu, Li 2024, "Soft robust MDPs and risk-sensitive MDPs: equivalence, policy gradient, and sample
complexity" (ICLR 2024). Statements from memory and the authors' public code; formulas derived here and checked by
finite differences.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.robust.projection import project_rows
from mdplab.models import MDP, Trace


@dataclass(frozen=True, eq=False, slots=True)
class SoftEvaluation:
    """A policy against nature at a price.

    Parameters
    ----------
    value : array (S,)
        V.
    q : array (S, A)
        r + gamma min over rows of (row . V + KL / beta).
    kernel : array (S, A, S)
        The minimising rows.
    penalty : array (S, A)
        KL(kernel || P), at least 0.
    """

    value: np.ndarray
    q: np.ndarray
    kernel: np.ndarray
    penalty: np.ndarray


def tilted_rows(P: np.ndarray, v: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Nature's rows q ~ P exp(-beta v), (..., S), and -(1 / beta) log E_P exp(-beta v), (...,).

    Examples
    --------
    >>> rows, risk = tilted_rows(np.array([[0.5, 0.5]]), np.array([0.0, 1.0]), np.log(3))
    >>> rows.round(12).tolist(), risk.round(6).tolist()
    ([[0.75, 0.25]], [0.36907])
    """
    p = P / P.sum(axis=-1, keepdims=True)
    # Shifted by the smallest value on each row's support: no exponential overflows, the largest is 1. The logarithm is
    # that of 1 - something, which keeps its digits where beta is small.
    least = np.where(p > 0, v, np.inf).min(axis=-1, keepdims=True)
    away = -beta * np.where(p > 0, v - least, 0.0)
    lost = (p * np.expm1(away)).sum(axis=-1, keepdims=True)
    return p * np.exp(away) / (1 + lost), (least - np.log1p(lost) / beta)[..., 0]


def soft_robust_evaluation(
    mdp: MDP, pi: np.ndarray, *, beta: float, tol: float = 1e-12, max_iters: int = 1000
) -> SoftEvaluation:
    """V of a policy, by Howard's iteration for nature: rows against V, then the linear system, until V rests.

    Parameters
    ----------
    mdp
        Discounted, rewards that do not depend on the next state.
    pi : array (S, A)
        Probabilities.
    beta
        Risk aversion, above 0.
    tol
        Bellman residual at which the iteration stops, relative to the largest value.
    max_iters
        Linear systems at most.

    Raises
    ------
    ValueError
        A parameter out of range, or rewards by next state.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> nominal = 1 / (1 - 0.45)
    >>> bool(soft_robust_evaluation(mdp, np.ones((2, 1)), beta=1.0).value[0] < nominal)
    True
    """
    P, pi = _checked(mdp, pi, beta)
    v = np.zeros(mdp.S)
    for _ in range(max_iters):
        rows, risk = tilted_rows(P, v, beta)
        q = mdp.r + mdp.gamma * risk
        if np.abs((pi * q).sum(axis=1) - v).max() <= tol * (1 + np.abs(v).max()):
            break
        # KL(rows || P) / beta = min value - rows . v, without a logarithm of zero.
        price = risk - rows @ v
        v = np.linalg.solve(
            np.eye(mdp.S) - mdp.gamma * np.einsum("sa,sat->st", pi, rows),
            (pi * (mdp.r + mdp.gamma * price)).sum(axis=1),
        )
    return SoftEvaluation(v, q, rows, np.maximum(beta * (risk - rows @ v), 0.0))


def soft_robust_gradient(
    mdp: MDP, pi: np.ndarray, *, beta: float, mu: np.ndarray | None = None
) -> tuple[np.ndarray, SoftEvaluation]:
    """Gradient of mu . V in the probabilities of the policy, (S, A), and the evaluation it rests on.

    Parameters
    ----------
    mdp, pi, beta
        As in `soft_robust_evaluation`.
    mu : array (S,), optional
        Initial distribution; the model's by default.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, mu=[1.0])
    >>> soft_robust_gradient(mdp, np.array([[1.0, 0.0]]), beta=1.0)[0].tolist()
    [[0.0, 2.0]]
    """
    mu = mdp.mu if mu is None else np.asarray(mu, dtype=np.float64)
    if mu is None:
        raise ValueError("mdp has no initial distribution mu, and none was given")
    known = soft_robust_evaluation(mdp, pi, beta=beta)
    step = np.einsum("sa,sat->st", pi, known.kernel)
    occupancy = np.linalg.solve(np.eye(mdp.S) - mdp.gamma * step.T, mu)
    return occupancy[:, None] * known.q, known


def soft_robust_policy_gradient(
    mdp: MDP,
    *,
    beta: float,
    num_iters: int,
    eta: float = 0.1,
    pi0: np.ndarray | None = None,
    checkpoints: np.ndarray | None = None,
) -> Trace:
    """Projected ascent on the policy's probabilities, from the uniform policy.

    Parameters
    ----------
    mdp
        Discounted, with `mu`.
    beta
        Risk aversion, above 0.
    num_iters
        Steps, at least 0.
    eta
        Step size; 0.1 in the authors' code.
    pi0 : array (S, A), optional
        First policy.
    checkpoints
        Strictly increasing step numbers in [0, num_iters] to keep; all by default.

    Returns
    -------
    Trace
        `pi` (K, S, A) and `objective` (K,), mu . V of it.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, mu=[1.0])
    >>> soft_robust_policy_gradient(mdp, beta=1.0, num_iters=20)["pi"][-1].tolist()
    [[0.0, 1.0]]
    """
    kept = np.arange(num_iters + 1) if checkpoints is None else np.asarray(checkpoints, dtype=np.int64)
    pi = mdp.actions / mdp.actions.sum(axis=1, keepdims=True) if pi0 is None else np.array(pi0, dtype=np.float64)
    policies, objective = [], []
    for t in range(num_iters + 1):
        gradient, known = soft_robust_gradient(mdp, pi, beta=beta)
        if np.isin(t, kept):
            policies.append(pi)
            objective.append(float(mdp.mu @ known.value))
        if t < num_iters:
            pi = project_rows(pi + eta * gradient, mdp.actions)
    return Trace(kept, {"pi": np.array(policies), "objective": np.array(objective)})


def _checked(mdp: MDP, pi: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    check_entropic(mdp, beta)
    pi = np.asarray(pi, dtype=np.float64)
    if pi.shape != (mdp.S, mdp.A):
        raise ValueError(f"pi has shape {pi.shape}, expected {(mdp.S, mdp.A)}")
    return mdp.dense().P, pi


def check_entropic(mdp: MDP, beta: float) -> None:
    """ValueError unless the model is discounted with rewards r(s, a), and beta is finite and above 0."""
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta is {beta}; expected a finite number above 0")
    if not mdp.gamma < 1 or mdp.horizon is not None:
        raise ValueError(f"mdp has gamma {mdp.gamma:g} and horizon {mdp.horizon}; expected gamma < 1 and no horizon")
    if mdp.r_next is not None:
        raise ValueError("mdp has rewards by next state; the soft-robust recursion is written for r(s, a)")
