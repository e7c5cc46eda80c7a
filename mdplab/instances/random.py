"""Random families of decision processes."""

import numpy as np
import scipy.sparse as sp

from mdplab.models import MDP

# Rows drawn at a time: scratch stays near 10 MiB whatever the size of the model.
_CHUNK_ENTRIES = 1 << 18
# Weights of the exact variants are multiples of 2**-DYADIC_BITS, so that sums of them are exact in floating point.
DYADIC_BITS = 10
_INTEGER_WEIGHT_MAX = 9


def garnet(
    S: int,
    A: int,
    b: int,
    *,
    gamma: float,
    rng: np.random.Generator,
    weights: str = "dirichlet",
    sparse: bool | None = None,
) -> MDP:
    """Garnet: every state-action pair has `b` distinct random successors and a random reward.

    Parameters
    ----------
    S, A : int >= 1
        Numbers of states and of actions.
    b : int in [1, S]
        Successors of each pair, drawn uniformly without replacement.
    gamma : float in [0, 1)
        Discount factor.
    rng : numpy.random.Generator
        Source of every draw.
    weights : {"dirichlet", "dyadic", "integer"}
        Law of the probabilities and of the rewards. "dirichlet": Dirichlet(1, ..., 1) and U[0, 1]. "dyadic": positive
        multiples of 2**-10 that sum to exactly 1, and rewards that are multiples of 2**-10 in [0, 1], so that every
        number of the model is exact. "integer": weights in 1..9 divided by their sum (rational rows, rounded), and
        rewards that are integers in 0..9.
    sparse : bool, optional
        Representation; by default CSR once the dense array would exceed 2**20 entries.

    Returns
    -------
    MDP
        With `mu=None`; CSR arrays are handed over without a copy.

    Raises
    ------
    ValueError
        If `b` is not in [1, S], a size is below 1, or `weights` is unknown; with "dyadic", if b exceeds 1024.

    Source
    ------
    Archibald, McKinnon, Thomas (1995), "On the generation of Markov decision processes", J. Oper. Res. Soc. 46(3);
    the parametrisation (S, A, b) of Bhatnagar, Sutton, Ghavamzadeh, Lee (2009), "Natural actor-critic algorithms".

    Examples
    --------
    >>> mdp = garnet(6, 2, 3, gamma=0.9, rng=np.random.default_rng(0), weights="dyadic")
    >>> mdp.num_transitions, bool((mdp.P.sum(axis=2) == 1).all())
    (36, True)
    """
    for name, value in (("S", S), ("A", A), ("b", b)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    if b > S:
        raise ValueError(f"b is {b}; a pair has at most S = {S} distinct successors")
    if weights not in ("dirichlet", "dyadic", "integer"):
        raise ValueError(f"weights is {weights!r}; expected 'dirichlet', 'dyadic' or 'integer'")
    if weights == "dyadic" and b > 1 << DYADIC_BITS:
        raise ValueError(f"b is {b}; dyadic weights are positive multiples of 2**-{DYADIC_BITS}")
    rows = S * A
    index_type = np.int32 if rows * b < 2**31 else np.int64
    indices = np.empty((rows, b), dtype=index_type)
    data = np.empty((rows, b))
    step = max(1, _CHUNK_ENTRIES // (b if b * b <= S else S))
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        indices[part] = _distinct(part.stop - part.start, S, b, rng)
        data[part] = _probabilities(part.stop - part.start, b, weights, rng)
    if weights == "dirichlet":
        r = rng.random((S, A))
    elif weights == "dyadic":
        r = rng.integers(0, (1 << DYADIC_BITS) + 1, size=(S, A)) / (1 << DYADIC_BITS)
    else:
        r = rng.integers(0, _INTEGER_WEIGHT_MAX + 1, size=(S, A)).astype(np.float64)
    if sparse is None:
        sparse = rows * S > 1 << 20
    if not sparse:
        P = np.zeros((rows, S))
        np.put_along_axis(P, indices, data, axis=1)
        return MDP(P.reshape(S, A, S), r, gamma)
    indptr = np.arange(0, rows * b + 1, b, dtype=index_type)
    P = sp.csr_array((data.reshape(-1), indices.reshape(-1), indptr), shape=(rows, S))
    for array in (P.data, P.indices, P.indptr, r):
        array.flags.writeable = False
    return MDP(P, r, gamma)


def _distinct(n: int, S: int, b: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted rows (n, b) of distinct integers below S, each subset equally likely."""
    if b == S:
        return np.tile(np.arange(S), (n, 1))
    if b * b > S:
        return np.sort(np.argpartition(rng.random((n, S)), b - 1, axis=1)[:, :b], axis=1)
    # Rejection of whole rows keeps subsets uniform; at b * b <= S at least half are accepted.
    out = np.sort(rng.integers(0, S, size=(n, b)), axis=1)
    while True:
        repeated = np.flatnonzero((out[:, 1:] == out[:, :-1]).any(axis=1))
        if repeated.size == 0:
            return out
        out[repeated] = np.sort(rng.integers(0, S, size=(repeated.size, b)), axis=1)


def _probabilities(n: int, b: int, weights: str, rng: np.random.Generator) -> np.ndarray:
    """Rows (n, b) of positive probabilities."""
    if weights == "dyadic":
        top = 1 << DYADIC_BITS
        cuts = np.sort(rng.integers(0, top - b + 1, size=(n, b - 1)), axis=1)
        return (np.diff(cuts, axis=1, prepend=0, append=top - b) + 1) / top
    if weights == "integer":
        raw = rng.integers(1, _INTEGER_WEIGHT_MAX + 1, size=(n, b)).astype(np.float64)
    else:
        raw = rng.standard_exponential((n, b))
    return raw / raw.sum(axis=1, keepdims=True)
