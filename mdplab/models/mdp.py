"""The tabular Markov decision process: frozen, validated once, held once in memory."""

import hashlib
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import scipy.sparse as sp

from mdplab.models.validation import (
    check_distribution,
    checked_actions,
    checked_dense,
    checked_gamma,
    checked_horizon,
    checked_rewards,
    checked_sizes,
    checked_sparse,
    checked_states,
    terminal_states,
)


@dataclass(frozen=True, eq=False, slots=True)
class MDP:
    """A finite Markov decision process.

    Discounted (`gamma < 1`), over a finite horizon (`horizon` given), or undiscounted with termination (`gamma == 1`
    and at least one terminal state: every available action stays there with reward 0). Average-reward solvers read
    `P` and `r` and ignore `gamma`.

    Parameters
    ----------
    P : array (S, A, S), or sparse (S * A, S) with row `s * A + a`
        Transition probabilities; each row of an available action sums to 1 within 1e-8. Never renormalised.
    r : array (S, A), or (S, A, S), or sparse (S * A, S)
        Rewards, maximised. Rewards that depend on the next state are reduced to their mean in `r`; the original stays
        in `r_next`.
    gamma : float in [0, 1]
        Discount factor.
    mu : array (S,), optional
        Distribution of the initial state.
    actions : bool array (S, A), optional
        True where the action is available; all are by default. What `P` and `r` hold for others is ignored.
    states : sequence of S strings, optional
        Names of the states.
    horizon : int >= 1, optional
        Number of decisions.

    Attributes
    ----------
    r_next : array or None
        Rewards by next state: `(S, A, S)` if `P` is dense, else `(nnz,)` aligned with `P.data`.
    terminal : bool array (S,)
        States in which every available action stays with reward 0.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Notes
    -----
    Arrays are copied to C-order float64 and made read-only; an array that is read-only and owns its memory is adopted.

    Examples
    --------
    >>> mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> mdp
    MDP(S=2, A=1, transitions=2, gamma=0.9)
    >>> mdp.terminal.tolist()
    [False, True]
    """

    P: Any
    r: Any
    gamma: float
    mu: Any = field(default=None, kw_only=True)
    actions: Any = field(default=None, kw_only=True)
    states: Any = field(default=None, kw_only=True)
    horizon: int | None = field(default=None, kw_only=True)
    r_next: np.ndarray | None = field(default=None, init=False)
    terminal: np.ndarray = field(default=None, init=False)

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("gamma", checked_gamma(self.gamma))
        put("horizon", checked_horizon(self.horizon))
        S, A = checked_sizes(self.P, self.r)
        put("actions", checked_actions(self.actions, S, A))
        sparse = sp.issparse(self.P)
        put("P", checked_sparse(self.P, self.actions) if sparse else checked_dense(self.P, self.actions))
        reward, by_next = checked_rewards(self.r, self.P, self.actions)
        put("r", reward)
        put("r_next", by_next)
        put("mu", None if self.mu is None else check_distribution("mu", self.mu, S))
        put("states", checked_states(self.states, S))
        put("terminal", terminal_states(self.P, self.r, self.actions))
        if self.gamma == 1 and self.horizon is None and not self.terminal.any():
            raise ValueError(
                "gamma is 1 without a horizon and without a terminal state (one where every action stays with "
                "reward 0); give horizon=, a gamma below 1, or a terminal state"
            )

    @property
    def S(self) -> int:
        """Number of states."""
        return self.r.shape[0]

    @property
    def A(self) -> int:
        """Number of actions, available or not."""
        return self.r.shape[1]

    @property
    def is_sparse(self) -> bool:
        """True if `P` is a CSR matrix."""
        return sp.issparse(self.P)

    @property
    def num_transitions(self) -> int:
        """Stored transitions: the non-zero entries of `P`."""
        return int(self.P.nnz) if self.is_sparse else int(np.count_nonzero(self.P))

    @property
    def nbytes(self) -> int:
        """Bytes of the model's own arrays."""
        P = (self.P.data, self.P.indices, self.P.indptr) if self.is_sparse else (self.P,)
        rest = (self.r, self.r_next, self.mu, self.actions, self.terminal)
        return sum(array.nbytes for array in (*P, *rest) if array is not None)

    def digest(self) -> str:
        """SHA-256 of the model's numbers in little-endian order: equal models in equal representation agree."""
        out = hashlib.sha256(f"MDP {self.S} {self.A} {self.horizon} {self.is_sparse}".encode())
        P = (self.P.indptr.astype("<i8"), self.P.indices.astype("<i8"), self.P.data) if self.is_sparse else (self.P,)
        for array in (*P, self.r, np.float64(self.gamma), self.actions, self.mu, self.r_next):
            if array is not None:
                array = np.asarray(array)
                out.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        return out.hexdigest()

    def dense(self) -> "MDP":
        """The same model with `P` of shape (S, A, S)."""
        if not self.is_sparse:
            return self
        r = self.r
        if self.r_next is not None:
            r = self._rewards_by_next().toarray().reshape(self.S, self.A, self.S)
        return self._with(P=self.P.toarray().reshape(self.S, self.A, self.S), r=r)

    def sparse(self) -> "MDP":
        """The same model with `P` in CSR."""
        if self.is_sparse:
            return self
        r = self.r if self.r_next is None else self.r_next
        return self._with(P=sp.csr_array(self.P.reshape(-1, self.S)), r=r)

    def replace(self, **changes: Any) -> "MDP":
        """A copy with some arguments changed, validated anew.

        Examples
        --------
        >>> mdp = MDP([[[1.0]]], [[1.0]], 0.9)
        >>> mdp.replace(gamma=0.5).gamma
        0.5
        """
        return self._with(**changes)

    def _rewards_by_next(self) -> Any:
        """Rewards by next state in the shape that the constructor takes."""
        if not self.is_sparse:
            return self.r_next
        return sp.csr_array((self.r_next, self.P.indices, self.P.indptr), shape=self.P.shape)

    def _with(self, **changes: Any) -> "MDP":
        r = self.r
        if self.r_next is not None:
            r = self._rewards_by_next()
        old = {"P": self.P, "r": r, "gamma": self.gamma, "mu": self.mu, "actions": self.actions}
        unknown = set(changes) - {*old, "states", "horizon"}
        if unknown:
            raise ValueError(f"unknown argument {sorted(unknown)[0]!r}; an MDP has {[*old, 'states', 'horizon']}")
        return MDP(**{**old, "states": self.states, "horizon": self.horizon, **changes})

    def __repr__(self) -> str:
        horizon = "" if self.horizon is None else f", horizon={self.horizon}"
        return f"MDP(S={self.S}, A={self.A}, transitions={self.num_transitions}, gamma={self.gamma:g}{horizon})"

    def _repr_html_(self) -> str:
        def row(name: str, text: str) -> str:
            cell = 'style="text-align:left;padding:2px 12px 2px 0"'
            return f"<tr><th scope='row' {cell}>{escape(name)}</th><td {cell}>{escape(text)}</td></tr>"

        kind = "CSR" if self.is_sparse else "dense"
        filled = self.num_transitions / max(1, self.actions.sum() * self.S)
        lines = [
            row("states", f"{self.S}" + (f" ({self.terminal.sum()} terminal)" if self.terminal.any() else "")),
            row("actions", f"{self.A}" + ("" if self.actions.all() else f" ({self.actions.sum()} state-action pairs)")),
            row("transitions", f"{self.num_transitions} ({kind}, {filled:.3g} of all pairs)"),
            row("discount", f"{self.gamma:g}"),
            row("rewards", f"{self.r[self.actions].min():g} to {self.r[self.actions].max():g}"),
            row("memory", f"{self.nbytes / 2**20:.3g} MiB"),
        ]
        if self.horizon is not None:
            lines.insert(4, row("horizon", str(self.horizon)))
        return f"<table><caption style='text-align:left'><b>MDP</b></caption><tbody>{''.join(lines)}</tbody></table>"
