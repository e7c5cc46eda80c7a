"""Blackjack: equality with gymnasium's own play, card by card, and what is known of the game."""

import itertools

import numpy as np
import pytest

from mdplab import instances
from mdplab.exact import solve

CARDS = range(1, 11)
CHANCE = {card: 1 / 13 for card in CARDS} | {10: 4 / 13}


class Deck:
    """A generator that deals the cards it is told to, and says when it has none left."""

    def __init__(self, cards):
        self.cards = list(cards)

    def choice(self, _):
        return self.cards.pop(0)


@pytest.fixture(scope="module")
def table():
    gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    return gymnasium.make("Blackjack-v1").unwrapped


@pytest.fixture(scope="module")
def mdp():
    return instances.blackjack()


def played(table, player, dealer, action, cards):
    """Observation, reward and end after `action` with these hands, if the deck goes on with `cards`."""
    table.player, table.dealer = list(player), list(dealer)
    table._np_random = Deck(cards)
    return table.step(action)[:3]


def name(observation):
    total, card, ace = observation
    return f"{total}{'+ace' * bool(ace)}/{card}"


def hand(state):
    """Cards that make a state: three for 21 with an ace, which would otherwise be a natural."""
    if state == "natural":
        return [1, 10]
    if state.endswith("+ace"):
        total = int(state[:-4])
        return [1, 5, 5] if total == 21 else [1, total - 11]
    total = int(state)
    return [total - 2, 2] if total <= 12 else [10, total - 10] if total <= 20 else [10, 9, 2]


def test_every_hit_leads_where_gymnasium_leads(mdp, table):
    rows = mdp.dense().P[:, 1]
    for s, state in enumerate(mdp.states[:-3]):
        own, card = state.split("/")
        expected = np.zeros(mdp.S)
        for new in CARDS:
            seen, reward, done = played(table, hand(own), [int(card), 5], 1, [new])
            expected[mdp.states.index("lost" if done else name(seen))] += CHANCE[new]
            assert reward == (-1 if done else 0)
        # Thirteenths, added in another order.
        np.testing.assert_allclose(rows[s], expected, rtol=0, atol=1e-15)


def outcomes(table, player, card):
    """Probabilities of losing, drawing and winning after a stick, over all hands of the dealer that gymnasium plays."""
    out = np.zeros(3)
    todo = [([], 1.0)]
    while todo:
        cards, p = todo.pop()
        if not cards:
            todo += [([new], CHANCE[new]) for new in CARDS]
            continue
        try:
            _, reward, _ = played(table, player, [card, cards[0]], 0, cards[1:])
        except IndexError:  # the deck is empty: the dealer draws on
            todo += [([*cards, new], p * CHANCE[new]) for new in CARDS]
            continue
        out[1 + int(reward)] += p
    return out


@pytest.mark.parametrize("own", ["natural", "21+ace", "20", "18", "17", "15"])
def test_a_stick_ends_as_in_gymnasium(mdp, table, own):
    rows = mdp.dense().P[:, 0]
    for card in (1, 6, 10):
        row = rows[mdp.states.index(f"{own}/{card}")]
        # Sums of some thousand products of thirteenths, each rounded at 1e-16 of at most 1.
        np.testing.assert_allclose(row[-3:], outcomes(table, hand(own), card), rtol=0, atol=1e-13)


def test_the_first_deal(mdp):
    expected = np.zeros(mdp.S)
    for one, two, card in itertools.product(CARDS, repeat=3):
        ace = 1 in (one, two)
        total = one + two + 10 * ace
        state = f"natural/{card}" if total == 21 else f"{total}{'+ace' * ace}/{card}"
        expected[mdp.states.index(state)] += CHANCE[one] * CHANCE[two] * CHANCE[card]
    np.testing.assert_allclose(mdp.mu, expected, rtol=0, atol=1e-15)  # sums of thirteenths


def test_best_play(mdp):
    """The thresholds without an ace that every textbook prints: 12 against 4 to 6, 13 against 2 and 3, 17 otherwise."""
    answer = solve(mdp, tol=1e-9)
    hits = {state: bool(a) for state, a in zip(mdp.states, answer.policy, strict=True)}
    for card in CARDS:
        least = 12 if card in (4, 5, 6) else 13 if card in (2, 3) else 17
        assert [hits[f"{total}/{card}"] for total in range(11, 22)] == [total < least for total in range(11, 22)]
        assert hits[f"17+ace/{card}"] and not hits[f"19+ace/{card}"] and not hits[f"natural/{card}"]
    assert mdp.mu @ answer.value == pytest.approx(-0.0431131, abs=6e-8)  # our own solve, seven printed digits


def test_a_hand_pays_one_way_or_the_other_or_nothing(mdp):
    assert set(np.unique(mdp.r_next)) == {-1.0, 0.0, 1.0}
    assert mdp.terminal.sum() == 3
