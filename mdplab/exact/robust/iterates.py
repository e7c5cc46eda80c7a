"""The iterations themselves: each yields the operator at its vectors, outer step by outer step, and stops never."""

from collections.abc import Iterator

import numpy as np

from mdplab.exact.operator import UNIT
from mdplab.exact.robust.operator import RobustBellman, Step


def below_everything(op: RobustBellman) -> np.ndarray:
    """A constant v with v <= T v: the least reward for ever."""
    reward = op.rows.reward if op.rows.reward_next is None else op.rows.reward_next
    return np.full(op.S, float(reward.min()) / (1 - op.gamma))


def value_iterates(op: RobustBellman, v: np.ndarray) -> Iterator[Step]:
    """v <- T v."""
    while True:
        step = op.backup(v, with_rows=False)
        yield step
        v = step.Tv


def modified_iterates(op: RobustBellman, v: np.ndarray, sweeps: int) -> Iterator[Step]:
    """v <- T_pi^sweeps T v with pi greedy at v; T_pi still minimises over the set."""
    while True:
        step = op.backup(v, with_rows=False)
        yield step
        v = step.Tv
        one = op.under(step.weights)
        for _ in range(sweeps):
            v = one.respond(v)[0]


def policy_iterates(op: RobustBellman, v: np.ndarray) -> Iterator[Step]:
    """v <- the robust value of the policy that is greedy at v."""
    while True:
        step = op.backup(v, with_rows=False)
        yield step
        v, _ = op.under(step.weights).evaluate(step.Tv, 0.0)


def partial_iterates(
    op: RobustBellman, v: np.ndarray, eps: float, factor: float, adaptive: bool = True
) -> Iterator[Step]:
    """v <- any vector with |T_pi v - v| <= (1 - gamma) eps_k for the greedy pi, where eps_k+1 = factor eps_k at most.

    `adaptive` also halves the residual at each step; without it, and with `factor` 1, the iteration stalls.
    """
    while True:
        step = op.backup(v, with_rows=False)
        yield step
        target = (1 - op.gamma) * eps
        if adaptive:
            target = min(target, 0.5 * step.residual)
        v, _ = op.under(step.weights).evaluate(v, target)
        eps *= factor


def residual_conditioned_iterates(op: RobustBellman, v: np.ndarray, unlimited: bool) -> Iterator[Step]:
    """v <- the value u of both players' choices at v where that contracts the residual by gamma.

    Else T v, or, if `unlimited`, T applied to u until the residual has contracted.
    """
    step = op.backup(v, with_rows=False)
    while True:
        yield step
        aim = op.gamma * step.residual
        trial = op.backup(op.both_fixed(step), with_rows=False)
        if trial.residual > aim and not unlimited:
            trial = op.backup(step.Tv, with_rows=False)
        noise = 8 * UNIT * float(np.abs(trial.v).max())
        while unlimited and trial.residual > max(aim, noise):
            trial = op.backup(trial.Tv, with_rows=False)
        step = trial
