r"""Hybrid actor-critics of discounted problems on expectations: HPE, HAC and HNPG, with off- or on-policy data alone.

Hybrid policy evaluation (HPE) repeats a regression with an off-policy and an on-policy term,

    f_k = argmin_f  E_nu (f - r - gamma E f_{k-1}(s', pi))^2 + lam E_d (f - Q^pi)^2,

and returns the mean of f_k over k = burn_in + 1, ..., burn_in + rounds; the second term has no bootstrap. For tables,

    f_k = (nu T^pi f_{k-1} + lam d Q^pi) / (nu + lam d)     at every pair.

HAC takes pi^{t+1} ~ pi^t exp(eta f^t); HNPG fits eta w . grad log pi to f^t, centred, on the same mixture of data. Data
are expectations here: nu (S, A) weights the off-policy term, d is the normalised occupancy of the policy from the
model's `mu`, first action included (the paper resets to pairs). lam = 0 is fitted Q evaluation alone, without nu only
the on-policy method is left.

Source: Zhou, Sekhari, Song, Sun (2023; arXiv:2311.08384), algorithms 1 to 3, read in full. Cost of a step of HAC: a
solve in S unknowns and `burn_in + rounds` regressions.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.kernels.hybrid import exact_actor_run
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Trace


@dataclass(frozen=True)
class Evaluation:
    """How a critic is fitted: weights of the data, number of regressions, and the class of functions.

    Parameters
    ----------
    offline : array (S, A) or None
        Weights nu; None leaves the off-policy term out.
    lam : float >= 0
        Weight of the on-policy term; 0 leaves it out.
    burn_in, rounds : int >= 0, int >= 1
        Regressions thrown away, and averaged.
    features : array (S, A, k) or None
        The class of functions linear in them; tables by default.
    start : array (S, A) or None
        f_0; 0 by default.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> Evaluation(np.ones((2, 2)), lam=1.0).rounds
    100
    """

    offline: np.ndarray | None
    lam: float
    burn_in: int = 0
    rounds: int = 100
    features: np.ndarray | None = None
    start: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.offline is not None and not (np.isfinite(self.offline).all() and (np.asarray(self.offline) >= 0).all()):
            raise ValueError("offline has a weight that is negative or not finite")
        if not (np.isfinite(self.lam) and self.lam >= 0):
            raise ValueError(f"lam is {self.lam:g}; expected a finite number of at least 0")
        if self.offline is None and self.lam == 0:
            raise ValueError("offline is None and lam is 0: nothing is left to fit")
        for name, value, least in (("burn_in", self.burn_in, 0), ("rounds", self.rounds, 1)):
            if value < least:
                raise ValueError(f"{name} is {value}; expected at least {least}")


def on_policy_data(mdp: MDP, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What rollouts of a policy show in expectation: normalised occupancy (S, A) and returns Q^pi (S, A).

    Parameters
    ----------
    mdp
        Discounted, with `mu`; actions of the first pair are drawn from the policy.
    policy : array (S, A)

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> d, q = on_policy_data(mdp, np.array([[0.5, 0.5]]))
    >>> d.tolist(), q.tolist()
    ([[0.5, 0.5]], [[1.5, 0.5]])
    """
    P, gamma = mdp.dense().P, mdp.gamma
    stay = np.einsum("sa,sat->st", policy, P)
    system = np.eye(mdp.S) - gamma * stay
    v = np.linalg.solve(system, (policy * mdp.r).sum(axis=1))
    visits = (1 - gamma) * np.linalg.solve(system.T, mdp.mu)
    return visits[:, None] * policy, mdp.r + gamma * P @ v


def hybrid_policy_evaluation(mdp: MDP, policy: np.ndarray, how: Evaluation, *, iterates: bool = False) -> np.ndarray:
    """HPE on expectations: the mean (S, A) of its iterates after the burn-in, or all of them.

    Parameters
    ----------
    mdp
        Discounted, with `mu`.
    policy : array (S, A)
    how
        Data and class of functions. Pairs without data keep the value of `start` where functions are tables; elsewhere
        the least solution is taken.
    iterates : bool
        Whether to return every iterate (burn_in + rounds + 1, S, A), f_0 first.

    Raises
    ------
    ValueError
        No `mu`, or a discount of 1.

    Source
    ------
    Zhou, Sekhari, Song, Sun (2023), algorithm 1 (HPE).

    Examples
    --------
    >>> mdp = MDP([[[1.0]]], [[1.0]], 0.5, mu=[1.0])
    >>> how = Evaluation(np.ones((1, 1)), lam=1.0, rounds=2)
    >>> hybrid_policy_evaluation(mdp, np.ones((1, 1)), how, iterates=True).ravel().tolist()
    [0.0, 1.5, 1.875]
    """
    if mdp.mu is None or not mdp.gamma < 1:
        raise ValueError(
            f"mdp has gamma = {mdp.gamma:g} and mu {'missing' if mdp.mu is None else 'given'}; expected both"
        )
    d, q = on_policy_data(mdp, policy)
    P = mdp.dense().P
    nu = np.zeros_like(d) if how.offline is None else np.asarray(how.offline, dtype=np.float64)
    f = np.zeros_like(d) if how.start is None else np.array(how.start, dtype=np.float64)
    weight, seen = nu + how.lam * d, nu + how.lam * d > 0
    if how.features is not None:
        phi = how.features.reshape(d.size, -1)
        solve = np.linalg.pinv(np.sqrt(weight).reshape(-1, 1) * phi) * np.sqrt(weight).ravel()
    out = [f]
    for _ in range(how.burn_in + how.rounds):
        target = mdp.r + mdp.gamma * P @ (policy * f).sum(axis=1)
        mixed = np.divide(nu * target + how.lam * d * q, weight, out=f.copy(), where=seen)
        f = mixed if how.features is None else (phi @ (solve @ np.where(seen, mixed, 0.0).ravel())).reshape(d.shape)
        out.append(f)
    return np.array(out) if iterates else np.mean(out[how.burn_in + 1 :], axis=0)


def hac_step(gamma: float, A: int, num_iters: int) -> float:
    """The step of the theorem, (1 - gamma) sqrt(log A / T).

    Examples
    --------
    >>> round(hac_step(0.5, 4, 100), 6)
    0.058871
    """
    return (1 - gamma) * float(np.sqrt(np.log(A) / num_iters))


def hac(mdp: MDP, how: Evaluation, *, num_iters: int, eta: float | None = None) -> Trace:
    """HAC on expectations: mirror steps along the critics of HPE, from the uniform policy.

    Parameters
    ----------
    mdp
        Discounted, with `mu`.
    how
        Data and class of functions of the critic.
    num_iters : int >= 1
    eta : float > 0, optional
        Step; that of the theorem by default.

    Returns
    -------
    Trace
        `policy` and `critic` (num_iters, S, A).

    Raises
    ------
    ValueError
        As `hybrid_policy_evaluation`, and a step or a number of iterations that is not positive.

    Source
    ------
    Zhou, Sekhari, Song, Sun (2023), algorithm 2 (HAC).

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> run = hac(mdp, Evaluation(np.ones((1, 2)), lam=1.0), num_iters=50)
    >>> bool(run["policy"][-1, 0, 0] > 0.8)
    True
    """
    return hnpg(mdp, how, num_iters=num_iters, eta=eta)


def hnpg(
    mdp: MDP, how: Evaluation, *, num_iters: int, eta: float | None = None, features: np.ndarray | None = None
) -> Trace:
    """HNPG on expectations: log-linear policies pi ~ exp(theta . phi), steps by regression on centred features.

    Parameters
    ----------
    mdp, how, num_iters, eta
        As for `hac`.
    features : array (S, A, k), optional
        Of the policy; by default one for each pair, which makes it HAC.

    Returns
    -------
    Trace
        As `hac`.

    Raises
    ------
    ValueError
        As `hac`.

    Notes
    -----
    w minimises E_nu (w . c - f_c)^2 + lam E_d (w . c - f_c)^2, c = grad log pi and f_c = f - E_pi f. (The paper's
    condition of realisability prints the centring of f with the wrong sign.)

    Source
    ------
    Zhou, Sekhari, Song, Sun (2023), algorithm 3 (HNPG).

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> run = hnpg(mdp, Evaluation(np.ones((1, 2)), lam=1.0), num_iters=50, features=np.array([[[1.0], [0.0]]]))
    >>> bool(run["policy"][-1, 0, 0] > 0.8)
    True
    """
    if num_iters < 1:
        raise ValueError(f"num_iters is {num_iters}; expected at least 1")
    eta = hac_step(mdp.gamma, mdp.A, num_iters) if eta is None else eta
    if not (np.isfinite(eta) and eta > 0):
        raise ValueError(f"eta is {eta:g}; expected a finite number above 0")
    logits = np.zeros((mdp.S, mdp.A))
    policies, critics = np.empty((2, num_iters, mdp.S, mdp.A))
    for t in range(num_iters):
        policies[t] = pi = softmax(logits)
        critics[t] = f = hybrid_policy_evaluation(mdp, pi, how)
        if features is None:
            logits = logits + eta * f
            continue
        weight = how.lam * on_policy_data(mdp, pi)[0] + (0.0 if how.offline is None else how.offline)
        root = np.sqrt(weight).ravel()
        centred = (features - np.einsum("sa,sak->sk", pi, features)[:, None]).reshape(root.size, -1)
        residual = (f - (pi * f).sum(axis=1, keepdims=True)).ravel()
        w = np.linalg.lstsq(root[:, None] * centred, root * residual, rcond=None)[0]
        logits = logits + eta * features @ w
    return Trace(np.arange(num_iters), {"policy": policies, "critic": critics})


def exact_hac(mdp: MDP, *, num_iters: int, eta: float | None = None, checkpoints: np.ndarray | None = None) -> Trace:
    """HAC with the critic exact: pi ~ pi exp(eta Q^pi), compiled, for long runs.

    Parameters
    ----------
    mdp
        Discounted, dense.
    num_iters : int >= 1
    eta : float > 0, optional
        Step; that of the theorem by default.
    checkpoints : int array (K,), optional
        Iterations in [0, num_iters), increasing; the last by default.

    Returns
    -------
    Trace
        `mean_value` (K, S) mean of V^pi over the policies so far, `policy` (K, S, A) the last of them.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> exact_hac(mdp, num_iters=1)["mean_value"].tolist()
    [[1.0]]
    """
    eta = hac_step(mdp.gamma, mdp.A, num_iters) if eta is None else eta
    if not (num_iters >= 1 and np.isfinite(eta) and eta > 0 and mdp.gamma < 1):
        raise ValueError(f"num_iters, eta, gamma are {num_iters}, {eta:g}, {mdp.gamma:g}; expected >= 1, > 0, < 1")
    t = np.array([num_iters - 1] if checkpoints is None else checkpoints, dtype=np.int64)
    if t.size == 0 or t[0] < 0 or t[-1] >= num_iters or np.any(np.diff(t) <= 0):
        raise ValueError(f"checkpoints are {t.tolist()[:5]}...; expected increasing iterations in [0, {num_iters})")
    mean, policy = np.empty((t.size, mdp.S)), np.empty((t.size, mdp.S, mdp.A))
    exact_actor_run(mdp.dense().P, mdp.r, mdp.gamma, float(eta), t, mean, policy)
    return Trace(t, {"mean_value": mean, "policy": policy})
