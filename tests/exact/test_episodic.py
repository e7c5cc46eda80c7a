"""Values of many policies at once against the certified evaluation of each."""

import numpy as np
import pytest

from mdplab.exact import linear_policy_evaluation
from mdplab.exact.episodic import stage_values
from mdplab.instances.linear import random_linear_mdp


def test_each_policy_as_evaluated_alone():
    rng = np.random.default_rng([473])
    linear = random_linear_mdp(5, 3, 4, 6, rng=rng)
    policies = rng.dirichlet(np.ones(3), (8, 6, 5))
    alone = [linear_policy_evaluation(linear, pi).value[0] @ linear.start for pi in policies]
    # Six stages of sums of fifteen products, twice.
    np.testing.assert_allclose(stage_values(linear, policies), alone, rtol=0, atol=1e-13)


def test_another_shape_is_refused():
    linear = random_linear_mdp(5, 3, 4, 6, rng=np.random.default_rng([474]))
    with pytest.raises(ValueError, match=r"policies has shape \(6, 5, 3\); expected \(K, 6, 5, 3\)"):
        stage_values(linear, np.full((6, 5, 3), 1 / 3))
