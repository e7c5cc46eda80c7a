r"""Pessimistic value iteration from trajectories: PEVI, R2PVI with three penalties, DRPVI.

The stages are passed backwards,

    Q_h = [r_h + phi . w_h - beta width_h(phi)] clipped to [0, H - h],        V_h = max_a Q_h,

where w_h estimates for each factor E V_{h+1} (PEVI), its least value over a ball of total variation (DRPVI) or with a
price on leaving the factor (R2PVI: total variation, KL, chi-square). Rows of features that are all zero are known
pairs, worth their reward.

The maximisation of DRPVI's dual over alpha is exact: the objective is piecewise linear with knots at the values, and
not concave, since ridge estimates of probabilities have signs. The published figures were made with Nelder-Mead from
H/2, which returns local optima; `dual="nelder-mead"` exists to reproduce them. For the chi-square penalty the published
code of one experiment minimises over alpha where it must maximise; here it is maximised.

Source: Jin, Yang, Wang (2021), PEVI; Liu, Xu (2024), algorithm 1 (DRPVI); Tang, Liu, Xu (2025), algorithm 1 (R2PVI);
our specification, C.2.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from mdplab.algorithms.linear.online import NORMS, check_learner, check_rewards, check_simplex, sized
from mdplab.kernels.linear import NOMINAL, SOFT_CHI2, SOFT_KL, SOFT_TV, TV, stage_pass, width
from mdplab.models import OfflineData

_PENALTIES = {"tv": SOFT_TV, "kl": SOFT_KL, "chi2": SOFT_CHI2}


@dataclass(frozen=True, eq=False, slots=True)
class OfflineEstimate:
    """What an offline learner leaves.

    Parameters
    ----------
    weights : array (H, d)
        Estimated value of each factor.
    q : array (H, S, A)
        Estimated values of actions, penalty included.
    value : array (H + 1, S)
        Estimated values; pessimistic if beta is large enough.
    policy : array (H, S)
        First best actions, int64.
    inverse : array (H, d, d)
        `(ridge I + sum phi phi')^{-1}` of each stage.
    beta, norm, clip
        The penalty, and whether values were kept in [0, H - h]; `"above"`: at most H - h.
    """

    weights: np.ndarray
    q: np.ndarray
    value: np.ndarray
    policy: np.ndarray
    inverse: np.ndarray
    beta: float
    norm: str
    clip: str

    def at(self, h: int, phi: np.ndarray, reward: float = 0.0) -> float:
        """The estimate for a pair of stage h with feature `phi` (d,) and known reward, in the data or not."""
        total = reward + float(phi @ self.weights[h])
        total -= self.beta * width(np.ascontiguousarray(phi), self.inverse[h], NORMS[self.norm])
        floor, cap = _clip(self.clip, len(self.weights), h)
        return min(max(total, floor), cap)


def pevi(
    phi: np.ndarray,
    rewards: np.ndarray,
    data: OfflineData,
    *,
    beta: float,
    ridge: float = 1.0,
    norm: str = "mahalanobis",
    fail: int | None = None,
    clip: str = "both",
) -> OfflineEstimate:
    """PEVI: pessimistic value iteration in the nominal process.

    Parameters
    ----------
    phi : array (S, A, d)
        Features; a row of zeros marks a pair whose value is its reward.
    rewards : array (H, S, A)
        Known rewards.
    data
        Trajectories of the same model.
    beta : float >= 0
        Weight of the penalty.
    ridge : float > 0
    norm : {"l1", "l2", "mahalanobis"}
        Of the penalty: see `dr_lsvi_ucb`.
    fail : int, optional
        A state known to be worth 0.
    clip : {"both", "above"}
        Keep values in [0, H - h], for rewards in [0, 1], or at most H - h only (the published code of the put option).

    Returns
    -------
    OfflineEstimate

    Raises
    ------
    ValueError
        Names the argument and the value: shapes, a ridge that is not positive, data of another model.

    Examples
    --------
    >>> data = OfflineData([[0, 1, 1]] * 50, [[0, 0]] * 50, 2, 1)
    >>> out = pevi(np.eye(2)[:, None, :], np.array([[[0.0], [1.0]]] * 2), data, beta=0.0)
    >>> out.value[0].round(3).tolist()  # the ridge of 1 shrinks 50 of 51
    [0.98, 1.0]
    """
    return _pass(phi, rewards, data, NOMINAL, 0.0, beta, ridge, norm, fail, clip, "states", "exact")


def r2pvi(
    phi: np.ndarray,
    rewards: np.ndarray,
    data: OfflineData,
    *,
    divergence: str,
    temperature: Any,
    beta: float,
    ridge: float = 1.0,
    norm: str = "l1",
    fail: int | None = None,
    clip: str = "both",
    least: str = "states",
) -> OfflineEstimate:
    """R2PVI: nature pays `temperature` times the divergence of each factor from the nominal one.

    Parameters
    ----------
    phi, rewards, data, beta, ridge, norm, fail, clip
        As for `pevi`.
    divergence : {"tv", "kl", "chi2"}
    temperature : float, array (H,) or (H, d)
        Above 0; larger is less robust.
    least : {"states", "data"}
        Whether the least value, which total variation needs, is over all states or (the published code) over those that
        the data of the stage enter.

    Returns
    -------
    OfflineEstimate

    Raises
    ------
    ValueError
        As `pevi`; an unknown divergence, a temperature that is not positive.

    Warns
    -----
    UserWarning
        `least="data"` where the data never enter the fail state: the estimate is then less robust than it says. KL or
        chi-square where they never do: the estimate takes failing to be impossible.

    Examples
    --------
    >>> data = OfflineData([[0, 1, 1]] * 50, [[0, 0]] * 50, 2, 1)
    >>> phi, rewards = np.eye(2)[:, None, :], np.array([[[0.0], [1.0]]] * 2)
    >>> out = r2pvi(phi, rewards, data, divergence="tv", temperature=0.3, beta=0.0)
    >>> out.value[0].round(3).tolist()  # nature moves the value to 0 + 0.3 at most
    [0.294, 1.0]
    """
    if divergence not in _PENALTIES:
        raise ValueError(f"divergence is {divergence!r}; expected one of {sorted(_PENALTIES)}")
    kind = _PENALTIES[divergence]
    return _pass(phi, rewards, data, kind, temperature, beta, ridge, norm, fail, clip, least, "exact")


def drpvi(
    phi: np.ndarray,
    rewards: np.ndarray,
    data: OfflineData,
    *,
    rho: Any,
    beta: float,
    ridge: float = 1.0,
    norm: str = "l1",
    fail: int | None = None,
    clip: str = "both",
    least: str = "states",
    dual: str = "exact",
) -> OfflineEstimate:
    """DRPVI: nature moves each factor within a ball of total variation of radius `rho`.

    Parameters
    ----------
    phi, rewards, data, beta, ridge, norm, fail, clip, least
        As for `r2pvi`.
    rho : float, array (H,) or (H, d)
        In [0, 1].
    dual : {"exact", "nelder-mead"}
        How the dual is maximised; the second only to reproduce published figures.

    Returns
    -------
    OfflineEstimate

    Raises
    ------
    ValueError
        As `pevi`; a radius outside [0, 1], an unknown dual.

    Warns
    -----
    UserWarning
        As `r2pvi`.

    Examples
    --------
    >>> data = OfflineData([[0, 1, 1]] * 50, [[0, 0]] * 50, 2, 1)
    >>> out = drpvi(np.eye(2)[:, None, :], np.array([[[0.0], [1.0]]] * 2), data, rho=0.2, beta=0.0)
    >>> out.value[0].round(3).tolist()  # 50/51 - 0.2
    [0.78, 1.0]
    """
    if dual not in ("exact", "nelder-mead"):
        raise ValueError(f"dual is {dual!r}; expected 'exact' or 'nelder-mead'")
    return _pass(phi, rewards, data, TV, rho, beta, ridge, norm, fail, clip, least, dual)


def statistics(phi: np.ndarray, data: OfflineData, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """`(ridge I + sum phi phi')^{-1}` (H, d, d) and `sum phi 1{next state}` (H, d, S) of each stage."""
    H, (S, _, d) = data.horizon, phi.shape
    inverse, counts = np.empty((H, d, d)), np.zeros((H, d, S))
    for h in range(H):
        seen = phi[data.states[:, h], data.actions[:, h]]
        inverse[h] = np.linalg.inv(ridge * np.eye(d) + seen.T @ seen)
        np.add.at(counts[h].T, data.states[:, h + 1], seen)
    return inverse, counts


def checked_problem(phi: Any, rewards: Any, data: OfflineData) -> tuple[np.ndarray, np.ndarray]:
    """Features (S, A, d) and rewards (H, S, A) that fit the data, or ValueError."""
    # Copies: Numba compiles anew for an array that is read-only.
    phi, rewards = (np.array(x, dtype=np.float64, order="C") for x in (phi, rewards))
    if phi.ndim != 3:
        raise ValueError(f"phi has shape {phi.shape}; expected (S, A, d)")
    S, A, _ = phi.shape
    if (data.S, data.A) != (S, A):
        raise ValueError(f"data are of {data.S} states and {data.A} actions, phi of {S} and {A}")
    if rewards.shape != (data.horizon, S, A):
        raise ValueError(f"rewards has shape {rewards.shape}; expected {(data.horizon, S, A)}")
    for name, array in (("phi", phi), ("rewards", rewards)):
        if not np.isfinite(array).all():
            at = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise ValueError(f"{name}{at} is {array[tuple(at)]:g}; expected a finite number")
    return phi, rewards


def _clip(clip: str, H: int, h: int) -> tuple[float, float]:
    return (0.0 if clip == "both" else -np.inf), float(H - h)


def _pass(
    phi: Any,
    rewards: Any,
    data: OfflineData,
    kind: int,
    size: Any,
    beta: float,
    ridge: float,
    norm: str,
    fail: int | None,
    clip: str,
    least: str,
    dual: str,
) -> OfflineEstimate:
    phi, rewards = checked_problem(phi, rewards, data)
    if kind != NOMINAL:
        check_simplex(phi)
    H, (S, A, d) = data.horizon, phi.shape
    check_learner(beta, ridge, norm, fail, S)
    for name, value, allowed in (("clip", clip, ("both", "above")), ("least", least, ("states", "data"))):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}; expected {' or '.join(map(repr, allowed))}")
    if clip == "both":
        check_rewards(rewards)
    if kind == TV:
        size = sized("rho", size, H, d, most=1.0)
    else:
        size = sized("temperature", size, H, d, positive=True) if kind != NOMINAL else np.zeros((H, d))
    # After the last stage all is known to be worth 0.
    blind = [] if fail is None else [h for h in range(H - 1) if not (data.states[:, h + 1] == fail).any()]
    if least == "data" and blind:
        warnings.warn(
            f"the data never enter the fail state {fail} from stages {blind}: the least value over the data "
            "is too high, and the estimate less robust than asked for; least='states' takes it over all states",
            stacklevel=3,
        )
    if kind in (SOFT_KL, SOFT_CHI2) and H > 1 and len(blind) == H - 1:
        warnings.warn(
            f"the data never enter the fail state {fail}: nature cannot leave what was seen at any finite price of "
            "this divergence, so that the estimate takes failing to be impossible",
            stacklevel=3,
        )
    inverse, counts = statistics(phi, data, ridge)
    weights, q = np.empty((H, d)), np.empty((H, S, A))
    value, policy = np.zeros((H + 1, S)), np.empty((H, S), dtype=np.int64)
    for h in range(H - 1, -1, -1):
        v, (floor, cap) = value[h + 1], _clip(clip, H, h)
        low = float(v.min() if least == "states" else v[data.states[:, h + 1]].min())
        M, state = inverse[h] @ counts[h], -1 if fail is None else int(fail)
        common = (phi, rewards[h], M, inverse[h])
        rest = (-float(beta), NORMS[norm], floor, cap, state, weights[h], q[h])
        if dual == "exact" or h == H - 1:
            stage_pass(kind, *common, v, size[h], low, float(H), h == H - 1, *rest)
        else:
            found = np.array([_by_nelder_mead(M[i], v, size[h, i], low, H) for i in range(d)])
            # The found values enter as those of d states, one for each factor.
            stage_pass(NOMINAL, phi, rewards[h], np.eye(d), inverse[h], found, size[h], low, float(H), False, *rest)
        value[h], policy[h] = q[h].max(axis=1), q[h].argmax(axis=1)
    return OfflineEstimate(weights, q, value, policy, inverse, float(beta), norm, clip)


def _by_nelder_mead(m: np.ndarray, v: np.ndarray, radius: float, low: float, H: int) -> float:
    """The dual at what SciPy's Nelder-Mead finds from H/2 within [0, H]: a local optimum."""

    def loss(alpha: np.ndarray) -> float:
        return float(-(m @ np.minimum(v, alpha[0]) - radius * max(alpha[0] - low, 0.0)))

    return -minimize(loss, np.array([H / 2]), method="Nelder-Mead", bounds=[(0, H)]).fun
