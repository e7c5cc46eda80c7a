"""What a constrained problem refuses, and by which words."""

import numpy as np
import pytest

from mdplab.models import MDP, ConstrainedMDP


def mdp(**changes):
    options = {"gamma": 0.9, "mu": [0.5, 0.5], **changes}
    return MDP(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), **options)


def test_arrays_are_frozen_and_masked():
    mask = np.array([[True, False], [True, True]])
    problem = ConstrainedMDP(mdp(actions=mask), np.full((1, 2, 2), 3.0), [1])
    assert problem.costs[0].tolist() == [[3, 0], [3, 3]]
    assert problem.num_constraints == 1
    with pytest.raises(ValueError, match="read-only"):
        problem.costs[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("model", "costs", "limits", "message"),
    [
        (mdp(mu=None), np.zeros((1, 2, 2)), [0], "no mu"),
        (mdp(horizon=3), np.zeros((1, 2, 2)), [0], "horizon 3"),
        (mdp(), np.zeros((2, 2)), [0], r"costs has shape \(2, 2\), expected \(m, 2, 2\)"),
        (mdp(), np.zeros((1, 2, 2)), [0, 1], r"limits has shape \(2,\), expected \(1,\)"),
        (mdp(), np.full((1, 2, 2), np.nan), [0], r"costs\[0, 0, 0\] is nan"),
        (mdp(), np.zeros((1, 2, 2)), [np.inf], r"limits\[0\] is inf"),
        ("mdp", np.zeros((1, 2, 2)), [0], "mdp is a str"),
    ],
)
def test_bad_input_is_named(model, costs, limits, message):
    with pytest.raises(ValueError, match=message):
        ConstrainedMDP(model, costs, limits)
