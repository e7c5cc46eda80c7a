"""The whole law of the return of a policy, atom by atom."""

import math
import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count, checked_policy, checked_positive, checked_tol
from mdplab.exact.distributional.chain import Chain, model_and_outcomes, stage_chains
from mdplab.exact.distributional.laws import Laws, Pusher, staged_certificate, stationary_certificate
from mdplab.kernels.distributional import merge_atoms
from mdplab.models import MDP, Outcomes, Solution, SolverFailure, StockMDP

# Atoms nearer than this times (1 + the largest) are one atom over a horizon.
_MERGE = 1e-9
# A contraction this strong leaves nothing of the start.
_GONE = 1e-17


def return_laws(
    mdp: MDP | StockMDP,
    policy: Any,
    *,
    outcomes: Outcomes | None = None,
    horizon: int | None = None,
    merge: float | None = None,
    max_atoms: int = 1_000_000,
    tol: float | None = None,
) -> Solution:
    """Law of the discounted return of a policy from every state.

    Parameters
    ----------
    mdp
        Over a horizon; or with `gamma < 1`; or with `gamma` 1 where the policy surely ends within S steps, which then
        is its horizon. A StockMDP brings its own outcomes.
    policy
        `(S,)` actions or `(S, A)` probabilities; over a horizon also one a stage, with a leading axis H.
    outcomes
        Joint law of reward and next state; by default rewards as `mdp` has them, by next state where it knows. To
        check such an answer, give the referee the StockMDP with these outcomes.
    horizon
        Number of decisions; the model's own by default.
    merge
        Atoms no further apart than `merge * (1 + max|x|)` become one at their mean. By default 1e-9 over a horizon;
        with `gamma < 1` as much as `tol` leaves room for.
    max_atoms
        Most atoms of all states together before merging.
    tol
        With `gamma < 1` and no horizon, the Wasserstein-1 error to certify; 1e-3 times the range of returns by default.
        Over a horizon the error is what merging and rounding make of it; a `tol` there is checked.

    Returns
    -------
    Solution
        `value` the means, `(S,)` or `(H + 1, S)`; certificate of kind `"return-laws"`, whose gap bounds w_1 between
        each law and the true one, merging and rounding included; `extras["laws"]` a tuple of `FiniteLaw` a state, or a
        tuple of those a stage, H + 1 of them; `extras["error_bounds"]["w1"]` the bound known before looking at the
        result: the sum of what truncation and each merging cost, discounted.

    Raises
    ------
    ValueError
        `gamma` is 1 without a horizon, and the policy may run for longer than S steps.
    SolverFailure
        More atoms than `max_atoms`, or `tol` is not met.

    Notes
    -----
    Without a horizon the sweeps start from the point masses at the value function, so that means are exact throughout,
    and merge coarsely until they have nearly settled. w_1(T eta, T eta') <= gamma w_1(eta, eta'), so that merging that
    moves a sweep by d moves the limit by d / (1 - gamma) at most.

    Source
    ------
    Bellemare, Dabney, Rowland (2023), Distributional Reinforcement Learning, sections 2.5 and 4.3.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> coin = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[[0.0, 1.0]], [[0.0, 0.0]]], 1.0, horizon=2)
    >>> law = return_laws(coin, [0, 0]).extras["laws"][0][0]
    >>> law.x.tolist(), law.p.tolist()
    ([0.0, 1.0], [0.25, 0.75])
    """
    model, outcomes = model_and_outcomes(mdp, outcomes, "return_laws")
    max_atoms = checked_count("max_atoms", max_atoms)
    tol = None if tol is None else checked_tol(tol)
    merge = merge if merge in (None, 0) else checked_positive("merge", merge)
    begin, H = time.perf_counter(), model.horizon if horizon is None else checked_count("horizon", horizon)
    if H is None and model.gamma == 1:
        H = sure_end(model, outcomes, policy, "return_laws")
    if H is None:
        return _stationary(model, outcomes, policy, merge, max_atoms, tol, begin)
    pi, chains = stage_chains(model, outcomes, policy, H)
    stages, cost, bound = [Laws.diracs(np.zeros(model.S))], 0.0, 0.0
    for chain in reversed(chains):
        laws, moved = _backup(chain, stages[0], _MERGE if merge is None else merge, True, max_atoms)
        stages.insert(0, laws)
        cost = moved + chain.gamma * cost
        bound = max(bound, cost)
    certificate = staged_certificate(chains, stages)
    _require(certificate.gap, tol)
    extras = {"laws": tuple(laws.finite_laws() for laws in stages), "error_bounds": {"w1": bound}}
    value, seconds = np.stack([laws.means() for laws in stages]), time.perf_counter() - begin
    return Solution(value, pi, certificate, "return_laws", H, seconds, extras=extras)


def sure_end(mdp: MDP, outcomes: Outcomes, policy: Any, name: str) -> int:
    """Steps within which the policy surely ends; ValueError if it may run on."""
    n = Chain.of(mdp, outcomes, checked_policy(mdp, policy)).steps_to_end(mdp.terminal)
    if n is None:
        raise ValueError(
            f"gamma is 1 without a horizon, and the policy may take more than S={mdp.S} steps; {name} needs horizon=, "
            "an MDP with one, or gamma below 1"
        )
    return max(n, 1)


def _stationary(mdp, outcomes, policy, merge, max_atoms, tol, begin) -> Solution:
    """Sweeps until the certified error is within tol."""
    pi = checked_policy(mdp, policy)
    chain = Chain.of(mdp, outcomes, pi)
    gamma, (lo, hi) = chain.gamma, chain.range
    reach = float((hi - lo).max())
    size = 1 + float(np.abs([lo, hi]).max())
    tol = max(1e-3 * reach, 1e-9 * size) if tol is None else tol
    # Merging within a width moves a law by half of it at most, by a quarter of it where atoms are spread evenly.
    least = (1 - gamma) * tol if merge is None else merge * size
    laws, step, bound, n = Laws.diracs(chain.mean), reach, reach, 0
    most = 2 + math.ceil(math.log(_GONE) / math.log(gamma)) if gamma > 0 else 2
    while n < most:
        new, moved = _backup(chain, laws, max(least, 0.25 * (1 - gamma) * step), False, max_atoms)
        step, laws, n = new.distance(laws), new, n + 1
        bound = moved + gamma * bound
        # w_1(T eta, eta) <= gamma step + moved: worth the certificate's own sweep.
        if moved + gamma * step <= (1 - gamma) * tol:
            certificate = stationary_certificate(chain, laws)
            if certificate.gap <= tol:
                extras = {"laws": laws.finite_laws(), "error_bounds": {"w1": bound}}
                seconds = time.perf_counter() - begin
                return Solution(laws.means(), pi, certificate, "return_laws", n, seconds, extras=extras)
        if merge is None and gamma * step <= 0.5 * (1 - gamma) * tol:
            least *= 0.5
    gap = stationary_certificate(chain, laws).gap
    raise SolverFailure(
        f"return_laws: an error of {gap:.2g} after {n} sweeps, merging atoms within {least:.2g}; tol={tol:g}. "
        "A smaller merge or a larger tol may do"
    )


def _backup(chain: Chain, laws: Laws, merge: float, relative: bool, max_atoms: int) -> tuple[Laws, float]:
    """T eta merged, and the most that merging moved a law in w_1."""
    pusher, moved = Pusher(chain), 0.0
    sizes = pusher.sizes(laws)
    if sizes.sum() > max_atoms:
        raise SolverFailure(
            f"return_laws: a sweep makes {sizes.sum()} atoms, max_atoms={max_atoms}; raise max_atoms, a larger merge "
            "(its cost is in the certified gap) or tol, or take categorical_evaluation or quantile_evaluation"
        )
    xs, ps, counts = [], [], np.empty(chain.S, dtype=np.int64)
    for s, size in enumerate(sizes):
        x, p = pusher.push(laws, s, int(size))
        width = merge * (1 + max(abs(x[0]), abs(x[-1]))) if relative else merge
        y, q = np.empty(len(x)), np.empty(len(x))
        counts[s], cost = merge_atoms(x, p, width, y, q)
        moved = max(moved, cost)
        xs.append(y[: counts[s]].copy())
        ps.append(q[: counts[s]].copy())
    return Laws.of(counts, np.concatenate(xs), np.concatenate(ps)), moved


def _require(gap: float, tol: float | None) -> None:
    if tol is not None and gap > tol:
        raise SolverFailure(f"return_laws: merging and rounding leave an error of {gap:.2g}; tol={tol:g}")
