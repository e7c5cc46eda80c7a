"""The benchmark models: closed forms where the problem is deterministic, published numbers of the ring."""

import numpy as np
import pytest

from mdplab import instances


def optimal(mdp, tol=1e-10):
    v = np.zeros(mdp.S)
    while True:
        new = (mdp.r + mdp.gamma * mdp.P @ v).max(axis=1)
        if np.abs(new - v).max() <= tol * (1 - mdp.gamma):
            return new
        v = new


def soft_value(mdp, beta):
    """V = max r - (gamma / beta) log E exp(-beta V), to 1e-8."""
    v = np.zeros(mdp.S)
    for _ in range(450):
        least = v.min()
        v = (mdp.r + mdp.gamma * (least - np.log(mdp.P @ np.exp(-beta * (v - least))) / beta)).max(axis=1)
    return v


@pytest.mark.parametrize(
    ("p", "beta", "mean"),
    [
        (0.01, 0.0, 71.5568),
        (0.01, 0.1, 65.245),
        (0.01, 1.0, -0.7815),
        (0.01, 2.0, -18.8382),
        (0.01, 3.0, -24.7702),
        (0.15, 0.0, 16.9144),
        (0.15, 0.01, 16.6973),
        (0.15, 0.1, 14.6657),
        (0.15, 1.0, -24.5811),
    ],
)
def test_toy_ring(p, beta, mean):
    """Soft robust values of the ring under the discounted penalty (section E.4 of the specification)."""
    mdp = instances.toy_ring(p)
    value = soft_value(mdp, beta) if beta else optimal(mdp)
    assert value.mean() == pytest.approx(mean, abs=6e-4 if beta == 0.1 and p == 0.01 else 6e-5)  # the last digit


def test_toy_ring_policies():
    """The policies that the authors print, 0 left, 1 stay, 2 right."""
    mdp = instances.toy_ring(0.01)
    printed = {0.0: "00222222100000", 1.0: "22210000122222", 2.0: "00210000122210", 3.0: "00010000122210"}
    for beta, policy in printed.items():
        v = soft_value(mdp, beta) if beta else optimal(mdp)
        least = v.min()
        q = np.log(mdp.P @ np.exp(-beta * (v - least))) / -beta if beta else mdp.P @ v
        assert "".join(map(str, q.argmax(axis=1))) == policy


def test_machine20_replaces_at_the_best_wear():
    """Deterministic: replacing at wear k pays sum_{i<k} g^i (.1 + .02 i) + 2 g^k in k + 1 steps."""
    g = 0.99
    cost = [(sum(g**i * (0.1 + 0.02 * i) for i in range(k)) + 2 * g**k) / (1 - g ** (k + 1)) for k in range(20)]
    assert optimal(instances.machine20())[0] == pytest.approx(-min(cost), abs=1e-9)  # value iteration's tolerance
    assert 0 < int(np.argmin(cost)) < 19


def test_gridworld25_walks_eight_steps():
    v = optimal(instances.gridworld25())
    expected = 0.99**7 - 0.01 * (1 - 0.99**7) / 0.01
    assert v[0] == pytest.approx(expected, abs=1e-9)  # value iteration's tolerance
    assert v[24] == v[20] == 0 and instances.gridworld25().r[15, 2] == -1


def test_capacity50_cannot_sell_more_than_it_has():
    mdp = instances.capacity50()
    # Six probabilities and one subtraction.
    np.testing.assert_allclose(mdp.P[1, :, 0], 1 - np.exp([-4, -3, -2.5, -2, -1.5]), rtol=1e-14)
    v = optimal(mdp, 1e-8)
    assert np.all(np.diff(v) > 0) and v[49] < 5 * 49 and np.all(mdp.P[:, :, :] >= 0)
    assert mdp.terminal.tolist() == [True] + [False] * 49


def test_lost_sales_by_hand():
    """Stock 2, no order: demand 0, 1 leave 2, 1; 2 or more leave 0. After spoilage (one unit of 2) 1 is left."""
    fresh, spoiled = instances.inventory50(), instances.perishable50()
    np.testing.assert_allclose(fresh.P[2, 0, :3], [0.7, 0.2, 0.1], rtol=1e-15)  # sums of four tenths
    np.testing.assert_allclose(spoiled.P[2, 0, :3], [0.9, 0.1, 0.0], rtol=1e-15)  # sums of five tenths
    assert fresh.r[2, 0] == pytest.approx(-(0.1 * 0.4 + 1.0 * (0.2 + 0.3 + 0.15)), rel=1e-14)  # as printed
    assert spoiled.r[2, 1] == pytest.approx(
        -(0.6 + 0.1 * (2 * 0.1 + 0.2) + 1.2 * (1 * 0.2 + 2 * 0.15 + 3 * 0.05)), rel=1e-14
    )  # two of three units are left
    for mdp in (fresh, spoiled):
        assert mdp.r[49, 4] < mdp.r[49, 0] and np.array_equal(mdp.P[49, 4], mdp.P[49, 0])


def test_chain10_and_forest50():
    chain = instances.chain10()
    assert chain.P[0, 0, 0] == 0.9 and chain.P[0, 1, 1] == 0.9 and chain.P[5, 1, 4] == 0.1
    v = optimal(chain)
    assert np.all(np.diff(v) > 0) and v[9] < 100
    forest = instances.forest50()
    assert forest.S == 50 and forest.P[49, 0, 49] == 0.9 and forest.r[10].tolist() == [0, 1]


def test_backlog_inventory_by_hand():
    """Levels -1..2, demand 0..3. Level 0, order 1: sold is 1 - next, and a unit owed costs .5."""
    mdp = instances.backlog_inventory(2, 1, demand=(0.1, 0.2, 0.3, 0.4))
    # Level 1 after the order; demand 0, 1, 2 and more leave 1, 0, -1.
    np.testing.assert_allclose(mdp.P[1, 1], [0.7, 0.2, 0.1, 0.0], rtol=1e-15)  # sum of two tenths
    assert mdp.r_next[1, 1, 2] == pytest.approx(0 - 2 - 1 - 0.1, rel=1e-15)  # nothing sold, one held
    assert mdp.r_next[1, 1, 0] == pytest.approx(4 * 2 - 2 - 1 - 0.5, rel=1e-15)  # two sold, one owed
    assert np.array_equal(mdp.P[3, 3], mdp.P[3, 0]) and mdp.r[3, 3] == mdp.r[3, 0]
    with pytest.raises(ValueError, match="not both 0"):
        instances.backlog_inventory(0, 0)
