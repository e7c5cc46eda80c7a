r"""Magnetic preference optimisation (MPO): solve the regularised game, move the reference to its solution, repeat.

The inner loop is magnetic mirror descent (`self_play.mmd_step`) towards the current magnet; the outer one sets the next
magnet to what the inner one returns. With exact inner solutions the magnets approach the equilibria of the game
without regularisation: D(pi0 || mu_(k+1)) <= D(pi0 || mu_k) - D(mu_(k+1) || mu_k) for every such equilibrium pi0.

Source: Wang et al. 2024, "Magnetic preference optimization", arXiv:2410.16714; the inequality is derived.
Cost per outer iteration: `inner_iters` products with K.
"""

from collections.abc import Sequence

import numpy as np

from mdplab.algorithms.games.iteration import (
    PreferenceOracle,
    check_checkpoints,
    check_positive,
    check_temperature,
    iterate,
    mirror_step,
    start,
)
from mdplab.models import PreferenceGame, Trace


def mpo(
    game: PreferenceGame,
    *,
    tau: float,
    eta: float,
    num_iters: int,
    inner_iters: int,
    log_pi0: np.ndarray | None = None,
    checkpoints: Sequence[int] | None = None,
) -> Trace:
    """MPO with exact preferences.

    Parameters
    ----------
    game
        Preferences P; its reference mu is the first magnet.
    tau
        Weight of the divergence from the magnet, above 0.
    eta
        Step of the inner loop, above 0; at most tau / L^2 for its convergence.
    num_iters
        Outer iterations, at least 0.
    inner_iters
        Inner updates in each, at least 1; the inner loop starts at the magnet.
    log_pi0, checkpoints
        As `egpo.egpo`; the first magnet is `log_pi0` where that is given.

    Returns
    -------
    Trace
        `log_pi` (K, ..., n), the magnets, normalised; `queries` (K,).

    Examples
    --------
    >>> game = PreferenceGame([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]], [0.2, 0.3, 0.5])
    >>> trace = mpo(game, tau=0.3, eta=1.2, num_iters=300, inner_iters=30, checkpoints=[300])
    >>> np.exp(trace["log_pi"][-1]).round(3).tolist()
    [0.3, 0.3, 0.4]
    """
    check_temperature(tau)
    check_positive("eta", eta)
    if inner_iters < 1:
        raise ValueError(f"inner_iters is {inner_iters}; expected at least 1")
    kept, oracle = check_checkpoints(num_iters, checkpoints), PreferenceOracle(game)
    shorter = eta / (1 + eta * tau)

    def step(t: int, magnet: np.ndarray) -> tuple[np.ndarray]:
        log_pi = magnet
        for _ in range(inner_iters):
            log_pi = mirror_step(log_pi, magnet, oracle.payoff(log_pi), eta=shorter, weight=shorter * tau)
        return (log_pi,)

    return iterate(oracle, step, {"log_pi": start(game, log_pi0)}, num_iters=num_iters, checkpoints=kept)
