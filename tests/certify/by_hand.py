"""Random problems, certificates made from textbook formulas, and the truth about them in plain fractions.

Nothing here is shared with the referee or with the exact solvers: solutions by NumPy on dense arrays, truth by
`Fraction`.
"""

import dataclasses
from fractions import Fraction

import numpy as np

from mdplab.models import MDP, Certificate, ConstrainedMDP, Solution

U = 2.0**-53


def transitions(rng, S, A, b, *, defect=0.0):
    """(S, A, S) rows of b successors that sum to 1 + defect."""
    P = np.zeros((S, A, S))
    for s in range(S):
        for a in range(A):
            P[s, a, rng.choice(S, b, replace=False)] = rng.dirichlet(np.ones(b)) * (1 + defect)
    return P


def mask(rng, S, A):
    """Half of the actions available, at least one a state."""
    actions = rng.random((S, A)) < 0.5
    actions[np.arange(S), rng.integers(A, size=S)] = True
    return actions


def discounted_model(rng, *, S=6, A=2, b=3, gamma=0.99, defect=0.0, masked=False, sparse=False, horizon=None):
    P, r = transitions(rng, S, A, b, defect=defect), rng.standard_normal((S, A))
    actions = mask(rng, S, A) if masked else None
    mdp = MDP(P, r, gamma, actions=actions, mu=rng.dirichlet(np.ones(S)), horizon=horizon)
    return mdp.sparse() if sparse else mdp


def ssp_model(rng, *, S=6, A=2, b=3, rewards=-1.0, sparse=False):
    """Every action may terminate (state S - 1), so that every policy is proper."""
    P = np.zeros((S, A, S))
    P[-1, :, -1] = 1
    for s in range(S - 1):
        for a in range(A):
            others = rng.choice(S - 1, b - 1, replace=False)
            P[s, a, [*others, S - 1]] = rng.dirichlet(np.ones(b))
    r = rewards * (0.1 + rng.random((S, A)))
    r[-1] = 0
    mdp = MDP(P, r, 1.0)
    return mdp.sparse() if sparse else mdp


def q_of(mdp, v, gamma=None):
    P = mdp.dense().P
    q = mdp.r + (mdp.gamma if gamma is None else gamma) * np.einsum("saj,j->sa", P, v)
    return np.where(mdp.actions, q, -np.inf)


def of_policy(mdp, pi):
    """P_pi and r_pi of a policy (S,) or (S, A)."""
    w = np.eye(mdp.A)[pi] if pi.ndim == 1 else pi
    return np.einsum("sa,saj->sj", w, mdp.dense().P), (w * mdp.r).sum(axis=1)


def value_of(mdp, pi, gamma=None):
    P, r = of_policy(mdp, pi)
    off = ~mdp.terminal
    v = np.zeros(mdp.S)
    g = mdp.gamma if gamma is None else gamma
    if g < 1:
        return np.linalg.solve(np.eye(mdp.S) - g * P, r)
    v[off] = np.linalg.solve(np.eye(off.sum()) - P[np.ix_(off, off)], r[off])
    return v


def best(mdp):
    """Policy iteration from the action of largest reward: a deterministic policy and its value."""
    pi = np.where(mdp.actions, mdp.r, -np.inf).argmax(axis=1)
    for _ in range(100):
        v = value_of(mdp, pi)
        q = q_of(mdp, v)
        own = q[np.arange(mdp.S), pi]
        # Rounding must not make the policies cycle.
        new = np.where(q.max(axis=1) > own + 1e-9 * (1 + np.abs(v).max()), q.argmax(axis=1), pi)
        if (new == pi).all():
            break
        pi = new
    return pi, v


def slack_of(mdp, v, n=None):
    """Twice gamma_n of the largest backup: what a certificate leaves for rounding."""
    n = mdp.S + 16 if n is None else n
    return 2 * n * U * (np.abs(mdp.r).max() + 2 * np.abs(v).max())


def answer(kind, value, policy, gap, **data):
    return Solution(value, policy, Certificate(kind, gap, {}, data), "by hand", 0, 0.0)


def edit(answer, *, gap=None, kind=None, value=None, policy=None, drop=(), **data):
    """The answer with some of its parts changed."""
    old = answer.certificate
    kept = {k: x for k, x in {**old.data, **data}.items() if k not in drop}
    certificate = Certificate(kind or old.kind, old.gap if gap is None else gap, {}, kept)
    return dataclasses.replace(
        answer,
        certificate=certificate,
        value=answer.value if value is None else value,
        policy=answer.policy if policy is None else policy,
    )


def width(lo, hi):
    return float(np.nextafter((hi - lo).max(), np.inf))


def bracketed(kind, v, pi, down, up, **more):
    lo, hi = v - down, v + up
    return answer(kind, v, pi, width(lo, hi), lo=lo, hi=hi, **more)


def discounted(mdp, *, extra=0.0):
    """lo = v - e, hi = v + e with e (1 - gamma R) at least the rounding slack."""
    pi, v = best(mdp)
    e = (1 + extra) * slack_of(mdp, v) / (1 - mdp.gamma * mdp.dense().P.sum(axis=2).max())
    return bracketed("discounted", v, pi, e, e)


def evaluation(mdp, rng):
    pi = np.where(mdp.actions, rng.random((mdp.S, mdp.A)), 0.0)
    pi /= pi.sum(axis=1, keepdims=True)
    v = value_of(mdp, pi)
    e = 4 * slack_of(mdp, v) / (1 - mdp.gamma * mdp.dense().P.sum(axis=2).max())
    return bracketed("evaluation", v, pi, e, e)


def finite_horizon(mdp):
    H, S = mdp.horizon, mdp.S
    v, pi, e = np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64), np.zeros(H + 1)
    for t in range(H - 1, -1, -1):
        q = q_of(mdp, v[t + 1])
        pi[t], v[t] = q.argmax(axis=1), q.max(axis=1)
        e[t] = 1.001 * e[t + 1] + slack_of(mdp, v[t + 1])
    return bracketed("finite-horizon", v, pi, e[:, None], e[:, None])


def total(mdp, upper):
    pi, v = best(mdp)
    P, _ = of_policy(mdp, pi)
    off = ~mdp.terminal
    steps, steps_all = np.zeros(mdp.S), np.zeros(mdp.S)
    steps[off] = np.linalg.solve(np.eye(off.sum()) - P[np.ix_(off, off)], np.ones(off.sum())) * 1.001
    # Least chance of termination gives a crude bound for all policies.
    steps_all[off] = 1.01 / mdp.dense().P[off][:, :, -1].min()
    e = 4 * slack_of(mdp, v) * steps_all
    data = {"steps": steps, "upper": upper}
    if upper == "all-proper":
        data["steps_all"] = steps_all
    if upper == "transient":
        data |= {"visits": steps_all, "scale": 0.0}
    return bracketed("total", v, pi, e, e, **data)


def average(mdp):
    """Gain and bias of a policy improved a few times, bounds min and max of Th - h."""
    S = mdp.S
    P = mdp.dense().P / np.where(mdp.actions, mdp.dense().P.sum(axis=2), 1.0)[:, :, None]
    pi = np.where(mdp.actions, mdp.r, -np.inf).argmax(axis=1)
    for _ in range(50):
        Ppi, r = P[np.arange(S), pi], mdp.r[np.arange(S), pi]
        system = np.block([[np.eye(S) - Ppi, np.ones((S, 1))], [np.eye(1, S), np.zeros((1, 1))]])
        h = np.linalg.solve(system, np.append(r, 0.0))[:S]
        q = np.where(mdp.actions, mdp.r + P @ h, -np.inf)
        new = np.where(q.max(axis=1) > q[np.arange(S), pi] + 1e-9, q.argmax(axis=1), pi)
        if (new == pi).all():
            break
        pi = new
    e = slack_of(mdp, h)
    lo = np.full(S, (q[np.arange(S), pi] - h).min() - e)
    hi = np.full(S, (q.max(axis=1) - h).max() + e)
    return answer("average", (lo + hi) / 2, pi, width(lo, hi), gain_lo=lo, gain_hi=hi, bias=h)


def soft(mdp, tau, reference):
    with np.errstate(divide="ignore"):
        log_ref = np.log(reference)
    v = np.zeros(mdp.S)
    for _ in range(2000):
        z = log_ref + (q_of(mdp, v) - v[:, None]) / tau
        top = z.max(axis=1)
        step = tau * (top + np.log(np.exp(z - top[:, None]).sum(axis=1)))
        v = v + step
        if np.abs(step).max() <= 2 * U * np.abs(v).max():
            break
    pi = np.exp(z - z.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    e = (4 * np.abs(step).max() + 40 * slack_of(mdp, v)) / (1 - mdp.gamma)
    return bracketed("soft", v, pi, e, e, tau=tau, mu_ref=reference)


def occupancy(problem):
    """The unconstrained optimum, with limits that it meets: multipliers 0."""
    mdp = problem.mdp
    pi, v = best(mdp)
    P, _ = of_policy(mdp, pi)
    d = np.maximum(np.linalg.solve(np.eye(mdp.S) - mdp.gamma * P.T, mdp.mu), 0)
    x = np.zeros((mdp.S, mdp.A))
    x[np.arange(mdp.S), pi] = d
    inflow = np.einsum("sa,saj->j", x, mdp.dense().P)
    xi = np.abs(x.sum(axis=1) - mdp.gamma * inflow - mdp.mu).sum() + 100 * mdp.S * U * d.sum()
    e = 2 * slack_of(mdp, v) / (1 - mdp.gamma)
    objective, room = (x * mdp.r).sum(), 2 * xi * np.abs(mdp.r).max() / (1 - mdp.gamma)
    hi = v + e
    data = {"x": x, "hi": hi, "lam": np.zeros(problem.num_constraints), "defect": xi, "violation": 0.0}
    data |= {"primal_lo": objective - room, "primal_hi": objective + room}
    data["dual_hi"] = float(mdp.mu @ hi) + 100 * mdp.S * U * np.abs(hi).max()
    gap = float(np.nextafter(max(data["dual_hi"], data["primal_hi"]) - data["primal_lo"], np.inf))
    return answer("occupancy", v, np.eye(mdp.A)[pi], gap, **data)


def constrained_model(rng, **options):
    mdp = discounted_model(rng, gamma=0.9, **options)
    costs = rng.random((2, mdp.S, mdp.A))
    return ConstrainedMDP(mdp, costs, np.full(2, 11.0))


def exactly_inductive(mdp, lo, hi, pi):
    """lo <= T_pi lo and T hi <= hi in plain fractions, for a deterministic policy; rows as stored."""
    P, G = mdp.dense().P, Fraction(mdp.gamma)
    lo, hi = [Fraction(x) for x in lo.tolist()], [Fraction(x) for x in hi.tolist()]
    for s in range(mdp.S):
        for a in np.flatnonzero(mdp.actions[s]):
            row = [(Fraction(float(p)), j) for j, p in enumerate(P[s, a]) if p]
            reward = Fraction(float(mdp.r[s, a]))
            if reward + G * sum(p * hi[j] for p, j in row) > hi[s]:
                return False
            if a == pi[s] and reward + G * sum(p * lo[j] for p, j in row) < lo[s]:
                return False
    return True
