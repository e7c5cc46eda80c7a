"""Two hundred random tiny problems as one: their laws by brute force, and the sum of their models."""

from functools import cache

import numpy as np

from mdplab.exact.stock.brute_force import HistoryLaws, history_laws
from mdplab.exact.stock.finite import reachable_from
from mdplab.exact.stock.reachable import Reachable
from mdplab.instances.stock_grids import random_stock
from mdplab.models import MDP, StockMDP, functional

COUNT = 200
STOCKS = np.array([-1.5, -0.7, 0.0, 0.4, 1.3])
# Allowed at both discounts; with the discount only (False: at gamma = 1 alone); never.
ALWAYS = (
    *("mean", "target", "negative_part", "positive_part", "quadratic", "step"),
    *("all_nonnegative", "ess_inf", "ess_sup"),
)
# Largest loss on seeds 0 to 39 at gamma 1 and 0.7, from the specification's table 1.D-1; 0 where theory promises that.
LOSSES = {
    "step_at": (0.0, 0.832),
    "exponential": (0.0, 1.644),
    "tanh": (0.0, 0.027),
    "median": (3.0, 1.47),
    "cvar_direct": (0.494, 0.256),
    "mean_std": (1.010, 0.492),
}
NAMES = (*ALWAYS, *LOSSES)


def objective(name: str):
    """The functional of that name, with the parameter of the table."""
    return functional(name, tau=0.3) if name == "cvar_direct" else functional(name)


@cache
def laws(gamma: float) -> tuple[HistoryLaws, ...]:
    """The return laws of all deterministic policies of each problem."""
    return tuple(history_laws(random_stock(seed, gamma)) for seed in range(COUNT))


@cache
def best(name: str, gamma: float) -> np.ndarray:
    """The best value over all policies by brute force, (COUNT, len(STOCKS))."""
    f, out = objective(name), []
    for known in laws(gamma):
        if f.utility is not None:
            out.append((known.masses @ f.utility(STOCKS[:, None] + known.support).T).max(axis=0))
        elif name == "all_nonnegative":
            least = known.support[np.argmax(known.masses > 0, axis=1)]
            # The functional counts what is above -1e-9 as not negative.
            out.append((STOCKS[:, None] + least >= -1e-9).max(axis=1).astype(float))
        else:
            # These move with the law: K(c + X) = c + K(X).
            held = (row > 0 for row in known.masses)
            values = [f.evaluate(known.support[on], row[on]) for on, row in zip(held, known.masses, strict=True)]
            out.append(STOCKS + max(values))
    return np.array(out)


@cache
def together(gamma: float) -> StockMDP:
    """All problems side by side as one model; problem i starts in state 2 i."""
    P, R = np.zeros((2 * COUNT, 2, 2 * COUNT)), np.zeros((2 * COUNT, 2, 2 * COUNT))
    for seed in range(COUNT):
        mdp = random_stock(seed, gamma).mdp
        at = slice(2 * seed, 2 * seed + 2)
        P[at, :, at], R[at, :, at] = mdp.P, mdp.r_next
    start = np.where(np.arange(2 * COUNT) % 2 == 0, 1 / COUNT, 0.0)
    return StockMDP(MDP(P, R, gamma, horizon=3), functional("mean"), start=start)


@cache
def graph(gamma: float) -> Reachable:
    """What these problems can reach from the stocks."""
    return reachable_from(together(gamma), STOCKS)
