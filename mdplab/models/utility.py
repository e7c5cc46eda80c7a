r"""Concave utilities of a discounted occupancy: what reinforcement learning with a general utility maximises.

The occupancy is unnormalised, lambda[s, a] = sum_t gamma^t P(s_t = s, a_t = a), so that rewards r give <lambda, r> and
its entries sum to 1 / (1 - gamma). All utilities here have one form,

    F(lambda) = <reward, lambda> + weight * sum_k f(x_k),    x = matrix @ lambda + shift

with f one of log x, -x log x (entropy) and -x^2 / 2. Where f's slope is unbounded at 0, f is replaced by its tangent
below `floor`: F stays concave, and becomes smooth with a Lipschitz gradient, which the theorems assume. With floor = 0
it is the textbook function, whose gradient is infinite where x_k = 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from mdplab.models.mdp import MDP
from mdplab.models.solution import frozen_array

KINDS = ("linear", "log", "entropy", "quadratic")


@dataclass(frozen=True, eq=False, slots=True)
class Utility:
    """A utility of the form above; made by the functions of this module.

    Parameters
    ----------
    reward
        Linear part `(S, A)`.
    kind
        Which f: "linear" (none), "log", "entropy" or "quadratic".
    matrix
        CSR, `(K, S * A)`.
    shift
        `(K,)`.
    weight
        At least 0, so that F is concave.
    floor
        Where "log" and "entropy" go over into their tangents; at least 0.

    Raises
    ------
    ValueError
        A number that is not finite, a weight or floor below 0, an unknown kind, or shapes that do not match.
    """

    reward: Any
    kind: str = "linear"
    matrix: Any = None
    shift: Any = None
    weight: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("reward", _finite("reward", self.reward))
        if self.reward.ndim != 2:
            raise ValueError(f"reward has shape {self.reward.shape}; expected (S, A)")
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        if not 0 <= self.weight < np.inf:
            raise ValueError(f"weight is {self.weight}; F is concave for finite weights of at least 0")
        if not 0 <= self.floor < np.inf:
            raise ValueError(f"floor is {self.floor}; expected a finite number of at least 0")
        empty = (0, self.reward.size)
        matrix = sp.csr_array(empty) if self.matrix is None else sp.csr_array(self.matrix, copy=True)
        matrix.sum_duplicates()
        if matrix.shape[1] != self.reward.size:
            raise ValueError(f"matrix has {matrix.shape[1]} columns; expected S * A = {self.reward.size}")
        data = _finite("matrix", matrix.data)
        indices, indptr = (frozen_array(part, np.int64) for part in (matrix.indices, matrix.indptr))
        put("matrix", sp.csr_array((data, indices, indptr), shape=matrix.shape))
        put("shift", _finite("shift", np.zeros(matrix.shape[0]) if self.shift is None else self.shift))
        if self.shift.shape != matrix.shape[:1]:
            raise ValueError(f"shift has shape {self.shift.shape}; expected one entry a row of matrix {matrix.shape}")

    @property
    def smooth(self) -> bool:
        """Whether the gradient is Lipschitz on all of R^(S A)."""
        return self.kind in {"linear", "quadratic"} or self.floor > 0

    def arguments(self, occupancy: np.ndarray) -> np.ndarray:
        """x of the form above: occupancy (..., S, A), real or complex -> (..., K)."""
        self._check(occupancy)
        flat = np.reshape(occupancy, (-1, self.reward.size))
        return (self.matrix @ flat.T).T.reshape(*np.shape(occupancy)[:-2], self.shift.size) + self.shift

    def value(self, occupancy: np.ndarray) -> np.ndarray:
        """F: occupancy (..., S, A) -> (...). Analytic where it is twice differentiable, so complex steps work.

        Examples
        --------
        >>> float(linear_utility([[1.0, 2.0]]).value(np.array([[0.5, 1.5]])))
        3.5
        """
        self._check(occupancy)
        linear = (self.reward * occupancy).sum(axis=(-2, -1))
        if self.kind == "linear":
            return linear
        return linear + self.weight * self.f(self.arguments(occupancy)).sum(axis=-1)

    def gradient(self, occupancy: np.ndarray) -> np.ndarray:
        """dF / d occupancy: (..., S, A) -> (..., S, A).

        Raises
        ------
        ValueError
            It is not finite; the message names the state, the action, the value and the occupancy there.

        Examples
        --------
        >>> log_utility([[1.0, 0.0]], shift=0.5).gradient(np.array([[1.5, 0.5]])).tolist()
        [[0.5, 0.0]]
        """
        self._check(occupancy)
        out = self._gradient(np.asarray(occupancy, dtype=np.float64))
        bad = np.argwhere(~np.isfinite(out))
        if bad.size:
            at = tuple(int(i) for i in bad[0])
            raise ValueError(self.fault(at[-2], at[-1], float(out[at]), float(np.asarray(occupancy)[at])))
        return out

    def _check(self, occupancy: np.ndarray) -> None:
        if np.shape(occupancy)[-2:] != self.reward.shape:
            raise ValueError(
                f"occupancy has shape {np.shape(occupancy)}; expected (..., S, A), {self.reward.shape} last"
            )

    def fault(self, state: int, action: int, slope: float, occupancy: float) -> str:
        """What to say where the gradient is not finite."""
        return (
            f"the gradient of the {self.kind} utility is {slope} at state {state}, action {action}, where the "
            f"occupancy is {occupancy:.6g}; a floor above 0 (here {self.floor:g}) keeps it finite"
        )

    def _gradient(self, occupancy: np.ndarray) -> np.ndarray:
        if self.kind == "linear":
            return np.broadcast_to(self.reward, occupancy.shape).copy()
        slopes = self.slope(self.arguments(occupancy)).reshape(-1, self.shift.size)
        return self.reward + self.weight * (self.matrix.T @ slopes.T).T.reshape(occupancy.shape)

    def f(self, x: np.ndarray) -> np.ndarray:
        """f of the form above, entry by entry; minus infinity at negative arguments if the floor is 0."""
        if self.kind == "quadratic":
            return -x * x / 2
        low = np.real(x) < self.floor
        top = np.where(low, self.floor, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(top)
            # -x log x has the limit 0 at 0.
            above = log if self.kind == "log" else np.where(top == 0, 0.0, -top * np.where(top == 0, 0.0, log))
            return np.where(low, above + self.slope(top) * (x - top), above)

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Derivative of f, entry by entry; infinite at 0 and below if the floor is 0."""
        if self.kind == "quadratic":
            return -x
        top = np.where(np.real(x) < self.floor, self.floor, x)
        with np.errstate(divide="ignore"):
            return 1 / top if self.kind == "log" else -np.log(top) - 1


@dataclass(frozen=True, eq=False, slots=True)
class UtilityMDP:
    """Maximise a utility of the discounted occupancy from `mdp.mu`.

    Parameters
    ----------
    mdp : MDP
        With `gamma < 1`, no horizon, and an initial distribution `mu`. Its rewards are not read.
    utility : Utility
        For the same numbers of states and actions.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5, mu=[1.0])
    >>> UtilityMDP(mdp, linear_utility([[1.0, 0.0]]))
    UtilityMDP(S=1, A=2, gamma=0.5, utility=linear)
    """

    mdp: MDP
    utility: Utility

    def __post_init__(self) -> None:
        for name, value, kind in (("mdp", self.mdp, MDP), ("utility", self.utility, Utility)):
            if not isinstance(value, kind):
                raise ValueError(f"{name} is a {type(value).__name__}; expected {kind.__name__}")
        if self.mdp.gamma >= 1 or self.mdp.horizon is not None:
            raise ValueError(
                f"mdp has gamma {self.mdp.gamma:g} and horizon {self.mdp.horizon}; the discounted occupancy needs "
                "gamma < 1 and no horizon"
            )
        if self.mdp.mu is None:
            raise ValueError("mdp.mu is None; the occupancy needs a start distribution")
        if self.utility.reward.shape != self.mdp.r.shape:
            raise ValueError(
                f"utility.reward has shape {self.utility.reward.shape}; expected that of the MDP, {self.mdp.r.shape}"
            )

    def __repr__(self) -> str:
        return f"UtilityMDP(S={self.mdp.S}, A={self.mdp.A}, gamma={self.mdp.gamma:g}, utility={self.utility.kind})"


def linear_utility(reward: Any) -> Utility:
    """<reward, lambda>: ordinary reinforcement learning; reward `(S, A)`."""
    return Utility(reward)


def log_utility(reward: Any, *, shift: float, floor: float = 0.0) -> Utility:
    """log(<reward, lambda> + shift), which is risk-averse in the value.

    Source
    ------
    Zhang, Ni, Yu, Szepesvari, Wang (2021), TSIVR-PG, whose FrozenLake experiment has shift = 0.125.
    """
    reward = _finite("reward", reward)
    return Utility(np.zeros(reward.shape), "log", reward.reshape(1, -1), [shift], floor=floor)


def entropy_utility(S: int, A: int, gamma: float, *, floor: float = 0.0) -> Utility:
    """Entropy of the normalised state occupancy d[s] = (1 - gamma) sum_a lambda[s, a].

    Examples
    --------
    >>> F = entropy_utility(2, 1, 0.5)
    >>> bool(abs(F.value(np.array([[1.0], [1.0]])) - np.log(2)) < 1e-15)
    True
    >>> F.gradient(np.array([[2.0], [0.0]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: the gradient of the entropy utility is inf at state 1, action 0, where the occupancy is 0; ...
    """
    if not 0 <= gamma < 1:
        raise ValueError(f"gamma is {gamma}; expected a number in [0, 1)")
    rows = np.repeat(np.eye(S), A, axis=1) * (1 - gamma)
    return Utility(np.zeros((S, A)), "entropy", rows, floor=floor)


def quadratic_utility(matrix: Any, target: Any, shape: tuple[int, int]) -> Utility:
    """-|matrix lambda - target|^2 / 2: keep linear images of the occupancy near a target; matrix `(K, S * A)`."""
    return Utility(np.zeros(shape), "quadratic", matrix, -_finite("target", target))


def imitation_utility(reward: Any, expert: Any, *, weight: float, floor: float = 0.0) -> Utility:
    """<reward, lambda> - weight * KL(lambda || expert), both unnormalised; expert `(S, A)` above 0."""
    expert, reward = _finite("expert", expert), _finite("reward", reward)
    if expert.shape != reward.shape:
        raise ValueError(f"expert has shape {expert.shape}, reward {reward.shape}; expected one (S, A) for both")
    if not (expert > 0).all():
        s, a = (int(i) for i in np.argwhere(expert <= 0)[0])
        raise ValueError(f"expert[{s}, {a}] is {expert[s, a]}; the divergence is finite for positive occupancies only")
    if not 0 <= weight < np.inf:
        raise ValueError(f"weight is {weight}; expected a finite number of at least 0")
    linear = reward + weight * np.log(expert)
    return Utility(linear, "entropy", sp.eye_array(expert.size, format="csr"), weight=weight, floor=floor)


def _finite(name: str, values: Any) -> np.ndarray:
    array = frozen_array(values)
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        at = tuple(int(i) for i in bad[0])
        raise ValueError(f"{name}{list(at)} is {array[at]}; expected finite numbers")
    return array
