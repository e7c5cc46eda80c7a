"""The best mixture of given return laws for the optimistic CVaR: a linear program, solved by HiGHS."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mdplab.models import SolverFailure


@dataclass(frozen=True, eq=False, slots=True)
class Mixture:
    """The best mixture.

    `value`; the `weights` (L,) of the laws; `tail` (n,), the part of the mixture's mass that is averaged; `c0`, minus
    the dual price of the tail's mass per unit, for which `-c0 + max_l E max(c0 + X_l, 0) / tau` is the value too.
    """

    value: float
    weights: np.ndarray
    tail: np.ndarray
    c0: float


def best_mixture(support: np.ndarray, masses: np.ndarray, tau: float) -> Mixture:
    """The largest OCVaR of level tau over mixtures of the laws.

    Maximises `sum_j x_j y_j / tau` over weights w and a tail y with `0 <= y <= masses^T w` and `sum y = tau`.

    Parameters
    ----------
    support : array (n,)
        Returns.
    masses : array (L, n)
        Rows are laws on the support.
    tau
        Level in (0, 1].

    Raises
    ------
    SolverFailure
        HiGHS found no optimum.

    Notes
    -----
    OCVaR is concave in the law, so a mixture may beat each of its parts: no deterministic policy need be optimal.

    Source
    ------
    The dual of theorem 18 of Pires et al. (2025), whose supremum is over randomised policies.

    Examples
    --------
    A sure 1 against 2 with probability 0.3: alone 1 and 1.2, mixed 10 / 7.

    >>> best = best_mixture([0.0, 1.0, 2.0], [[0.0, 1.0, 0.0], [0.7, 0.0, 0.3]], 0.5)
    >>> round(best.value, 6), best.weights.round(6).tolist()
    (1.428571, [0.285714, 0.714286])
    """
    x, M = np.asarray(support, dtype=np.float64), np.asarray(masses, dtype=np.float64)
    L, n = M.shape
    cost = np.concatenate([np.zeros(L), -x / tau])
    above = sp.hstack([sp.csr_array(-M.T), sp.eye_array(n)], format="csr")
    sums = np.zeros((2, L + n))
    sums[0, :L] = 1
    sums[1, L:] = 1
    answer = linprog(cost, A_ub=above, b_ub=np.zeros(n), A_eq=sums, b_eq=[1.0, tau], method="highs")
    if answer.status != 0:
        raise SolverFailure(f"best_mixture: HiGHS stopped with {answer.message!r}")
    return Mixture(float(-answer.fun), answer.x[:L], answer.x[L:], float(tau * answer.eqlin.marginals[1]))
