"""What solvers return cannot be changed afterwards, and keeps the field's types."""

import dataclasses

import numpy as np
import pytest

from mdplab.models import Certificate, Solution, Trace


def _solution(policy):
    certificate = Certificate("discounted", 0.25, {"bellman": 0.1}, {"lo": np.zeros(2), "hi": np.ones(2)})
    return Solution(np.zeros(2), policy, certificate, "value_iteration", 3, 0.5, extras={"gain": np.ones(2)})


def test_nothing_can_be_changed():
    solution = _solution([0, 1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        solution.value = 1
    with pytest.raises(ValueError, match="read-only"):
        solution.value[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        solution.certificate.data["lo"][0] = 1
    with pytest.raises(TypeError):
        solution.extras["gain"] = 0


def test_policies_keep_their_kind():
    assert _solution([0, 1]).policy.dtype == np.int64
    assert _solution(np.full((2, 2), 0.5)).policy.dtype == np.float64
    assert "gap=0.25" in repr(_solution([0, 1]))


def test_checkpoints_increase():
    assert Trace([1, 10], {"v": np.zeros((3, 2))})["v"].shape == (3, 2)
    with pytest.raises(ValueError, match="checkpoints must increase"):
        Trace([1, 1], {})
