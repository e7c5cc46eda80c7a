"""Small problems with noisy rewards, and the truth about laws of returns by enumeration in plain fractions."""

import dataclasses
from fractions import Fraction
from itertools import pairwise

import numpy as np

from mdplab.models import MDP, Certificate, Outcomes, Solution, StockMDP


def answer(kind, value, policy, gap, **data):
    return Solution(value, policy, Certificate(kind, gap, {}, data), "by hand", 0, 0.0)


def edited(old, *, gap=None, kind=None, value=None, policy=None, drop=(), **data):
    """The answer with some of its parts changed."""
    c = old.certificate
    kept = {k: x for k, x in {**c.data, **data}.items() if k not in drop}
    new = Certificate(kind or c.kind, c.gap if gap is None else gap, {}, kept)
    value, policy = old.value if value is None else value, old.policy if policy is None else policy
    return dataclasses.replace(old, certificate=new, value=value, policy=policy)


def random_model(rng, *, S=2, A=2, gamma=1.0, horizon=3):
    """Rewards by next state from -1, 0, 1, 2; dyadic probabilities, so that fractions stay small."""
    counts = rng.multinomial(8, np.ones(S) / S, size=(S, A))
    return MDP(counts / 8, rng.choice([-1.0, 0.0, 1.0, 2.0], size=(S, A, S)), gamma, mu=np.eye(S)[0], horizon=horizon)


def coin_or_safe(objective, gamma=0.5, horizon=None):
    """From state 0: action 0 pays 1, action 1 pays 0 or 2 by a coin; state 1 is terminal."""
    mdp = MDP(np.tile([0.0, 1.0], (2, 2, 1)), [[1.0, 1.0], [0.0, 0.0]], gamma, horizon=horizon)
    noise = Outcomes([0, 1, 3, 4, 5], [1] * 5, [1.0, 0.0, 2.0, 0.0, 0.0], [1.0, 0.5, 0.5, 1.0, 1.0], 2, 2)
    return StockMDP(mdp, objective, outcomes=noise, start=0)


def rows_of(outcomes, s, a):
    to, r, p = outcomes.row(s, a)
    total = sum(map(Fraction, p.tolist()))
    return [(int(j), Fraction(x), Fraction(q) / total) for j, x, q in zip(to, r.tolist(), p.tolist())]


def true_law(mdp, policy, s, t=0):
    """Law of the return over a finite horizon as {atom: mass}; policy (H, S) actions."""
    if t == mdp.horizon or mdp.terminal[s]:
        return {Fraction(0): Fraction(1)}
    law = {}
    for j, r, q in rows_of(Outcomes.of(mdp), s, int(policy[t, s])):
        for x, p in true_law(mdp, policy, j, t + 1).items():
            z = r + Fraction(mdp.gamma) * x
            law[z] = law.get(z, 0) + q * p
    return law


def distance(a, b):
    """w_1 of two laws {atom: mass}."""
    atoms = sorted({*a, *b})
    height, total = Fraction(0), Fraction(0)
    for x, after in pairwise(atoms):
        height += a.get(x, 0) - b.get(x, 0)
        total += abs(height) * (after - x)
    return total


def best_value(problem, f, s, y, t=0):
    """The largest E f(y + gamma^t G) from stage t, over all policies."""
    mdp = problem.mdp
    if t == mdp.horizon or mdp.terminal[s]:
        return f(y)
    g = Fraction(mdp.gamma) ** t
    return max(
        sum(q * best_value(problem, f, j, y + g * r, t + 1) for j, r, q in rows_of(problem.outcomes, s, a))
        for a in np.flatnonzero(mdp.actions[s]).tolist()
    )


def stock_certificate(problem, f, c0, margin=1e-12):
    """A staged certificate by backward induction on everything that can be reached from the stocks c0."""
    mdp, S = problem.mdp, problem.S
    reach = [{(s, Fraction(c)) for s in range(S) for c in c0}]
    for t in range(mdp.horizon):
        g, after = Fraction(mdp.gamma) ** t, set()
        for s, y in reach[-1]:
            if not mdp.terminal[s]:
                rows = [rows_of(problem.outcomes, s, a) for a in range(problem.A)]
                after |= {(j, y + g * r) for row in rows for j, r, _ in row}
        reach.append(after)
    grids = [np.array(sorted({y for _, y in stage}), dtype=np.float64) for stage in reach]
    lo = [np.full((S, len(y)), -np.inf) for y in grids]
    hi = [np.full((S, len(y)), np.inf) for y in grids]
    policy = [np.zeros((S, len(y)), dtype=np.int64) for y in grids[:-1]]
    for t, stage in enumerate(reach):
        width = margin * (mdp.horizon + 1 - t)
        for s, y in stage:
            k = int(np.argmin(np.abs(grids[t] - float(y))))
            v = float(best_value(problem, f, s, y, t))
            lo[t][s, k], hi[t][s, k] = v - width, v + width
            if t < mdp.horizon and not mdp.terminal[s]:
                g = Fraction(mdp.gamma) ** t
                q = [
                    sum(p * best_value(problem, f, j, y + g * r, t + 1) for j, r, p in rows_of(problem.outcomes, s, a))
                    for a in range(problem.A)
                ]
                policy[t][s, k] = int(np.argmax(q))
    flat = {"lo": np.concatenate([x.ravel() for x in lo]), "hi": np.concatenate([x.ravel() for x in hi])}
    flat |= {"grid_ptr": np.cumsum([0, *map(len, grids)]), "grid": np.concatenate(grids)}
    value = np.where(np.isfinite(hi[0]), (np.maximum(lo[0], -1e9) + np.minimum(hi[0], 1e9)) / 2, 0.0)
    gap = 2.1 * margin * (mdp.horizon + 1)
    return answer("stock", value, np.concatenate([x.ravel() for x in policy]), gap, **flat)


def value_of_table(problem, f, grids, tables, s, k, t=0, y=None):
    """E f at the end for the policy that remembers the nearest stock of each stage, from true money y."""
    mdp = problem.mdp
    y = Fraction(float(grids[0][k])) if y is None else y
    if t == mdp.horizon or mdp.terminal[s]:
        return f(y)
    g, total = Fraction(mdp.gamma) ** t, Fraction(0)
    for j, r, q in rows_of(problem.outcomes, s, int(tables[t][s, k])):
        aim = Fraction(float(grids[t][k])) + g * r
        near = min(range(len(grids[t + 1])), key=lambda i: abs(Fraction(float(grids[t + 1][i])) - aim))
        total += q * value_of_table(problem, f, grids, tables, j, near, t + 1, y + g * r)
    return total
