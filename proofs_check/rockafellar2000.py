"""Lemmas of conditional value at risk (Rockafellar and Uryasev 2000), for rewards: the mean of the lowest share."""

from fractions import Fraction
from itertools import product

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: the wrong side of the level, the share taken from the top.
FALSIFIED = {"weak_duality": {"mirrored": True}, "strong_duality": {"mirrored": True}}

_SOURCE = "Rockafellar and Uryasev 2000, in rewards"


def lemma_weak_duality(mirrored: bool = False, n: int = 3) -> Checked:
    """For 0 <= p <= p0 / a with unit mass and every level t: p z >= t - E_p0 (t - z)_+ / a.

    With z - t = e - o, the positive part less the negative part, the difference is p e + (p0 / a - p) o.
    """
    free = sympy.symbols(f"p0:{n - 1}", nonnegative=True)
    p = [*free, 1 - sum(free)]
    p0 = sympy.symbols(f"q0:{n}", nonnegative=True)
    e, o = sympy.symbols(f"e0:{n}", nonnegative=True), sympy.symbols(f"o0:{n}", nonnegative=True)
    t = sympy.Symbol("t", real=True)
    a = sympy.Symbol("a", positive=True)
    z = [t + x - y for x, y in zip(e, o)]
    dual = t - sum(w * x for w, x in zip(p0, e if mirrored else o)) / a
    slack = sum(w * x for w, x in zip(p, e)) + sum((v / a - w) * y for v, w, y in zip(p0, p, o))
    return Checked(
        "IDENTITY",
        f"p z = t - E_p0 (t - z)_+ / a + p (z - t)_+ + (p0 / a - p)(t - z)_+ for every p of unit mass, n = {n}",
        _SOURCE,
        "z - t split into its parts; expansion",
        sympy.expand(sum(w * x for w, x in zip(p, z)) - dual - slack),
    )


def lemma_strong_duality(mirrored: bool = False) -> Checked:
    """max over t of t - E_p0 (t - z)_+ / a is the least p z over 0 <= p <= p0 / a, at some t among the z.

    A vertex of that set fills all states but one to a bound, 0 or p0 / a; the one takes what is left of the mass.
    """
    outcomes = []
    for weights, z in product([(1, 1, 2), (3, 0, 1), (1, 4, 1)], [(0, 1, 3), (2, 2, 0), (5, 0, 0), (1, 1, 1)]):
        p0 = [Fraction(w, sum(weights)) for w in weights]
        for a in (Fraction(1, 5), Fraction(1, 2), Fraction(1)):
            caps = [w / a for w in p0]
            values = []
            for last, full in product(range(3), product((0, 1), repeat=3)):
                p = [f * cap for f, cap in zip(full, caps)]
                p[last] = 1 - sum(w for i, w in enumerate(p) if i != last)
                if 0 <= p[last] <= caps[last]:
                    values.append(sum(w * y for w, y in zip(p, z)))
            dual = max(t - sum(w * max(t - y, 0) for w, y in zip(p0, z)) / a for t in z)
            outcomes.append(dual == (max(values) if mirrored else min(values)))
    return Checked(
        "EXACT_CASES",
        f"max over t of t - E_p0 (t - z)_+ / a is the least p z over 0 <= p <= p0 / a, {len(outcomes)} instances",
        _SOURCE,
        f"{len(outcomes)} instances with ties and zero entries, least value over all vertices",
        outcomes.count(False) if outcomes else 1,
    )
