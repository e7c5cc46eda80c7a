"""The planner says before the run what it costs and decides, or that it cannot."""

import numpy as np
import pytest

from mdplab.claims.planner import Pilot, plan_rate, power, predicted_seconds, read_pilot, runs_needed, sum_of_squares

N = 64 * 2.0 ** np.arange(9)
SIZES = np.array([64.0, 1024.0])


def pilot(sigma=0.5, slope_sd=0.0, seconds=(0.1, 1.6)):
    return Pilot(sigma, slope_sd, SIZES, np.array(seconds))


def test_a_budget_that_cannot_decide_is_refused_before_the_run():
    plan = plan_rate(pilot(), N, budget_minutes=1.0)
    assert not plan.feasible
    assert plan.message.startswith("cannot reach 80% power in the budget of 1 min")
    needed = float(plan.message.rsplit(", ", 1)[1].removesuffix(" min"))
    # The message has three digits.
    assert plan_rate(pilot(), N, budget_minutes=1.01 * needed).feasible
    assert not plan_rate(pilot(), N, budget_minutes=0.97 * needed).feasible


def test_slopes_that_differ_too_much_need_instances_and_not_seeds():
    plan = plan_rate(pilot(slope_sd=0.2), N, budget_minutes=1e6)
    assert not plan.feasible
    assert "more than 12 instances" in plan.message
    assert plan_rate(pilot(slope_sd=0.2), N, budget_minutes=1e6, instances=300).feasible


def test_a_plan_spends_no_more_than_it_needs_and_no_more_than_it_has():
    rich, tight = plan_rate(pilot(), N, budget_minutes=1e6), plan_rate(pilot(), N, budget_minutes=160.0)
    assert rich.feasible
    assert tight.feasible
    assert 0.9 <= rich.power < 0.91
    assert 0.8 <= tight.power < 0.9
    assert tight.minutes <= 160.0 < rich.minutes
    assert plan_rate(pilot(), N, budget_minutes=1e6, workers=2).minutes == pytest.approx(rich.minutes / 2)
    assert plan_rate(pilot(), N, budget_minutes=1e6, claims=100).seeds > rich.seeds
    assert plan_rate(pilot(), N, budget_minutes=1e6, one_run_per_seed=False).minutes > rich.minutes


def test_minutes_follow_the_measured_cost():
    # Linear in n: 0.1 s at 64 makes 25.6 s at 16384.
    np.testing.assert_allclose(predicted_seconds(pilot(), N), 0.1 * N / 64)
    plan = plan_rate(pilot(), N, budget_minutes=1e6)
    assert plan.minutes == pytest.approx(12 * plan.seeds * 25.6 / 60)


def test_a_pilot_recovers_noise_and_spread():
    rng = np.random.default_rng([70])
    slopes = rng.normal(0.5, 0.1, (4000, 1, 1))
    error = np.exp(-slopes * np.log(SIZES) + 0.3 * rng.standard_normal((4000, 8, 2)))
    measured = read_pilot(error, SIZES, [1.0, 2.0])
    # 64000 draws of noise and 4000 of slopes: five standard errors, 1.4 % and 6 %.
    assert measured.sigma == pytest.approx(0.3, rel=0.014)
    assert measured.slope_sd == pytest.approx(0.1, rel=0.06)


def test_power_of_a_noise_free_design_is_what_the_guard_leaves():
    assert power(0.0, 12, 1) == power(1e-9, 12, 1) == 0.95
    assert sum_of_squares(4) == pytest.approx(10 * np.log(2) ** 2)
    assert runs_needed(0.5) == pytest.approx(runs_needed(1.0) / 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power(-1.0, 12, 8), "sigma is -1"),
        (lambda: power(1.0, 1, 8), "instances is 1"),
        (lambda: power(1.0, 12, 8, level=0.0), "level is 0"),
        (lambda: plan_rate(pilot(), N, budget_minutes=0.0), "budget_minutes is 0"),
        (lambda: plan_rate(pilot(), N, budget_minutes=1.0, claims=0), "claims is 0"),
        (lambda: read_pilot(np.ones((4, 1, 2)), SIZES, [1.0, 2.0]), "at least 2 seeds"),
        (lambda: read_pilot(np.ones((4, 8, 2)), SIZES[::-1], [1.0, 2.0]), "increasing"),
        (lambda: read_pilot(np.ones((4, 8, 2)), SIZES, [1.0]), "seconds 1"),
        (lambda: read_pilot(np.zeros((4, 8, 2)), SIZES, [1.0, 2.0]), r"error\[0, 0, 0\] is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
