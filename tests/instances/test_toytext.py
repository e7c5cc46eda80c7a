"""Toy text: published values, and equality with gymnasium's own tables where it is installed."""

import numpy as np
import pytest
from instances.exactly import optimum
from numpy.testing import assert_allclose

from mdplab import instances, io


def gymnasium_id(name):
    """The newest registered version of a toy-text environment; the test is skipped without gymnasium."""
    gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    return max(key for key in gymnasium.registry if key.startswith(f"{name}-v"))


@pytest.mark.parametrize(("size", "printed"), [("4x4", 0.542026), ("8x8", 0.414640)])
def test_frozen_lake_values(size, printed):
    value, _ = optimum(instances.frozen_lake(size))
    assert value[0] == pytest.approx(printed, abs=6e-7)  # six printed decimals


@pytest.mark.parametrize(("size", "moves"), [("4x4", 6), ("8x8", 14)])
def test_frozen_lake_without_slip_is_a_shortest_path(size, moves):
    mdp = instances.frozen_lake(size, slippery=False, gamma=0.9)
    assert optimum(mdp)[0][0] == pytest.approx(0.9 ** (moves - 1), rel=1e-12)  # dense solve, well conditioned


@pytest.mark.parametrize("size", ["4x4", "8x8"])
@pytest.mark.parametrize("slippery", [True, False])
def test_frozen_lake_equals_gymnasium(size, slippery):
    source = f"gym:{gymnasium_id('FrozenLake')}?map_name={size}&is_slippery={slippery}"
    theirs = io.load(source, gamma=0.99)
    ours = instances.frozen_lake(size, slippery=slippery)
    # Their slip probability is computed as (1 - 1/3) / 2, one rounding away from 1/3.
    assert_allclose(ours.P, theirs.P, rtol=0, atol=2e-16)
    assert_allclose(ours.r, theirs.r, rtol=0, atol=2e-16)
    assert np.array_equal(ours.mu, theirs.mu)
    assert np.array_equal(ours.terminal, theirs.terminal)


@pytest.mark.parametrize("gamma", [0.9, 0.99])
def test_cliff_walking_value(gamma):
    value = optimum(instances.cliff_walking(gamma=gamma))[0]
    assert value[36] == pytest.approx(-(1 - gamma**13) / (1 - gamma), rel=1e-12)  # dense solve, well conditioned


@pytest.mark.parametrize("slippery", [False, True])
def test_cliff_walking_equals_gymnasium(slippery):
    theirs = io.load(f"gym:{gymnasium_id('CliffWalking')}?is_slippery={slippery}", gamma=0.99).dense()
    ours = instances.cliff_walking(slippery=slippery)
    live = np.arange(48) != 47
    # Their table goes on from the goal, so the loader adds a terminal state; ours ends in the goal itself.
    assert theirs.S == 49
    P = theirs.P[:48, :, :48].copy()
    P[:, :, 47] += theirs.P[:48, :, 48]
    assert_allclose(ours.P[live], P[live], rtol=0, atol=2e-16)  # sums of thirds, in another order
    assert_allclose(ours.r[live], theirs.r[:48][live], rtol=1e-15)  # likewise
    assert np.array_equal(ours.mu, theirs.mu[:48])


def test_taxi_equals_gymnasium():
    theirs = io.load(f"gym:{gymnasium_id('Taxi')}", gamma=0.99)
    ours = instances.taxi()
    assert (ours.P != theirs.P).nnz == 0
    assert np.array_equal(ours.r, theirs.r)
    assert_allclose(ours.mu, theirs.mu, rtol=1e-15)  # 1/300, by another division


def test_taxi_best_trip():
    """Passenger and destination at depots 0 and 2, taxi at depot 0: pick up, 4 moves south, drop off (walls aside)."""
    mdp = instances.taxi(gamma=1.0)
    value = np.zeros(mdp.S)
    # No trip is longer than 20 moves; after that many sweeps values no longer change.
    for _ in range(40):
        value = (mdp.r + (mdp.P @ value).reshape(mdp.S, 6)).max(axis=1)
    state = ((0 * 5 + 0) * 5 + 0) * 4 + 2
    assert value[state] == 20 - 1 - 4
    assert np.array_equal(value, (mdp.r + (mdp.P @ value).reshape(mdp.S, 6)).max(axis=1))


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="size is '9x9'"):
        instances.frozen_lake("9x9")
