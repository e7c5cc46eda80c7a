r"""Robust policy mirror descent: one robust evaluation and one proximal step in every state.

    pi_{t+1}(. | s) = argmax_x  eta <q_t(s, .), x> - B(x, pi_t(. | s)),    q_t the robust q-function of pi_t

with B the KL divergence (multiplicative weights) or half the squared distance (projection). Nature's answer to pi_t is
exact; all states move alike, whatever their occupancy, which sets it apart from projected policy gradient.

Source: policy mirror descent: Lan 2023, Xiao 2022; its robust form: Wang, Ho, Petrik 2023 (ICML), remark on mirror
descent; Li, Zhao, Lan 2022, "First-order policy optimization for robust MDPs". From memory.
"""

import numpy as np

from mdplab.algorithms.robust.nature import first_policy, robust_evaluation
from mdplab.algorithms.robust.projection import project_rows
from mdplab.kernels.softmax import log_softmax
from mdplab.models import RobustMDP, Trace


def robust_mirror_descent(
    problem: RobustMDP,
    *,
    num_iters: int,
    eta: float,
    divergence: str = "kl",
    pi0: np.ndarray | None = None,
    tol: float = 1e-10,
) -> Trace:
    """Robust policy mirror descent from a policy with full support.

    Parameters
    ----------
    problem
        With an L1 ball or a finite set of models.
    num_iters
        Steps, at least 0.
    eta
        Step size, above 0.
    divergence : {"kl", "euclidean"}
        B.
    pi0 : array (S, A), optional
        First policy; uniform by default.
    tol
        What nature may be left to gain in each evaluation.

    Returns
    -------
    Trace
        `pi` (T + 1, S, A) and `value` (T + 1, S), the robust values.

    Examples
    --------
    >>> from mdplab.models import MDP, L1Ball
    >>> problem = RobustMDP(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), L1Ball(0.1))
    >>> robust_mirror_descent(problem, num_iters=30, eta=1.0)["value"][-1].round(9).tolist()
    [2.0]
    """
    if divergence not in ("kl", "euclidean"):
        raise ValueError(f"divergence is {divergence!r}; expected 'kl' or 'euclidean'")
    if not 0 < eta < np.inf:
        raise ValueError(f"eta is {eta}; expected above 0 and finite")
    if num_iters < 0:
        raise ValueError(f"num_iters is {num_iters}; expected at least 0")
    actions, pi = problem.nominal.actions, first_policy(problem, pi0)
    # Logits of excluded actions stay at -inf through every step.
    log_pi = np.log(pi, where=pi > 0, out=np.full(pi.shape, -np.inf))
    policies, values, kernel = [], [], None
    for t in range(num_iters + 1):
        known = robust_evaluation(problem, pi, tol=tol, kernel=kernel)
        kernel = known.kernel
        policies.append(pi)
        values.append(known.value)
        if t == num_iters:
            break
        if divergence == "kl":
            log_pi = log_softmax(log_pi + eta * known.q)
            pi = np.exp(log_pi)
        else:
            pi = project_rows(pi + eta * known.q, actions)
    return Trace(np.arange(num_iters + 1), {"pi": np.array(policies), "value": np.array(values)})
