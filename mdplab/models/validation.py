"""Validation of a decision process: what is wrong is said by argument, index and value, and nothing is repaired."""

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


def checked_gamma(gamma: Any) -> float:
    """The discount as a float in [0, 1]."""
    try:
        value = float(gamma)
    except (TypeError, ValueError):
        raise ValueError(f"gamma is {gamma!r}; expected a number in [0, 1]") from None
    if not 0 <= value <= 1:
        raise ValueError(f"gamma is {value:g}; expected a number in [0, 1]")
    return value


def checked_horizon(horizon: Any) -> int | None:
    """The horizon as an int of at least 1, or None."""
    if horizon is None:
        return None
    if isinstance(horizon, bool) or int(horizon) != horizon or horizon < 1:
        raise ValueError(f"horizon is {horizon!r}; expected an integer of at least 1")
    return int(horizon)


def checked_sizes(P: Any, r: Any) -> tuple[int, int]:
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


def checked_actions(actions: Any, S: int, A: int) -> np.ndarray:
    """The mask of available actions, (S, A); every state has one."""
    mask = np.ones((S, A), dtype=bool) if actions is None else np.asarray(actions)
    if mask.shape != (S, A):
        raise ValueError(f"actions has shape {mask.shape}, expected ({S}, {A})")
    if mask.dtype != bool:
        raise ValueError(f"actions has dtype {mask.dtype}, expected bool: True where the action is available")
    none = _first(~mask.any(axis=1))
    if none is not None:
        raise ValueError(f"{_at('actions', none)} is False everywhere: state {none[0]} has no action")
    return frozen_array(actions if actions is not None and mask is actions else mask, bool)


def checked_dense(P: Any, actions: np.ndarray) -> np.ndarray:
    """P as a frozen (S, A, S) array, with zero rows for unavailable actions."""
    array = frozen_array(P)
    if not actions.all() and np.any(array[~actions]):
        array = np.where(actions[:, :, None], array, 0.0)
        array.flags.writeable = False
    _raise_bad_entry(array, "P")
    sums = array.sum(axis=2)
    _raise_bad_sum(sums, actions)
    return array


def checked_sparse(P: Any, actions: np.ndarray) -> sp.csr_array:
    """P as a frozen canonical CSR of shape (S * A, S), with empty rows for unavailable actions."""
    matrix = _frozen_csr(P)
    unavailable = ~actions.ravel()
    if np.any(np.diff(matrix.indptr)[unavailable]):
        matrix = _frozen_csr(sp.diags_array((~unavailable).astype(np.float64)) @ matrix)
    if np.any(matrix.data == 0):
        matrix = matrix.copy()
        matrix.eliminate_zeros()
        matrix = _frozen_csr(matrix)
    bad = _first(~np.isfinite(matrix.data) | (matrix.data < 0))
    if bad is not None:
        pair = int(np.searchsorted(matrix.indptr, bad[0], side="right")) - 1
        where = (*divmod(pair, actions.shape[1]), int(matrix.indices[bad]))
        raise ValueError(f"{_at('P', where)} is {matrix.data[bad]:g}; probabilities are finite and at least 0")
    sums = matrix @ np.ones(matrix.shape[1])
    _raise_bad_sum(sums.reshape(actions.shape), actions)
    return matrix


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


def checked_rewards(r: Any, P: Any, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
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


def checked_states(states: Any, S: int) -> tuple[str, ...] | None:
    """Names of the S states, or None."""
    if states is None:
        return None
    names = tuple(str(name) for name in states)
    if len(names) != S:
        raise ValueError(f"states has {len(names)} names, expected {S}")
    return names


def terminal_states(P: Any, r: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """States (S,) that every available action keeps, with reward 0."""
    S, A = actions.shape
    if sp.issparse(P):
        pairs = np.arange(S * A)
        stay = np.diff(P.indptr) == 1
        first = np.minimum(P.indptr[:-1], max(P.nnz - 1, 0))
        stay &= P.indices[first] == pairs // A if P.nnz else False
        stay = stay.reshape(S, A)
    else:
        # A lone entry is the row's sum, which is one within the tolerance: as above, whatever it rounds to.
        diagonal = P[np.arange(S), :, np.arange(S)]
        stay = diagonal >= 1 - 2 * ROW_SUM_TOLERANCE
        for s, a in zip(*np.nonzero(stay)):
            stay[s, a] = np.count_nonzero(P[s, a]) == 1
    return frozen_array(((stay & (r == 0)) | ~actions).all(axis=1), bool)
