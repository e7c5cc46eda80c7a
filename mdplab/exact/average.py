"""Long-run average reward: gain and bias, one gain or several.

Certificate, kind `"average"`. The discount is ignored, and rows are read as probabilities, `p(j) / sum_i p(i)`. Write
`sigma` for the sum of the stored row of `(s, a)`; `x(s) >= c + P_a x(s)` means, in exact arithmetic on the stored
numbers,

    sum_j p(j) (x(s) - x(j)) >= sigma c,                                                        (*)

and likewise with `<=`. Data: `gain_lo`, `gain_hi` `(S,)`, `bias_lo`, `bias_hi` `(S,)`, `bias` `(S,)`, and `form`:

    (U1)  gain_hi >= P_a gain_hi                        every available a
    (U2)  gain_hi + bias_hi >= r_a + P_a bias_hi        every available a
    (L1)  gain_lo <= P_pi gain_lo                       pi the solution's policy, (S,) actions
    (L2)  gain_lo + bias_lo <= r_pi + P_pi bias_lo

with U2 read as `sum_j p(j) (bias_hi(s) - bias_hi(j)) >= sigma (r(s, a) - gain_hi(s))`, and L2 likewise. Rows on which a
gain is constant satisfy U1 and L1 with equality; all other rows, and all of U2 and L2, have a margin of at least
`2 gamma_n (|c| + P_a |x|)`, `n` the non-zeros of the row plus 3.

`form = "constant"`: `gain_lo` and `gain_hi` are constant vectors, so U1 and L1 are void, and `bias_lo = bias_hi =
bias`.
`form = "multichain"`: all four are needed, and `bias` is the policy's own bias (not part of the proof).

Proof. Summing U2 along any policy, also one that depends on history, `E sum_{k<n} r <= E sum_{k<n} gain_hi(s_k) +
bias_hi(s) - E bias_hi(s_n) <= n gain_hi(s) + 2 max|bias_hi|`, since U1 makes `gain_hi(s_k)` a supermartingale.
Divide by n: no policy gains more than `gain_hi`, limsup included. L1 and L2 give liminf at least `gain_lo` for pi.
No assumption on the chains is used, no strict inequality, and no restriction of the actions in U2: an action that
loses gain violates U2 for the optimal bias, and is satisfied by a `bias_hi` which adds a large multiple of the
expected number of moves between end components.

Source: Puterman 1994, sections 8.4-8.5 (bounds, relative value iteration), 9.1-9.2 (multichain optimality equations and
policy iteration).
"""

import time

import numpy as np

from mdplab.exact.arguments import checked_count, checked_tol, require_type
from mdplab.exact.chains import gain_and_bias
from mdplab.exact.components import recurrent_classes
from mdplab.exact.multichain import nested_bounds
from mdplab.exact.probabilities import Rows
from mdplab.models import MDP, Certificate, Solution, SolverFailure

METHODS = ("auto", "relative_value_iteration", "policy_iteration")
# Below this size a few sparse LU factorisations cost less than the sweeps of a slowly mixing chain.
_SMALL = 1000
# The aperiodicity transformation: a step of this length towards Th, so that a periodic chain converges too.
_STEP = 0.9


def average_reward(mdp: MDP, *, tol: float = 1e-6, method: str = "auto", max_iters: int = 100_000) -> Solution:
    """Largest long-run mean reward of each state, between certified bounds, and a policy that attains it.

    Parameters
    ----------
    mdp : MDP
        `gamma`, `horizon` and `mu` are ignored.
    tol : float > 0
        Largest certified error of the gain, at every state.
    method : {"auto", "relative_value_iteration", "policy_iteration"}
        Relative value iteration needs an optimal gain that is the same in all states. `"auto"` takes multichain policy
        iteration for at most 1000 states, else relative value iteration, and policy iteration if that does not
        converge.
    max_iters : int
        Limit on sweeps or improvements.

    Returns
    -------
    Solution
        Value is the gain `(S,)`; a deterministic policy `(S,)`; certificate of kind `"average"`. Extras: `gain` `(S,)`,
        `bias` `(S,)` (of the policy, with `P* bias = 0`; after relative value iteration on more than 1000 states any
        vector that proves the bounds), `span` of the bias, and `classes` `(S,)`, the recurrent class of each state
        under the policy, -1 where transient; `algorithm`, the method used.

    Raises
    ------
    ValueError
        Unknown method, or `tol` not positive.
    SolverFailure
        The bounds miss `tol`.

    Notes
    -----
    Relative value iteration steps `h <- h + 0.9 (Th - h)`, which is the aperiodicity transformation of Puterman 1994,
    section 8.5.4; the bounds are those of the original operator. Policy iteration is Puterman's multichain algorithm
    (section 9.2) with the bias itself as relative value. Whether one gain fits all states is decided by the bounds, not
    by inspecting chains: if `max(Th - h) - min(T_pi h - h)` exceeds `tol`, end components are collapsed and the nested
    certificate is built.

    Examples
    --------
    >>> mdp = MDP([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [0.0]], 0.9)
    >>> average_reward(mdp).value.round(6).tolist()
    [0.5, 0.5]
    """
    started = time.perf_counter()
    require_type(mdp, MDP, "average_reward")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {METHODS}")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    rows = Rows.of(mdp)
    used, settled = method, False
    if method == "relative_value_iteration" or (method == "auto" and mdp.S > _SMALL):
        used = "relative_value_iteration"
        # Without a constant gain the bounds never meet: "auto" then turns to policy iteration.
        budget = max_iters if method != "auto" else min(max_iters, 2000)
        policy, h, num_iters, settled = _relative_value_iteration(rows, mdp.S, tol, budget)
        bias, label = h, None
    if not settled and method == "relative_value_iteration":
        width = np.ptp(_backup(rows, h) - h)
        raise SolverFailure(f"the bounds of the gain are {width:.3g} apart after {num_iters} sweeps; tol is {tol:.3g}")
    if not settled:
        used = "policy_iteration"
        policy, h, label, num_iters = _policy_iteration(rows, mdp, max_iters)
        bias = h
    elif mdp.S <= _SMALL:
        chosen = rows.of_policy(policy)
        _, bias, label = gain_and_bias(rows.P[chosen], rows.r[chosen])
    if label is None:
        label = recurrent_classes(rows.P[rows.of_policy(policy)])

    data = _constant(rows, policy, h)
    if not np.ptp(np.append(data["gain_hi"], data["gain_lo"])) <= tol:
        data = nested_bounds(rows, policy, h, label)
    lo, hi = data["gain_lo"], data["gain_hi"]
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    if not gap <= tol:
        raise SolverFailure(f"the bounds of the gain are {gap:.3g} apart, tol is {tol:.3g}")
    gain = lo + (hi - lo) / 2
    residuals = {"optimality": float(np.abs(_backup(rows, h) - h - gain).max())}
    return Solution(
        gain,
        policy,
        Certificate("average", gap, residuals, data),
        "average_reward",
        num_iters,
        time.perf_counter() - started,
        extras={"gain": gain, "bias": bias, "span": float(np.ptp(bias)), "classes": label, "algorithm": used},
    )


def _q(rows: Rows, h: np.ndarray) -> np.ndarray:
    """`r + P h` (S, A), minus infinity where unavailable."""
    return np.where(rows.alive, rows.r + rows.P @ h, -np.inf).reshape(-1, rows.A)


def _backup(rows: Rows, h: np.ndarray) -> np.ndarray:
    return _q(rows, h).max(axis=1)


def _relative_value_iteration(
    rows: Rows, S: int, tol: float, max_iters: int
) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Policy, relative value, sweeps, and whether the bounds met within half of `tol`."""
    h = np.zeros(S)
    for sweep in range(1, max_iters + 1):
        change = _backup(rows, h) - h
        if np.ptp(change) <= tol / 2:
            return _q(rows, h).argmax(axis=1), h, sweep, True
        h += _STEP * change
        h -= h[0]
    return _q(rows, h).argmax(axis=1), h, max_iters, False


def _policy_iteration(rows: Rows, mdp: MDP, max_iters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Multichain policy iteration: improve the gain where possible, else the bias among the actions that keep the gain.

    Returns the policy, its bias, its recurrent classes and the number of improvements.
    """
    policy = np.where(mdp.actions, mdp.r, -np.inf).argmax(axis=1)
    for iteration in range(1, max_iters + 1):
        chosen = rows.of_policy(policy)
        gain, bias, label = gain_and_bias(rows.P[chosen], rows.r[chosen])
        # Differences below the error of an evaluation are ties, which keep the old action: else policies could cycle.
        noise = 1e-11 * max(1.0, np.abs(gain).max(), np.abs(rows.r).max())
        next_gain = np.where(rows.alive, rows.P @ gain, -np.inf).reshape(mdp.S, mdp.A)
        better = next_gain.max(axis=1) > gain + noise
        new = np.where(better, next_gain.argmax(axis=1), policy)
        if not better.any():
            keeps = next_gain >= gain[:, None] - noise
            q = np.where(keeps, _q(rows, bias), -np.inf)
            span = 1e-12 * max(np.abs(rows.r).max(), np.abs(bias).max())
            better = q.max(axis=1) > q[np.arange(mdp.S), policy] + span
            new = np.where(better, q.argmax(axis=1), policy)
            if not better.any():
                return policy, bias, label, iteration
        policy = new
    raise SolverFailure(f"policy iteration did not settle within {max_iters} improvements")


def _constant(rows: Rows, policy: np.ndarray, h: np.ndarray) -> dict[str, object]:
    """Bounds of a gain that is the same everywhere; always sound, tight only if it is."""
    # r - (h - P h), with room for the referee's rounding and for that of subtracting the gain.
    slack = -rows.excess(h, rows.r)
    room = rows.allowance(h, rows.r) * 2
    chosen = rows.of_policy(policy)
    hi = (slack + room)[rows.alive].max()
    lo = (slack - room)[chosen].min()
    S = len(h)
    form = {"form": "constant", "bias": h, "bias_lo": h, "bias_hi": h}
    return {"gain_lo": np.full(S, lo), "gain_hi": np.full(S, hi), **form}
