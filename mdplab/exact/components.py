"""The graph of a decision process: end components, recurrent classes, and ways to reach a set of states."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, dijkstra


def _edges(P: sp.csr_array, owner: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, from, to) of every transition of the rows selected by the mask `rows`."""
    row = np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
    chosen = rows[row]
    row = row[chosen]
    return row, owner[row], P.indices[chosen]


def _graph(source: np.ndarray, target: np.ndarray, n: int) -> sp.csr_array:
    return sp.csr_array((np.ones(len(source)), (source, target)), shape=(n, n))


def end_components(P: sp.csr_array, owner: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximal end components: sets of states within which some policy can move for ever between any two.

    Parameters
    ----------
    P : CSR (R, n)
        Transition rows, without stored zeros.
    owner : int array (R,)
        State of each row.
    rows : bool array (R,)
        Rows that may be used.

    Returns
    -------
    label : int array (n,)
        Component of each state, -1 outside all.
    inside : bool array (R,)
        Rows that never leave their component.
    """
    n = P.shape[1]
    inside = rows.copy()
    while True:
        row, source, target = _edges(P, owner, inside)
        _, label = connected_components(_graph(source, target, n), directed=True, connection="strong")
        leaving = np.unique(row[label[source] != label[target]])
        if len(leaving) == 0:
            break
        inside[leaving] = False
    stays = np.zeros(n, dtype=bool)
    stays[owner[inside]] = True
    out = np.full(n, -1)
    out[stays] = np.unique(label[stays], return_inverse=True)[1]
    return out, inside


def recurrent_classes(P: sp.csr_array) -> np.ndarray:
    """Recurrent class of each state of a chain (n, n), -1 for transient states."""
    n = P.shape[0]
    label, _ = end_components(P, np.arange(n), np.ones(n, dtype=bool))
    return label


def distances(P: sp.csr_array, owner: np.ndarray, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Fewest transitions (n,) of the rows `rows` from each state to the mask `targets`; infinite if there is no way."""
    n = P.shape[1]
    if not targets.any():
        return np.full(n, np.inf)
    _, source, target = _edges(P, owner, rows)
    # A virtual state n precedes all targets, so that one search finds the nearest.
    ends = np.flatnonzero(targets)
    source, target = np.concatenate([source, ends]), np.concatenate([target, np.full(len(ends), n)])
    return dijkstra(_graph(target, source, n + 1), directed=True, indices=n, unweighted=True)[:n] - 1


def route(P: sp.csr_array, owner: np.ndarray, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A row (n,) of each state that can come nearer to `targets` in one step; -1 on targets and where there is no way.

    If every state reached by these rows has one, following them reaches `targets` with probability 1.
    """
    away = distances(P, owner, rows, targets)
    row, source, target = _edges(P, owner, rows)
    nearer = np.isfinite(away[source]) & (away[target] == away[source] - 1) & ~targets[source]
    out = np.full(P.shape[1], -1)
    # Written from the last to the first, so that the first row of a state stands.
    out[source[nearer][::-1]] = row[nearer][::-1]
    return out
