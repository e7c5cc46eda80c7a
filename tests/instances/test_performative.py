"""The published two-agent gridworld, against a plain reading of its description, and the witnesses."""

import numpy as np
import pytest

from mdplab.instances.performative import (
    PUBLISHED_GRID,
    SHIFTING_GRID,
    first_policy,
    large_lambda_witness,
    linear_reward_witness,
    two_agent_gridworld,
)
from mdplab.kernels.occupancy import project_flow

VALUES = {"o": -0.01, "f": -0.02, "h": -0.5, "g": 1.0}


def repeated(problem, lam, rounds, eta=None):
    """Relative steps of repeated optimisation or gradient ascent from the published first policy, last d and r."""
    policy = first_policy(problem)
    d, (_, r) = problem.occupancy(policy), problem.respond(policy)
    P, steps, h = problem.respond(policy)[0], [], None
    for t in range(rounds):
        target = r / lam if eta is None else (1 - eta * lam) * d + eta * r
        found = project_flow(P, problem.mu, problem.gamma, target, available=problem.available, start=h)
        steps.append(np.linalg.norm(found.d - d) / np.linalg.norm(d))
        d, h = found.d, found.h
        P, r = problem.respond(problem.policy_of(d), round=t)
    return np.array(steps), d, r


def test_the_grids_are_those_of_the_description():
    problem = two_agent_gridworld(num_followers=4)
    response = problem.response
    own = np.array([[VALUES[cell] for cell in row] for row in PUBLISHED_GRID])
    np.testing.assert_array_equal(response.own.reshape(8, 8), own)
    assert problem.mu.reshape(8, 8)[0].tolist() == problem.mu.reshape(8, 8)[:, 0].tolist() == [1 / 15] * 8
    for k in range(4):
        rng = np.random.default_rng(k)
        u, grid = rng.random((8, 8)), own.copy()
        for i in range(1, 8):
            for j in range(1, 8):
                if u[i, j] <= 0.3:
                    value = rng.choice([-0.5, -0.02, -0.01])
                    grid[i, j] = grid[i, j] if (i, j) == (7, 7) else value
        np.testing.assert_array_equal(response.rewards[k].reshape(8, 8), grid)
    # Left, right, up, down; off the grid stays; the goal absorbs.
    assert response.following[[0, 9, 63]].tolist() == [[0, 1, 0, 8], [8, 10, 1, 17], [63, 63, 63, 63]]
    assert np.flatnonzero(problem.exits).tolist() == [63]


def test_a_follower_who_does_not_listen_chooses_uniformly():
    problem = two_agent_gridworld(0.0, num_followers=1)
    P, r = problem.respond(first_policy(problem))
    moves, own = problem.response.following, problem.response.own
    # One fifth the leader's move, one fifth each other one.
    np.testing.assert_allclose(r[9], (own[moves[9]] + own[moves[9]].sum()) / 5, atol=1e-15)
    np.testing.assert_allclose(P[9, 0], np.bincount([*moves[9], moves[9, 0]], minlength=64) / 5, atol=1e-15)


# Ratios at t = 0, 1, 2, 5 and norm of d, <d, R> at the end, from the specification's exact solver.
REFERENCE = {
    (10.0, 0.2): ([0.602, 0.159, 1.12e-2, 3.66e-5], 0.981985, 0.087298),
    (10.0, 1.0): ([0.696, 0.160, 2.83e-2, 1.27e-3], 0.792149, 0.024377),
    (0.1, 1.0): ([0.794, 2.90e-3, 1.18e-5, 1.0e-12], 0.870281, -0.458574),
    (5.0, 1.0): ([0.730, 0.119, 1.15e-2, 8.02e-6], 0.814676, -0.114133),
}


@pytest.mark.parametrize("setting", REFERENCE, ids=str)
def test_repeated_optimisation_reproduces_the_reference(setting):
    beta, lam = setting
    ratios, norm, reward = REFERENCE[setting]
    steps, d, r = repeated(two_agent_gridworld(beta), lam, 25)
    # Three digits are quoted; the last of the third setting is at rounding level.
    np.testing.assert_allclose(steps[[0, 1, 2]], ratios[:3], rtol=5e-3)
    if ratios[3] > 1e-9:
        # Likewise.
        np.testing.assert_allclose(steps[5], ratios[3], rtol=5e-3)
    # Six digits are quoted; 25 rounds leave 1e-10 of the way.
    np.testing.assert_allclose([np.linalg.norm(d), np.sum(d * r)], [norm, reward], atol=6e-7)


def test_gradient_ascent_with_too_large_a_step_stays_away():
    steps, _, _ = repeated(two_agent_gridworld(5.0), 1.0, 21, eta=2.0)
    # Three digits are quoted.
    np.testing.assert_allclose(steps[[0, 1, 2, 5, 10, 20]], [1.21, 1.22, 1.17, 1.15, 1.09, 1.04], atol=6e-3)


def test_the_tanh_witness_converges_or_cycles():
    def policies(k, lam, rounds):
        problem = large_lambda_witness(k)
        x, out = 0.9, []
        for _ in range(rounds):
            P, r = problem.respond(np.array([[x, 1 - x], [0.5, 0.5]]))
            x = problem.policy_of(project_flow(P, problem.mu, problem.gamma, r / lam).d)[0, 0]
            out.append(x)
        return out

    for lam in (1.0, 1e4, 1e8):
        last = policies(1.0, lam, 60)[-2:]
        # Converged to rounding.
        np.testing.assert_allclose(last[0], last[1], atol=1e-12)
    for lam in (1e4, 1e8, 1e12):
        # Three digits are quoted.
        np.testing.assert_allclose(sorted(policies(21.6, lam, 100)[-2:]), [0.099, 0.518], atol=6e-4)


def test_the_linear_witness_contracts_by_exactly_eps_over_lam():
    for sign in (1, -1):
        problem, d, steps = linear_reward_witness(1.8, sign), np.full((2, 2), 2.5), []
        for _ in range(100):
            P, r = problem.respond(problem.policy_of(d))
            # The published start lies outside the flow polytope: the reward there is that of d itself.
            r = problem.base.r + sign * 1.8 * d
            new = project_flow(P, problem.mu, problem.gamma, r / 2).d
            steps.append(np.linalg.norm(new - d))
            d = new
        ratios = np.array(steps[1:]) / np.array(steps[:-1])
        # Attained, up to the projection's residual over steps above 1e-4.
        np.testing.assert_allclose(ratios[1:].max(), 0.9, atol=1e-8)


def test_other_grids_and_bad_arguments():
    assert two_agent_gridworld(grid=SHIFTING_GRID, num_followers=2).S == 16
    for arguments, text in (
        ({"beta": -1.0}, "beta is -1"),
        ({"num_followers": 0}, "num_followers is 0"),
        ({"perturbation": 2.0}, "perturbation is 2"),
        ({"grid": ("oo", "oo")}, "goal"),
        ({"grid": ("oox", "oog")}, "letters"),
    ):
        with pytest.raises(ValueError, match=text):
            two_agent_gridworld(**arguments)
    with pytest.raises(ValueError, match="sign is 2"):
        linear_reward_witness(1.0, 2)
