"""Spanning capacity against a search over all deterministic models, each written out in full."""

from itertools import product

import numpy as np
import pytest

from mdplab.instances.policy_classes import (
    all_policies,
    constant_policies,
    random_class,
    single_deviations,
    spanning_capacity,
)


def capacity_by_models(policies, A):
    """Every map (step, state, action) -> next state, n^(n A (H - 1)) of them, and every policy run in it."""
    _, H, n = policies.shape
    best = np.zeros(H, dtype=int)
    for table in product(range(n), repeat=(H - 1) * n * A):
        after = np.array(table).reshape(H - 1, n, A)
        reached = [set() for _ in range(H)]
        for policy in policies:
            s = 0
            for h in range(H):
                a = policy[h, s]
                reached[h].add((s, a))
                s = after[h, s, a] if h + 1 < H else s
        best = np.maximum(best, [len(pairs) for pairs in reached])
    return best.tolist()


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_capacity_is_that_of_a_full_search(m):
    for i in range(3):
        policies = random_class(m, 2, 3, 2, rng=np.random.default_rng([52, m, i]))
        assert spanning_capacity(policies, 2).tolist() == capacity_by_models(policies, 2)
    wide = random_class(m, 3, 2, 2, rng=np.random.default_rng([53, m]))
    assert spanning_capacity(wide, 3).tolist() == capacity_by_models(wide, 3)


def test_named_classes():
    assert len(all_policies(2, 2, 2)) == 16 and len(np.unique(all_policies(2, 2, 2), axis=0)) == 16
    assert capacity_by_models(single_deviations(3, 2), 2) == spanning_capacity(single_deviations(3, 2), 2).tolist()
    assert constant_policies(3, 2, 2)[2].tolist() == [[2, 2], [2, 2]]
    assert spanning_capacity(all_policies(2, 3, 3), 2, count="states").tolist() == [1, 2, 3]


def test_more_policies_never_reach_less():
    policies = random_class(6, 3, 3, 3, rng=np.random.default_rng([54]))
    sizes = np.array([spanning_capacity(policies[: k + 1], 3) for k in range(6)])
    assert np.all(np.diff(sizes, axis=0) >= 0) and sizes[-1].max() > sizes[0].max() == 1
