"""Certificates pushed over the edge by rounding-sized amounts: what the float level accepts is true, without exception.

Truth is decided by rational arithmetic, which `test_truth_in_plain_fractions` compares with twenty lines of `Fraction`.
"""

import dataclasses

import numpy as np
import pytest
from certify import by_hand

from mdplab.certify import check
from mdplab.models import MDP, Certificate

SCALES = (1e-18, 1e-17, 1e-16, 1e-15, 1e-13, 1e-11)
RUNS = 26


def edited(answer, **data):
    """The answer with other evidence, a value inside it, and a gap that never decides."""
    data = {**answer.certificate.data, **data}
    value = answer.value
    for low, high in (("lo", "hi"), ("gain_lo", "gain_hi")):
        if low in data:
            value = np.clip(value, data[low], np.maximum(data[low], data[high]))
    return dataclasses.replace(answer, value=value, certificate=Certificate(answer.certificate.kind, 1e9, {}, data))


def pushed(rng, x, rel, room, sign):
    """x moved by up to twice `rel` of its size in the direction that makes room, with some noise."""
    size = rel * max(1.0, np.abs(x).max())
    return x + sign * size * 2 * rng.random() + room * size * rng.standard_normal(x.shape)


def discounted(rng, rel):
    mdp = by_hand.discounted_model(rng, b=3, sparse=rng.random() < 0.5, masked=rng.random() < 0.5, A=3, defect=5e-9)
    pi, v = by_hand.best(mdp)
    hi, lo = pushed(rng, v, rel, 0.005, 1), pushed(rng, v, rel, 0.005, -1)
    base = by_hand.bracketed("discounted", v, pi, 1.0, 1.0)
    yield "hi", mdp, edited(base, hi=hi)
    yield "lo", mdp, edited(base, lo=lo)


def evaluation(rng, rel):
    mdp = by_hand.discounted_model(rng, gamma=0.9, defect=-5e-9)
    base = by_hand.evaluation(mdp, rng)
    v = base.value
    base = edited(base, lo=v - 1, hi=v + 1)
    yield "hi", mdp, edited(base, hi=pushed(rng, v, rel, 0.05, 1))
    yield "lo", mdp, edited(base, lo=pushed(rng, v, rel, 0.05, -1))


def finite_horizon(rng, rel):
    mdp = by_hand.discounted_model(rng, gamma=1.0, horizon=2, S=4)
    base = by_hand.finite_horizon(mdp)
    v = base.value
    left = np.array([[2.0], [1.0], [0.0]])
    ramp = left * rel * np.abs(v).max() * rng.random()
    noise = 0.3 * rel * rng.standard_normal(v.shape)
    noise[-1] = 0
    base = edited(base, lo=v - left, hi=v + left)
    yield "hi", mdp, edited(base, hi=v + ramp + noise)
    yield "lo", mdp, edited(base, lo=v - ramp + noise)


def total(rng, rel):
    mdp = by_hand.ssp_model(rng, sparse=rng.random() < 0.5)
    base = by_hand.total(mdp, "all-proper")
    v, off = base.value, ~mdp.terminal
    steps, steps_all = base.certificate.data["steps"] / 1.001, base.certificate.data["steps_all"]
    base = edited(base, lo=v - steps_all, hi=v + steps_all)
    ramp = rel * steps_all * 2 * rng.random()
    noise = 0.3 * rel * rng.standard_normal(mdp.S) * off
    yield "hi", mdp, edited(base, hi=v + ramp + noise)
    yield "lo", mdp, edited(base, lo=v - ramp + noise)
    yield "steps", mdp, edited(base, steps=steps * (1 + 2 * rel * rng.random()) + noise)


def average(rng, rel):
    mdp = by_hand.discounted_model(rng)
    base = by_hand.average(mdp)
    g, h = base.value, base.certificate.data["bias"]
    base = edited(base, gain_lo=g - 1, gain_hi=g + 1)
    size = rel * np.abs(h).max() * 2 * rng.random()
    noise = 0.3 * rel * rng.standard_normal(mdp.S)
    yield "gain_hi", mdp, edited(base, gain_hi=g + size, bias=h + noise)
    yield "gain_lo", mdp, edited(base, gain_lo=g - size, bias=h + noise)


def soft(rng, rel):
    mdp = by_hand.discounted_model(rng, gamma=0.8, masked=rng.random() < 0.5, A=3)
    # At a low temperature rounding of q / tau outweighs all else.
    base = by_hand.soft(mdp, rng.choice([0.5, 1e-3]), mdp.actions / mdp.actions.sum(axis=1, keepdims=True))
    v = base.value
    base = edited(base, lo=v - 1, hi=v + 1)
    yield "hi", mdp, edited(base, hi=pushed(rng, v, rel, 0.1, 1))
    yield "lo", mdp, edited(base, lo=pushed(rng, v, rel, 0.1, -1))


def occupancy(rng, rel):
    problem = by_hand.constrained_model(rng, sparse=rng.random() < 0.5)
    base = by_hand.occupancy(problem)
    v, x, old = base.value, base.certificate.data["x"], base.certificate.data
    move = rel * 10 * rng.random()
    yield "hi", problem, edited(base, hi=pushed(rng, v, rel, 0.05, 1), dual_hi=old["dual_hi"] + 1)
    yield "primal_lo", problem, edited(base, primal_lo=float((x * problem.mdp.r).sum()) - move)
    yield "dual_hi", problem, edited(base, dual_hi=float(problem.mdp.mu @ old["hi"]) + move)


KINDS = {f.__name__: f for f in (discounted, evaluation, finite_horizon, total, average, soft, occupancy)}


@pytest.mark.parametrize("rel", SCALES)
def test_no_false_certificate_is_accepted(rel):
    """26 runs of 16 certificates a scale; every one that is exactly false is refused."""
    counts = {"false": 0, "true": 0, "true and accepted": 0}
    for kind, make in KINDS.items():
        for run in range(RUNS):
            rng = np.random.default_rng([910, list(KINDS).index(kind), run])
            for side, problem, answer in make(rng, rel):
                truth, said = check(problem, answer, level="exact"), check(problem, answer)
                assert truth.ok or not said.ok, (kind, side, run, truth.reason)
                counts["true" if truth.ok else "false"] += 1
                counts["true and accepted"] += truth.ok and said.ok
    assert sum(counts[k] for k in ("true", "false")) >= 400
    # The test reaches both sides of the edge, and refusing everything is no soundness.
    assert counts["false"] >= 50, counts
    if rel >= 1e-13:
        assert counts["true and accepted"] >= 50, counts


@pytest.mark.parametrize("rel", SCALES)
def test_truth_in_plain_fractions(rel):
    for run in range(10):
        rng = np.random.default_rng([911, run])
        for _, mdp, answer in discounted(rng, rel):
            data = answer.certificate.data
            truth = by_hand.exactly_inductive(mdp, data["lo"], data["hi"], answer.policy)
            assert check(mdp, answer, level="exact").ok == truth


def test_comparing_floats_without_a_radius_would_be_fooled():
    """The edge is sharp: the same inequalities evaluated naively accept certificates that are false."""
    fooled = 0
    for run in range(200):
        rng = np.random.default_rng([912, run])
        for side, mdp, answer in discounted(rng, 1e-16):
            data = answer.certificate.data
            lo, hi = data["lo"], data["hi"]
            own = by_hand.q_of(mdp, lo)[np.arange(mdp.S), answer.policy]
            naive = (own >= lo).all() and (by_hand.q_of(mdp, hi).max(axis=1) <= hi).all()
            fooled += naive and not check(mdp, answer, level="exact").ok
            if naive and not check(mdp, answer, level="exact").ok:
                assert not check(mdp, answer), side
    assert fooled > 0


def test_a_low_temperature_magnifies_rounding():
    """One action, so that T hi <= hi is d <= 0 in state 0, where d is a rounding error; elsewhere there is room."""
    wrong = 0
    for run in range(200):
        rng = np.random.default_rng([914, run])
        P, hi = by_hand.transitions(rng, 20, 1, 20), rng.standard_normal(20)
        r = (hi - 0.9 * np.einsum("saj,j->sa", P, hi).ravel())[:, None] - 1.0
        r[0] += 1.0
        mdp = MDP(P, r, 0.9)
        data = {"lo": np.full(20, -1e3), "hi": hi, "tau": 1e-3, "mu_ref": np.ones((20, 1))}
        answer = by_hand.answer("soft", hi, np.zeros(20, dtype=int), 1e9, **data)
        truth = check(mdp, answer, level="exact")
        assert truth.ok or not check(mdp, answer)
        wrong += not truth.ok
    assert 50 <= wrong <= 150


def test_row_sums_above_one_are_not_forgiven():
    # gamma * rowsum is 1 - 2e-9 + 5e-9 > 1: no contraction, whatever lo and hi say.
    mdp = by_hand.discounted_model(np.random.default_rng([913]), gamma=1 - 2e-9, defect=5e-9)
    wide = by_hand.bracketed("discounted", np.zeros(mdp.S), mdp.actions.argmax(axis=1), 1e12, 1e12)
    for level in ("float", "exact"):
        assert "gamma * rowsum < 1" in check(mdp, wide, level=level).reason
