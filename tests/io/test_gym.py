"""Tables of gymnasium: ends of episodes, duplicates, and what cannot be loaded."""

import numpy as np
import pytest

from mdplab.io import load
from mdplab.io.gym import table_mdp

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")


def test_an_end_in_an_absorbing_state_stays_there():
    table = {0: {0: [(0.5, 0, 1.0, False), (0.5, 1, 3.0, True)]}, 1: {0: [(1.0, 1, 0, True)]}}
    mdp = table_mdp(table, gamma=0.9)
    assert mdp.S == 2
    assert mdp.terminal.tolist() == [False, True]
    assert mdp.r.tolist() == [[2.0], [0.0]]
    assert mdp.r_next[0, 0].tolist() == [1.0, 3.0]


def test_an_end_elsewhere_goes_to_one_added_terminal_state():
    table = {
        0: {0: [(0.25, 0, 1.0, True), (0.25, 0, 5.0, False), (0.5, 1, 1.0, True)]},
        1: {0: [(1.0, 1, 2.0, False)]},
    }
    mdp = table_mdp(table, gamma=0.9, mu=np.array([0.5, 0.5]))
    assert mdp.S == 3
    assert mdp.P[0, 0].tolist() == [0.25, 0.0, 0.75]
    assert mdp.r_next[0, 0].tolist() == [5.0, 0.0, 1.0]
    assert mdp.terminal.tolist() == [False, False, True]
    assert mdp.mu.tolist() == [0.5, 0.5, 0.0]


def test_duplicates_are_summed_and_their_rewards_averaged():
    table = {
        0: {0: [(0.5, 0, 1.0, False), (0.25, 1, 2.0, False), (0.25, 0, 4.0, False)]},
        1: {0: [(1.0, 0, 0.5, False)]},
    }
    mdp = table_mdp(table, gamma=0.9)
    assert mdp.P[0, 0].tolist() == [0.75, 0.25]
    assert mdp.r_next[0, 0].tolist() == [2.0, 2.0]
    assert mdp.r.tolist() == [[2.0], [0.5]]


def test_a_reward_that_duplicates_share_is_kept_to_the_bit():
    table = {0: {0: [(0.1, 0, 0.7, False), (0.2, 0, 0.7, False), (0.7, 1, 0.3, False)]}, 1: {0: [(1.0, 0, 0.5, False)]}}
    assert (0.1 * 0.7 + 0.2 * 0.7) / (0.1 + 0.2) != 0.7
    assert table_mdp(table, gamma=0.9).r_next[0, 0].tolist() == [0.7, 0.3]


def test_states_may_have_fewer_actions():
    mdp = table_mdp(
        {0: {0: [(1.0, 1, 1.0, False)], 1: [(1.0, 0, 0.0, False)]}, 1: {0: [(1.0, 0, 0, False)]}}, gamma=0.5
    )
    assert mdp.actions.tolist() == [[True, True], [True, False]]


def test_options_reach_the_environment():
    small, large = (load(f"gym:FrozenLake-v1?map_name={size}", gamma=0.9) for size in ("4x4", "8x8"))
    assert (small.S, large.S) == (16, 64)
    firm = load("gym:FrozenLake-v1?is_slippery=false", gamma=0.9)
    assert firm.num_transitions == 64 < small.num_transitions
    assert load("gym:FrozenLake-v1", gamma=0.9, is_slippery=False).digest() == firm.digest()
    assert load("gym:FrozenLake-v1", gamma=1.0, horizon=5).horizon == 5


@pytest.mark.parametrize(
    ("source", "gamma", "message"),
    [
        ("gym:FrozenLake-v1", None, "gamma is needed"),
        ("gym:FrozenLak-v1", 0.9, r"unknown environment 'FrozenLak-v1'; nearest: FrozenLake-v1"),
        ("gym:Blackjack-v1", 0.9, "publishes no table"),
        ("gym:FrozenLake-v1?colour=blue", 0.9, "cannot be made with .*colour"),
        ("gym:FrozenLake-v1?map_name=5x5", 0.9, "cannot be made with .*5x5"),
        ("gym:FrozenLake-v1?map_name", 0.9, "not of the form key=value"),
        ("gym:FrozenLake-v1", 2.0, "gym:FrozenLake-v1: gamma is 2"),
    ],
)
def test_what_cannot_be_loaded_says_why(source, gamma, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(source, gamma=gamma)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({0: {0: [(1.0, 3, 0.0, False)]}}, r"P\[0\]\[0\] leads to state 3"),
        ({1: {0: [(1.0, 1, 0.0, False)]}}, "not numbered 0..0"),
        ({0: {0: []}}, "actions in state 0 are not lists"),
        ({0: {0: [(0.9, 0, 0.0, False)]}}, r"P\[0, 0\] sums to 0\.9"),
    ],
)
def test_a_broken_table_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        table_mdp(table, gamma=0.9)
