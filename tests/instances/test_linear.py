"""Linear instances: the simulated process as published, the put option and its stream."""

import numpy as np
import pytest

from mdplab.exact import backward_induction, linear_policy_evaluation
from mdplab.instances.american_put import american_put, hat_features, put_data, put_start, put_test
from mdplab.instances.linear import simulated_linear_mdp, simulated_test_kernels, uniform_data
from mdplab.models import LinearMDP


def test_the_simulated_process_moves_as_published():
    linear = simulated_linear_mdp(0.3, 0.2)
    P = linear.kernels()
    tolerance = {"rtol": 0, "atol": 1e-15}  # products and one division of numbers below 1
    for a, x in ((0, 0.1), (15, 0.5)):
        np.testing.assert_allclose(P[0, 0, a], [0, 0.999 * (1 - x), 0, 0.001 * (1 - x), x], **tolerance)
        np.testing.assert_allclose(P[1, 1, a], [0, 0, 0.999 * (1 - x), 0.001 * (1 - x), x], **tolerance)
        assert P[1, 3, a, 3] == P[1, 4, a, 4] == 1
        np.testing.assert_allclose(linear.rewards()[:, 1, a], [0, x, x], **tolerance)


@pytest.mark.parametrize("q", [0.0, 0.3, 1.0])
def test_returns_under_the_test_kernels_are_the_printed_lines(q):
    """Our specification, C.5: 1.624875 - q for all plus one, 1.324775 - .2 q with minus one at the first step."""
    kernels, r = simulated_test_kernels(q), simulated_linear_mdp().rewards()
    for first, line in ((15, 1.624875 - q), (0, 1.324775 - 0.2 * q)):
        v = np.zeros(5)
        for h, a in ((2, 15), (1, 15), (0, first)):
            v = r[h, :, a] + kernels[h, :, a] @ v
        assert v[0] == pytest.approx(line, abs=6e-7)  # six printed decimals


def test_the_nominal_return_of_the_aggressive_policy():
    answer = linear_policy_evaluation(simulated_linear_mdp(), np.full((3, 5), 15))
    assert answer.value[0, 0] == pytest.approx(1.62425012, abs=6e-9)  # eight printed decimals


@pytest.mark.parametrize(
    ("p", "value"), [(0.2, 21.1598), (0.4, 8.8327), (0.5, 3.9054), (0.6, 1.9257), (0.8, 0.8298), (1.0, 0.8298)]
)
def test_the_put_option_is_worth_what_is_printed(p, value):
    put = american_put(put_start(1), p)
    assert put_start(1) == pytest.approx(99.17022005, abs=6e-9)  # eight printed decimals
    assert backward_induction(put.mdp).value[0, 0] == pytest.approx(value, abs=6e-5)  # four printed decimals


def test_the_put_option_by_simulation():
    """Exercising at once pays 100 - s0 whatever the stream; always holding pays nothing."""
    assert put_test(np.ones((20, 232), dtype=int), 0.4) == pytest.approx(
        100 - put_start(1), rel=1e-12
    )  # one difference
    assert put_test(np.zeros((20, 232), dtype=int), 0.4) == 0
    with pytest.raises(ValueError, match=r"policy has shape \(20,\)"):
        put_test(np.ones(20), 0.4)


def test_training_data_rise_half_of_the_time():
    put, data = put_data(2)
    assert put.prices[0] == pytest.approx(99.35994902, abs=6e-9)  # eight printed decimals
    steps = put.prices[data.states[:, 1:]] / put.prices[data.states[:, :-1]]
    assert set(np.round(np.unique(steps.round(9)), 6)) == {0.98, 1.02}
    # 2000 coins of the published stream: a fixed number, within four standard errors of a half.
    assert abs((steps > 1).mean() - 0.5) < 4 * 0.5 / 2000**0.5


def test_hat_features_sum_to_one_between_the_anchors():
    inside = hat_features(np.linspace(80, 176, 50))
    np.testing.assert_allclose(inside.sum(axis=1), 1, rtol=0, atol=1e-13)  # quotients of numbers of size 100
    assert not hat_features(np.array([60.0])).any()


@pytest.mark.parametrize(("arguments", "message"), [((-1.0,), "s0 is -1"), ((100.0, 1.5), "p is 1.5")])
def test_bad_options_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        american_put(*arguments)
    with pytest.raises(ValueError, match=r"delta is 0\.1 and xi 0\.2"):
        simulated_linear_mdp(0.1, 0.2)


def test_uniform_data_have_the_laws_of_the_process():
    """Every frequency within six standard errors: one of 400 fails with probability below 1e-6, on a fixed seed."""
    linear, n = simulated_linear_mdp(), 100_000
    data, P = uniform_data(linear, n, rng=np.random.default_rng([71])), linear.kernels()
    assert np.all(data.states[:, 0] == 0)
    for h in range(3):
        for s in range(5):
            here = data.states[:, h] == s
            expected, times = P[h, s].mean(axis=0), max(here.sum(), 1)
            found = np.bincount(data.states[here, h + 1], minlength=5) / times
            if here.any():
                assert np.all(np.abs(found - expected) <= 6 * np.sqrt(expected * (1 - expected) / times))
        assert np.all(np.abs(np.bincount(data.actions[:, h], minlength=16) / n - 1 / 16) <= 6 * np.sqrt(1 / 16 / n))
    with pytest.raises(ValueError, match="n is 0"):
        uniform_data(linear, 0, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="linear has no start"):
        uniform_data(LinearMDP([[[1.0]]], [[1.0]], [0.0], 1), 1, rng=np.random.default_rng(0))
