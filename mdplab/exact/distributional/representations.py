"""The two projected representations of laws: one face for their dynamic programming."""

import math
from typing import Any

import numpy as np

from mdplab.exact.arguments import checked_count
from mdplab.exact.distributional.chain import Chain
from mdplab.exact.distributional.laws import Laws
from mdplab.exact.operator import UNIT
from mdplab.kernels.distributional import categorical_sweep, categorical_sweep_uneven, quantile_sweep
from mdplab.models import project_categorical

# A grid is even if its cells agree up to the rounding of its entries.
_EVEN = 1e-12


class Categorical:
    """Masses on a grid z (K,) common to all states, (S, K); the projection splits linearly."""

    name = "categorical"

    def __init__(self, z: Any, clip: bool) -> None:
        # Its validation is that of the models: finite, strictly increasing.
        project_categorical([0.0], [1.0], z, clip=True)
        self.z, self.clip = np.array(z, dtype=np.float64), clip
        if self.z.size < 2:
            raise ValueError(f"z has {self.z.size} atoms; a grid needs at least 2")
        self.step = float((self.z[-1] - self.z[0]) / (self.z.size - 1))
        cells = np.diff(self.z)
        self.even = bool(np.abs(cells - self.step).max() <= _EVEN * (np.abs(self.z).max() + self.step))
        self.widest = float(cells.max())

    def start(self, v: np.ndarray) -> np.ndarray:
        """Point masses at v (S,), projected."""
        return np.stack([project_categorical([x], [1.0], self.z, clip=True) for x in v])

    def holds(self, x: float) -> bool:
        """True if x is on the grid's range."""
        return bool(self.z[0] <= x <= self.z[-1])

    def sweep(self, chain: Chain, eta: np.ndarray, out: np.ndarray) -> float:
        """out = Pi T eta; returns the most mass of a state that was off the grid."""
        if self.even:
            return categorical_sweep(*chain.arrays, self.z[0], self.step, eta, out)
        return categorical_sweep_uneven(*chain.arrays, self.z, eta, out)

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """sup over states of w_1, in which Pi T contracts by gamma."""
        return float((np.abs(np.cumsum(a - b, axis=1)[:, :-1]) @ np.diff(self.z)).max())

    def left(self, chain: Chain, new: np.ndarray, old: np.ndarray) -> float:
        """Bound of the distance of new = Pi T old to the fixed point, rounding included."""
        return fixed_point_distance(chain, self.distance(new, old), float(np.abs(self.z).max()))

    def means(self, eta: np.ndarray) -> np.ndarray:
        """Means, (S,)."""
        return eta @ self.z

    def laws(self, eta: np.ndarray) -> Laws:
        """Atoms with mass."""
        state, at = np.nonzero(eta > 0)
        return Laws.of(np.bincount(state, minlength=len(eta)), self.z[at], eta[state, at])

    def a_priori(self, chains: list[Chain], horizon: int | None) -> dict[str, float]:
        """Bounds of sup w_1 and sup Cramer distance of the fixed point, or of the stages, to the truth."""
        depth = discounts(chains[0].gamma, horizon)
        return {"w1": 0.5 * self.widest * depth, "cramer": math.sqrt(0.25 * self.widest * depth)}

    def off_grid(self, lost: float, chains: list[Chain], horizon: int | None) -> str:
        """Why returns do not fit, and a grid that holds them."""
        lo, hi = hull(chains, horizon)
        depth, cells = discounts(chains[0].gamma, horizon), self.z.size - 1
        text = (
            f"z from {self.z[0]:g} to {self.z[-1]:g} cannot hold the returns: a backup puts mass {lost:.6g} outside. "
            f"Returns lie in [{lo:.9g}, {hi:.9g}]"
        )
        # Splitting widens the support by a cell a step at most: `depth` cells, discounted, on either side hold that.
        fits = [(lo - depth * dz, hi + depth * dz) for dz in [(hi - lo) / (cells - 2 * depth)] if cells > 2 * depth]
        if horizon is None:
            low, high = chains[0].reward_range
            fits.append((low * depth, high * depth))
        fits = [(a, b) for a, b in fits if b > a]
        if not fits:
            return text + f"; take more than {2 * depth + 1:.0f} atoms, or clip=True"
        low, high = min(fits, key=lambda ends: ends[1] - ends[0])
        pad = 1e-9 * (high - low)
        return text + f"; numpy.linspace({low - pad:.9g}, {high + pad:.9g}, {self.z.size}) holds them, or clip=True"


class Quantile:
    """m atoms of mass 1/m a state, (S, m) sorted; the projection takes quantiles at (2 i + 1) / (2 m)."""

    name = "quantile"
    clip = True

    def __init__(self, m: Any) -> None:
        self.m = checked_count("m", m)

    def start(self, v: np.ndarray) -> np.ndarray:
        """Point masses at v (S,)."""
        return np.repeat(v[:, None], self.m, axis=1)

    def holds(self, x: float) -> bool:
        """Every number is."""
        return True

    def sweep(self, chain: Chain, theta: np.ndarray, out: np.ndarray) -> float:
        """out = Pi T theta; nothing is ever off the grid."""
        quantile_sweep(*chain.arrays, theta, out)
        return 0.0

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """sup over states of w_inf, in which Pi T contracts by gamma (in w_1 it need not)."""
        return float(np.abs(a - b).max())

    def left(self, chain: Chain, new: np.ndarray, old: np.ndarray) -> float:
        """As for a grid."""
        return fixed_point_distance(chain, self.distance(new, old), float(np.abs(new).max()))

    def means(self, theta: np.ndarray) -> np.ndarray:
        """Means, (S,)."""
        return theta.mean(axis=1)

    def laws(self, theta: np.ndarray) -> Laws:
        """Equal quantiles are one atom."""
        new = np.ones(theta.shape, dtype=bool)
        new[:, 1:] = np.diff(theta, axis=1) > 0
        starts = np.flatnonzero(new)
        sizes = np.diff(np.append(starts, theta.size))
        return Laws.of(new.sum(axis=1), theta.ravel()[starts], sizes / self.m)

    def a_priori(self, chains: list[Chain], horizon: int | None) -> dict[str, float]:
        """Bound of sup w_1 of the fixed point, or of the stages, to the truth."""
        lo, hi = hull(chains, horizon)
        return {"w1": (hi - lo) / (2 * self.m) * discounts(chains[0].gamma, horizon)}


def fixed_point_distance(chain: Chain, step: float, size: float) -> float:
    """(gamma step + rounding of a sweep) / (1 - gamma): a mass or an atom passes through a product a transition."""
    noise = 8 * (int(np.diff(chain.ptr).max()) + 8) * UNIT * size
    return (chain.gamma * step + noise) / (1 - chain.gamma)


def discounts(gamma: float, horizon: int | None) -> float:
    """1 + gamma + ... over the stages, the last of them included where the end itself is projected."""
    if horizon is None:
        return 1 / (1 - gamma)
    return float(np.sum(gamma ** np.arange(horizon + 1)))


def hull(chains: list[Chain], horizon: int | None) -> tuple[float, float]:
    """Least and largest return of any state, of any stage."""
    if horizon is None:
        lo, hi = chains[0].range
        return float(lo.min()), float(hi.max())
    lo = hi = np.zeros(chains[0].S)
    low, high = 0.0, 0.0
    for chain in reversed(chains):
        lo, hi = chain.step_range(lo, hi)
        low, high = min(low, float(lo.min())), max(high, float(hi.max()))
    return low, high
