"""Laws of all states in one ragged array, how far they are from a fixed point, and the certificate of that.

With eta the true laws and eta' any others, w_1(eta', eta) <= w_1(eta', T eta') + gamma sup w_1(eta', eta): the sup over
states is at most sup w_1(T eta', eta') / (1 - gamma), and over a horizon the residuals of later stages add up, each
discounted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdplab.exact.distributional.chain import Chain
from mdplab.exact.operator import TINY, UNIT, freeze
from mdplab.kernels.distributional import push_forward, wasserstein_1
from mdplab.models import Certificate, FiniteLaw


@dataclass(frozen=True, eq=False, slots=True)
class Laws:
    """Law s has the sorted atoms `x[ptr[s]:ptr[s + 1]]` with masses `p`; read-only arrays."""

    ptr: np.ndarray
    x: np.ndarray
    p: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, x: np.ndarray, p: np.ndarray) -> "Laws":
        """Laws of `sizes` atoms each, from arrays that this takes over."""
        ptr = np.append(0, np.cumsum(sizes)).astype(np.int64)
        freeze(ptr, x, p)
        return cls(ptr, x, p)

    @classmethod
    def diracs(cls, at: np.ndarray) -> "Laws":
        """Law s is the point mass at `at[s]`."""
        return cls.of(np.ones(len(at)), np.array(at, dtype=np.float64), np.ones(len(at)))

    @property
    def S(self) -> int:
        """Number of states."""
        return len(self.ptr) - 1

    def at(self, s: int) -> tuple[np.ndarray, np.ndarray]:
        """Atoms and masses of one state."""
        return self.x[self.ptr[s] : self.ptr[s + 1]], self.p[self.ptr[s] : self.ptr[s + 1]]

    def means(self) -> np.ndarray:
        """Means, (S,)."""
        return np.add.reduceat(self.x * self.p, self.ptr[:-1])

    def finite_laws(self) -> tuple[FiniteLaw, ...]:
        """The laws one by one."""
        return tuple(FiniteLaw(*self.at(s)) for s in range(self.S))

    def distance(self, other: "Laws") -> float:
        """sup over states of w_1."""
        return max(wasserstein_1(*self.at(s), *other.at(s)) for s in range(self.S))


class Pusher:
    """T on ragged laws, a state at a time, into buffers that grow with need."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._buffers = np.empty((4, 0))

    def sizes(self, laws: Laws) -> np.ndarray:
        """Atoms of (T eta)(s) before any merging, (S,)."""
        return np.add.reduceat(np.diff(laws.ptr)[self.chain.next_state], self.chain.ptr[:-1])

    def push(self, laws: Laws, s: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Sorted atoms and masses of (T eta)(s), views that the next call overwrites."""
        if self._buffers.shape[1] < size:
            self._buffers = np.empty((4, max(size, 2 * self._buffers.shape[1])))
        row, (x, p) = slice(*self.chain.ptr[s : s + 2]), self._buffers[:2]
        to, reward, prob = self.chain.next_state[row], self.chain.reward[row], self.chain.prob[row]
        n = push_forward(to, reward, prob, self.chain.gamma, laws.ptr, laws.x, laws.p, x, p, self._buffers[2:])
        return x[:n], p[:n]


def residual(chain: Chain, source: Laws, target: Laws) -> tuple[float, float]:
    """sup over states of w_1(T source, target) with rounding allowed for, and the allowance.

    Of n atoms each is off by two roundings of its size, a cumulative mass by n + A + 8 of 1, ours as well as a
    referee's, and the integral of a referee by n + 64 of itself; twice that much is allowed for.
    """
    pusher, worst, allowed = Pusher(chain), 0.0, 0.0
    for s, size in enumerate(pusher.sizes(source)):
        x, p = pusher.push(source, s, int(size))
        y, q = target.at(s)
        extent = max(x[-1], y[-1]) - min(x[0], y[0])
        largest = max(abs(x[0]), abs(x[-1]), abs(y[0]), abs(y[-1]), np.abs(chain.reward).max())
        slack = (4 * (size + len(y) + chain.A) + 160) * UNIT * (extent + largest) + TINY
        worst = max(worst, wasserstein_1(x, p, y, q) + slack)
        allowed = max(allowed, slack)
    return worst, allowed


def mean_slack(laws: Laws) -> float:
    """How far rounding may put the mean that we return and the one that a referee computes."""
    return 4 * (float(np.diff(laws.ptr).max()) + 16) * UNIT * float(np.abs(laws.x).max()) + TINY


def stationary_certificate(chain: Chain, laws: Laws) -> Certificate:
    """Kind `"return-laws"`: the gap bounds sup w_1 to the law of the return, and so the error of every mean."""
    worst, allowed = residual(chain, laws, laws)
    gap = (worst / (1 - chain.gamma) + mean_slack(laws)) * (1 + 16 * UNIT)
    data = {"indptr": laws.ptr, "x": laws.x, "p": laws.p}
    return Certificate("return-laws", float(gap), {"w1_residual": worst, "rounding": allowed}, data)


def staged_certificate(chains: Sequence[Chain], stages: Sequence[Laws]) -> Certificate:
    """Kind `"return-laws"` over a horizon: laws of stage t and state s are number t S + s; stage H is the end."""
    end = stages[-1]
    # From the law of 0 to any other w_1 is the mean size.
    width = float(np.add.reduceat(end.p * np.abs(end.x), end.ptr[:-1]).max()) * (1 + 4 * (len(end.x) + 16) * UNIT)
    widest, worst, rounding = width + mean_slack(end), width, 0.0
    for t in range(len(chains) - 1, -1, -1):
        one, allowed = residual(chains[t], stages[t + 1], stages[t])
        width = (one + chains[t].gamma * width) * (1 + 16 * UNIT)
        widest, worst, rounding = max(widest, width + mean_slack(stages[t])), max(worst, one), max(rounding, allowed)
    sizes = np.concatenate([np.diff(laws.ptr) for laws in stages])
    data = {"indptr": np.append(0, np.cumsum(sizes))}
    data |= {"x": np.concatenate([laws.x for laws in stages]), "p": np.concatenate([laws.p for laws in stages])}
    gap = float(widest * (1 + 16 * UNIT))
    return Certificate("return-laws", gap, {"w1_residual": worst, "rounding": rounding}, data)
