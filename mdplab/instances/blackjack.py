"""Blackjack of gymnasium's toy text as a table, which gymnasium itself does not publish."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import scipy.sparse as sp

from mdplab.models import MDP

# With an infinite deck every card is drawn anew: ace to nine, and ten with its three pictures.
CARDS = tuple(range(1, 11))
PROBABILITY = (*(1 / 13,) * 9, 4 / 13)
STICK, HIT = 0, 1


def blackjack(*, gamma: float = 1.0) -> MDP:
    """Blackjack against a dealer who draws to 17, with an infinite deck and without splitting or doubling.

    Stick (0) or hit (1). A player's state is the sum of the cards (an ace counts 11 while that does not bust), whether
    there is such a usable ace, and the dealer's open card; two cards that make 21 are a state of their own, a natural,
    which beats every dealer's hand but another natural. Three terminal states end the hand: lost (-1), drawn (0), won
    (+1), paid on entering, so that the law of the return can be read off `r_next`.

    Parameters
    ----------
    gamma : float in [0, 1]
        Discount factor; 1 is Sutton and Barto's.

    Returns
    -------
    MDP
        Sparse, 293 states: 10 open cards for each of 18 hard sums from 4, 10 soft sums from 12 and the natural, then
        lost, drawn, won. `mu` is the law of the first deal; `states` names them, `12+ace/6` is 12 with a usable ace
        against a six.

    Notes
    -----
    Exact, gamma = 1: under the best policy the mean result of a hand is -0.0431131.

    Source
    ------
    Sutton, Barto (2018), "Reinforcement Learning", example 5.1; gymnasium's Blackjack-v1 with its
    default rules (sab=True).

    Examples
    --------
    >>> blackjack()
    MDP(S=293, A=2, transitions=3108, gamma=1)
    """
    hands = [(total, ace) for ace in (False, True) for total in range(12 if ace else 4, 22)]
    names = [f"{total}{'+ace' * ace}/{card}" for total, ace in hands for card in CARDS]
    names += [f"natural/{card}" for card in CARDS] + ["lost", "drawn", "won"]
    number = {(*hand, card): i * 10 + j for i, hand in enumerate(hands) for j, card in enumerate(CARDS)}
    S = len(names)
    lost, drawn, won = S - 3, S - 2, S - 1
    P, paid = np.zeros((S, 2, S)), np.zeros(S)
    paid[[lost, won]] = -1.0, 1.0
    for (total, ace, card), s in number.items():
        P[s, STICK, [lost, drawn, won]] = _against(total, card)
        for new, p in zip(CARDS, PROBABILITY, strict=True):
            after = _add(total, ace, new)
            P[s, HIT, lost if after[0] > 21 else number[*after, card]] += p
    for j, card in enumerate(CARDS):
        natural = S - 13 + j
        tie = _natural(card)
        P[natural, STICK, [drawn, won]] = tie, 1 - tie
        P[natural, HIT] = P[number[21, True, card], HIT]
    P[[lost, drawn, won], :, [lost, drawn, won]] = 1.0
    mu = np.zeros(S)
    for one, p in zip(CARDS, PROBABILITY, strict=True):
        for two, q in zip(CARDS, PROBABILITY, strict=True):
            for j, (card, chance) in enumerate(zip(CARDS, PROBABILITY, strict=True)):
                total, ace = _add(*_add(0, False, one), two)
                mu[S - 13 + j if total == 21 else number[total, ace, card]] += p * q * chance
    rows = P.reshape(-1, S)
    rewards = np.where(np.arange(rows.shape[0])[:, None] < 2 * lost, (rows > 0) * paid, 0.0)
    return MDP(sp.csr_array(rows), sp.csr_array(rewards), gamma, mu=mu / mu.sum(), states=names)


def _add(total: int, ace: bool, card: int) -> tuple[int, bool]:
    """The hand after one more card: its best sum, and whether an ace in it counts 11."""
    hard, ace = total - 10 * ace + card, ace or card == 1
    usable = ace and hard + 10 <= 21
    return hard + 10 * usable, usable


def _natural(card: int) -> float:
    """Probability that the dealer's hidden card makes 21 with the open one."""
    return PROBABILITY[{1: 9, 10: 0}[card]] if card in (1, 10) else 0.0


def _against(total: int, card: int) -> np.ndarray:
    """Probabilities that a player who sticks at `total` loses, draws and wins."""
    out = np.zeros(3)
    for dealer, p in _dealer(*_add(0, False, card)):
        score = 0 if dealer > 21 else dealer
        out[1 + (total > score) - (total < score)] += p
    return out


@cache
def _dealer(total: int, ace: bool) -> tuple[tuple[int, float], ...]:
    """Final sums of a dealer who draws to 17, with their probabilities."""
    return tuple(_finals(total, ace))


def _finals(total: int, ace: bool) -> Iterator[tuple[int, float]]:
    if total >= 17:
        yield total, 1.0
        return
    for card, p in zip(CARDS, PROBABILITY, strict=True):
        for final, q in _dealer(*_add(total, ace, card)):
            yield final, p * q
