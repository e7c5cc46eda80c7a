"""Nominal models of the robust benchmarks: the seven of the fast-solver study, the ring, inventories with backlog.

The seven are those that the public repository of the study generates (not Gymnasium's), with its discount 0.99; where
an existing instance is meant, it is called with the study's numbers.
"""

from dataclasses import dataclass
from math import exp, factorial

import numpy as np

from mdplab.instances.grids import gridworld
from mdplab.instances.textbook import forest_management
from mdplab.models import MDP

_DEMAND = np.array([0.1, 0.2, 0.3, 0.2, 0.15, 0.05])


def chain10(*, gamma: float = 0.99) -> MDP:
    """Ten states in a row; left and right succeed with probability .9, else the other happens.

    Left in state 0 pays .2, right in state 9 pays 1, whatever happens; starts in state 0.

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025).

    Examples
    --------
    >>> chain10().P[9, 1, 8:].tolist()
    [0.1, 0.9]
    """
    P = np.zeros((10, 2, 10))
    for s, a in np.ndindex(10, 2):
        left, right = ((0.9, 0.1), (0.1, 0.9))[a]
        P[s, a, max(s - 1, 0)] += left
        P[s, a, min(s + 1, 9)] += right
    r = np.zeros((10, 2))
    r[0, 0], r[9, 1] = 0.2, 1.0
    return MDP(P, r, gamma, mu=np.eye(10)[0])


def forest50(*, gamma: float = 0.99) -> MDP:
    """`forest_management` with 50 ages, fires with probability .1, rewards 4 and 2.

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025); the MDP toolbox.

    Examples
    --------
    >>> forest50().r[49].tolist()
    [4.0, 2.0]
    """
    return forest_management(50, r1=4.0, r2=2.0, p=0.1, gamma=gamma).replace(mu=np.eye(50)[0])


def capacity50(*, gamma: float = 0.99) -> MDP:
    """Sell 49 units: action a asks the price a + 1 and meets Poisson demand of mean 4, 3, 2.5, 2, 1.5, cut off at 5.

    State: units left; 0 is terminal. The probability of demand beyond 5 is added to that of 5.

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025).

    Examples
    --------
    >>> capacity50().r[1].round(4).tolist()
    [0.9817, 1.9004, 2.7537, 3.4587, 3.8843]
    """
    P = np.zeros((50, 5, 50))
    r = np.zeros((50, 5, 50))
    P[0, :, 0] = 1.0
    for a, mean in enumerate((4.0, 3.0, 2.5, 2.0, 1.5)):
        demand = [exp(-mean) * mean**d / factorial(d) for d in range(5)]
        demand.append(1 - sum(demand))
        for s in range(1, 50):
            for d, weight in enumerate(demand):
                sold = min(s, d)
                P[s, a, s - sold] += weight
                r[s, a, s - sold] = (a + 1) * sold
    return MDP(P, r, gamma, mu=np.eye(50)[49])


def inventory50(*, gamma: float = 0.99) -> MDP:
    """Order 0 to 4 units, stock at most 49; what is missing is lost, at 1 a unit; an order costs .5, holding .1 a unit.

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025).

    Examples
    --------
    >>> inventory50().r[0, 0].round(3).item()
    -2.25
    """
    return _lost_sales(0, order_cost=0.5, holding_cost=0.1, shortage_cost=1.0, gamma=gamma)


def perishable50(*, gamma: float = 0.99) -> MDP:
    """As `inventory50`, but of what is on hand a fifth spoils before the demand comes; costs .6, .1 and 1.2.

    What remains is rounded down to whole units.

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025).

    Examples
    --------
    >>> perishable50().P[10, 0].nonzero()[0].tolist()
    [3, 4, 5, 6, 7, 8]
    """
    return _lost_sales(5, order_cost=0.6, holding_cost=0.1, shortage_cost=1.2, gamma=gamma)


def _lost_sales(spoil: int, *, order_cost: float, holding_cost: float, shortage_cost: float, gamma: float) -> MDP:
    """One unit in `spoil` (rounded up) is lost before the demand; none if `spoil` is 0."""
    P = np.zeros((50, 5, 50))
    r = np.zeros((50, 5))
    demand = np.arange(_DEMAND.size)
    for s, a in np.ndindex(50, 5):
        stock = min(49, s + a)
        stock -= -(-stock // spoil) if spoil else 0
        left = np.maximum(stock - demand, 0)
        np.add.at(P[s, a], left, _DEMAND)
        r[s, a] = -(order_cost * a + _DEMAND @ (holding_cost * left + shortage_cost * np.maximum(demand - stock, 0)))
    return MDP(P, r, gamma, mu=np.eye(50)[0])


def machine20(*, gamma: float = 0.99) -> MDP:
    """Wear 0 to 19: keep (one more, at .1 + .02 wear) or replace (back to 0, at 2); deterministic.

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025).

    Examples
    --------
    >>> machine20().r[5].tolist()
    [-0.2, -2.0]
    """
    s = np.arange(20)
    P = np.zeros((20, 2, 20))
    P[s, 0, np.minimum(s + 1, 19)] = P[s, 1, 0] = 1.0
    r = np.stack([-(0.1 + 0.02 * s), np.full(20, -2.0)], axis=1)
    return MDP(P, r, gamma, mu=np.eye(20)[0])


def gridworld25(*, gamma: float = 0.99) -> MDP:
    """Five by five cells without slip: entering (4, 4) pays 1, entering (4, 0) pays -1, any other step -.01.

    Actions up, right, down, left (the study counts left, down, right, up).

    Source
    ------
    Benchmarks of the repository wolframwi/fast-robust-mdps (2025).

    Examples
    --------
    >>> gridworld25().r[19].round(12).tolist()
    [-0.01, -0.01, 1.0, -0.01]
    """
    # The grid pays the step in addition to the goal.
    goals = {(4, 4): 1.01, (4, 0): -0.99}
    return gridworld(5, 5, gamma=gamma, goals=goals, step_reward=-0.01, start=(0, 0)).dense()


def toy_ring(p: float = 0.01, *, gamma: float = 0.95) -> MDP:
    """A ring of 14 states; actions aim one to the left, at the place, one to the right, and miss to either side.

    The aim is met with probability 1 - 2 p, its two neighbours with p each. The reward depends on the state only:
    (0, 0, -1, 2, -1, 0, 0, -10, 5, -10, 0, .9, 1, 0). Starts anywhere.

    Parameters
    ----------
    p : float in [0, 1/2]
        Probability of each miss.
    gamma : float in [0, 1)
        Discount factor.

    Notes
    -----
    Mean of V* over the states: 71.5568 at p = .01, 16.9144 at p = .15.

    Source
    ------
    Zhang, Hu, Li (ICLR 2024), "Soft robust MDPs and risk-sensitive MDPs", from the authors' code, where it is called
    "Toy-10".

    Examples
    --------
    >>> toy_ring().P[0, 0, [12, 13, 0]].tolist()
    [0.01, 0.98, 0.01]
    """
    if not 0 <= p <= 0.5:
        raise ValueError(f"p is {p}; expected in [0, 1/2]")
    r = np.array([0, 0, -1, 2, -1, 0, 0, -10, 5, -10, 0, 0.9, 1, 0])
    P = np.zeros((14, 3, 14))
    for s, a in np.ndindex(14, 3):
        for miss, weight in ((-1, p), (0, 1 - 2 * p), (1, p)):
            P[s, a, (s + a - 1 + miss) % 14] += weight
    return MDP(P, np.tile(r[:, None], (1, 3)), gamma, mu=np.full(14, 1 / 14))


def backlog_inventory(
    capacity: int = 10,
    backlog: int = 5,
    *,
    demand: tuple[float, ...] = (0.1, 0.2, 0.3, 0.2, 0.15, 0.05),
    price: float = 4.0,
    unit_cost: float = 2.0,
    delivery_cost: float = 1.0,
    holding_cost: float = 0.1,
    backlog_cost: float = 0.5,
    gamma: float = 0.95,
) -> MDP:
    """An inventory that may owe up to `backlog` units: state backlog + level, level from -backlog to capacity.

    Action a orders a units, which arrive before the demand and are cut to the capacity; the next level is
    max(level + order - demand, -backlog), and what the difference leaves is sold. The reward, by next state, is
    price * sold - unit_cost * order - delivery_cost * (order > 0) - holding and backlog cost of the next level.

    Parameters
    ----------
    capacity, backlog : int >= 0
        Largest and (negated) smallest level; not both 0.
    demand : tuple of float
        Probabilities of a demand of 0, 1, 2, ...
    price, unit_cost, delivery_cost, holding_cost, backlog_cost : float
        Money.

    Source
    ------
    The simulator of the CRAAM library; its default money and demand are not reproduced, those here are ours.

    Examples
    --------
    >>> backlog_inventory(2, 1).P[0, 3].round(2).tolist()
    [0.4, 0.3, 0.2, 0.1]
    """
    if capacity < 0 or backlog < 0 or capacity + backlog == 0:
        raise ValueError(f"capacity, backlog are {capacity}, {backlog}; expected at least 0, not both 0")
    size = capacity + backlog + 1
    P = np.zeros((size, size, size))
    r = np.zeros((size, size, size))
    for s, a, d in np.ndindex(size, size, len(demand)):
        level = s - backlog
        order = min(a, capacity - level)
        left = max(level + order - d, -backlog)
        P[s, a, left + backlog] += demand[d]
        cost = unit_cost * order + (delivery_cost if order else 0.0)
        held = holding_cost * max(left, 0) + backlog_cost * max(-left, 0)
        r[s, a, left + backlog] = price * (level + order - left) - cost - held
    return MDP(P, r, gamma)


@dataclass(frozen=True, eq=False)
class TiltedFamily:
    """Kernels that are exponential tilts of a nominal one, with parameters in a product of two L1 balls.

    `kernel(theta, lam)` has p(t | s, a) proportional to p0(t | s, a) exp(theta . phi(t) / (lam . zeta(s, a))). It is
    not rectangular: all rows share theta and lam.

    Parameters
    ----------
    mdp : MDP
        The nominal model, dense.
    phi : array (S, m)
        Features of next states.
    zeta : array (S, A, n)
        Positive features of state-action pairs, which set the row's temperature.
    theta, lam : array (m,), (n,)
        Centres of the balls.
    radius : float
        Radius of both.
    lam_min : float
        Least entry of lam.
    """

    mdp: MDP
    phi: np.ndarray
    zeta: np.ndarray
    theta: np.ndarray
    lam: np.ndarray
    radius: float
    lam_min: float = 1e-5

    def kernel(self, theta: np.ndarray, lam: np.ndarray) -> np.ndarray:
        """Transition probabilities (S, A, S) at the parameters."""
        exponent = (self.phi @ theta) / (self.zeta @ lam)[:, :, None]
        weights = self.mdp.P * np.exp(exponent - exponent.max(axis=2, keepdims=True))
        return weights / weights.sum(axis=2, keepdims=True)


def drpg_inventory(*, rng: np.random.Generator) -> TiltedFamily:
    """The inventory problem of the DRPG experiments: 8 states, actions -3, -1 and 5, a kernel with four parameters.

    phi_i(t) and zeta_i(s, a) are |x - c_i|^2 / (2 sqrt(2 pi)), x the two features of the state, for zeta with the
    action after them. The published code has them with a minus sign and calls them radial basis functions (it has no
    exponential); the sign cancels in the kernel, and without it the constraint lam >= 1e-5 keeps the temperatures
    positive, as it should.

    Parameters
    ----------
    rng : numpy.random.Generator
        The published numbers of kernel and costs are files of the authors, which are not reproduced; drawn here in
        their place: rows proportional to integers 1 to 9, costs |N(2, 2)| rounded to cents for each state and action,
        an initial law proportional to integers 1 to 9.

    Source
    ------
    Wang, Ho, Petrik (ICML 2023), section 6, from the authors' code (features, centres, radii, discount).

    Examples
    --------
    >>> family = drpg_inventory(rng=np.random.default_rng(0))
    >>> family.mdp, family.kernel(family.theta, family.lam).shape
    (MDP(S=8, A=3, transitions=192, gamma=0.95), (8, 3, 8))
    """
    first = np.tile([0.25, 0.5, 0.75, 1.0], 2)
    states = np.stack([first, [1.3, -2.1, 3.4, -1.0, 2.5, 0.5, 1.8, -0.8]], axis=1)
    pairs = np.array([[[*x, a] for a in (-3.0, -1.0, 5.0)] for x in states])
    scale = 1 / (2 * np.sqrt(2 * np.pi))
    phi = scale * ((states[:, None] - [[-1.0, 2.0], [0.3, -0.6]]) ** 2).sum(axis=2)
    zeta = scale * ((pairs[:, :, None] - [[1.3, 2.1, 1.0], [-0.7, 1.5, 0.5]]) ** 2).sum(axis=3)
    P = rng.integers(1, 10, (8, 3, 8)).astype(np.float64)
    cost = np.abs(np.round(rng.normal(2, 2, (8, 3)), 2))
    mu = rng.integers(1, 10, 8).astype(np.float64)
    mdp = MDP(P / P.sum(axis=2, keepdims=True), -cost, 0.95, mu=mu / mu.sum())
    return TiltedFamily(mdp, phi, zeta, np.array([0.4, 0.9]), np.array([0.7, 0.6]), 1.0)
