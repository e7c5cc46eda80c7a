"""Values, gradients and Hessian-vector products of policies, exact to rounding, over an infinite or a finite horizon.

Two parametrisations: tabular softmax on an `MDP`, and location policies on a `LocationChain`, for which averages over
the action are known (`smoothed`). With a horizon H the objective is the truncated J_H = E sum_{t<H} gamma^t r_t of a
stationary policy, whose gradient is what H-step trajectories estimate.
"""

import numpy as np

from mdplab.exact.arguments import checked_count, checked_positive
from mdplab.exact.trajectories import check_softmax_arguments
from mdplab.instances.policy_gradient import LocationChain, Smoothed
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, SolverFailure


def location_value(chain: LocationChain, theta: np.ndarray, *, horizon: int | None = None) -> np.ndarray:
    """J, or J_H, of the location policy theta (..., S); shape (...).

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import qchain
    >>> chain = qchain()
    >>> bool(abs(location_value(chain, chain.centre) + chain.occupancy.sum() / 8) < 1e-14)
    True
    """
    theta, horizon = _location_arguments(chain, theta, horizon)
    m = chain.smoothed(theta)
    return _location_values(m, chain.gamma, horizon)[0] @ chain.rho


def location_gradient(chain: LocationChain, theta: np.ndarray, *, horizon: int | None = None) -> np.ndarray:
    """Gradient (..., S) of J, or of J_H, at theta (..., S).

    Notes
    -----
    grad J = D * k with occupancy D and k = r' + gamma P' V, the derivative of Q at the mean over actions; truncated,
    the sum over t of gamma^t p_t * k_t with k_t = r' + gamma P' V_{t+1}.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import qchain
    >>> chain = qchain()
    >>> location_gradient(chain, chain.centre).tolist()
    [0.0, 0.0]
    """
    return location_hvp(chain, theta, np.zeros(chain.S), horizon=horizon)[0]


def location_hvp(
    chain: LocationChain, theta: np.ndarray, u: np.ndarray, *, horizon: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian-vector product, both (..., S), at theta (..., S) in the direction u (..., S).

    Notes
    -----
    Differentiating D * k along u: dV = (I - gamma P)^-1 (u k), dD = (I - gamma P)^-T gamma P'^T (u D),
    dk = u (r'' + gamma P'' V) + gamma P' dV, and H u = dD k + D dk. Row s of P depends on theta_s alone.
    """
    theta, horizon = _location_arguments(chain, theta, horizon)
    m, gamma = chain.smoothed(theta), chain.gamma
    if np.shape(u)[-1:] != (chain.S,):
        raise ValueError(f"u has shape {np.shape(u)}; expected (..., {chain.S})")
    u = np.broadcast_to(np.asarray(u, dtype=np.float64), np.shape(m.r))
    if horizon is None:
        A = np.eye(chain.S) - gamma * m.P
        V = _solve(A, m.r)
        k = m.dr + gamma * _apply(m.dP, V)
        dV = _solve(A, u * k)
        At = np.swapaxes(A, -1, -2)
        D = _solve(At, np.broadcast_to(chain.rho, m.r.shape))
        dD = _solve(At, gamma * _apply_t(m.dP, u * D))
        dk = u * (m.ddr + gamma * _apply(m.ddP, V)) + gamma * _apply(m.dP, dV)
        return D * k, dD * k + D * dk
    V = _location_values(m, gamma, horizon)
    dV = np.zeros_like(V)
    for t in range(horizon - 1, -1, -1):
        dV[t] = u * (m.dr + gamma * _apply(m.dP, V[t + 1])) + gamma * _apply(m.P, dV[t + 1])
    p = np.broadcast_to(chain.rho, m.r.shape)
    dp = np.zeros_like(p)
    gradient, product = np.zeros_like(m.r), np.zeros_like(m.r)
    for t in range(horizon):
        k = m.dr + gamma * _apply(m.dP, V[t + 1])
        dk = u * (m.ddr + gamma * _apply(m.ddP, V[t + 1])) + gamma * _apply(m.dP, dV[t + 1])
        gradient += gamma**t * p * k
        product += gamma**t * (dp * k + p * dk)
        dp = _apply_t(m.P, dp) + _apply_t(m.dP, u * p)
        p = _apply_t(m.P, p)
    return gradient, product


def _location_arguments(chain: LocationChain, theta: np.ndarray, horizon: int | None) -> tuple[np.ndarray, int | None]:
    theta = np.asarray(theta, dtype=np.float64)
    if theta.shape[-1:] != (chain.S,):
        raise ValueError(f"theta has shape {theta.shape}; expected (..., {chain.S})")
    bad = np.argwhere(~np.isfinite(theta))
    if bad.size:
        raise ValueError(f"theta{bad[0].tolist()} is {theta[tuple(bad[0])]}; expected finite numbers")
    return theta, horizon if horizon is None else checked_count("horizon", horizon)


def _location_values(m: Smoothed, gamma: float, horizon: int | None) -> np.ndarray:
    """V of every step (horizon + 1, ..., S), or of the stationary problem (1, ..., S)."""
    if horizon is None:
        return _solve(np.eye(m.r.shape[-1]) - gamma * m.P, m.r)[None]
    V = np.zeros((horizon + 1, *m.r.shape))
    for t in range(horizon - 1, -1, -1):
        V[t] = m.r + gamma * _apply(m.P, V[t + 1])
    return V


def _solve(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.solve(A, b[..., None])[..., 0]


def _apply(P: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.einsum("...st,...t->...s", P, v)


def _apply_t(P: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.einsum("...st,...s->...t", P, p)


def best_actions(chain: LocationChain, *, grid: np.ndarray) -> np.ndarray:
    """The best deterministic action of each state (S,) among `grid` (n,), by policy iteration over these actions.

    No policy on the grid has a larger J; how far the best of all is above depends on the grid.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import qchain
    >>> best_actions(qchain(), grid=np.linspace(-1, 1, 11)).round(1).tolist()
    [0.6, -0.8]
    """
    grid = np.asarray(grid, dtype=np.float64)
    if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all():
        raise ValueError(f"grid has shape {grid.shape}; expected (n,), n at least 1, of finite actions")
    r, P = chain.at(np.repeat(grid[:, None], chain.S, axis=1))
    states = np.arange(chain.S)
    choice = np.argmax(r, axis=0)
    # A policy is visited once; the cap is never met, it only bounds cycling among policies that tie in rounding.
    for _ in range(grid.size * chain.S):
        V = _solve(np.eye(chain.S) - chain.gamma * P[choice, states], r[choice, states])
        better = np.argmax(r + chain.gamma * P @ V, axis=0)
        if np.array_equal(better, choice):
            break
        choice = better
    return grid[choice]


def location_optimum(chain: LocationChain, *, tol: float = 1e-10) -> np.ndarray:
    """A maximiser (S,) of J among location policies, by Newton's method from the best deterministic actions.

    Raises
    ------
    SolverFailure
        The gradient stays above `tol`, or the Hessian there is not negative definite.

    Examples
    --------
    >>> from mdplab.instances.policy_gradient import fnd_logit
    >>> location_optimum(fnd_logit()).round(5).tolist()
    [0.51856, -1.13508]
    """
    checked_positive("tol", tol)
    theta = best_actions(chain, grid=np.linspace(-5, 5, 201))
    directions = np.eye(chain.S)
    for _ in range(50):
        gradient, hessian = location_hvp(chain, np.tile(theta, (chain.S, 1)), directions)
        size = float(np.linalg.norm(gradient[0]))
        if size <= tol:
            break
        theta = theta - np.linalg.solve(hessian, gradient[0])
    top = float(np.linalg.eigvalsh((hessian + hessian.T) / 2).max())
    if not (size <= tol and top < 0):
        raise SolverFailure(f"Newton's method reached a gradient of {size:.3g} and a largest curvature of {top:.3g}")
    return theta


def softmax_gradient(mdp: MDP, theta: np.ndarray, *, horizon: int | None = None) -> np.ndarray:
    """Gradient (S, A) of J, or of J_H, for the tabular softmax policy with logits theta (S, A), from `mdp.mu`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> softmax_gradient(mdp, np.zeros((1, 2))).tolist()
    [[0.5, -0.5]]
    """
    return softmax_hvp(mdp, theta, np.zeros(np.shape(theta)), horizon=horizon)[0]


def softmax_hvp(
    mdp: MDP, theta: np.ndarray, u: np.ndarray, *, horizon: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian-vector product, both (S, A), at logits theta (S, A) in the direction u (S, A).

    Parameters
    ----------
    mdp
        Dense or CSR, with a start distribution `mu` and every action available.
    theta, u
        `(S, A)`.
    horizon
        None for the infinite horizon (gamma below 1), else the number of steps of J_H.

    Raises
    ------
    ValueError
        No start distribution, an action that is not available, a shape that differs, a number that is not finite, a
        horizon below 1, or neither a horizon nor discounting.

    Notes
    -----
    grad J = D pi Adv; its derivative along u is dD pi Adv + D dpi Adv + D pi dAdv, where dpi = pi (u - E_pi u) and the
    value moves by dV = (I - gamma P_pi)^-1 sum_a dpi Q.
    """
    check_softmax_arguments(mdp, horizon=horizon, theta=theta, u=u)
    P, r, gamma, rho = mdp.dense().P, mdp.r, mdp.gamma, mdp.mu
    pi = softmax(theta)
    dpi = pi * (u - (pi * u).sum(axis=1, keepdims=True))
    P_pi, dP = np.einsum("sa,sat->st", pi, P), np.einsum("sa,sat->st", dpi, P)
    if horizon is None:
        A = np.eye(mdp.S) - gamma * P_pi
        V = np.linalg.solve(A, (pi * r).sum(axis=1))
        Q = r + gamma * P @ V
        D = np.linalg.solve(A.T, rho)
        dV = np.linalg.solve(A, (dpi * Q).sum(axis=1))
        dD = np.linalg.solve(A.T, gamma * dP.T @ D)
        return _softmax_terms(pi, dpi, D, dD, Q - V[:, None], gamma * P @ dV - dV[:, None])
    V, dV = np.zeros((horizon + 1, mdp.S)), np.zeros((horizon + 1, mdp.S))
    for t in range(horizon - 1, -1, -1):
        Q, dQ = r + gamma * P @ V[t + 1], gamma * P @ dV[t + 1]
        V[t], dV[t] = (pi * Q).sum(axis=1), (dpi * Q + pi * dQ).sum(axis=1)
    gradient, product = np.zeros_like(pi), np.zeros_like(pi)
    p, dp = rho, np.zeros(mdp.S)
    for t in range(horizon):
        adv = r + gamma * P @ V[t + 1] - V[t][:, None]
        dadv = gamma * P @ dV[t + 1] - dV[t][:, None]
        g, h = _softmax_terms(pi, dpi, p, dp, adv, dadv)
        gradient, product = gradient + gamma**t * g, product + gamma**t * h
        p, dp = p @ P_pi, dp @ P_pi + p @ dP
    return gradient, product


def _softmax_terms(pi, dpi, D, dD, adv, dadv) -> tuple[np.ndarray, np.ndarray]:
    D, dD = D[:, None], dD[:, None]
    return D * pi * adv, dD * pi * adv + D * dpi * adv + D * pi * dadv
