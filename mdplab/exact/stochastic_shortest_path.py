"""Total reward until termination (`gamma = 1`): stochastic shortest paths, reachability, costs to go.

The criterion is `V*(s) = sup over all policies of limsup_n E sum_{k<n} r(s_k, a_k)`, with 0 on terminal states. A
policy that never terminates is a policy: it is worth minus infinity where it pays for ever, and 0 where it stays
for nothing.

Certificate, kind `"total"`. Rows are read as probabilities, `p(j) / sum_i p(i)`: without a discount a row that sums to
`1 + 1e-16` would let mass grow for ever inside a set of states that need not be left. Write `sigma` for the sum of the
stored row of `(s, a)`. For a vector `x` and a number `c`, the inequality `x(s) >= c + P_a x(s)` means, in exact
arithmetic on the stored numbers,

    sum_j p(j) (x(s) - x(j)) >= sigma c.                                                        (*)

Rows on which `x` is constant satisfy it with equality when `c = 0`, and are stored so; every other row has a margin
of at least `2 gamma_n (|c| + P_a |x|)`, `n` the non-zeros of the row plus 3. Where rows sum to one up to rounding,
the margin also covers the reading `x(s) >= c + sum_j p(j) x(j)`. Where chains are so long that this margin, times
the number of steps, exceeds the tolerance, the margin of `lo` and `hi` is only `2 gamma_n (|c| + sum_j p(j) |x(s) -
x(j)|)`, which is the rounding error of (*) itself: a referee in floats that evaluates the differences accepts both.
Data:

- `lo`, `hi`, `steps` `(S,)`, finite, all 0 on terminal states; off them
- `lo <= r_pi + P_pi lo` (pi the solution's policy, `(S,)` actions);
- `steps >= 0`, and by `lower`:
  `"proper"`: `steps >= 1 + P_pi steps` (pi terminates, in `steps` expected steps at most);
  `"transient"`: `steps >= 1[lo > 0] + P_pi steps` (states with `lo > 0` are visited finitely often, in expectation).
  Either way `limsup E lo(s_n) <= 0`, hence `lo <= V^pi`;
- `hi >= r_a + P_a hi` for every available action `a`; and by `upper`:
  `"nonnegative"`: `hi >= 0`;
  `"all-proper"`: `steps_all >= 0`, 0 on terminal states, `steps_all >= 1 + P_a steps_all` for every `a`;
  `"negative-rewards"`: every available reward off terminal states is negative;
  `"transient"`: `visits` `(S,)` finite of any sign, 0 on terminal states, and a number `scale >= 0`, with
  `visits >= 1[hi < 0] + scale * r_a + P_a visits` for every `a`.
  Each says that a policy with `V^pi > -inf` visits states with `hi < 0` finitely often, in expectation (sum the last
  inequality along the policy: expected visits by time n are at most `visits(s) + max|visits| - scale * V_n`, and the
  first three are its cases `visits = 0 = scale`, `scale = 0`, `visits = 0`); so `liminf E hi(s_n) >= 0` and `V* <= hi`.

Source: Bertsekas and Tsitsiklis 1991 (stochastic shortest paths); Hartmanns and Kaminski 2020 (inductive upper bounds);
de Alfaro 1997, Haddad and Monmege 2018 (collapsing end components).
"""

import time

import numpy as np
import scipy.sparse as sp

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.average import average_reward
from mdplab.exact.components import end_components, route
from mdplab.exact.probabilities import Rows
from mdplab.exact.quotient import STOP, Quotient, quotient, total_reward
from mdplab.exact.total_bounds import lower_bound, spread, upper_bound, visits_bound
from mdplab.models import MDP, Certificate, Solution, SolverFailure


def stochastic_shortest_path(mdp: MDP, *, tol: float = 1e-6, max_iters: int = 10_000) -> Solution:
    """Largest expected total reward, between bounds that hold for the exact problem.

    Parameters
    ----------
    mdp : MDP
        With `gamma == 1` and no horizon. Policies that never terminate are allowed.
    tol : float > 0
        Largest certified error of the value, at every state.
    max_iters : int
        Limit on policy improvements.

    Returns
    -------
    Solution
        Value `(S,)`; a deterministic policy `(S,)`; certificate of kind `"total"`; extras `steps` `(S,)`, an upper
        bound on the expected number of steps before the policy terminates or reaches a set in which it stays for
        ever for nothing.

    Raises
    ------
    ValueError
        `gamma` is not 1, the model has a horizon, or `tol` is not positive.
    SolverFailure
        The value is infinite (the message names a state where reward can be collected for ever, or from which no policy
        terminates), it depends on cycles of mean reward zero with rewards of both signs, or the bounds miss `tol`.

    Notes
    -----
    Sets of states within which one can move for ever at no reward are collapsed; their states may stop with value 0. On
    what remains policy iteration with sparse LU, from a policy that stops, gives the value. The upper bound is the
    value of the same problem with every reward raised by a multiple of the rounding error, the lower bound lowers
    it by the policy's expected number of steps times such a multiple.

    A policy that rests for ever in states without reward is worth what it has earned until then. Where a model checker
    counts never reaching the goal as an infinite cost, charge a cost for every step off the goal.

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[-1.0], [0.0]], 1.0)
    >>> stochastic_shortest_path(mdp).value.tolist()
    [-2.0, 0.0]
    """
    started = time.perf_counter()
    _check_model(mdp)
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    rows = Rows.of(mdp)
    usable = rows.alive & ~mdp.terminal[rows.owner]
    free_label, free = end_components(rows.P, rows.owner, usable & (rows.r == 0))
    count = int(free_label.max(initial=-1)) + 1
    q = quotient(rows.P, rows.owner, usable & ~free, free_label, mdp.terminal, np.zeros(count))
    reward = rows.r[q.origin]
    loops = end_components(q.M, q.owner, ~q.ends)
    _loop_gains(rows, q, *loops)
    v, choice, num_iters = total_reward(q, reward, max_iters=max_iters)

    policy, waits = _lifted(rows, q, choice, free, mdp)
    lo, steps = lower_bound(rows, mdp.terminal, policy, waits, tol)
    hi = upper_bound(rows, q, v, choice, tol)
    data = {"lo": lo, "hi": hi, "steps": steps, "lower": "transient" if waits.any() else "proper"}
    if hi.min() >= 0:
        data["upper"] = "nonnegative"
    elif rows.r[usable].max() < 0:
        data["upper"] = "negative-rewards"
    elif not free.any() and loops[0].max(initial=-1) < 0:
        data |= {"upper": "all-proper", "steps_all": visits_bound(rows, q, np.ones(len(rows.r)))}
    else:
        # A loop loses `gains` a step; four times the inverse turns up to two counted visits a step into a loss.
        gains = _loop_gains(rows, q, *loops, needed=True)
        scale = 4 / -float(gains.max()) if gains.size else 0.0
        visits = visits_bound(rows, q, (hi[rows.owner] < 0) + scale * rows.r)
        data |= {"upper": "transient", "visits": visits, "scale": scale}
    # One rounding up, since the difference of the stored numbers need not be a float.
    gap = float(np.nextafter((hi - lo).max(initial=0.0), np.inf)) if np.any(hi != lo) else 0.0
    if not gap <= tol:
        raise SolverFailure(
            f"the bounds are {gap:.3g} apart, tol is {tol:.3g}; the policy needs {steps.max():.3g} steps"
        )
    value = np.clip(spread(q, v), lo, hi)
    residual = np.abs(rows.excess(value, rows.r)[rows.of_policy(policy)]).max()
    certificate = Certificate("total", gap, {"bellman": float(residual)}, data)
    seconds = time.perf_counter() - started
    return Solution(value, policy, certificate, "stochastic_shortest_path", num_iters, seconds, extras={"steps": steps})


def _check_model(mdp: MDP) -> None:
    require_type(mdp, MDP, "stochastic_shortest_path")
    if mdp.gamma != 1:
        raise ValueError(f"gamma is {mdp.gamma:g}; stochastic_shortest_path needs 1, discounted solvers take the rest")
    if mdp.horizon is not None:
        raise ValueError(f"horizon is {mdp.horizon}; stochastic_shortest_path has none, use backward_induction")


def _loop_gains(rows: Rows, q: Quotient, label: np.ndarray, inside: np.ndarray, *, needed: bool = False) -> np.ndarray:
    """For each end component of the quotient an upper bound of the mean reward of staying in it, below 0 or it raises.

    Where no reward is positive the bound is computed only if `needed`: it cannot be 0, since free sets were collapsed.
    """
    reward = rows.r[q.origin]
    out = np.full(int(label.max(initial=-1)) + 1, np.nan)
    for k in range(len(out)):
        mine = np.flatnonzero(inside & (label[q.owner] == k))
        r = reward[mine]
        best = q.origin[mine[np.argmax(r)]]
        if r.min() >= 0:
            _raise_unbounded(rows, best)
        if r.max() < 0:
            out[k] = r.max()
        elif r.max() > 0 or needed:
            bounds = _staying(q.M, q.owner, r, np.flatnonzero(label == k), mine).certificate.data
            if bounds["gain_lo"].max() > 0:
                _raise_unbounded(rows, best)
            out[k] = bounds["gain_hi"].max()
            if out[k] >= 0:
                raise SolverFailure(
                    f"the set of states around state {rows.owner[best]} can be held for ever with a mean reward within "
                    f"{out[k]:.1e} of 0, yet not for nothing: whether its value is finite cannot be decided in floats"
                )
    return out


def _raise_unbounded(rows: Rows, row: int) -> None:
    s, a = divmod(int(row), rows.A)
    raise SolverFailure(
        f"the value of state {s} is plus infinity: reward {rows.r[row]:g} of action {a} can be collected for ever"
    )


def _staying(M: sp.csr_array, owner: np.ndarray, r: np.ndarray, states: np.ndarray, mine: np.ndarray) -> Solution:
    """Average-reward solution of the problem of staying in the end component `states` by the rows `mine`."""
    n = len(states)
    at = np.searchsorted(states, owner[mine])
    # Rows are sorted by state, so the rank of a row within its state numbers its action.
    rank = np.arange(len(mine)) - np.searchsorted(at, at)
    A = int(rank.max()) + 1
    actions, reward = np.zeros((n, A), dtype=bool), np.zeros((n, A))
    actions[at, rank] = True
    reward[at, rank] = r
    place = sp.csr_array((np.ones(len(mine)), (at * A + rank, np.arange(len(mine)))), shape=(n * A, len(mine)))
    P = place @ M[mine][:, states]
    return average_reward(MDP(P, reward, 0.0, actions=actions), tol=1e-9 * max(1.0, np.abs(r).max()))


def _lifted(rows: Rows, q: Quotient, choice: np.ndarray, free: np.ndarray, mdp: MDP) -> tuple[np.ndarray, np.ndarray]:
    """A policy (S,) of the model from a choice of the quotient, and the mask of states where it stays for nothing."""
    S = mdp.S
    policy = np.argmax(mdp.actions, axis=1)
    stays = np.zeros(S, dtype=bool)
    stays[q.state >= 0] = choice[q.state[q.state >= 0]] == STOP
    exits = np.zeros(S, dtype=bool)
    used = q.origin[choice[choice != STOP]]
    exits[rows.owner[used]] = True
    # Within a collapsed set, free moves lead to the state whose row the quotient chose.
    way = route(rows.P, rows.owner, free, exits)
    walking = (way >= 0) & ~stays & ~exits
    policy[walking] = way[walking] % rows.A
    policy[rows.owner[used]] = used % rows.A
    first_free = np.flatnonzero(free)[::-1]
    staying_row = np.full(S, -1)
    staying_row[rows.owner[first_free]] = first_free
    policy[stays] = staying_row[stays] % rows.A
    return policy, stays
