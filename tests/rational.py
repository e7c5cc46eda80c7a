"""Values in exact rational arithmetic on the stored floats, by elimination: slow, short, and shared by no solver."""

from fractions import Fraction

import numpy as np


def stored(mdp):
    """(P, r, gamma) as Fractions of the stored floats; P[s][a] maps next states to probabilities."""
    P = mdp.dense().P
    rows = [
        [{int(t): Fraction(float(P[s, a, t])) for t in np.flatnonzero(P[s, a])} for a in range(mdp.A)]
        for s in range(mdp.S)
    ]
    r = [[Fraction(float(x)) for x in row] for row in mdp.r]
    return rows, r, Fraction(mdp.gamma)


def policy_value(mdp, policy):
    """V^pi as a list of Fractions, for a policy (S,) or (S, A)."""
    P, r, g = stored(mdp)
    S = mdp.S
    pi = np.asarray(policy)
    weights = [
        {a: Fraction(float(x)) for a, x in enumerate(pi[s]) if x} if pi.ndim == 2 else {int(pi[s]): Fraction(1)}
        for s in range(S)
    ]
    rows = []
    for s in range(S):
        row = [Fraction(int(s == t)) for t in range(S)] + [Fraction(0)]
        for a, w in weights[s].items():
            row[S] += w * r[s][a]
            for t, p in P[s][a].items():
                row[t] -= w * g * p
        rows.append(row)
    for k in range(S):
        pivot = next(i for i in range(k, S) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        inverse = 1 / rows[k][k]
        rows[k] = [x * inverse for x in rows[k]]
        for i in range(S):
            if i != k and rows[i][k]:
                factor = rows[i][k]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[S] for row in rows]


def q_value(mdp, v):
    """r + gamma P v as lists of Fractions."""
    P, r, g = stored(mdp)
    return [
        [r[s][a] + g * sum((p * v[t] for t, p in P[s][a].items()), Fraction(0)) for a in range(mdp.A)]
        for s in range(mdp.S)
    ]


def optimal_value(mdp):
    """V* as a list of Fractions, by policy iteration without rounding."""
    available = [np.flatnonzero(mdp.actions[s]).tolist() for s in range(mdp.S)]
    pi = [actions[0] for actions in available]
    while True:
        v = policy_value(mdp, np.array(pi))
        q = q_value(mdp, v)
        new = [
            pi[s] if max(q[s][a] for a in available[s]) == q[s][pi[s]] else max(available[s], key=q[s].__getitem__)
            for s in range(mdp.S)
        ]
        if new == pi:
            return v
        pi = new


def assert_certified(mdp, answer, tol):
    """The certificate of a discounted solution holds exactly, and so does what it is said to imply."""
    cert = answer.certificate
    lo, hi, v = ([Fraction(float(x)) for x in array] for array in (cert.data["lo"], cert.data["hi"], answer.value))
    assert cert.kind == "discounted"
    assert all(a <= x <= b for a, x, b in zip(lo, v, hi, strict=True))
    assert max(b - a for a, b in zip(lo, hi, strict=True)) <= Fraction(cert.gap) <= Fraction(tol)
    q_lo, q_hi = q_value(mdp, lo), q_value(mdp, hi)
    for s in range(mdp.S):
        assert mdp.actions[s, answer.policy[s]]
        assert q_lo[s][answer.policy[s]] >= lo[s]
        assert all(q_hi[s][a] <= hi[s] for a in np.flatnonzero(mdp.actions[s]))
    truth, loss = optimal_value(mdp), policy_value(mdp, answer.policy)
    assert max(abs(x - y) for x, y in zip(v, truth, strict=True)) <= Fraction(cert.gap)
    assert max(x - y for x, y in zip(truth, loss, strict=True)) <= Fraction(cert.gap)
