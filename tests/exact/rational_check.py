"""The inequalities of the certificates in exact arithmetic on the stored floats, and brute force over policies.

Written from the statements in the solvers' docstrings, with `fractions` only: shares no code with solver or referee.
"""

from fractions import Fraction
from itertools import product

import numpy as np


def row(mdp, s, a):
    """Successors and stored probabilities of a row, exact."""
    dense = mdp.P[[s * mdp.A + a]].toarray()[0] if mdp.is_sparse else mdp.P[s, a]
    return [(int(j), Fraction(float(dense[j]))) for j in np.flatnonzero(dense)]


def drop(mdp, x, s, a):
    """`sum_j p(j) (x(s) - x(j))` and the row sum, exact."""
    entries = row(mdp, s, a)
    here = Fraction(float(x[s]))
    return sum(p * (here - Fraction(float(x[j]))) for j, p in entries), sum(p for _, p in entries)


def available(mdp):
    return [(s, a) for s in range(mdp.S) for a in range(mdp.A) if mdp.actions[s, a]]


def total_faults(mdp, solution):
    """Inequalities of a certificate of kind "total" that fail."""
    d, pi = solution.certificate.data, solution.policy
    exact = {name: [Fraction(float(x)) for x in d[name]] for name in ("lo", "hi", "steps")}
    faults = [(n, s) for n in exact for s in range(mdp.S) if mdp.terminal[s] and exact[n][s] != 0]
    faults += [("steps >= 0", s) for s in range(mdp.S) if exact["steps"][s] < 0]
    faults += [("lo <= value <= hi", s) for s in range(mdp.S) if not d["lo"][s] <= solution.value[s] <= d["hi"][s]]
    faults += [("gap", s) for s in range(mdp.S) if exact["hi"][s] - exact["lo"][s] > Fraction(solution.certificate.gap)]
    for s, a in available(mdp):
        if mdp.terminal[s]:
            continue
        r = Fraction(float(mdp.r[s, a]))
        down, sigma = drop(mdp, d["hi"], s, a)
        faults += [("hi", s, a)] * (down < sigma * r)
        if a == pi[s]:
            down, sigma = drop(mdp, d["lo"], s, a)
            faults += [("lo", s, a)] * (down > sigma * r)
            counted = 1 if d["lower"] == "proper" else int(exact["lo"][s] > 0)
            down, sigma = drop(mdp, d["steps"], s, a)
            faults += [("steps", s, a)] * (down < sigma * counted)
        if d["upper"] == "nonnegative":
            faults += [("hi >= 0", s)] * (exact["hi"][s] < 0)
        elif d["upper"] == "all-proper":
            down, sigma = drop(mdp, d["steps_all"], s, a)
            faults += [("steps_all", s, a)] * bool(down < sigma or d["steps_all"][s] < 0)
        elif d["upper"] == "negative-rewards":
            faults += [("r < 0", s, a)] * (r >= 0)
        else:
            need = int(exact["hi"][s] < 0) + Fraction(float(d["scale"])) * r
            down, sigma = drop(mdp, d["visits"], s, a)
            faults += [("visits", s, a)] * (down < sigma * need)
    return faults


def average_faults(mdp, solution):
    """Inequalities of a certificate of kind "average" that fail."""
    d, pi = solution.certificate.data, solution.policy
    lo, hi = ([Fraction(float(x)) for x in d[name]] for name in ("gain_lo", "gain_hi"))
    faults = [("gain", s) for s in range(mdp.S) if not d["gain_lo"][s] <= solution.value[s] <= d["gain_hi"][s]]
    faults += [("gap", s) for s in range(mdp.S) if hi[s] - lo[s] > Fraction(solution.certificate.gap)]
    if d["form"] == "constant":
        faults += [("constant", s) for s in range(mdp.S) if lo[s] != lo[0] or hi[s] != hi[0]]
    for s, a in available(mdp):
        r = Fraction(float(mdp.r[s, a]))
        faults += [("U1", s, a)] * (drop(mdp, d["gain_hi"], s, a)[0] < 0)
        down, sigma = drop(mdp, d["bias_hi"], s, a)
        faults += [("U2", s, a)] * (down < sigma * (r - hi[s]))
        if a == pi[s]:
            faults += [("L1", s, a)] * (drop(mdp, d["gain_lo"], s, a)[0] > 0)
            down, sigma = drop(mdp, d["bias_lo"], s, a)
            faults += [("L2", s, a)] * (down > sigma * (r - lo[s]))
    return faults


def occupancy_faults(problem, solution):
    """Inequalities of a certificate of kind "occupancy" that fail."""
    mdp, d = problem.mdp, solution.certificate.data
    gamma = Fraction(mdp.gamma)
    x = {(s, a): Fraction(float(d["x"][s, a])) for s, a in available(mdp)}
    hi, lam = ([Fraction(float(v)) for v in d[name]] for name in ("hi", "lam"))
    faults = [("x >= 0", *at) for at in x if x[at] < 0] + [("lam >= 0", i) for i, v in enumerate(lam) if v < 0]
    flow, worst = [-Fraction(float(m)) for m in mdp.mu], Fraction(0)
    for (s, a), mass in x.items():
        flow[s] += mass
        entries = row(mdp, s, a)
        worst = max(worst, sum(p for _, p in entries))
        for j, p in entries:
            flow[j] -= gamma * p * mass
        here = Fraction(float(mdp.r[s, a])) - sum(
            v * Fraction(float(c[s, a])) for v, c in zip(lam, problem.costs, strict=True)
        )
        faults += [("hi", s, a)] * (here + gamma * sum(p * hi[j] for j, p in entries) > hi[s])
    defect = Fraction(float(d["defect"]))
    faults += [("defect",)] * (sum(map(abs, flow)) > defect)

    def reach(f):
        middle = sum(mass * Fraction(float(f[at])) for at, mass in x.items())
        return middle, defect * max(abs(Fraction(float(f[at]))) for at in x) / (1 - gamma * worst)

    middle, radius = reach(mdp.r)
    faults += [("primal_lo",)] * (Fraction(d["primal_lo"]) > middle - radius)
    faults += [("primal_hi",)] * (Fraction(d["primal_hi"]) < middle + radius)
    violation = Fraction(d["violation"])
    for i, c in enumerate(problem.costs):
        middle, radius = reach(c)
        bound, limit = Fraction(float(d["costs_hi"][i])), Fraction(float(problem.limits[i]))
        faults += [("costs_hi", i)] * (bound < middle + radius) + [("violation", i)] * (bound > limit + violation)
    dual = sum(Fraction(float(m)) * v for m, v in zip(mdp.mu, hi, strict=True))
    dual += sum(v * Fraction(float(b)) for v, b in zip(lam, problem.limits, strict=True))
    faults += [("dual_hi",)] * (Fraction(d["dual_hi"]) < dual)
    top = max(Fraction(d["dual_hi"]), Fraction(d["primal_hi"]))
    return faults + [("gap",)] * (top - Fraction(d["primal_lo"]) > Fraction(solution.certificate.gap))


def solved(A, b):
    """The solution of a square rational system by Gauss-Jordan, or None if it is singular."""
    n = len(A)
    M = [[*A[i], b[i]] for i in range(n)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if M[i][k] != 0), None)
        if pivot is None:
            return None
        M[k], M[pivot] = M[pivot], M[k]
        M[k] = [v / M[k][k] for v in M[k]]
        for i in range(n):
            if i != k and M[i][k] != 0:
                M[i] = [v - M[i][k] * w for v, w in zip(M[i], M[k], strict=True)]
    return [line[n] for line in M]


def policies(mdp):
    """All deterministic policies."""
    return product(*(np.flatnonzero(mdp.actions[s]).tolist() for s in range(mdp.S)))


def best_proper_total(mdp):
    """Largest total reward (S,) over the deterministic policies that terminate, rows read as probabilities."""
    live = [s for s in range(mdp.S) if not mdp.terminal[s]]
    best = [Fraction(0) if mdp.terminal[s] else None for s in range(mdp.S)]
    for pi in policies(mdp):
        rows = {s: dict(row(mdp, s, pi[s])) for s in live}
        sums = {s: sum(rows[s].values()) for s in live}
        A = [[int(s == t) - rows[s].get(t, Fraction(0)) / sums[s] for t in live] for s in live]
        v = solved(A, [Fraction(float(mdp.r[s, pi[s]])) for s in live])
        if v is not None:
            for s, value in zip(live, v, strict=True):
                best[s] = value if best[s] is None else max(best[s], value)
    return np.array([float(v) for v in best])


def best_gain(mdp):
    """Largest gain (S,) over deterministic policies: the limit of lazy powers of each chain, by squaring."""
    P = mdp.P.toarray().reshape(mdp.S, mdp.A, mdp.S) if mdp.is_sparse else mdp.P
    best = np.full(mdp.S, -np.inf)
    for pi in policies(mdp):
        at = (np.arange(mdp.S), list(pi))
        lazy = (np.eye(mdp.S) + P[at]) / 2
        for _ in range(60):
            lazy = lazy @ lazy
            lazy /= lazy.sum(axis=1, keepdims=True)
        best = np.maximum(best, lazy @ mdp.r[at])
    return best
