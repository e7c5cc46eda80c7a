"""What every s-rectangular kernel of a polyhedral set must satisfy, stated once."""

import numpy as np
from kernels.robust import programs

# Sums of some tens of terms of size one; the programs themselves are good to 1e-10.
NEAR = 1e-9


def state(states, rows, extra, radius):
    """(value, policy, kernel) that `states` finds for one state; kernel as a list of rows."""
    z, p, indptr = programs.ragged(rows)
    value, pi, q = np.empty(1), np.empty(len(rows)), np.empty(len(z))
    states(z, p, indptr, np.array([0, len(rows)]), *extra, np.array([radius]), 0, 1, value, pi, q)
    return value[0], pi, np.split(q, indptr[1:-1])


def answer(responses, pi, rows, extra, radius):
    """(value, kernel) that `responses` finds for one state."""
    z, p, indptr = programs.ragged(rows)
    value, q = np.empty(1), np.empty(len(z))
    responses(pi, z, p, indptr, np.array([0, len(rows)]), *extra, np.array([radius]), 0, 1, value, q)
    return value[0], np.split(q, indptr[1:-1])


def check_member(kernel, rows, radius, price):
    """The rows are distributions whose prices sum to at most the radius, at 1e-10."""
    spent = 0.0
    for a, ((_, p), q) in enumerate(zip(rows, kernel)):
        assert q.min() >= 0 and abs(q.sum() - p.sum()) <= 1e-13
        spent += price(a, p, q)
    assert spent <= radius + 1e-10


def check_saddle(states, responses, rows, extra, radius, parts, price):
    """Value, policy and kernels against the program and each other; returns the policy."""
    scale = NEAR * (1 + max(np.abs(z).max() for z, _ in rows))
    value, pi, kernel = state(states, rows, extra, radius)
    assert abs(value - programs.saddle(parts, radius)) <= scale
    assert pi.min() >= 0 and abs(pi.sum() - 1) <= 1e-12
    check_member(kernel, rows, radius, price)
    # Against nature's kernel no action is worth more, ...
    assert abs(max(z @ q for (z, _), q in zip(rows, kernel)) - value) <= scale
    # ... and against the agent's policy no kernel leaves less.
    given, worst = answer(responses, pi, rows, extra, radius)
    assert abs(given - value) <= scale
    check_member(worst, rows, radius, price)
    assert abs(pi @ [z @ q for (z, _), q in zip(rows, worst)] - given) <= scale
    return pi


def check_response(responses, pi, rows, extra, radius, parts):
    """Nature's answer to any weights, even if they do not sum to one."""
    scale = NEAR * (1 + max(np.abs(z).max() for z, _ in rows))
    assert abs(answer(responses, pi, rows, extra, radius)[0] - programs.response(parts, pi, radius)) <= scale
