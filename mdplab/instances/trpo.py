r"""Instances on which policy improvement bounds are attained, and on which their careless versions fail.

Each comes with the policy and, in closed form, what a changed policy loses against the surrogate. Closed forms take
floats or fractions.
"""

import numpy as np

from mdplab.models import MDP

STAY_LOW, STAY_HIGH, LEAVE = 0, 1, 2


def trpo_tight(alpha: float, gamma: float, eps: float = 1.0) -> tuple[MDP, np.ndarray, np.ndarray]:
    """The MDP on which the TRPO bound is attained as alpha -> 0, with the policy and the changed policy.

    State 0 (start): two actions stay, with rewards -eps and +eps; the third leaves for state 1 with reward +eps.
    State 1 is absorbing, with rewards +eps and -eps (the third action repeats the first). The policy is (1/2, 1/2, 0)
    in both; the changed one moves alpha from the first action to the third in state 0, to the second in state 1.

    Parameters
    ----------
    alpha : float in [0, 1/2]
        Total variation between the policies, in both states.
    gamma : float in [0, 1)
        Discount factor.
    eps : float > 0
        Largest |advantage|.

    Source
    ------
    Derived here: every |Adv| is eps and V = 0, and the changed policy reaches exactly the state where it loses.

    Examples
    --------
    >>> trpo_tight(0.1, 0.9)[0]
    MDP(S=2, A=3, transitions=6, gamma=0.9)
    """
    if not 0 <= alpha <= 0.5:
        raise ValueError(f"alpha is {alpha}; expected in [0, 1/2]")
    P = np.zeros((2, 3, 2))
    P[0, :2, 0] = P[0, LEAVE, 1] = P[1, :, 1] = 1.0
    r = np.array([[-eps, eps, eps], [eps, -eps, eps]])
    pi = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])
    change = np.array([[-alpha, 0.0, alpha], [-alpha, alpha, 0.0]])
    return MDP(P, r, gamma, mu=[1.0, 0.0]), pi, pi + change


def trpo_tight_shortfall(alpha: float, gamma: float, eps: float = 1.0) -> float:
    """L(pi') - J(pi') on `trpo_tight`: 4 eps gamma alpha^2 / ((1 - gamma) (1 - gamma + gamma alpha)).

    Notes
    -----
    Under pi' state 0 is kept with probability 1 - alpha, so its occupancy is 1 / (1 - gamma + gamma alpha) instead of
    1 / (1 - gamma); the difference, gamma alpha / ((1 - gamma)(1 - gamma + gamma alpha)), is spent in state 1, where
    the expected advantage is -2 eps alpha instead of +2 eps alpha.

    Examples
    --------
    >>> from fractions import Fraction
    >>> trpo_tight_shortfall(Fraction(1, 10), Fraction(1, 2), Fraction(1))
    Fraction(4, 55)
    """
    return 4 * eps * gamma * alpha**2 / ((1 - gamma) * (1 - gamma + gamma * alpha))


def greedy_tight(gamma: float, eps: float = 1.0) -> tuple[MDP, np.ndarray]:
    """The MDP on which the bound for greedy mixtures, with constant 1, is attained for every weight; and its policy.

    State 0 (start): the first action stays with reward 0, the second leaves with reward eps for the absorbing state 1,
    of reward 0. The policy stays.

    Examples
    --------
    >>> greedy_tight(0.9)[1].tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = 1.0
    return MDP(P, [[0.0, eps], [0.0, 0.0]], gamma, mu=[1.0, 0.0]), np.array([[1.0, 0.0], [1.0, 0.0]])


def greedy_tight_shortfall(alpha: float, gamma: float, eps: float = 1.0) -> float:
    """L - J of the greedy mixture on `greedy_tight`: eps gamma alpha^2 / ((1 - gamma) (1 - gamma + gamma alpha)).

    Examples
    --------
    >>> from fractions import Fraction
    >>> greedy_tight_shortfall(Fraction(1, 2), Fraction(1, 2), 1)
    Fraction(1, 3)
    """
    return eps * gamma * alpha**2 / ((1 - gamma) * (1 - gamma + gamma * alpha))


def rare_state(leave: float, gamma: float, eps: float = 1.0) -> tuple[MDP, np.ndarray, np.ndarray]:
    """A variant of `trpo_tight` whose state 1 is rare but reached: a large change there hardly shows in averages.

    The policy leaves state 0 with probability `leave`; the changed one moves leave / 64 from the first action to the
    third in state 0, and 3/16 from the first to the second in state 1.

    Parameters
    ----------
    leave : float in (0, 1/3)
        Probability of leaving.
    gamma : float in [0, 1)
        Discount factor.
    eps : float > 0
        Largest |advantage|.

    Returns
    -------
    (MDP, array (2, 3), array (2, 3))
        Problem, policy ((1 - leave) / 2, (1 - leave) / 2, leave), (1/2, 1/2, 0), and the changed policy.

    Source
    ------
    Derived here: what is lost is the product of the changes at the two states, while the square of the larger one
    enters an average over states with the small weight of state 1.

    Examples
    --------
    >>> rare_state(0.1, 0.01)[1][0].tolist()
    [0.45, 0.45, 0.1]
    """
    if not 0 < leave < 1 / 3:
        raise ValueError(f"leave is {leave}; expected in (0, 1/3)")
    mdp, _, _ = trpo_tight(0.0, gamma, eps)
    r = mdp.r.copy()
    # V = 0 in state 0: (1 - leave)/2 (-eps + high) + leave eps = 0.
    r[0, STAY_HIGH] = eps * (1 - 3 * leave) / (1 - leave)
    pi = np.array([[(1 - leave) / 2, (1 - leave) / 2, leave], [0.5, 0.5, 0.0]])
    change = np.array([[-leave / 64, 0.0, leave / 64], [-0.1875, 0.1875, 0.0]])
    return mdp.replace(r=r), pi, pi + change
