"""The sampled estimate: its law on small chains, the table of softmax scores, and what is refused."""

import numpy as np
import pytest
from bad_input import array, count

from mdplab.algorithms.policy_gradient.many_actions import many_actions_gradient, score_table
from mdplab.exact.gradient_variance import correlations, enumerate_estimates, estimate_variance, stationary_law

# Upsilon tells every path of two states and two actions from any other.
P = np.array([[[0.9, 0.1], [0.1, 0.9]], [[0.8, 0.2], [0.0, 1.0]]])
PI = np.array([[0.25, 0.75], [0.6, 0.4]])
TABLE = np.array([[[1.0], [4.0]], [[16.0], [64.0]]])
START = stationary_law(np.einsum("sa,sat->st", PI, P))


@pytest.mark.parametrize("executed", [0, 1, None])
def test_the_law_of_the_estimate_is_the_enumerated_one(executed):
    R = 40_000
    how = {"start": START, "replicates": R, "executed": executed}
    drawn = many_actions_gradient(P, PI, TABLE, 2, 2, **how, rng=np.random.default_rng([602, 1]))[:, 0]
    values, probability = enumerate_estimates(P, PI, TABLE, 2, 2, executed=executed)
    points = np.unique(values)
    share = np.array([probability[values[:, 0] == x].sum() for x in points])
    found = np.array([(drawn == x).mean() for x in points])
    assert np.isin(drawn, points).all()
    # 19 values, each beyond five standard deviations with probability 6e-7: false alarm below 1e-4.
    assert np.all(np.abs(found - share) <= 5 * np.sqrt(share * (1 - share) / R) + 1e-12)


def test_the_laws_told_apart():
    """An action drawn apart changes the law by several times what the sampling test forgives."""
    laws = [enumerate_estimates(P, PI, TABLE, 2, 2, executed=executed) for executed in (0, 1, None)]
    points = np.unique(laws[0][0])
    first, last, apart = (np.array([w[x[:, 0] == point].sum() for point in points]) for x, w in laws)
    np.testing.assert_allclose(first, last, atol=1e-15)  # sums in another order
    assert (np.abs(apart - first) / np.sqrt(first * (1 - first) / 40_000)).max() > 15


def test_mean_and_variance_of_a_policy_gradient():
    rng = np.random.default_rng([602, 2])
    P3, pi = rng.dirichlet(np.ones(3), size=(3, 2)), rng.dirichlet(np.ones(2), size=3)
    table = score_table(pi, rng.standard_normal((3, 2)))
    start, R = stationary_law(np.einsum("sa,sat->st", pi, P3)), 20_000
    estimates = many_actions_gradient(P3, pi, table, 5, 3, start=start, replicates=R, rng=rng)
    parts = correlations(P3, pi, table, lags=4)
    # Six coordinates and a variance beyond five standard errors: false alarm below 1e-5.
    error = estimates.std(axis=0) / np.sqrt(R)
    assert np.all(np.abs(estimates.mean(axis=0) - parts.mean) < 5 * error)
    squares = ((estimates - parts.mean) ** 2).sum(axis=1)
    assert abs(squares.mean() - estimate_variance(parts, 5, 3)) < 5 * squares.std() / np.sqrt(R)


def test_same_key_same_estimates():
    how = {"start": START, "replicates": 3}
    first, second = (many_actions_gradient(P, PI, TABLE, 4, 2, **how, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_impossible_actions_and_states_never_occur():
    pi = np.array([[0.1] * 10 + [0.0]])
    # Ten tenths add up to less than one: what is left must not go to the last action.
    assert np.cumsum(pi)[-1] < 1
    table = np.arange(11.0).reshape(1, 11, 1)

    class Ends:
        """Uniforms at the upper end."""

        def random(self, size):
            return np.full(size, np.nextafter(1, 0))

    P1 = np.ones((1, 11, 1))
    estimate = many_actions_gradient(P1, pi, table, 2, 3, start=np.ones(1), replicates=2, rng=Ends())
    assert estimate.tolist() == [[9.0], [9.0]]

    class Zeros:
        """Uniforms at the lower end."""

        def random(self, size):
            return np.zeros(size)

    estimate = many_actions_gradient(P1, pi[:, ::-1], table, 2, 3, start=np.ones(1), replicates=2, rng=Zeros())
    assert estimate.tolist() == [[1.0], [1.0]]


def test_scores_average_to_zero_and_baselines_cancel():
    rng = np.random.default_rng([602, 3])
    pi, q, b = rng.dirichlet(np.ones(3), size=4), rng.standard_normal((4, 3)), rng.standard_normal((4, 1))
    means = [np.einsum("sa,sad->sd", pi, score_table(pi, x)) for x in (q, q - b)]
    np.testing.assert_allclose(*means, atol=1e-15)  # a few roundings
    # Row s has pi (q - E q) in the logits of s and nothing elsewhere.
    adv = pi * (q - (pi * q).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(means[0].reshape(4, 4, 3)[np.arange(4), np.arange(4)], adv, atol=1e-15)
    assert np.count_nonzero(means[0].reshape(4, 4, 3).any(axis=2)) == 4


FAULTS = [
    *(fault for name in ("T", "N", "replicates") for fault in count(name)),
    *count("executed", 0),
    *array("P", (2, 2, 2)),
    *array("pi", (2, 2))[:1],
    *array("table", (2, 2, 1))[:1],
    *array("start", (2,)),
    ({"executed": 2}, "^executed is 2; "),
    ({"table": TABLE[..., 0]}, r"^table has shape \(2, 2\)"),
    ({"table": TABLE[:1]}, r"^table has shape \(1, 2, 1\)"),
    ({"pi": PI[0]}, r"^pi has shape \(2,\)"),
    ({"pi": 0.9 * PI}, r"^the sum of pi\[0\] is 0\.9"),
    ({"P": 2 * P - 0.5}, r"^P\[0, 0, 1\] is -0\.3"),
    ({"start": [1.5, -0.5]}, r"^start\[1\] is -0\.5; "),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS)
def test_bad_arguments_are_named(changes, message):
    good = {"P": P, "pi": PI, "table": TABLE, "T": 1, "N": 2, "start": START, "replicates": 2}
    with pytest.raises(ValueError, match=message) as caught:
        many_actions_gradient(**(good | changes), rng=np.random.default_rng(0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [*array("q", (2, 2)), ({"pi": PI[0]}, r"^pi has shape \(2,\)"), ({"pi": -PI}, r"^pi\[0, 0\] is -0\.25; ")],
)
def test_bad_tables_of_scores_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        score_table(**({"pi": PI, "q": np.zeros((2, 2))} | changes))
