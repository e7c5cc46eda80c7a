"""The linear programs of a discounted model, by HiGHS, and the certificate that their answer is worth."""

import time

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mdplab.exact.arguments import checked_count, checked_tol, require_discounted
from mdplab.exact.bracket import failure, settle
from mdplab.exact.operator import Bellman
from mdplab.exact.policy_iteration import improve, solve_policy
from mdplab.models import MDP, Solution, SolverFailure


def linear_programming(mdp: MDP, *, tol: float = 1e-6, formulation: str = "dual", max_iters: int = 100_000) -> Solution:
    """Optimal value and policy from a linear program.

    Parameters
    ----------
    mdp
        Discounted model; its `mu` weights the states if it is positive everywhere, else all states weigh the same.
    tol
        Certified error of the value at every state, `> 0`.
    formulation
        `"primal"`: least value with `v >= r + gamma P v`. `"dual"`: the occupancy of greatest reward.
    max_iters
        Most simplex iterations.

    Returns
    -------
    Solution
        `num_iters` counts iterations of HiGHS. `extras["occupancy"]` (S, A) is the dual solution, for weights that sum
        to one. Certificate of kind `"discounted"`.

    Raises
    ------
    ValueError
        `mdp` is not discounted, or an argument is out of range.
    SolverFailure
        HiGHS fails, or the certified gap misses `tol`.

    Notes
    -----
    HiGHS is feasible within 1e-10, which 1 / (1 - gamma) multiplies. The answer therefore gives the policy, one sparse
    solve its value, and a backup in careful arithmetic the certificate.

    Source
    ------
    Puterman (1994), section 6.9.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> linear_programming(MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.9)).value.round(6).tolist()
    [10.0]
    """
    require_discounted(mdp, "linear_programming")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    if formulation not in {"primal", "dual"}:
        raise ValueError(f"formulation is {formulation!r}; expected 'primal' or 'dual'")
    start, op = time.perf_counter(), Bellman.of(mdp)
    S, A = mdp.S, mdp.A
    rows = np.flatnonzero(mdp.actions.ravel())
    rewards = mdp.r.ravel()[rows]
    weights = mdp.mu if mdp.mu is not None and mdp.mu.min() > 0 else np.full(S, 1 / S)
    stay = sp.csr_array((np.ones(rows.size), (np.arange(rows.size), rows // A)), shape=(rows.size, S))
    moves = stay - mdp.gamma * sp.csr_array(op.P[rows])
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "maxiter": max_iters}
    if formulation == "primal":
        found = linprog(weights, A_ub=-moves, b_ub=-rewards, bounds=(None, None), method="highs", options=options)
    else:
        found = linprog(-rewards, A_eq=moves.T, b_eq=weights, bounds=(0, None), method="highs", options=options)
    if found.status != 0:
        raise SolverFailure(f"linear_programming ({formulation}): HiGHS stopped with {found.message!r}")
    occupancy = np.zeros(S * A)
    occupancy[rows] = np.maximum(-found.ineqlin.marginals if formulation == "primal" else found.x, 0.0)
    occupancy = occupancy.reshape(S, A)
    pi = np.where(mdp.actions, occupancy, -1.0).argmax(axis=1)
    v = solve_policy(op.on_policy(pi))
    # Within the tolerance of HiGHS a better action may be left; exact evaluation shows it.
    for _ in range(10):
        if not improve(op, v, pi)[3]:
            break
        v = solve_policy(op.on_policy(pi))
    best = settle(op, v, tol)
    if best.gap > tol:
        raise failure(op, best, tol, "linear_programming", f"{found.nit} iterations")
    certificate = best.certificate()
    seconds = time.perf_counter() - start
    extras = {"occupancy": occupancy}
    return Solution(best.v, best.pi, certificate, "linear_programming", int(found.nit), seconds, extras=extras)
