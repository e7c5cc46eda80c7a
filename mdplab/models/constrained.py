"""A discounted decision process with limits on discounted costs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.models.mdp import MDP
from mdplab.models.solution import frozen_array


@dataclass(frozen=True, eq=False, slots=True)
class ConstrainedMDP:
    """Maximise `mu . V^pi` subject to `mu . C_i^pi <= limits[i]`, all discounted and unnormalised.

    Parameters
    ----------
    mdp : MDP
        With `gamma < 1`, no horizon, and an initial distribution `mu`.
    costs : array (m, S, A)
        Finite costs, any sign; `C_i^pi` is the expected discounted sum of `costs[i]` under pi. What they hold for
        unavailable actions is ignored (stored as 0).
    limits : array (m,)
        Finite upper limits.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> ConstrainedMDP(mdp, [[[1.0, 0.0]]], [0.5])
    ConstrainedMDP(S=1, A=2, constraints=1, gamma=0.5)
    """

    mdp: MDP
    costs: Any
    limits: Any

    def __post_init__(self) -> None:
        if not isinstance(self.mdp, MDP):
            raise ValueError(f"mdp is a {type(self.mdp).__name__}, expected an MDP")
        if self.mdp.gamma >= 1 or self.mdp.horizon is not None:
            raise ValueError(
                f"mdp has gamma {self.mdp.gamma:g} and horizon {self.mdp.horizon}; limits on discounted costs need "
                "gamma < 1 and no horizon"
            )
        if self.mdp.mu is None:
            raise ValueError("mdp has no mu: the limits speak about an initial distribution")
        S, A = self.mdp.S, self.mdp.A
        costs, limits = np.asarray(self.costs, dtype=np.float64), np.asarray(self.limits, dtype=np.float64)
        if costs.ndim != 3 or costs.shape[1:] != (S, A):
            raise ValueError(f"costs has shape {costs.shape}, expected (m, {S}, {A})")
        if limits.shape != costs.shape[:1]:
            raise ValueError(f"limits has shape {limits.shape}, expected ({len(costs)},), one for each of costs")
        costs = np.where(self.mdp.actions, costs, 0.0)
        for name, array in (("costs", costs), ("limits", limits)):
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong):
                index = tuple(int(i) for i in wrong[0])
                raise ValueError(f"{name}[{', '.join(map(str, index))}] is {array[index]:g}; expected a finite number")
        object.__setattr__(self, "costs", frozen_array(costs))
        object.__setattr__(self, "limits", frozen_array(limits))

    @property
    def num_constraints(self) -> int:
        """Number of limits, m."""
        return len(self.limits)

    def __repr__(self) -> str:
        return (
            f"ConstrainedMDP(S={self.mdp.S}, A={self.mdp.A}, constraints={self.num_constraints}, "
            f"gamma={self.mdp.gamma:g})"
        )
