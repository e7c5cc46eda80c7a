"""Preference games: random families, the regression instance P3, cycles in closed form, Nash-MD's extremal game."""

from fractions import Fraction

import numpy as np

from mdplab.models import PreferenceGame

FAMILIES = ("uniform", "total-order", "cyclic", "transitive")


def p3() -> PreferenceGame:
    """Three cyclic actions with an uneven reference policy; the equilibrium without regularisation is (.3, .3, .4).

    Examples
    --------
    >>> p3().mu.tolist()
    [0.2, 0.3, 0.5]
    """
    return PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])


def three_cycle(a: float, b: float, c: float, mu: np.ndarray | None = None) -> PreferenceGame:
    """Action 0 beats 1 by a, 1 beats 2 by b, 2 beats 0 by c: P = 1/2 + K, K[0,1] = a, K[1,2] = b, K[2,0] = c.

    Parameters
    ----------
    a, b, c : float in (0, 1/2]
        Margins.
    mu
        Reference policy, uniform by default.

    Examples
    --------
    >>> three_cycle(0.4, 0.3, 0.3).P[0].tolist()
    [0.5, 0.9, 0.2]
    """
    for name, value in (("a", a), ("b", b), ("c", c)):
        if not 0 < value <= 0.5:
            raise ValueError(f"{name} is {value}; expected in (0, 1/2]")
    K = np.array([[0.0, a, -c], [-a, 0.0, b], [c, -b, 0.0]])
    return PreferenceGame(0.5 + K, mu)


def three_cycle_nash(a: Fraction, b: Fraction, c: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """The unique equilibrium of `three_cycle`: (b, c, a) / (a + b + c), exactly if the arguments are fractions.

    Notes
    -----
    K p = (a p_1 - c p_2, b p_2 - a p_0, c p_0 - b p_1) vanishes exactly on multiples of (b, c, a). An equilibrium has
    K p <= 0 and p . K p = 0; against the full-support equilibrium, skewness gives K p = 0, hence uniqueness.

    Examples
    --------
    >>> [str(x) for x in three_cycle_nash(Fraction(4, 10), Fraction(3, 10), Fraction(3, 10))]
    ['3/10', '3/10', '2/5']
    """
    total = a + b + c
    return b / total, c / total, a / total


def random_preferences(
    n: int, *, rng: np.random.Generator, family: str = "uniform", contexts: int | None = None, spread: float = 1.0
) -> PreferenceGame:
    """A random preference game with a random reference policy.

    Parameters
    ----------
    n : int >= 2
        Actions.
    rng
        Source of every draw.
    family
        "uniform": P[y, z] uniform on [0, 1] below the diagonal. "total-order": a random ranking, 0/1 preferences.
        "cyclic": y beats the next (n - 1) // 2 actions on a circle, 0/1 preferences; ties elsewhere. "transitive":
        Bradley-Terry with N(0, 1) scores.
    contexts
        Number of contexts, or None for a game without.
    spread
        Standard deviation of the reference policy's logits.

    Source
    ------
    "uniform" with `spread=1`: the simulations of Zhou, Fazel and Du 2025 (arXiv:2503.08942), from the authors' code.

    Examples
    --------
    >>> random_preferences(4, rng=np.random.default_rng(0), contexts=2)
    PreferenceGame(n=4, m=2)
    """
    if n < 2:
        raise ValueError(f"n is {n}; expected at least 2")
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}; expected one of {', '.join(FAMILIES)}")
    count = 1 if contexts is None else contexts
    P = np.array([_PREFERENCES[family](n, rng) for _ in range(count)])
    logits = spread * rng.standard_normal((count, n))
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    mu = weights / weights.sum(axis=1, keepdims=True)
    return PreferenceGame(P[0], mu[0]) if contexts is None else PreferenceGame(P, mu)


def _complete(lower: np.ndarray) -> np.ndarray:
    """P from what is below the diagonal."""
    P = np.tril(lower, -1)
    return P + np.triu(1 - P.T, 1) + 0.5 * np.eye(len(P))


def _uniform(n: int, rng: np.random.Generator) -> np.ndarray:
    return _complete(rng.random((n, n)))


def _total_order(n: int, rng: np.random.Generator) -> np.ndarray:
    rank = rng.permutation(n)
    return 0.5 + 0.5 * np.sign(rank[None, :] - rank[:, None])


def _cyclic(n: int, rng: np.random.Generator) -> np.ndarray:
    place = rng.permutation(n)
    ahead = (place[None, :] - place[:, None]) % n
    half = (n - 1) // 2
    return 0.5 + 0.5 * ((ahead >= 1) & (ahead <= half)) - 0.5 * ((n - ahead <= half) & (ahead > 0))


def _transitive(n: int, rng: np.random.Generator) -> np.ndarray:
    score = rng.standard_normal(n)
    return _complete(1 / (1 + np.exp(score[None, :] - score[:, None])))


_PREFERENCES = {"uniform": _uniform, "total-order": _total_order, "cyclic": _cyclic, "transitive": _transitive}


def nash_md_tight(n: int, eps: float) -> tuple[PreferenceGame, np.ndarray]:
    """The game on which one step of Nash-MD comes as close as one likes to its bound, and the policy before the step.

    Action 0 ties with everything and has nearly all the reference's mass; actions 1..n are in total order and share
    `eps`. The policy before the step is uniform on 1..n, up to `eps` on action 0.

    Parameters
    ----------
    n : int >= 2
        Ordered actions; K m is then almost uniform on n equidistant points of [-1/2, 1/2].
    eps : float in (0, 1/2)
        Mass that the reference gives to the ordered actions, and the policy to the tie.

    Returns
    -------
    (PreferenceGame, array (n + 1,))
        The game and the logarithm of the policy.

    Notes
    -----
    As eps -> 0 with tau log(1 / eps) -> 0, the excess of D(pi* || pi_(t+1)) over (1 - eta tau) D(pi* || pi_t) tends to
    log E e^(eta X), X uniform on the n points, hence to eta^2 / 24 (1 - 1 / n^2) for small eta.

    Source
    ------
    Derived here; see `mdplab.papers.munos2023`.
    """
    if n < 2:
        raise ValueError(f"n is {n}; expected at least 2")
    if not 0 < eps < 0.5:
        raise ValueError(f"eps is {eps}; expected in (0, 1/2)")
    order = np.arange(n)
    P = np.full((n + 1, n + 1), 0.5)
    P[1:, 1:] += 0.5 * np.sign(order[None, :] - order[:, None])
    mu = np.append(1 - eps, np.full(n, eps / n))
    return PreferenceGame(P, mu), np.log(np.append(eps, np.full(n, (1 - eps) / n)))
