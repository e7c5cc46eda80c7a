"""Instances of error averaging: what their descriptions promise."""

import numpy as np
import pytest

from mdplab.exact import value_iteration
from mdplab.instances.error_averaging import maze, tight_averaging


def test_the_worse_action_looks_better():
    mdp, errors = tight_averaging(0.3, 0.1, 0.9, 5)
    assert mdp.r[0, 0] > mdp.r[0, 1]
    seen = mdp.r + errors
    # Three roundings of numbers below one.
    np.testing.assert_allclose(seen[:, 0, 1] - seen[:, 0, 0], 0.1, atol=1e-15)
    with pytest.raises(ValueError, match="delta"):
        tight_averaging(0.3, 0.6, 0.9, 5)


def test_the_maze_is_solved_by_staying_at_the_reward():
    mdp = maze()
    v = value_iteration(mdp, tol=1e-8).value
    best = int(np.argmax(v))
    assert (mdp.r[best] == 1).all() and v[best] < 1 / (1 - mdp.gamma)
    # Four walls of sixteen cells; five moves from the start to R, some of which slip.
    assert mdp.S == 12 and 0 < v[0] < mdp.gamma**5 * v[best]
