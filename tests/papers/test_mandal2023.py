"""What the claims rest on: constants are proved or nothing is claimed, the witness cycles, factors have limits."""

import numpy as np
import pytest

from mdplab.algorithms.performative import repeated_optimization
from mdplab.claims import NotApplicable, Verdict
from mdplab.claims.discovery import load_paper
from mdplab.claims.runner import run_claims
from mdplab.instances.performative import (
    first_policy,
    large_lambda_witness,
    linear_reward_witness,
    random_linear_response,
    two_agent_gridworld,
)
from mdplab.models import PerformativeMDP
from mdplab.papers import mandal2023

QUICK = load_paper("mandal2023").card.params["quick"]

UNBOUNDED = """
from dataclasses import dataclass

from mdplab.claims import Bound, Evidence, claim
from mdplab.instances.performative import two_agent_gridworld
from mdplab.papers.mandal2023 import _recalled_factor


@dataclass(frozen=True)
class Params:
    lam: float


def twice(p, rng):
    return Evidence(measured=[2.0], bound=[1.0])


@claim("Theorem 1", "x", relation=Bound(), falsifiers={"twice": twice})
def on_the_gridworld(p, rng):
    return Evidence(measured=[0.5], bound=[_recalled_factor(two_agent_gridworld(), p.lam)])
"""

CARD = """
[paper]
key = "grid2023"
title = "A theorem on the gridworld"
authors = ["Nobody"]
year = 2023

[profiles.quick]
lam = 1e9

[profiles.full]
lam = 1e9

[claims.on_the_gridworld]
expect.verdict = "not-applicable"
replicates = { quick = 2, full = 2 }
"""


def test_a_sensitivity_that_cannot_be_bounded_makes_a_claim_not_applicable(tmp_path, monkeypatch):
    (tmp_path / "grid2023.py").write_text(UNBOUNDED)
    (tmp_path / "grid2023.toml").write_text(CARD)
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path))
    result = run_claims(["grid2023"], workers=0, store=tmp_path / "store.sqlite")["grid2023:on_the_gridworld"]
    assert result.verdict == Verdict.NOT_APPLICABLE and result.as_expected
    assert "sensitivity is unbounded: the response GridFollowers has no closed form" in result.reason


def test_an_estimate_supports_no_claim():
    base = linear_reward_witness(1.0).base
    estimated = {"reward_sensitivity": 1.0, "transition_sensitivity": 0.0, "sensitivity_kind": "estimated"}
    with pytest.raises(NotApplicable, match="sensitivity is estimated"):
        mandal2023._constants(PerformativeMDP(base, lambda pi: (base.P, base.r), **estimated))


def test_the_witness_cycles_where_the_recalled_theorem_says_that_it_contracts():
    """The 2-cycle of the notes, .099 and .518, at lam = 1e4, 1e8, 1e12."""
    problem = large_lambda_witness(21.6)
    for lam in (1e4, 1e8, 1e12):
        d = repeated_optimization(problem, lam, num_rounds=200)["d"][-2:]
        pair = sorted(d[:, 0, 0] / d[:, 0].sum(axis=1))
        assert pair == pytest.approx([0.099, 0.518], abs=6e-4)  # three digits in the notes
    assert mandal2023._recalled_factor(problem, 1e12) < 1e-3


def test_the_derived_factor_does_not_vanish_and_the_recalled_one_does():
    gentle = large_lambda_witness(1e-4)
    factors = [mandal2023._derived_factor(gentle, lam) for lam in (1.0, 1e3, 1e6, 1e9)]
    assert np.all(np.diff(factors) < 0)
    eps_p = mandal2023._constants(gentle)[1]
    # a = c + m and b = c m in the limit, c = gamma sqrt(S) eps_p / (1 - gamma)^2, m = c / 2.
    c = 0.9 * np.sqrt(2) * eps_p / 0.01
    limit = (1.5 * c + np.sqrt(2.25 * c**2 + 2 * c**2)) / 2
    assert factors[-1] == pytest.approx(limit, rel=1e-6)  # terms of order 1e-9 are left
    # Without a kernel that responds both are eps_r / lam, up to the recalled constants.
    rewards = random_linear_response(3, 2, gamma=0.5, eps=0.7, rng=np.random.default_rng([55, 0]))
    assert mandal2023._derived_factor(rewards, 2.0) == pytest.approx(0.35, rel=1e-12)  # rounded upward by few ulps
    assert mandal2023._recalled_factor(rewards, 2.0) == pytest.approx(0.7 * 24 * 3**1.5 * 16 / 2, rel=1e-12)  # likewise


def test_the_stable_point_with_one_state_is_the_stated_one():
    rng = np.random.default_rng([55, 1])
    for weight in (0.8, -0.8):
        problem, stable = mandal2023._one_state(weight, 1.0, rng)
        run = repeated_optimization(problem, 1.0, num_rounds=1, start=stable)
        np.testing.assert_allclose(run["d"][1], stable, atol=1e-12)  # the projection's residual
        assert stable.min() > 0.3 and stable.sum() == pytest.approx(2.0, rel=1e-14)  # sum of three numbers


def test_the_gridworld_starts_from_the_published_policy():
    problem = two_agent_gridworld(10.0)
    d = mandal2023._grid(10.0, 1.0, 30)
    policy = first_policy(problem)
    np.testing.assert_allclose(problem.policy_of(d[0])[:-1], policy[:-1], atol=1e-12)  # one division
    assert mandal2023._relative(d)[0] == pytest.approx(0.696, abs=5e-4)  # three digits in the notes


def test_rounding_decides_the_sharpest_followers_after_two_rounds():
    """Why the reference values at beta = 200 end there: cells without flow have no policy but rounding."""
    problem = two_agent_gridworld(200.0)
    d = mandal2023._grid(200.0, 1.0, 3)
    empty = (d[2].sum(axis=1) == 0) & ~problem.exits
    assert empty.any()
    policy = problem.policy_of(d[2])
    other = policy.copy()
    other[empty] = np.eye(4)[0]
    moved = np.abs(problem.respond(policy)[0] - problem.respond(other)[0]).max()
    # A difference of occupancies below the smallest number moves transition probabilities by a thousandth.
    assert moved > 1e-3


def test_figures_show_what_they_say():
    steps = mandal2023.figure_steps(QUICK, np.random.default_rng([55, 2]))
    assert steps["eta_2"][-1] > 0.9 and steps["eta_0.2"][-1] < 1e-6
    rewards = mandal2023.figure_rewards(QUICK, np.random.default_rng([55, 3]))
    inside = rewards["lam"] > 1.3 * rewards["eps"]
    assert rewards["late_step"][inside].max() < -8 and rewards["late_step"][~inside].max() > -1
    phase = mandal2023.figure_phase(QUICK, np.random.default_rng([55, 4]))
    # The slope -.740 of the notes, at the centre of the response: 1 / (.25 .740).
    assert phase["bound_k"][0] == pytest.approx(1 / (0.25 * 0.740), rel=2e-3)  # three digits in the notes
    large = phase["lam"] > 1e3
    assert phase["late_step"][large & (phase["k"] > 8)].min() > -1
    assert phase["late_step"][large & (phase["k"] < 4)].max() < -6
