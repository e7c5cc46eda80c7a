r"""VA-DRPVI: DRPVI with each observation weighted by its estimated variance.

Half of the trajectories estimate, for each alpha, the variance of min(V_{h+1}, alpha) after each pair,

    s2_h(s, a; alpha) = max(1, [phi . z2]_[0, H^2] - ([phi . z1]_[0, H])^2),

z1 and z2 the ridge estimates of the first two moments; the other half gives the ridge regression with weights 1 / s2,
its dual, and the penalty from its own inverse at each factor's alpha.

Source: Liu, Xu (2024), algorithm 2; the variance from public code. The paper subtracts a further correction inside the
bracket that was not read. The public code for one experiment returns inside its loop over factors and so computes the
first only; here all are.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.linear.offline import OfflineEstimate, checked_problem, statistics
from mdplab.algorithms.linear.online import check_learner, check_rewards, check_simplex, sized
from mdplab.models import OfflineData


def va_drpvi(
    phi: np.ndarray,
    rewards: np.ndarray,
    data: OfflineData,
    *,
    rho: Any,
    beta: float,
    ridge: float = 1.0,
    fail: int | None = None,
) -> OfflineEstimate:
    """VA-DRPVI with the exact dual; the first half of the trajectories estimates variances.

    Parameters
    ----------
    phi, rewards, data, rho, beta, ridge, fail
        As for `drpvi`; at least two trajectories. The penalty is `beta sum phi_i sqrt(inverse_ii)`, each factor's
        inverse being the weighted one at its own alpha.

    Returns
    -------
    OfflineEstimate
        `inverse` is diagonal: row i holds the entry that the penalty of factor i uses.

    Raises
    ------
    ValueError
        As `drpvi`; fewer than two trajectories.

    Examples
    --------
    >>> data = OfflineData([[0, 1, 1]] * 100, [[0, 0]] * 100, 2, 1)
    >>> out = va_drpvi(np.eye(2)[:, None, :], np.array([[[0.0], [1.0]]] * 2), data, rho=0.2, beta=0.0)
    >>> out.value[0].round(3).tolist()  # 50/51 - 0.2
    [0.78, 1.0]
    """
    phi, rewards = checked_problem(phi, rewards, data)
    check_simplex(phi)
    check_rewards(rewards)
    H, (S, A, d) = data.horizon, phi.shape
    check_learner(beta, ridge, "l1", fail, S)
    size = sized("rho", rho, H, d, most=1.0)
    if len(data) < 2:
        raise ValueError(f"data has {len(data)} trajectory; the variance-aware learner splits at least 2")
    half = len(data) // 2
    first, second = data[:half], data[half:]
    inverse, counts = statistics(phi, first, ridge)
    weights, q = np.zeros((H, d)), np.empty((H, S, A))
    value, policy = np.zeros((H + 1, S)), np.empty((H, S), dtype=np.int64)
    used = np.zeros((H, d, d))
    for h in range(H - 1, -1, -1):
        v, M = value[h + 1], inverse[h] @ counts[h]
        seen, to = phi[second.states[:, h], second.actions[:, h]], second.states[:, h + 1]
        best, diagonal = np.full(d, -np.inf), np.empty(d)
        for alpha in np.unique(np.append(np.maximum(v, 0.0), 0.0)):
            cut = np.minimum(v, alpha)
            mean, square = (seen @ (M @ x) for x in (cut, cut**2))
            variance = np.maximum(1.0, np.clip(square, 0, H**2) - np.clip(mean, 0, H) ** 2)
            at = np.linalg.inv(ridge * np.eye(d) + (seen / variance[:, None]).T @ seen)
            dual = at @ ((seen / variance[:, None]).T @ cut[to]) - size[h] * max(alpha - v.min(), 0.0)
            better = dual > best
            best, diagonal = np.where(better, dual, best), np.where(better, np.diagonal(at), diagonal)
        weights[h] = 0.0 if h == H - 1 else best
        used[h] = np.diag(diagonal)
        known = ~phi.any(axis=2)
        total = rewards[h] + phi @ weights[h] - beta * np.abs(phi) @ np.sqrt(diagonal)
        q[h] = np.where(known, rewards[h], np.clip(total, 0.0, H - h))
        if fail is not None:
            q[h, fail] = 0.0
        value[h], policy[h] = q[h].max(axis=1), q[h].argmax(axis=1)
    return OfflineEstimate(weights, q, value, policy, used, float(beta), "l1", "both")
