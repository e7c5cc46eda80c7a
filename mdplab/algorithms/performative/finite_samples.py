r"""Repeated retraining from finite samples: with an estimated model, or by a game against the flow constraints.

Plug-in: n trajectories of the deployed policy give frequencies P_hat and mean rewards r_hat; the next occupancy is
Proj_{C(P_hat)}(r_hat / lam), or a gradient step there.

Lagrangian: max over d, min over h of <d, r> - lam |d|^2 / 2 + <h, mu - A d>, every expectation replaced by a mean of m
transitions weighted by 1 / ((1 - gamma) d_hat(s, a) m), d_hat an estimate of the deployed occupancy from other draws. N
rounds: h follows the regularised leader, h_n = argmin <sum_{k<n} (mu - A d_k), h> + delta |h|^2 over a ball, d answers
it, argmax over 0 <= d <= B d_hat, which is separable; what is deployed is the mean of the answers.

Without the ball the h-player is gradient descent on the dual function with step 1 / (2 delta), and the mean answer
violates the flow by exactly 2 delta h_N / N. Hence two things about the released settings. With delta = .1 and lam of
order 1 or less the step is longer than what a dual of smoothness |A|^2 / lam bears: the mean becomes feasible, not
optimal. And the released code counts mu once where the sum needs it in each round (`mu_once`): the mean is then
feasible for a start distribution that shrinks like 1 / N.

Source: Mandal, Triantafyllou, Radanovic 2023, section on finite samples, from the authors' released code; the box
0 <= d <= B d_hat from that of Rank, Triantafyllou, Mandal, Radanovic 2024. What is said of the mean is derived.
"""

from typing import NamedTuple

import numpy as np

from mdplab.algorithms.performative.repeated import LARGEST_RESIDUAL, count, first_occupancy, positive
from mdplab.algorithms.performative.sampling import Counts, occupancy_counts, trajectory_counts
from mdplab.kernels.occupancy import project_flow
from mdplab.models import Trace
from mdplab.models.performative import PerformativeMDP


class Saddle(NamedTuple):
    """Plays of h (N + 1, S), the last after all rounds, answers d (N, S, A) and their mean (S, A)."""

    h: np.ndarray
    d: np.ndarray
    mean: np.ndarray


def finite_sample_plug_in(
    problem: PerformativeMDP,
    lam: float,
    *,
    num_rounds: int,
    num_trajectories: int,
    rng: np.random.Generator,
    length: int = 100,
    eta: float | None = None,
    unseen_P: np.ndarray | None = None,
    unseen_r: float = 0.0,
    start: np.ndarray | None = None,
) -> Trace:
    """Repeated optimisation, or gradient ascent, in a model estimated from the deployed policy's trajectories.

    Parameters
    ----------
    problem, lam, num_rounds, start
        As in `repeated_optimization`.
    num_trajectories, length
        Trajectories of each deployment, at least 1, and their greatest length.
    rng
        Draws all trajectories.
    eta
        Step of gradient ascent; None for the optimum itself.
    unseen_P : array (S, A, S), optional
        What a pair that was never visited is taken to do; by default it leads to every state alike.
    unseen_r
        What such a pair is taken to earn.

    Returns
    -------
    Trace
        `d` (T + 1, S, A); `unseen` (T + 1,), pairs that the last sample did not show (0 for the start).

    Raises
    ------
    ValueError
        As `repeated_optimization`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> base = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> crowded = PerformativeMDP(base, lambda pi: (base.P, base.r - pi))
    >>> run = finite_sample_plug_in(crowded, 2.0, num_rounds=20, num_trajectories=9, rng=np.random.default_rng(1))
    >>> run["d"][-1].round(6).tolist()  # rewards without noise, one state: nothing is left to estimate
    [[1.2, 0.8]]
    """
    weight, step = positive("lam", lam), 0.0 if eta is None else positive("eta", eta)
    rounds, number, longest = count("num_rounds", num_rounds, 0), count("num_trajectories", num_trajectories), length
    S, A = problem.base.S, problem.base.A
    elsewhere = np.full((S, A, S), 1 / S) if unseen_P is None else np.asarray(unseen_P, dtype=np.float64)
    if elsewhere.shape != (S, A, S):
        raise ValueError(f"unseen_P has shape {elsewhere.shape}, expected {(S, A, S)}")
    d, h, status = first_occupancy(problem, start), None, "ok"
    visited, unseen = [d], [0]
    for t in range(rounds):
        policy = problem.policy_of(d)
        now = problem.at(policy, round=t)
        seen = trajectory_counts(now, policy, number, length=count("length", longest), rng=rng)
        P, r = seen.model(elsewhere, np.full((S, A), float(unseen_r)))
        target = r / weight if eta is None else (1 - step * weight) * d + step * r
        found = project_flow(P, now.mu, now.gamma, target, available=problem.available, start=h)
        d, h = found.d, found.h
        if not found.residual <= LARGEST_RESIDUAL / (1 - now.gamma) and status == "ok":
            status = f"projection failed at t={t}, residual {found.residual:.2g}"
        visited.append(d)
        unseen.append(int((problem.available & (seen.seen.sum(axis=2) == 0)).sum()))
    return Trace(np.arange(rounds + 1), {"d": np.array(visited), "unseen": np.array(unseen)}, status)


def saddle_rounds(
    W: np.ndarray,
    R: np.ndarray,
    mu: np.ndarray,
    gamma: float,
    lam: float,
    cap: np.ndarray,
    *,
    num_rounds: int,
    delta: float,
    radius: float = np.inf,
    mu_once: bool = False,
) -> Saddle:
    """Rounds of the game between an occupancy and the multipliers of its flow constraints.

    Parameters
    ----------
    W : array (S, A, S)
        Weighted frequencies of transitions; in expectation P. Rows need not sum to 1: a sum stands for what a pair
        takes out of its own state.
    R : array (S, A)
        Weighted rewards; in expectation r.
    mu : array (S,)
        Start distribution; a state with `cap` 0 at all actions has no constraint if W never leads from it.
    gamma, lam
        Discount, weight of the regulariser above 0.
    cap : array (S, A)
        Upper end of the answers, at least 0.
    num_rounds
        At least 1.
    delta
        Regulariser of the h-player, above 0.
    radius
        Of the h-player's ball.
    mu_once
        Count mu once instead of in every round, as the released code does.

    Examples
    --------
    One state, one action: the mean answer tends to the mass 1 / (1 - gamma).

    >>> game = saddle_rounds(np.ones((1, 1, 1)), np.ones((1, 1)), np.ones(1), 0.5, 1.0, np.full((1, 1), 9.0),
    ...                      num_rounds=200, delta=0.5)
    >>> game.d[-1].round(6).tolist()
    [[2.0]]
    """
    delta, weight = positive("delta", delta), positive("lam", lam)
    out = W.sum(axis=2)
    moved, plays, answers = np.zeros(mu.size), [], []
    for n in range(count("num_rounds", num_rounds) + 1):
        # Sum over past rounds of mu - A d_k.
        slope = moved + (1 if mu_once else n) * mu
        h = -slope / (2 * delta)
        size = np.linalg.norm(h)
        plays.append(h * min(1.0, radius / size) if size > 0 else h)
        if n == num_rounds:
            break
        h = plays[-1]
        d = np.clip((R - out * h[:, None] + gamma * (W @ h)) / weight, 0.0, cap)
        answers.append(d)
        moved = moved - (d * out).sum(axis=1) + gamma * np.einsum("sa,saj->j", d, W)
    return Saddle(np.array(plays), np.array(answers), np.mean(answers, axis=0))


def finite_sample_lagrangian(
    problem: PerformativeMDP,
    lam: float,
    *,
    num_rounds: int,
    num_samples: int,
    rng: np.random.Generator,
    inner_rounds: int = 10,
    delta: float = 0.1,
    overlap: float = 10.0,
    mu_once: bool = False,
    start: np.ndarray | None = None,
) -> Trace:
    """Repeated retraining by the empirical Lagrangian game, with independent draws from the deployed occupancy.

    Parameters
    ----------
    problem, lam, num_rounds, start
        As in `repeated_optimization`.
    num_samples
        Draws of each deployment, at least 2; half of them estimate the occupancy, half form the game.
    rng
        Draws all samples.
    inner_rounds, delta, mu_once
        As in `saddle_rounds`; 10 and .1 are the released settings, which are too short a game with too long a step for
        the mean to be near the optimum (see the module). |A|^2 / (2 lam) is a delta that suffices.
    overlap
        B: answers are at most this multiple of the estimated occupancy.

    Returns
    -------
    Trace
        `d` (T + 1, S, A): mean answers. They obey the flow of no kernel exactly.

    Raises
    ------
    ValueError
        As `repeated_optimization`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> base = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> still = PerformativeMDP(base, lambda pi: (base.P, base.r))
    >>> run = finite_sample_lagrangian(still, 1.0, num_rounds=1, num_samples=20000, inner_rounds=400, delta=0.5,
    ...                                rng=np.random.default_rng(1))
    >>> bool(np.abs(run["d"][-1] - [[1.5, 0.5]]).max() < 0.1)
    True
    """
    weight, bound = positive("lam", lam), positive("overlap", overlap)
    rounds, number = count("num_rounds", num_rounds, 0), count("num_samples", num_samples, 2)
    base = problem.base
    radius = 3 * base.S / (1 - base.gamma) ** 2
    d = first_occupancy(problem, start)
    visited = [d]
    for t in range(rounds):
        policy = problem.policy_of(d)
        now = problem.at(policy, round=t)
        d_hat = estimated_occupancy(occupancy_counts(now, policy, number // 2, rng=rng), now.gamma)
        game = occupancy_counts(now, policy, number - number // 2, rng=rng)
        W, R = weighted(game, d_hat, now.gamma)
        # Terminal states have no flow constraint: with neither start nor inflow their multiplier stays 0.
        mu, W = np.where(problem.exits, 0.0, now.mu), np.where(problem.exits, 0.0, W)
        d = saddle_rounds(
            W, R, mu, now.gamma, weight, bound * d_hat,
            num_rounds=inner_rounds, delta=delta, radius=radius, mu_once=mu_once,
        ).mean  # fmt: skip
        visited.append(d)
    return Trace(np.arange(rounds + 1), {"d": np.array(visited)})


def estimated_occupancy(counts: Counts, gamma: float) -> np.ndarray:
    """Occupancy (S, A) of mass at most 1 / (1 - gamma) from draws of `occupancy_counts`."""
    return counts.seen.sum(axis=2) / counts.total / (1 - gamma)


def weighted(counts: Counts, d_hat: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Transitions (S, A, S) and rewards (S, A), each draw weighted by 1 / ((1 - gamma) d_hat m); 0 where d_hat is 0."""
    scale = np.where(d_hat > 0, 1.0, 0.0) / (np.where(d_hat > 0, d_hat, 1.0) * counts.total * (1 - gamma))
    return counts.seen * scale[:, :, None], counts.reward * scale
