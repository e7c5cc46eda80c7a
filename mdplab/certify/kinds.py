"""What each kind of certificate of a Markov decision process must satisfy, and why that is enough.

`T v = max_a (r_a + gamma P_a v)` over available actions, `T_pi` for a policy's average; inequalities hold at every
state.

discounted
    If `P >= 0` and `gamma sigma < 1` in all rows, `T` and `T_pi` are monotone contractions. From `lo <= T_pi lo`
    follows `lo <= T_pi^n lo -> V^pi`; from `T hi <= hi` follows `hi >= T^n hi -> V*`. So `lo <= V^pi <= V* <= hi`,
    and both the error of a value in `[lo, hi]` and the policy's loss are at most `max(hi - lo)`. A policy enters as
    `sum_a pi(a) (r_a + gamma P_a lo - lo(s)) >= 0`, the same inequality for the policy divided by its row sum.
finite-horizon
    Induction from the last stage; monotonicity is all that is used, so any `gamma` in [0, 1] and any row sums will
    do.
evaluation
    As discounted, with `T_pi` on both sides.
total
    Rows are read as probabilities. Summing `lo <= r_pi + P_pi lo` along the policy, `lo(s) <= E sum_{k<n} r + E
    lo(s_n)`. If `steps >= 1 + P_pi steps >= 1` off the terminal states, the expected time before termination is at
    most `steps`, so `E lo(s_n) -> 0`; if only `steps >= 1[lo > 0] + P_pi steps`, visits to `lo > 0` are finite in
    expectation and `limsup E lo(s_n) <= 0`. Either way `lo <= V^pi`. Likewise `E sum_{k<n} r <= hi(s) - E hi(s_n)`
    for every policy, also one that depends on history, and `V* <= hi` if `liminf E hi(s_n) >= 0` for every policy of
    value above minus infinity: because `hi >= 0`; or every policy terminates (`steps_all`); or rewards off terminal
    states, finitely many and all negative, make staying there cost minus infinity; or because, with `visits >= 1[hi <
    0] + scale r_a + P_a visits`, expected visits to `hi < 0` up to time n are at most `2 max|visits| - scale E
    sum_{k<n} r`, bounded along a subsequence that attains a finite limsup.
average
    Rows are read as probabilities. With `gain_hi >= P_a gain_hi` and `gain_hi + bias_hi >= r_a + P_a bias_hi` for
    every action, `E sum_{k<n} r <= n gain_hi(s) + 2 max|bias_hi|`: the first makes `gain_hi(s_k)` a supermartingale.
    With `gain_lo <= P_pi gain_lo` and `gain_lo + bias_lo <= r_pi + P_pi bias_lo` the policy's sum is at least `n
    gain_lo(s) - 2 max|bias_lo|`. Divide by n. No assumption on the chains is used.
"""

import numpy as np

from mdplab.certify.case import Case, require_sign, spread
from mdplab.certify.report import Refused

ONE = np.ones((1, 1))


def discounted(case: Case) -> float:
    """`lo <= V^pi <= V* <= hi`; returns the gap."""
    require_discounted(case)
    mdp, pi = case.mdp, case.policy()
    lo, hi = case.array("lo", (mdp.S,)), case.array("hi", (mdp.S,))
    case.value_within(lo, hi)
    case.rows.require_contraction(mdp.gamma)
    case.rows.require("lo <= T_pi lo", 1, lo, [(1.0, mdp.r)], pi, gamma=mdp.gamma)
    case.rows.require("T hi <= hi", -1, hi, [(1.0, mdp.r)], mdp.actions, gamma=mdp.gamma)
    return case.claims_gap(spread(hi, lo))


def evaluation(case: Case) -> float:
    """`lo <= V^pi <= hi`; returns the gap."""
    require_discounted(case)
    mdp, pi = case.mdp, case.policy()
    lo, hi = case.array("lo", (mdp.S,)), case.array("hi", (mdp.S,))
    case.value_within(lo, hi)
    case.rows.require_contraction(mdp.gamma)
    case.rows.require("lo <= T_pi lo", 1, lo, [(1.0, mdp.r)], pi, gamma=mdp.gamma)
    case.rows.require("T_pi hi <= hi", -1, hi, [(1.0, mdp.r)], pi, gamma=mdp.gamma)
    return case.claims_gap(spread(hi, lo))


def finite_horizon(case: Case) -> float:
    """`lo[t] <= V_t^pi <= V_t* <= hi[t]` at every stage; returns the gap."""
    mdp, H = case.mdp, case.mdp.horizon
    if H is None:
        H = int(np.shape(case.solution.policy)[0]) if np.ndim(case.solution.policy) else 0
        case.about.append(f"horizon {H}, taken from the answer")
    pi = case.policy(stages=H)
    lo, hi = case.array("lo", (H + 1, mdp.S)), case.array("hi", (H + 1, mdp.S))
    case.value_within(lo, hi)
    require_sign("lo[H] <= 0", lo[H] > 0, lo[H])
    require_sign("hi[H] >= 0", hi[H] < 0, hi[H])
    for t in range(H):
        case.rows.require(
            f"lo[{t}] <= T_pi lo[{t + 1}]", 1, lo[t + 1], [(1.0, mdp.r)], pi[t], gamma=mdp.gamma, target=lo[t]
        )
        case.rows.require(
            f"T hi[{t + 1}] <= hi[{t}]", -1, hi[t + 1], [(1.0, mdp.r)], mdp.actions, gamma=mdp.gamma, target=hi[t]
        )
    return case.claims_gap(spread(hi, lo))


def total(case: Case) -> float:
    """`lo <= V^pi <= V* <= hi` for total reward until termination; returns the gap."""
    mdp = case.mdp
    if mdp.gamma != 1 or mdp.horizon is not None:
        raise Refused(f"kind 'total' is for gamma 1 without a horizon; here {mdp!r}")
    pi, ends = case.policy(), mdp.terminal
    lo, hi, steps = (_zero_at_ends(case, name) for name in ("lo", "hi", "steps"))
    case.value_within(lo, hi)
    on_policy, everywhere = _off(pi, ends), mdp.actions & ~ends[:, None]
    case.rows.require("lo <= r_pi + P_pi lo", 1, lo, [(1.0, mdp.r)], on_policy)
    require_sign("steps >= 0", steps < 0, steps)
    lower = str(case.data.get("lower", "proper"))
    if lower == "proper":
        case.rows.require("steps >= 1 + P_pi steps", -1, steps, [(1.0, ONE)], on_policy)
    elif lower == "transient":
        counted = (lo > 0).astype(np.float64)[:, None]
        case.rows.require("steps >= 1[lo > 0] + P_pi steps", -1, steps, [(1.0, counted)], on_policy)
    else:
        raise Refused(f"lower is {lower!r}; expected 'proper' or 'transient'")
    case.rows.require("hi >= r + P hi", -1, hi, [(1.0, mdp.r)], everywhere)
    _require_upper(case, hi, everywhere)
    return case.claims_gap(spread(hi, lo))


def average(case: Case) -> float:
    """`gain_lo <=` gain of the policy `<=` optimal gain `<= gain_hi`; returns the gap."""
    mdp, pi, shape = case.mdp, case.policy(), (case.mdp.S,)
    bias = case.data.get("bias")
    lo, hi = case.array("gain_lo", shape), case.array("gain_hi", shape)
    below, above = case.array("bias_lo", shape, bias), case.array("bias_hi", shape, bias)
    case.value_within(lo, hi)
    nothing = [(0.0, ONE)]
    case.rows.require("gain_lo <= P_pi gain_lo", 1, lo, nothing, pi)
    case.rows.require("P gain_hi <= gain_hi", -1, hi, nothing, mdp.actions)
    low_terms, high_terms = [(1.0, mdp.r), (-1.0, lo[:, None])], [(1.0, mdp.r), (-1.0, hi[:, None])]
    case.rows.require("gain_lo + bias_lo <= r_pi + P_pi bias_lo", 1, below, low_terms, pi)
    case.rows.require("r + P bias_hi <= gain_hi + bias_hi", -1, above, high_terms, mdp.actions)
    return case.claims_gap(spread(hi, lo))


def require_discounted(case: Case) -> None:
    """The model is one of infinite horizon with a discount below 1."""
    if case.mdp.horizon is not None:
        raise Refused(f"the problem has horizon {case.mdp.horizon}; this kind is for an infinite horizon")
    if not case.mdp.gamma < 1:
        raise Refused(f"gamma is {case.mdp.gamma:g}; this kind needs gamma below 1")


def _zero_at_ends(case: Case, name: str) -> np.ndarray:
    x = case.array(name, (case.mdp.S,))
    require_sign(f"{name} = 0 at terminal states", case.mdp.terminal & (x != 0), x)
    return x


def _off(pi: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The policy off the terminal states, in the form that `require` takes."""
    return np.where(ends, -1, pi) if pi.ndim == 1 else np.where(ends[:, None], 0.0, pi)


def _require_upper(case: Case, hi: np.ndarray, everywhere: np.ndarray) -> None:
    """No policy of finite value keeps visiting states with `hi < 0`."""
    upper, mdp = str(case.data.get("upper")), case.mdp
    if upper == "nonnegative":
        require_sign("hi >= 0", hi < 0, hi)
    elif upper == "all-proper":
        steps = _zero_at_ends(case, "steps_all")
        require_sign("steps_all >= 0", steps < 0, steps)
        case.rows.require("steps_all >= 1 + P steps_all", -1, steps, [(1.0, ONE)], everywhere)
    elif upper == "negative-rewards":
        require_sign("r < 0 off terminal states", everywhere & ~(mdp.r < 0), mdp.r)
    elif upper == "transient":
        visits, scale = _zero_at_ends(case, "visits"), case.number("scale")
        if scale < 0:
            raise Refused(f"scale is {scale:g}; it must be at least 0")
        terms = [(1.0, (hi < 0).astype(np.float64)[:, None]), (scale, mdp.r)]
        case.rows.require("visits >= 1[hi < 0] + scale r + P visits", -1, visits, terms, everywhere)
    else:
        raise Refused(f"upper is {upper!r}; expected 'nonnegative', 'all-proper', 'negative-rewards' or 'transient'")
