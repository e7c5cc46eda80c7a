r"""Natural policy gradients of log-linear softmax policies with exact quantities, by three routes to one direction.

With logits phi(s, a) . theta, occupancy D(s) (unnormalised) and centred features c = phi - E_pi phi,

    F = sum_s D(s) sum_a pi(a | s) c c^T,     grad J = sum_s D(s) sum_a pi(a | s) c Adv(s, a),

the direction is w = F^+ grad J; it is the least-squares fit of Adv by w . c under D pi; and the Gauss-Newton step of
REBEL, which fits Q(s, y) - Q(s, y') by w . (phi(s, y) - phi(s, y')) over independent y, y' from pi: its matrix is 2 F.
For tabular features w is Adv up to a constant a state, hence pi exp(eta Adv) / Z. Texts that normalise the occupancy
in F but not in the gradient get w / (1 - gamma): their step is (1 - gamma) eta.

Source: Kakade 2001, "A natural policy gradient"; Agarwal, Kakade, Lee, Mahajan 2021, section 5. Cost: two linear
systems of S unknowns and a pseudo-inverse of the size of theta.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_checkpoints,
    check_count,
    check_number,
    check_regular,
    check_start,
)
from mdplab.algorithms.policy_gradient.trpo_step import policy_quantities
from mdplab.kernels.softmax import log_softmax
from mdplab.models import MDP, Trace


def tabular_features(S: int, A: int) -> np.ndarray:
    """One feature for each pair: (S, A, S * A).

    Examples
    --------
    >>> tabular_features(1, 2).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    return np.eye(S * A).reshape(S, A, S * A)


def fisher_direction(mdp: MDP, features: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """F^+ grad J: features (S, A, d), theta (d,) -> (d,).

    Raises
    ------
    ValueError
        No initial distribution, no discounting, or shapes that do not fit.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> fisher_direction(mdp, tabular_features(1, 2), np.zeros(2)).round(12).tolist()
    [0.5, -0.5]
    """
    pi, weight, advantage = _at(mdp, features, theta)
    centred = features - np.einsum("sa,sak->sk", pi, features)[:, None]
    fisher = np.einsum("sa,sak,sal->kl", weight, centred, centred)
    return _solved(fisher, np.einsum("sa,sak,sa->k", weight, centred, advantage))


def compatible_direction(mdp: MDP, features: np.ndarray, theta: np.ndarray, *, centred: bool = True) -> np.ndarray:
    """The shortest w that minimises E_{D pi} (w . score - Adv)^2; parameters as `fisher_direction`.

    Parameters
    ----------
    centred : bool
        False fits Adv by w . phi, without subtracting the mean: another direction unless the features are tabular.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> compatible_direction(mdp, tabular_features(1, 2), np.zeros(2)).round(12).tolist()
    [0.5, -0.5]
    """
    pi, weight, advantage = _at(mdp, features, theta)
    mean = np.einsum("sa,sak->sk", pi, features)[:, None] if centred else 0.0
    root = np.sqrt(weight).ravel()
    design = root[:, None] * (features - mean).reshape(root.size, -1)
    return np.linalg.lstsq(design, root * advantage.ravel(), rcond=_CUT)[0]


def paired_direction(mdp: MDP, features: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """REBEL's Gauss-Newton step over all pairs of actions; parameters as `fisher_direction`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> paired_direction(mdp, tabular_features(1, 2), np.zeros(2)).round(12).tolist()
    [0.5, -0.5]
    """
    pi, weight, advantage = _at(mdp, features, theta)
    pairs = weight[:, :, None] * pi[:, None, :]
    gap = features[:, :, None] - features[:, None]
    gram = np.einsum("sab,sabk,sabl->kl", pairs, gap, gap)
    right = np.einsum("sab,sabk,sab->k", pairs, gap, advantage[:, :, None] - advantage[:, None])
    return _solved(gram, right)


DIRECTIONS = {"fisher": fisher_direction, "compatible": compatible_direction, "paired": paired_direction}

# Directions in which the policy does not move have eigenvalue 0; what is below this share of the largest is rounding.
_CUT = 1e-13


def npg(
    mdp: MDP,
    *,
    eta: float,
    num_iters: int,
    features: np.ndarray | None = None,
    theta0: np.ndarray | None = None,
    direction: str = "fisher",
    checkpoints: Any = None,
) -> Trace:
    """theta + eta w, w the natural gradient.

    Parameters
    ----------
    mdp
        Discounted, with `mu` and every action available.
    eta : float > 0
    num_iters : int >= 0
    features : array (S, A, d), optional
        Tabular by default.
    theta0 : array (d,), optional
        0 by default.
    direction : {"fisher", "compatible", "paired"}
        Route by which w is computed.
    checkpoints : ints (K,), optional
        Iterations in [0, num_iters], increasing; all by default.

    Returns
    -------
    Trace
        `theta` (K, d) and `log_policy` (K, S, A).

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> bool(np.exp(npg(mdp, eta=1.0, num_iters=10)["log_policy"][-1, 0, 0]) > 0.999)
    True
    """
    check_number("eta", eta, above=True)
    check_regular(mdp)
    check_start(mdp)
    num_iters = check_count("num_iters", num_iters, 0)
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; expected one of {sorted(DIRECTIONS)}")
    features = tabular_features(mdp.S, mdp.A) if features is None else np.asarray(features, dtype=np.float64)
    theta = np.zeros(features.shape[-1]) if theta0 is None else np.array(theta0, dtype=np.float64)
    _check_shapes(mdp, features, theta)
    kept = check_checkpoints(checkpoints, num_iters)
    thetas, logs = np.empty((kept.size, theta.size)), np.empty((kept.size, mdp.S, mdp.A))
    place = 0
    for k in range(num_iters + 1):
        if place < kept.size and kept[place] == k:
            thetas[place], logs[place] = theta, log_softmax(features @ theta)
            place += 1
        if k < num_iters:
            theta = theta + eta * DIRECTIONS[direction](mdp, features, theta)
    return Trace(kept, {"theta": thetas, "log_policy": logs})


def _check_shapes(mdp: MDP, features: np.ndarray, theta: np.ndarray) -> None:
    if features.shape[:-1] != (mdp.S, mdp.A) or features.shape[-1:] != np.shape(theta):
        shapes = f"{features.shape} and {np.shape(theta)}"
        raise ValueError(f"features and theta have shapes {shapes}, expected ({mdp.S}, {mdp.A}, d) and (d,)")
    check_array("features", features, np.shape(features))
    check_array("theta", theta, np.shape(theta))


def _at(mdp: MDP, features: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Policy, D pi and advantages, each (S, A)."""
    check_regular(mdp)
    check_start(mdp)
    _check_shapes(mdp, features, theta)
    pi = np.exp(log_softmax(features @ theta))
    known = policy_quantities(mdp, pi)
    return pi, known.occupancy[:, None] * pi, known.advantage


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(matrix, right, rcond=_CUT)[0]
