"""Gain and bias of one Markov chain with rewards, one or several recurrent classes, by sparse LU."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from mdplab.exact.components import recurrent_classes
from mdplab.exact.quotient import transient_solve
from mdplab.models import SolverFailure


def gain_and_bias(P: sp.csr_array, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain, bias and recurrent class of each state of a chain.

    Parameters
    ----------
    P : CSR (n, n)
        Rows sum to 1.
    r : array (n,)
        Rewards.

    Returns
    -------
    gain, bias : arrays (n,)
        `gain = P* r` and the bias with `P* bias = 0`, where `P*` is the limiting matrix.
    label : int array (n,)
        Recurrent class of each state, -1 for transient ones.

    Notes
    -----
    On the recurrent states, one system for all classes: the unknown bias of each class's first state is exchanged
    for the class's gain (Puterman 1994, section 8.2.3); the transposed system gives the stationary distributions,
    which then centre the bias. The transient states follow by two triangular solves.

    Examples
    --------
    >>> gain, bias, label = gain_and_bias(sp.csr_array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 0.0]))
    >>> gain.tolist(), bias.tolist(), label.tolist()
    ([0.5, 0.5], [0.25, -0.25], [0, 0])
    """
    n = P.shape[0]
    label = recurrent_classes(P)
    gain, bias = np.zeros(n), np.zeros(n)
    inside = np.flatnonzero(label >= 0)
    mine = label[inside]
    first = np.unique(mine, return_index=True)[1]
    m, k = len(inside), len(first)
    replaced = np.ones(m)
    replaced[first] = 0.0
    system = (sp.eye_array(m) - P[inside][:, inside]) @ sp.diags_array(replaced)
    system = sp.csc_array(system + sp.csc_array((np.ones(m), (np.arange(m), first[mine])), shape=(m, m)))
    try:
        lu = splu(system)
    except RuntimeError as error:
        raise SolverFailure("a recurrent class is nearly decomposable: its evaluation is singular in floats") from error
    x = lu.solve(r[inside])
    x += lu.solve(r[inside] - system @ x)
    at_first = np.zeros(m)
    at_first[first] = 1.0
    stationary = lu.solve(at_first, trans="T")
    g = x[first]
    x[first] = 0.0
    x -= np.bincount(mine, weights=stationary * x, minlength=k)[mine]
    gain[inside], bias[inside] = g[mine], x

    outside = np.flatnonzero(label < 0)
    if len(outside):
        rows = P[outside]
        Q = rows[:, outside]
        gain[outside] = transient_solve(Q, rows @ gain)
        bias[outside] = transient_solve(Q, r[outside] - gain[outside] + rows @ bias)
    return gain, bias, label
