"""The decomposition of CVaR: right for a fixed policy, too large with the maximum inside, by known numbers."""

import numpy as np
import pytest

from mdplab.algorithms.distributional import (
    cvar_evaluation,
    cvar_value_iteration,
    interpolated_backup,
    interpolated_value_iteration,
)
from mdplab.algorithms.distributional.cvar_decomposition import _envelope, tail_integral
from mdplab.models import MDP, FiniteLaw, Outcomes, cvar

LEVELS = (0.05, 0.3, 0.5, 0.75, 1.0)


def chow_gap(win=2.0):
    """Two fair branches; state 1: -1, or -2 or `win` evenly; state 2: 0, or -2 or 1 evenly."""
    indptr = [0, 2, 4, 5, 7, 8, 10, 11, 12]
    to, reward = [1, 2, 1, 2, *[3] * 8], [0, 0, 0, 0, -1, -2, win, 0, -2, 1, 0, 0]
    out = Outcomes(indptr, to, reward, [0.5, 0.5, 0.5, 0.5, 1, 0.5, 0.5, 1, 0.5, 0.5, 1, 1], 4, 2)
    return MDP(out.kernel().toarray().reshape(4, 2, 4), out.mean_reward(), 1.0, horizon=2), out


def random_mdp(seed, gamma=0.7, horizon=3):
    rng = np.random.default_rng([431, seed])
    return MDP(rng.dirichlet(np.ones(3), (3, 2)), rng.choice([-1.0, 0, 1, 2], (3, 2, 3)), gamma, horizon=horizon)


def enumerated(mdp, policy, s, left):
    """(return, probability) of every path."""
    if left == 0:
        return [(0.0, 1.0)]
    rows = []
    for a in range(mdp.A):
        for t in range(mdp.S):
            weight = policy[s, a] * mdp.P[s, a, t]
            rest = enumerated(mdp, policy, t, left - 1) if weight > 0 else []
            rows += [(mdp.r_next[s, a, t] + mdp.gamma * x, weight * p) for x, p in rest]
    return rows


def test_fixed_policies_have_the_cvar_of_their_law():
    for seed in range(5):
        mdp = random_mdp(seed)
        policy = np.random.default_rng([432, seed]).dirichlet(np.ones(2), 3)
        run = cvar_evaluation(mdp, policy)
        for s in range(3):
            x, p = np.array(enumerated(mdp, policy, s, 3)).T
            law = FiniteLaw.of(x, p)
            # Atoms merged within 1e-9 of each other.
            np.testing.assert_allclose([run.value(s, y) for y in LEVELS], [cvar(law, y) for y in LEVELS], atol=1e-8)


def test_the_maximum_inside_promises_what_no_policy_has():
    mdp, out = chow_gap()
    run = cvar_value_iteration(mdp, outcomes=out)
    # Two thirds of one, and one: a handful of roundings.
    assert run.value(0, 0.5) == pytest.approx(-2 / 3, abs=1e-14)
    assert cvar(run.attained(0, 0.5), 0.5) == pytest.approx(-1, abs=1e-14)
    best = max(
        cvar(cvar_evaluation(mdp, np.eye(2)[[0, a, b, 0]], outcomes=out).laws[0][0], 0.5)
        for a in range(2)
        for b in range(2)
    )
    assert best == -1
    sober, out = chow_gap(win=-1.0)
    run = cvar_value_iteration(sober, outcomes=out)
    assert run.value(0, 0.5) == cvar(run.attained(0, 0.5), 0.5) == -1


def test_bounds_every_policy_and_is_the_mean_at_level_one():
    for seed in range(8):
        mdp = random_mdp(seed)
        run = cvar_value_iteration(mdp)
        for y in LEVELS:
            attained = cvar(run.attained(0, y), y)
            # Atoms merged within 1e-9 of each other.
            assert attained <= run.value(0, y) + 1e-8
            for k in range(3):
                policy = np.random.default_rng([433, seed, k]).dirichlet(np.ones(2), 3)
                assert cvar_evaluation(mdp, policy).value(0, y) <= run.value(0, y) + 1e-8
        # At level 1 the split is no choice, and the bound is attained by the risk-neutral policy.
        assert cvar(run.attained(0, 1.0), 1.0) == pytest.approx(run.value(0, 1.0), abs=1e-8)


def test_the_envelope_is_the_maximum_at_every_level():
    rng = np.random.default_rng(434)
    laws = [FiniteLaw.of(rng.normal(size=4), rng.dirichlet(np.ones(4))) for _ in range(4)]
    top = _envelope(laws)
    grid = np.linspace(0, 1, 333)
    # Sums of a few products of order one.
    np.testing.assert_allclose(
        tail_integral(top, grid), np.max([tail_integral(law, grid) for law in laws], axis=0), atol=1e-12
    )


def test_interpolation_is_exact_at_the_kinks_and_above_elsewhere():
    mdp = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0], [1.0], [-1.0]], 1.0, horizon=2)
    exact = cvar_value_iteration(mdp)
    for nodes in ([0.5, 1.0], [0.4, 1.0]):
        v = interpolated_value_iteration(mdp, np.array(nodes), num_iters=2)[-1]
        assert v[0, 0] == exact.value(0, nodes[0]) == -1
    v = interpolated_value_iteration(mdp, np.array([0.75, 1.0]), num_iters=2)[-1]
    assert v[0, 0] == pytest.approx(exact.value(0, 0.75), abs=1e-15)  # one rounding
    # y V at 0.75 is -1/4; the line to it from 0 is above -1/2 at 1/2.
    assert v[0, 0] * 0.5 > exact.value(0, 0.5) * 0.5


def test_bad_arguments_are_named():
    mdp = random_mdp(0)
    with pytest.raises(ValueError, match="policy has shape"):
        cvar_evaluation(mdp, np.ones((2, 2)))
    with pytest.raises(ValueError, match="horizon is None"):
        cvar_value_iteration(mdp.replace(horizon=None))
    with pytest.raises(ValueError, match="nodes is no increasing"):
        interpolated_backup(mdp, np.array([0.5, 0.9]), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="num_iters is 0"):
        interpolated_value_iteration(mdp, np.array([1.0]), num_iters=0)
    with pytest.raises(ValueError, match=r"tau is 1\.5"):
        cvar_value_iteration(mdp).value(0, 1.5)
