"""Law of the return of a policy by dynamic programming in a fixed number of atoms a state."""

import math
import time
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_policy, checked_tol
from mdplab.exact.distributional.chain import Chain, model_and_outcomes, stage_chains
from mdplab.exact.distributional.laws import staged_certificate, stationary_certificate
from mdplab.exact.distributional.propagation import sure_end
from mdplab.exact.distributional.representations import Categorical, Quantile
from mdplab.models import MDP, Outcomes, Solution, SolverFailure, StockMDP

Representation = Categorical | Quantile
# Sweeps between two looks at how far they still move.
LOOK = 8
# A position that rounds past an atom leaves a little mass in the cell beyond, which may be off the grid. The
# certificate, of the laws as they are, counts it.
_DUST = 1e-12


def categorical_evaluation(
    mdp: MDP | StockMDP,
    policy: Any,
    z: Any,
    *,
    outcomes: Outcomes | None = None,
    tol: float = 1e-9,
    clip: bool = False,
) -> Solution:
    """Law of the return of a policy, on a grid of atoms: the fixed point of Pi T.

    Parameters
    ----------
    mdp
        With `gamma < 1`, with a horizon, or with `gamma` 1 where the policy surely ends.
    policy
        `(S,)` actions or `(S, A)` probabilities; over a horizon also one a stage.
    z
        `(K,)` atoms, strictly increasing, common to all states; sweeps of an even grid are the fast ones.
    outcomes
        Joint law of reward and next state; by default rewards as `mdp` has them.
    tol
        Largest w_1 to the fixed point, `> 0`. The distance of the fixed point itself to the truth is what the
        certificate bounds.
    clip
        Move what is off the grid to its ends. Means are then biased, and the bounds beforehand do not hold; the
        certificate does.

    Returns
    -------
    Solution
        As `return_laws`; `extras["error_bounds"]`: `"w1"` and `"cramer"`, bounds of the fixed point known beforehand,
        and `"iteration"`, the w_1 that the sweeps left. `extras["lost_mass"]`: most mass that a backup clips.

    Raises
    ------
    ValueError
        `z` is not increasing, or cannot hold the returns: the message says how much is lost and which grid would do.
    SolverFailure
        `tol` is below rounding.

    Notes
    -----
    Pi keeps the mean, is the orthogonal projection in the Cramer distance and does not expand w_1 (it averages the
    distribution function over each cell), where it moves a law by dz / 2 at most. So Pi T contracts by sqrt(gamma) in
    Cramer and by gamma in w_1, and the fixed point is within sqrt(dz / (4 (1 - gamma))) and dz / (2 (1 - gamma)) of
    the truth; dz is the widest cell. The literature's Cramer bound is twice that, without the 4 under the root.

    Source
    ------
    Bellemare, Dabney, Munos (2017), algorithm 1; Rowland, Bellemare, Dabney, Munos, Teh (2018), propositions 1 to 3.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> coin = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    >>> answer = categorical_evaluation(coin, [0, 0], [0.0, 1.0, 2.0])
    >>> answer.value.round(9).tolist(), answer.extras["laws"][0].p.round(9).tolist()
    ([1.333333333, 0.0], [0.666666667, 0.333333333])
    """
    return _evaluate(mdp, policy, outcomes, Categorical(z, clip), tol)


def quantile_evaluation(
    mdp: MDP | StockMDP, policy: Any, m: int, *, outcomes: Outcomes | None = None, tol: float = 1e-9
) -> Solution:
    """Law of the return of a policy by m quantiles a state: the fixed point of Pi_m T.

    Parameters
    ----------
    mdp, policy, outcomes
        As in `categorical_evaluation`.
    m
        Number of atoms, of mass 1/m each, at least 1.
    tol
        Largest w_inf to the fixed point, `> 0`.

    Returns
    -------
    Solution
        As `categorical_evaluation`; `value` are the means of the quantiles, which are *not* the value function: both
        the certificate's gap and `extras["error_bounds"]["w1"]` bound what they are off.

    Raises
    ------
    ValueError
        `gamma` is 1 and nothing ends the policy; `m` is not a positive integer.
    SolverFailure
        `tol` is below rounding.

    Notes
    -----
    Pi_m takes the quantiles at (2 i + 1) / (2 m) and moves a law on [a, b] by (b - a) / (2 m) at most in w_1. Pi_m T
    contracts by gamma in w_inf, not in w_1; w_1 to the truth is still at most (b - a) / (2 m (1 - gamma)), with [a, b]
    the range of all returns, as w_1(Pi_m T eta, T eta) is bounded and T contracts.

    Source
    ------
    Dabney, Rowland, Bellemare, Munos (2018), lemma 2 and proposition 2.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> coin = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
    >>> quantile_evaluation(coin, [0, 0], 4).extras["laws"][0].x.round(9).tolist()
    [1.0, 1.5, 1.75]
    """
    return _evaluate(mdp, policy, outcomes, Quantile(m), tol)


def _evaluate(mdp: Any, policy: Any, outcomes: Outcomes | None, kind: Representation, tol: float) -> Solution:
    method, begin, tol = f"{kind.name}_evaluation", time.perf_counter(), checked_tol(tol)
    model, outcomes = model_and_outcomes(mdp, outcomes, method)
    H = model.horizon
    if H is None and model.gamma == 1:
        H = sure_end(model, outcomes, policy, method)
    if H is not None:
        pi, chains = stage_chains(model, outcomes, policy, H)
        return over_stages(kind, chains, pi, method, begin)
    pi = checked_policy(model, policy)
    chain = Chain.of(model, outcomes, pi)
    eta, count, lost, left = fixed_point(kind, chain, kind.start(chain.mean), tol, method)
    return stationary_solution(kind, chain, pi, eta, lost, left, method, count, begin)


def fixed_point(
    kind: Representation, chain: Chain, eta: np.ndarray, tol: float, method: str
) -> tuple[np.ndarray, int, float, float]:
    """Sweeps from eta to within tol of the fixed point: laws, sweeps, mass off the grid, distance that is left."""
    gamma, other = chain.gamma, np.empty_like(eta)
    count, most = 0, np.inf
    while True:
        lost = kind.sweep(chain, eta, other)
        eta, other, count = other, eta, count + 1
        if count % LOOK == 1 or gamma == 0:
            left = kind.left(chain, eta, other)
            if left <= tol:
                return eta, count, lost, left
            if most == np.inf:
                # As many as the contraction needs, and the looks' own spacing; then rounding holds it up.
                most = count + (math.log(tol / left) / math.log(gamma) + 4 * LOOK if gamma > 0 else 0)
            if count >= most:
                raise SolverFailure(f"{method}: {count} sweeps left {left:.2g} to the fixed point; tol={tol:g}")


def stationary_solution(
    kind: Representation,
    chain: Chain,
    pi: np.ndarray,
    eta: np.ndarray,
    lost: float,
    left: float,
    method: str,
    count: int,
    begin: float,
    more: dict | None = None,
) -> Solution:
    """The answer for laws that nearly are a fixed point; refuses a grid that loses mass."""
    bounds = _bounds(kind, [chain], None, lost) | {"iteration": left} | (more or {})
    laws = kind.laws(eta)
    certificate = stationary_certificate(chain, laws)
    extras = {"laws": laws.finite_laws(), "error_bounds": bounds, "lost_mass": lost}
    seconds = time.perf_counter() - begin
    return Solution(laws.means(), pi, certificate, method, count, seconds, extras=extras)


def over_stages(kind: Representation, chains: list[Chain], pi: np.ndarray, method: str, begin: float) -> Solution:
    """Backups from the end, one a stage."""
    etas, lost = [kind.start(np.zeros(chains[0].S))], 0.0
    for chain in reversed(chains):
        out = np.empty_like(etas[0])
        lost = max(lost, kind.sweep(chain, etas[0], out))
        etas.insert(0, out)
    return staged_solution(kind, chains, pi, etas, lost, method, begin)


def staged_solution(
    kind: Representation,
    chains: list[Chain],
    pi: np.ndarray,
    etas: list[np.ndarray],
    lost: float,
    method: str,
    begin: float,
    more: dict | None = None,
) -> Solution:
    """The answer for laws of every stage; refuses a grid that loses mass, all of it where the end itself is off it."""
    lost = max(lost, 0.0 if kind.holds(0.0) else 1.0)
    bounds = _bounds(kind, chains, len(chains), lost) | (more or {})
    stages = [kind.laws(eta) for eta in etas]
    certificate = staged_certificate(chains, stages)
    extras = {"laws": tuple(one.finite_laws() for one in stages), "error_bounds": bounds, "lost_mass": lost}
    value, seconds = np.stack([one.means() for one in stages]), time.perf_counter() - begin
    return Solution(value, pi, certificate, method, len(chains), seconds, extras=extras)


def _bounds(kind: Representation, chains: list[Chain], horizon: int | None, lost: float) -> dict[str, float]:
    """Bounds known beforehand; none where the grid clips, and ValueError where it must not."""
    if lost <= _DUST:
        return kind.a_priori(chains, horizon)
    if not kind.clip:
        raise ValueError(kind.off_grid(lost, chains, horizon))
    return {}
