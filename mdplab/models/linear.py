"""Linear decision processes over a finite horizon: features times factors, and factors that nature chooses."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mdplab.models.mdp import MDP
from mdplab.models.solution import frozen_array
from mdplab.models.uncertainty import UncertaintySet
from mdplab.models.validation import ROW_SUM_TOLERANCE, _at, _first, check_distribution, checked_horizon

# Sets whose rows are described by one number each; the others hold arrays of the shape of a kernel.
FACTOR_SETS = ("tv", "l1", "kl", "chi2", "l2", "burg", "contamination", "cvar", "soft_tv", "soft_kl", "soft_chi2")


def _finite(name: str, values: Any) -> np.ndarray:
    try:
        array = frozen_array(values)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is not an array of numbers") from None
    bad = _first(~np.isfinite(array))
    if bad is not None:
        raise ValueError(f"{_at(name, bad)} is {array[bad]:g}; expected a finite number")
    return array


@dataclass(frozen=True, eq=False, slots=True)
class LinearMDP:
    """`P_h(. | s, a) = sum_i phi_i(s, a) mu_{h, i}` and `r_h(s, a) = sum_i phi_i(s, a) theta_{h, i}`, h = 0..H-1.

    Undiscounted, over `horizon` decisions. Features may have any sign as long as every product is a distribution;
    `RobustLinearMDP` needs more.

    Parameters
    ----------
    phi : array (S, A, d)
        Features.
    mu : array (H, d, S) or (d, S)
        Factors of each stage, or of all stages.
    theta : array (H, d) or (d,)
        Reward parameters.
    horizon : int >= 1
        Number of decisions H.
    start : int or array (S,), optional
        First state, or its distribution.

    Raises
    ------
    ValueError
        Names the argument, the index and the value: shapes that do not fit, numbers that are not finite, a product row
        with an entry below -1e-8 or a sum that is off 1 by more.

    Notes
    -----
    The rows of `kernels()` are the positive parts of the products, divided by their sums: that is how the exact solvers
    and the referee read them.

    Source
    ------
    Jin, Yang, Wang, Jordan (2020), assumption A.

    Examples
    --------
    >>> mdp = LinearMDP([[[1.0, 0.0]], [[0.5, 0.5]]], [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0], 3)
    >>> mdp
    LinearMDP(S=2, A=1, d=2, horizon=3)
    >>> mdp.kernels()[0, 1, 0].tolist()
    [0.5, 0.5]
    """

    phi: Any
    mu: Any
    theta: Any
    horizon: int
    start: Any = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        phi = _finite("phi", self.phi)
        if phi.ndim != 3 or 0 in phi.shape:
            raise ValueError(f"phi has shape {phi.shape}; expected (S, A, d)")
        S, _, d = phi.shape
        horizon = checked_horizon(self.horizon)
        if horizon is None:
            raise ValueError("horizon is None; expected an integer of at least 1")
        put("phi", phi)
        put("horizon", horizon)
        for name, tail in (("mu", (d, S)), ("theta", (d,))):
            array = _finite(name, getattr(self, name))
            if array.shape not in (tail, (horizon, *tail)):
                raise ValueError(f"{name} has shape {array.shape}; expected {tail} or {(horizon, *tail)}")
            put(name, frozen_array(np.broadcast_to(array, (horizon, *tail))))
        products = np.einsum("sai,hij->hsaj", phi, self.mu)
        bad = _first(products < -ROW_SUM_TOLERANCE)
        if bad is not None:
            raise ValueError(f"{_at('phi . mu', bad)} is {products[bad]:g}; probabilities are at least 0 (stage first)")
        sums = products.sum(axis=3)
        bad = _first(np.abs(sums - 1) > ROW_SUM_TOLERANCE)
        if bad is not None:
            raise ValueError(f"{_at('phi . mu', bad)} sums to {sums[bad]:.12g}, not 1 (stage first)")
        if self.start is not None:
            start = self.start
            if np.ndim(start) == 0:
                if not (isinstance(start, int | np.integer) and 0 <= start < S):
                    raise ValueError(f"start is {start!r}; expected a state in 0..{S - 1} or a distribution ({S},)")
                start = (np.arange(S) == start).astype(np.float64)
            put("start", check_distribution("start", start, S))

    @property
    def S(self) -> int:
        """Number of states."""
        return self.phi.shape[0]

    @property
    def A(self) -> int:
        """Number of actions."""
        return self.phi.shape[1]

    @property
    def d(self) -> int:
        """Number of features."""
        return self.phi.shape[2]

    def kernels(self) -> np.ndarray:
        """Transition probabilities of each stage, (H, S, A, S)."""
        rows = np.maximum(np.einsum("sai,hij->hsaj", self.phi, self.mu), 0.0)
        return rows / rows.sum(axis=3, keepdims=True)

    def rewards(self) -> np.ndarray:
        """Rewards of each stage, (H, S, A)."""
        return np.einsum("sai,hi->hsa", self.phi, self.theta)

    def tabular(self) -> MDP:
        """The same problem without its features.

        Raises
        ------
        ValueError
            Factors or rewards that differ between stages: an `MDP` is stationary.
        """
        for name in ("mu", "theta"):
            array = getattr(self, name)
            bad = _first(array != array[:1])
            if bad is not None:
                raise ValueError(
                    f"{_at(name, bad)} is {array[bad]:g} and {array[0][bad[1:]]:g} at stage 0; a tabular MDP is "
                    "stationary"
                )
        return MDP(self.kernels()[0], self.rewards()[0], 1.0, mu=self.start, horizon=self.horizon)

    def __repr__(self) -> str:
        return f"LinearMDP(S={self.S}, A={self.A}, d={self.d}, horizon={self.horizon})"


@dataclass(frozen=True, eq=False, slots=True)
class RobustLinearMDP:
    """A linear decision process in which nature chooses each factor, in a set around it: d-rectangularity.

    `Q_h = sum_i phi_i (theta_{h, i} + least over the set of m_i . V_{h+1})`, where soft sets add their price to the
    least value; nature's factors are shared by all states and actions.

    Parameters
    ----------
    linear : LinearMDP
        Its features must be at least 0 and sum to 1, its factors must be distributions (both within 1e-8).
    uncertainty : UncertaintySet
        One of `FACTOR_SETS`, `rectangularity="sa"`; its radius, level or temperature is a number, (H,) or (H, d).

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Source
    ------
    Ma et al. (2022), d-rectangular linear sets; Liu, Xu (2024), assumption 3.2; soft sets: Tang, Liu, Xu (2025).

    Examples
    --------
    >>> from mdplab.models import TVBall
    >>> linear = LinearMDP([[[1.0, 0.0]], [[0.5, 0.5]]], [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0], 3)
    >>> RobustLinearMDP(linear, TVBall(0.1))
    RobustLinearMDP(S=2, A=1, d=2, horizon=3, uncertainty='tv', support='all')
    """

    linear: LinearMDP
    uncertainty: UncertaintySet

    def __post_init__(self) -> None:
        if not isinstance(self.linear, LinearMDP):
            raise ValueError(f"linear is a {type(self.linear).__name__}, expected a LinearMDP")
        one = self.uncertainty
        if not isinstance(one, UncertaintySet) or one.name not in FACTOR_SETS or one.rectangularity != "sa":
            shown = f"{one.name!r}, {one.rectangularity!r}" if isinstance(one, UncertaintySet) else repr(one)
            raise ValueError(f"uncertainty is {shown}; expected an (s, a)-set among {', '.join(FACTOR_SETS)}")
        phi, mu = self.linear.phi, self.linear.mu
        for name, array in (("phi", phi), ("mu", mu)):
            bad = _first(array < 0)
            if bad is not None:
                raise ValueError(f"{_at(name, bad)} is {array[bad]:g}; d-rectangular sets need it to be at least 0")
            sums = array.sum(axis=-1)
            bad = _first(np.abs(sums - 1) > ROW_SUM_TOLERANCE)
            if bad is not None:
                raise ValueError(f"{_at(name, bad)} sums to {sums[bad]:.12g}; d-rectangular sets need 1")
        size = getattr(one, one.size)
        H, d = self.linear.horizon, self.linear.d
        if size.shape not in ((), (H,), (H, d)):
            raise ValueError(f"{one.size} has shape {size.shape}; expected a number, ({H},) or ({H}, {d})")

    @property
    def S(self) -> int:
        """Number of states."""
        return self.linear.S

    @property
    def A(self) -> int:
        """Number of actions."""
        return self.linear.A

    @property
    def horizon(self) -> int:
        """Number of decisions."""
        return self.linear.horizon

    def sizes(self) -> np.ndarray:
        """Radius, level or temperature of each factor, (H, d)."""
        return np.array(self.uncertainty.radii(self.linear.horizon, self.linear.d))

    def factor_set(self) -> UncertaintySet:
        """The same set over H d rows in the order of `mu.reshape(-1, S)`, as if each were a state with one action."""
        return replace(self.uncertainty, **{self.uncertainty.size: self.sizes().reshape(-1)})

    def __repr__(self) -> str:
        inner = repr(self.linear)[len("LinearMDP(") : -1]
        one = self.uncertainty
        return f"RobustLinearMDP({inner}, uncertainty={one.name!r}, support={one.support!r})"


@dataclass(frozen=True, eq=False, slots=True)
class OfflineData:
    """Trajectories of an episodic problem: what an offline learner is given.

    Parameters
    ----------
    states : int array (N, H + 1)
        States visited, the last one included.
    actions : int array (N, H)
        Actions taken.
    S, A : int
        Sizes of the model that they come from.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> OfflineData([[0, 1, 1]], [[0, 0]], 2, 1)
    OfflineData(N=1, H=2, S=2, A=1)
    >>> OfflineData([[0, 1], [1, 1], [0, 0]], [[0], [0], [0]], 2, 1)[1:]
    OfflineData(N=2, H=1, S=2, A=1)
    """

    states: Any
    actions: Any
    S: int
    A: int

    def __post_init__(self) -> None:
        for name, size in (("states", self.S), ("actions", self.A)):
            array = np.asarray(getattr(self, name))
            if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{name} has shape {array.shape} and dtype {array.dtype}; expected 2 axes of integers")
            bad = _first((array < 0) | (array >= size))
            if bad is not None:
                raise ValueError(f"{_at(name, bad)} is {array[bad]}; expected 0..{size - 1}")
            object.__setattr__(self, name, frozen_array(array, np.int64))
        if 0 in self.actions.shape:
            raise ValueError(f"actions has shape {self.actions.shape}; expected at least one trajectory and decision")
        if self.states.shape != (len(self.actions), self.actions.shape[1] + 1):
            raise ValueError(
                f"states has shape {self.states.shape} and actions {self.actions.shape}; expected (N, H + 1) and (N, H)"
            )

    @property
    def horizon(self) -> int:
        """Number of decisions in a trajectory."""
        return self.actions.shape[1]

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, part: slice) -> "OfflineData":
        """Some of the trajectories: `data[:100]` are the first hundred."""
        return OfflineData(self.states[part], self.actions[part], self.S, self.A)

    def unvisited(self) -> np.ndarray:
        """States that no trajectory enters, as a mask (S,): a minimum over the data does not see them."""
        seen = np.zeros(self.S, dtype=bool)
        seen[self.states[:, 1:]] = True
        return ~seen

    def __repr__(self) -> str:
        return f"OfflineData(N={len(self)}, H={self.horizon}, S={self.S}, A={self.A})"
