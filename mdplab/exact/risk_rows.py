"""Backups of risk: the entropic certainty equivalent of reward plus discounted next value, for every row of a model.

`ERM_b(X) = -(1/b) log E exp(-b X)`, and the mean for b = 0. Rows are read as probabilities, divided by their sums: an
error of the sum would otherwise be divided by b, which tends to 0 along the stages.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.exact.operator import UNIT
from mdplab.models import MDP, Outcomes, StockMDP


@dataclass(frozen=True, eq=False, slots=True)
class RiskRows:
    """The transitions of positive probability of all available actions, row by row.

    Attributes
    ----------
    starts : array (n,)
        First transition of each row.
    pair : array (n,)
        `s * A + a` of each row, increasing.
    prob, reward, to : arrays (m,)
        Probability (rows sum to 1 up to rounding), reward and next state of each transition.
    """

    mdp: MDP
    starts: np.ndarray
    pair: np.ndarray
    prob: np.ndarray
    reward: np.ndarray
    to: np.ndarray

    @classmethod
    def of(cls, problem: MDP | StockMDP) -> "RiskRows":
        """Outcomes of a model, with rewards by next state where it has them, or of a `StockMDP`, with its own noise."""
        mdp, out = (problem.mdp, problem.outcomes) if isinstance(problem, StockMDP) else (problem, Outcomes.of(problem))
        pair, counts = np.unique(out.row_of(), return_counts=True)
        kept = mdp.actions.ravel()[pair]
        used = np.repeat(kept, counts)
        pair, counts = pair[kept], counts[kept]
        starts = np.cumsum(counts) - counts
        prob = out.prob[used]
        prob = prob / np.repeat(np.add.reduceat(prob, starts), counts)
        return cls(mdp, starts, pair, prob, out.reward[used], out.next_state[used])

    @property
    def counts(self) -> np.ndarray:
        """Transitions of each row (n,)."""
        return np.diff(np.append(self.starts, self.to.size))

    def spread(self, horizon: int | None) -> float:
        """Largest difference of two discounted returns, rounded up."""
        gamma = self.mdp.gamma
        if horizon is None:
            weight = 1 / (1 - gamma)
        else:
            weight = horizon if gamma == 1 else (1 - gamma**horizon) / (1 - gamma)
        return float((self.reward.max() - self.reward.min()) * weight * (1 + 16 * UNIT))

    def q(self, v: np.ndarray, b: float) -> np.ndarray:
        """ERM_b of reward plus discounted v (S,), as (S, A); minus infinity where unavailable."""
        out = np.full(self.mdp.S * self.mdp.A, -np.inf)
        out[self.pair] = self._equivalents(self.reward + self.mdp.gamma * v[self.to], b)
        return out.reshape(self.mdp.S, self.mdp.A)

    def _equivalents(self, x: np.ndarray, b: float) -> np.ndarray:
        low = np.minimum.reduceat(x, self.starts)
        above = x - np.repeat(low, self.counts)
        # Where b is next to nothing, so is the difference from the mean: it is below b times the square of the spread.
        if b < 1e-300:
            return low + np.add.reduceat(self.prob * above, self.starts)
        z = -b * above
        lost = np.add.reduceat(self.prob * np.expm1(z), self.starts)
        log = np.log1p(np.maximum(lost, -0.75))
        # Near -1 the sum has lost the digits that the logarithm needs.
        deep = lost < -0.5
        if deep.any():
            log = np.where(deep, np.log(np.add.reduceat(self.prob * np.exp(z), self.starts)), log)
        return low - log / b


def entropic(x: np.ndarray, p: np.ndarray, b: float) -> float:
    """ERM_b of atoms x (n,) with masses p (n,), divided by their sum."""
    x, p = x[p > 0], p[p > 0] / p.sum()
    low = x.min()
    z = -b * (x - low)
    if b < 1e-300:
        return float(low + p @ (x - low))
    return float(low - (np.log(p @ np.exp(z)) if z.min() < -1 else np.log1p(p @ np.expm1(z))) / b)
