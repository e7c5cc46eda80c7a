import numpy as np
import pytest

from mdplab.algorithms.policy_gradient import general_utility as estimates
from mdplab.algorithms.policy_gradient.n_vr_pg import global_schedule, n_vr_pg, stationary_schedule
from mdplab.algorithms.policy_gradient.occupancy_regression import occupancy_regression_pg, regress_occupancy
from mdplab.exact.general_utility import softmax_occupancy
from mdplab.models import MDP
from mdplab.models.utility import entropy_utility, linear_utility, log_utility

RNG = np.random.default_rng([94, 1])
MODEL = MDP(RNG.dirichlet(np.ones(3), (3, 2)), RNG.random((3, 2)), 0.7, mu=[0.2, 0.3, 0.5])


def _run(utility=None, model=MODEL, T=50, alpha0=0.5, **changes):
    eta, step = global_schedule(T, alpha0)
    arguments = dict(horizon=8, eta=eta, step=step, checkpoints=np.array([T - 1]), rng=np.random.default_rng(3))
    return n_vr_pg(model, utility or linear_utility(model.r), **(arguments | changes))


def test_schedules():
    for eta, step in (global_schedule(100, 0.5), stationary_schedule(100, 0.5)):
        assert eta[0] == 1 and (eta > 0).all() and (eta <= 1).all() and (step > 0).all()
    assert stationary_schedule(1000, 1.0)[1][0] == pytest.approx(0.01)


def test_a_run_depends_on_its_own_stream_alone():
    one, many = _run(seeds=1), _run(seeds=3)
    np.testing.assert_array_equal(one["theta"][0], many["theta"][0])
    assert not np.array_equal(many["theta"][0], many["theta"][1])


def test_importance_weights_stay_below_the_bound_of_the_steps():
    """The notes' instance: weights of at most 1.7 with alpha_0 = .3; the bound is exp(24 * .2)."""
    run = _run(entropy_utility(3, 2, 0.7, floor=0.01), T=2000, alpha0=0.3, horizon=12, seeds=4)
    assert (run["log_weight"] > 0).all() and (run["log_weight"] < 1).all()
    assert (run["log_weight"] <= 24 * 0.3).all()


def test_the_lagged_pseudo_rewards_matter_only_where_the_utility_is_not_linear():
    linear = [_run(lagged=lagged)["theta"] for lagged in (True, False)]
    np.testing.assert_array_equal(*linear)
    curved = [_run(log_utility(MODEL.r, shift=0.5, floor=0.1), lagged=lagged)["theta"] for lagged in (True, False)]
    assert not np.array_equal(*curved)


def test_clips_are_counted():
    run = _run(entropy_utility(3, 2, 0.7, floor=10.0), T=20)
    assert run["clipped"][0, 0] == 20 * 3


def test_a_gradient_that_is_not_finite_stops_the_run_with_its_place():
    nowhere = MODEL.replace(mu=[1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"at iteration 0, the gradient of the entropy utility is inf at state \d"):
        _run(entropy_utility(3, 2, 0.7), nowhere, horizon=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 0}, "horizon is 0"),
        ({"step": np.zeros(50)}, r"step\[0\] is 0.0"),
        ({"step": np.full(50, np.inf)}, r"step\[0\] is inf"),
        ({"step": np.ones((2, 2))}, r"step has shape \(2, 2\)"),
        ({"eta": np.full(50, 1.5)}, r"eta\[0\] is 1.5"),
        ({"eta": np.r_[1.0, np.zeros(49)]}, r"eta\[1\] is 0.0"),
        ({"eta": np.ones(3)}, r"eta has shape \(3,\)"),
        ({"eta": np.full(50, 0.5)}, r"eta\[0\] is 0.5"),
        ({"checkpoints": np.array([50])}, r"checkpoints\[0\] is 50"),
        ({"seeds": 0}, "seeds is 0"),
        ({"theta0": np.zeros(3)}, r"theta0 has shape \(3,\)"),
        ({"theta0": np.full((3, 2), np.nan)}, r"theta0\[0, 0\] is nan"),
        ({"utility": linear_utility(np.ones((2, 2)))}, "utility.reward has shape"),
        ({"model": MDP(MODEL.P, MODEL.r, 0.7)}, "mdp.mu is None"),
        (
            {"model": MODEL.replace(actions=[[True, False], [True, True], [True, True]])},
            r"mdp.actions\[0, 1\] is False",
        ),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _run(**changes)


def test_one_hot_regression_is_a_table_of_counts():
    """With one-hot features and a step 1 / (8 B^2) each coordinate averages its own counts: mean lambda_H."""
    theta, H, K = RNG.standard_normal((3, 2)), 10, 60_000
    phi = np.eye(6).reshape(3, 2, 6)
    run = regress_occupancy(MODEL, theta, phi, horizon=H, checkpoints=np.array([K]), rng=np.random.default_rng(7))
    lam = softmax_occupancy(MODEL, theta, horizon=H).ravel()
    # A count lies in [0, 1 / (1 - gamma)], standard deviation at most 1.7; each pair has K / 6 of them. Five errors of
    # six coordinates: false alarm 4e-6.
    assert np.abs(run["mean"][0] - lam).max() < 5 * 1.7 / np.sqrt(K / 6)
    # The bound is not idle: a table of zeros fails it.
    assert np.abs(lam).max() > 5 * 1.7 / np.sqrt(K / 6)


def test_the_average_is_that_of_the_iterates():
    phi = np.eye(6).reshape(3, 2, 6)
    run = regress_occupancy(
        MODEL, np.zeros((3, 2)), phi, horizon=10, checkpoints=np.arange(1, 40), rng=np.random.default_rng(6)
    )
    means = np.cumsum(run["last"], axis=0) / np.arange(1, 40)[:, None]
    # Forty running updates of numbers below 4.
    np.testing.assert_allclose(run["mean"], means, rtol=0, atol=1e-14)
    assert run["last"].max() > 0.1


def test_regression_converges_to_the_nearest_table_in_the_span():
    theta, law = RNG.standard_normal((3, 2)), np.array([0.5, 0.3, 0.2])
    phi = np.ones((3, 2, 1))
    run = regress_occupancy(
        MODEL, theta, phi, horizon=10, checkpoints=np.array([40_000]), states=law, rng=np.random.default_rng(8)
    )
    lam = softmax_occupancy(MODEL, theta, horizon=10)
    mean = (law[:, None] / 2 * lam).sum()
    # Counts of standard deviation at most 1.7, forty thousand of them: five errors, false alarm 6e-7.
    assert abs(run["mean"][0, 0] - mean) < 5 * 1.7 / 200


def test_policy_gradient_with_regression_reports_and_refuses():
    phi = np.eye(6).reshape(3, 2, 6)
    settings = dict(horizon=10, step=np.full(20, 0.1), regression_steps=50, batch=2, checkpoints=np.array([0, 19]))
    run = occupancy_regression_pg(
        MODEL, linear_utility(MODEL.r), phi, **settings, seeds=2, rng=np.random.default_rng(9)
    )
    assert run["theta"].shape == run["occupancy"].shape == (2, 2, 3, 2)
    assert (run["theta"][:, 0] == 0).all() and (run["theta"][:, 1] != 0).any()
    with pytest.raises(ValueError, match="at iteration 0, the gradient of the entropy utility is inf"):
        occupancy_regression_pg(
            MODEL, entropy_utility(3, 2, 0.7), phi, **(settings | {"regression_steps": 1}), rng=np.random.default_rng(9)
        )
    for changes, message in (
        ({"batch": 0}, "batch is 0"),
        ({"step": -np.ones(20)}, r"step\[0\] is -1.0"),
        ({"beta": 0.0}, "beta is 0.0"),
        ({"states": [1.0, 1.0, 0.0]}, "states sums to 2"),
    ):
        with pytest.raises(ValueError, match=message):
            occupancy_regression_pg(MODEL, linear_utility(MODEL.r), phi, **(settings | changes), rng=RNG)
    with pytest.raises(ValueError, match="features has shape"):
        regress_occupancy(MODEL, np.zeros((3, 2)), np.eye(6), horizon=3, checkpoints=np.array([1]), rng=RNG)
    with pytest.raises(ValueError, match="largest squared norm 0"):
        regress_occupancy(MODEL, np.zeros((3, 2)), 0 * phi, horizon=3, checkpoints=np.array([1]), rng=RNG)


def test_estimates_of_batches_are_those_of_single_trajectories():
    states, actions = RNG.integers(0, 3, (4, 5, 6)), RNG.integers(0, 2, (4, 5, 6))
    theta, r = RNG.standard_normal((3, 2)), RNG.random((3, 2))
    lam = estimates.occupancy_estimate(states, actions, 0.7, (3, 2))
    g = estimates.pseudo_gradient(theta, states, actions, r, 0.7)
    for i, j in ((0, 0), (3, 4)):
        np.testing.assert_array_equal(lam[i, j], estimates.occupancy_estimate(states[i, j], actions[i, j], 0.7, (3, 2)))
        np.testing.assert_array_equal(g[i, j], estimates.pseudo_gradient(theta, states[i, j], actions[i, j], r, 0.7))
    # Total mass of the truncated discounts, by their closed form.
    np.testing.assert_allclose(lam.sum(axis=(2, 3)), (1 - 0.7**6) / 0.3, rtol=1e-14)
