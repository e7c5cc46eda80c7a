"""The rows of a model read as probabilities, for criteria without a discount, and the rounding allowance of a backup.

Without a discount the last digit of a row sum matters: a set of states that need not be left would lose or gain
mass for ever. Rows are therefore divided by their sums here, and the certificates of these criteria say so.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from mdplab.models import MDP

UNIT_ROUNDOFF = 2.0**-53


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """All rows `s * A + a` of a model: those of unavailable actions are empty and not `alive`.

    Attributes
    ----------
    P : CSR (S * A, S)
        Rows that sum to 1 up to rounding.
    r, owner, alive, rounding : arrays (S * A,)
        Reward, state, availability, and the relative rounding allowance of one backup.
    """

    P: sp.csr_array
    r: np.ndarray
    owner: np.ndarray
    alive: np.ndarray
    rounding: np.ndarray
    A: int

    @classmethod
    def of(cls, mdp: MDP) -> "Rows":
        """Rows of `mdp`, without zeros."""
        stored = mdp.P if mdp.is_sparse else sp.csr_array(mdp.P.reshape(mdp.S * mdp.A, mdp.S))
        if stored.nnz and stored.data.min() == 0:
            stored = stored.copy()
            stored.eliminate_zeros()
        count = np.diff(stored.indptr)
        sums = np.where(count > 0, stored @ np.ones(mdp.S), 1.0)
        P = sp.csr_array((stored.data / np.repeat(sums, count), stored.indices, stored.indptr), shape=stored.shape)
        # Twice what the referee's own radius and ours need together: 2 gamma_n each, n = count + 3.
        n = (count + 12) * UNIT_ROUNDOFF
        owner = np.repeat(np.arange(mdp.S), mdp.A)
        return cls(P, mdp.r.ravel(), owner, mdp.actions.ravel(), 4 * n / (1 - n), mdp.A)

    def allowance(self, x: np.ndarray, c: np.ndarray | float) -> np.ndarray:
        """Margin (S * A,) with which `x(s) >= c + P_a x` must hold in floating point to hold exactly."""
        x = np.abs(x)
        return self.rounding * (np.abs(c) + self.P @ x + x[self.owner])

    def excess(self, x: np.ndarray, c: np.ndarray | float) -> np.ndarray:
        """`x(s) - c - P_a x`, (S * A,); infinite where unavailable."""
        return np.where(self.alive, x[self.owner] - c - self.P @ x, np.inf)

    def of_policy(self, policy: np.ndarray) -> np.ndarray:
        """Row indices (S,) that a policy (S,) uses."""
        return np.arange(len(policy)) * self.A + policy
