"""The tabular Markov decision process: frozen, validated once, held once in memory."""

import hashlib
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import scipy.sparse as sp

from mdplab.models.solution import frozen_array

# Rows printed with nine digits (PRISM, DRN, JSON files) sum to one within this; the referee accounts for the defect.
ROW_SUM_TOLERANCE = 1e-8


def _first(mask: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first true entry, or None."""
    flat = int(np.argmax(mask)) if mask.size else 0
    return tuple(int(i) for i in np.unravel_index(flat, mask.shape)) if mask.size and mask.ravel()[flat] else None


def _at(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(str(i) for i in index)}]"


def check_distribution(name: str, values: Any, size: int) -> np.ndarray:
    """`values` as a frozen distribution of length `size`; ValueError names the entry or the sum."""
    array = frozen_array(values)
    if array.shape != (size,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({size},)")
    bad = _first(~np.isfinite(array) | (array < 0))
    if bad is not None:
        raise ValueError(f"{_at(name, bad)} is {array[bad]:g}; probabilities are finite and at least 0")
    if abs(array.sum() - 1) > ROW_SUM_TOLERANCE:
        raise ValueError(f"{name} sums to {array.sum():.12g}, not 1")
    return array


def _frozen_csr(matrix: Any) -> sp.csr_array:
    """Canonical CSR (sorted, no duplicates), read-only; one that is so already is adopted without a copy."""
    if sp.issparse(matrix) and matrix.format == "csr" and matrix.dtype == np.float64 and matrix.has_canonical_format:
        parts = (matrix.data, matrix.indices, matrix.indptr)
        if not any(part.flags.writeable for part in parts):
            return matrix if isinstance(matrix, sp.csr_array) else sp.csr_array(matrix, copy=False)
    out = sp.csr_array(matrix, dtype=np.float64, copy=True)
    out.sum_duplicates()
    if max(out.nnz, *out.shape) < 2**31:
        # Half the index traffic of a sweep, which gathers bind.
        out.indices, out.indptr = out.indices.astype(np.int32), out.indptr.astype(np.int32)
    for part in (out.data, out.indices, out.indptr):
        part.flags.writeable = False
    return out


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

        put("gamma", _checked_gamma(self.gamma))
        put("horizon", _checked_horizon(self.horizon))
        S, A = _checked_sizes(self.P, self.r)
        put("actions", _checked_actions(self.actions, S, A))
        sparse = sp.issparse(self.P)
        put("P", _checked_sparse(self.P, self.actions) if sparse else _checked_dense(self.P, self.actions))
        reward, by_next = _checked_rewards(self.r, self.P, self.actions)
        put("r", reward)
        put("r_next", by_next)
        put("mu", None if self.mu is None else check_distribution("mu", self.mu, S))
        put("states", _checked_states(self.states, S))
        put("terminal", _terminal(self))
        if self.gamma == 1 and self.horizon is None and not self.terminal.any():
            raise ValueError(
                "gamma is 1 without a horizon and without a terminal state (one where every action stays with reward 0); "
                "give horizon=, a gamma below 1, or a terminal state"
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


def _checked_gamma(gamma: Any) -> float:
    try:
        value = float(gamma)
    except (TypeError, ValueError):
        raise ValueError(f"gamma is {gamma!r}; expected a number in [0, 1]") from None
    if not 0 <= value <= 1:
        raise ValueError(f"gamma is {value:g}; expected a number in [0, 1]")
    return value


def _checked_horizon(horizon: Any) -> int | None:
    if horizon is None:
        return None
    if isinstance(horizon, bool) or int(horizon) != horizon or horizon < 1:
        raise ValueError(f"horizon is {horizon!r}; expected an integer of at least 1")
    return int(horizon)


def _checked_sizes(P: Any, r: Any) -> tuple[int, int]:
    """(S, A), from the shapes of P and r, which must agree."""
    r_shape = np.shape(r) if not sp.issparse(r) else r.shape
    if sp.issparse(P):
        S = P.shape[1]
        if S == 0 or P.shape[0] == 0 or P.shape[0] % S:
            raise ValueError(f"P has shape {P.shape}; a sparse P is (S * A, S) with row s * A + a")
        A = P.shape[0] // S
    else:
        shape = np.shape(P)
        if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
            raise ValueError(f"P has shape {shape}; a dense P is (S, A, S)")
        S, A = shape[:2]
    allowed = [(S, A), (S, A, S)] if not sp.issparse(r) else [(S * A, S)]
    if r_shape not in allowed:
        raise ValueError(
            f"r has shape {r_shape}; with P for S={S} and A={A} it must be {' or '.join(map(str, allowed))}"
        )
    return S, A


def _checked_actions(actions: Any, S: int, A: int) -> np.ndarray:
    mask = np.ones((S, A), dtype=bool) if actions is None else np.asarray(actions)
    if mask.shape != (S, A):
        raise ValueError(f"actions has shape {mask.shape}, expected ({S}, {A})")
    if mask.dtype != bool:
        raise ValueError(f"actions has dtype {mask.dtype}, expected bool: True where the action is available")
    none = _first(~mask.any(axis=1))
    if none is not None:
        raise ValueError(f"{_at('actions', none)} is False everywhere: state {none[0]} has no action")
    return frozen_array(actions if actions is not None and mask is actions else mask, bool)


def _checked_dense(P: Any, actions: np.ndarray) -> np.ndarray:
    array = frozen_array(P)
    if not actions.all() and np.any(array[~actions]):
        array = np.where(actions[:, :, None], array, 0.0)
        array.flags.writeable = False
    _raise_bad_entry(array, "P")
    sums = array.sum(axis=2)
    _raise_bad_sum(sums, actions)
    return array


def _checked_sparse(P: Any, actions: np.ndarray) -> sp.csr_array:
    matrix = _frozen_csr(P)
    lengths = np.diff(matrix.indptr)
    if not actions.all() and np.any(lengths[~actions.ravel()]):
        matrix = _frozen_csr(sp.diags_array(actions.ravel().astype(np.float64)) @ matrix)
        matrix = _without_zeros(matrix)
    bad = _first(~np.isfinite(matrix.data) | (matrix.data < 0))
    if bad is not None:
        pair = int(np.searchsorted(matrix.indptr, bad[0], side="right")) - 1
        where = (*divmod(pair, actions.shape[1]), int(matrix.indices[bad]))
        raise ValueError(f"{_at('P', where)} is {matrix.data[bad]:g}; probabilities are finite and at least 0")
    sums = matrix @ np.ones(matrix.shape[1])
    _raise_bad_sum(sums.reshape(actions.shape), actions)
    return matrix


def _without_zeros(matrix: sp.csr_array) -> sp.csr_array:
    out = matrix.copy()
    out.eliminate_zeros()
    return _frozen_csr(out)


def _raise_bad_entry(array: np.ndarray, name: str) -> None:
    # Two reductions find a bad entry without a temporary of the model's size; NaN poisons both.
    if array.min() >= 0 and array.max() < np.inf:
        return
    bad = _first(~np.isfinite(array) | (array < 0))
    raise ValueError(f"{_at(name, bad)} is {array[bad]:g}; probabilities are finite and at least 0")


def _raise_bad_sum(sums: np.ndarray, actions: np.ndarray) -> None:
    bad = _first((np.abs(sums - 1) > ROW_SUM_TOLERANCE) & actions)
    if bad is not None:
        raise ValueError(f"{_at('P', bad)} sums to {sums[bad]:.12g}, not 1")


def _checked_rewards(r: Any, P: Any, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean rewards (S, A) and, where they depend on the next state, the original in the layout of P."""
    S, A = actions.shape
    if sp.issparse(r) or np.ndim(r) == 3:
        if sp.issparse(P):
            by_next = _rewards_along(r, P)
            _raise_bad_reward(np.where(np.isfinite(by_next), 0.0, by_next), "r (by next state, in the order of P.data)")
            weighted = sp.csr_array((P.data * by_next, P.indices, P.indptr), shape=P.shape)
            mean = (weighted @ np.ones(S)).reshape(S, A)
        else:
            by_next = r.toarray().reshape(S, A, S) if sp.issparse(r) else np.asarray(r, dtype=np.float64)
            if by_next is not r or not actions.all():
                by_next = np.where(actions[:, :, None], by_next, 0.0)
            _raise_bad_reward(by_next, "r")
            mean = np.einsum("sat,sat->sa", P, by_next)
        return frozen_array(mean), frozen_array(by_next)
    mean = frozen_array(r)
    if not actions.all() and np.any(mean[~actions]):
        mean = frozen_array(np.where(actions, mean, 0.0))
    _raise_bad_reward(mean, "r")
    return mean, None


def _rewards_along(r: Any, P: sp.csr_array) -> np.ndarray:
    """The reward of each stored transition of P, (nnz,)."""
    if sp.issparse(r):
        matrix = _frozen_csr(r)
        if np.array_equal(matrix.indptr, P.indptr) and np.array_equal(matrix.indices, P.indices):
            return matrix.data
    else:
        matrix = np.asarray(r, dtype=np.float64).reshape(P.shape)
    rows = np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
    return np.asarray(matrix[rows, P.indices], dtype=np.float64).ravel()


def _raise_bad_reward(array: np.ndarray, name: str) -> None:
    bad = _first(~np.isfinite(array))
    if bad is not None:
        raise ValueError(f"{_at(name, bad)} is {array[bad]:g}; rewards of available actions are finite")


def _checked_states(states: Any, S: int) -> tuple[str, ...] | None:
    if states is None:
        return None
    names = tuple(str(name) for name in states)
    if len(names) != S:
        raise ValueError(f"states has {len(names)} names, expected {S}")
    return names


def _terminal(mdp: MDP) -> np.ndarray:
    """States that every available action keeps, with reward 0."""
    S, A = mdp.actions.shape
    if mdp.is_sparse:
        pairs = np.arange(S * A)
        stay = np.diff(mdp.P.indptr) == 1
        first = np.minimum(mdp.P.indptr[:-1], max(mdp.P.nnz - 1, 0))
        stay &= mdp.P.indices[first] == pairs // A if mdp.P.nnz else False
        stay = stay.reshape(S, A)
    else:
        # A row that sums to one and has one on the diagonal has nothing elsewhere, up to the tolerance of its sum.
        diagonal = mdp.P[np.arange(S), :, np.arange(S)]
        stay = diagonal >= 1
        for s, a in zip(*np.nonzero(stay)):
            stay[s, a] = np.count_nonzero(mdp.P[s, a]) == 1
    return frozen_array(((stay & (mdp.r == 0)) | ~mdp.actions).all(axis=1), bool)
