"""A decision process whose agent carries a stock: what it has gathered so far, in the units of the next reward.

With stock `c` a transition of reward `r` leads to the stock `(c + r) / gamma`, so that `c_t + G_t` is
`gamma**-t (c_0 + G_0)`: the agent at stage t knows which part of `c_0 + G_0` is already decided. Solvers keep
`y_t = c_0 + sum_{i<t} gamma**i r_{i+1} = gamma**t c_t` instead, which does not grow.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from mdplab.models.functionals import CVaR, Functional, OCVaR
from mdplab.models.mdp import MDP
from mdplab.models.solution import frozen_array
from mdplab.models.validation import ROW_SUM_TOLERANCE, _at, _first, check_distribution

# Outcomes are an MDP's own law if they give back its probabilities and mean rewards this closely.
_SAME_MODEL = 1e-9


@dataclass(frozen=True, eq=False, slots=True)
class Outcomes:
    """The joint law of reward and next state for each pair of state and action: ragged rows `s * A + a`.

    Parameters
    ----------
    indptr : int array (S * A + 1,)
        Row k is `indptr[k]:indptr[k + 1]`; empty where the action is not available.
    next_state : int array (n,)
        In [0, S).
    reward : array (n,)
        Finite.
    prob : array (n,)
        Positive; each row that is not empty sums to 1 within 1e-8.
    S, A : int
        Numbers of states and of actions.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Examples
    --------
    >>> coin = Outcomes([0, 2, 3], [1, 1, 1], [0.0, 2.0, 0.0], [0.5, 0.5, 1.0], 2, 1)
    >>> coin.mean_reward().tolist()
    [[1.0], [0.0]]
    """

    indptr: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    prob: np.ndarray
    S: int
    A: int

    def __post_init__(self) -> None:
        for name in ("indptr", "next_state"):
            given = np.asarray(getattr(self, name))
            if given.size and not np.issubdtype(given.dtype, np.integer):
                raise ValueError(f"{name} has dtype {given.dtype}, expected integers")
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.int64))
        for name in ("reward", "prob"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))
        rows, n = self.S * self.A, self.prob.size
        if self.indptr.shape != (rows + 1,):
            raise ValueError(f"indptr has shape {self.indptr.shape}, expected ({rows + 1},) for S={self.S}, A={self.A}")
        for name in ("next_state", "reward", "prob"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected ({n},) as prob")
        bad = _first(np.diff(self.indptr) < 0)
        if self.indptr[0] != 0 or self.indptr[-1] != n or bad is not None:
            where = f"decreases after entry {bad[0]}" if bad is not None else f"ends at {self.indptr[-1]}"
            raise ValueError(f"indptr {where}; it starts at 0, does not decrease and ends at {n}")
        for name, wrong, expected in (
            ("next_state", (self.next_state < 0) | (self.next_state >= self.S), f"states lie in [0, {self.S})"),
            ("reward", ~np.isfinite(self.reward), "rewards are finite"),
            ("prob", ~(np.isfinite(self.prob) & (self.prob > 0)), "probabilities of outcomes are finite and positive"),
        ):
            bad = _first(wrong)
            if bad is not None:
                raise ValueError(f"{_at(name, bad)} is {getattr(self, name)[bad]:g}; {expected}")
        sums = np.bincount(self.row_of(), self.prob, minlength=rows)
        bad = _first((np.abs(sums - 1) > ROW_SUM_TOLERANCE) & (np.diff(self.indptr) > 0))
        if bad is not None:
            s, a = divmod(bad[0], self.A)
            raise ValueError(f"prob of state {s}, action {a} sums to {sums[bad]:.12g}, not 1")

    @classmethod
    def of(cls, mdp: MDP) -> "Outcomes":
        """The outcomes of a model whose reward is decided by state, action and next state; no impossible ones."""
        if mdp.is_sparse:
            P = mdp.P
            rewards = mdp.r_next if mdp.r_next is not None else np.repeat(mdp.r.ravel(), np.diff(P.indptr))
            return cls(P.indptr.astype(np.int64), P.indices.astype(np.int64), rewards, P.data, mdp.S, mdp.A)
        state, action, to = np.nonzero(mdp.P)
        rewards = mdp.r[state, action] if mdp.r_next is None else mdp.r_next[state, action, to]
        sizes = np.count_nonzero(mdp.P, axis=2).ravel()
        indptr = np.append(0, np.cumsum(sizes))
        return cls(indptr, to, rewards, mdp.P[state, action, to], mdp.S, mdp.A)

    def row(self, s: int, a: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next states, rewards and probabilities of action `a` in state `s`, each (n_sa,)."""
        at = slice(*self.indptr[s * self.A + a : s * self.A + a + 2])
        return self.next_state[at], self.reward[at], self.prob[at]

    def row_of(self) -> np.ndarray:
        """The row `s * A + a` of each outcome, (n,)."""
        return np.repeat(np.arange(self.S * self.A), np.diff(self.indptr))

    def mean_reward(self) -> np.ndarray:
        """Mean reward of each pair, (S, A); 0 for empty rows."""
        sums = np.bincount(self.row_of(), self.prob * self.reward, minlength=self.S * self.A)
        return sums.reshape(self.S, self.A)

    def kernel(self) -> sp.csr_array:
        """Probabilities of the next state, CSR (S * A, S)."""
        matrix = sp.csr_array((self.prob, self.next_state, self.indptr), shape=(self.S * self.A, self.S), copy=True)
        matrix.sum_duplicates()
        return matrix

    def __repr__(self) -> str:
        return f"Outcomes(S={self.S}, A={self.A}, outcomes={self.prob.size})"


@dataclass(frozen=True, eq=False, slots=True)
class StockMDP:
    """Maximise a functional of the law of stock plus return, or a risk measure of the return.

    With a `Functional` K the problem is to maximise, from every state and stock, `K(law of c + G)`; with `CVaR` or
    `OCVaR` to maximise this of the law of G from `start`. Policies may remember everything; stocks are memory enough.
    The return from a terminal state is 0.

    Parameters
    ----------
    mdp : MDP
        `gamma > 0`. With gamma 1 and no horizon it needs a terminal state (as every MDP does).
    objective : Functional, CVaR or OCVaR
        See `mdplab.models.functionals`.
    outcomes : Outcomes, optional
        Joint law of reward and next state, where rewards are noisy; it must have the probabilities and mean rewards of
        `mdp` within 1e-9. By default `Outcomes.of(mdp)`.
    start : int or array (S,), optional
        First state, or its distribution; by default `mdp.mu`. CVaR and OCVaR need one.
    running : array (S, A), optional
        A second reward, which enters linearly: `E [sum gamma^t running_t + f(c + G)]`. Needs an expected utility with
        `f(gamma c) = gamma f(c)`, so that both scale alike. It is 0 in terminal states.

    Raises
    ------
    ValueError
        Names the argument, the index and the value.

    Source
    ------
    Pires et al. (2025), Optimizing return distributions with distributional dynamic programming, section 3.

    Examples
    --------
    >>> from mdplab.models import MDP, functional
    >>> mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> StockMDP(mdp, functional("target"), start=0)
    StockMDP(target, S=2, A=1, outcomes=2, gamma=0.9)
    """

    mdp: MDP
    objective: Functional | CVaR | OCVaR
    outcomes: Outcomes | None = field(default=None, kw_only=True)
    start: Any = field(default=None, kw_only=True)
    running: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        mdp = self.mdp
        if not isinstance(mdp, MDP):
            raise ValueError(f"mdp is a {type(mdp).__name__}; expected an MDP")
        if not isinstance(self.objective, Functional | CVaR | OCVaR):
            raise ValueError(
                f"objective is {self.objective!r}; stocks serve a Functional (made by functional(name)), CVaR or OCVaR"
            )
        if mdp.gamma == 0:
            raise ValueError("gamma is 0; the stock (c + r) / gamma needs a positive discount")
        if self.outcomes is None:
            object.__setattr__(self, "outcomes", Outcomes.of(mdp))
        else:
            _check_same_model(self.outcomes, mdp)
        object.__setattr__(self, "start", _checked_start(self.start, mdp))
        if self.start is None and not isinstance(self.objective, Functional):
            raise ValueError(
                f"start is missing: {self.objective.name} is of the return from one start; give start or mu"
            )
        if self.running is not None:
            object.__setattr__(self, "running", self._checked_running())

    def _checked_running(self) -> np.ndarray:
        mdp, running = self.mdp, frozen_array(self.running)
        f = self.objective
        if not isinstance(f, Functional) or f.utility is None or f.scaling(mdp.gamma) != mdp.gamma:
            raise ValueError(f"running is given, but {f.name} is no utility with f(gamma c) = gamma f(c)")
        if running.shape != (mdp.S, mdp.A):
            raise ValueError(f"running has shape {running.shape}, expected ({mdp.S}, {mdp.A})")
        bad = _first(~np.isfinite(running) | ((running != 0) & mdp.terminal[:, None]))
        if bad is not None:
            raise ValueError(f"{_at('running', bad)} is {running[bad]:g}; it is finite, and 0 in terminal states")
        return running

    @property
    def S(self) -> int:
        """Number of states."""
        return self.mdp.S

    @property
    def A(self) -> int:
        """Number of actions, available or not."""
        return self.mdp.A

    @property
    def gamma(self) -> float:
        """Discount factor, in (0, 1]."""
        return self.mdp.gamma

    @property
    def horizon(self) -> int | None:
        """Number of decisions, or None."""
        return self.mdp.horizon

    @property
    def start_law(self) -> np.ndarray | None:
        """Distribution of the first state, (S,); None if there is no start."""
        if isinstance(self.start, int):
            law = np.zeros(self.S)
            law[self.start] = 1.0
            return law
        return self.start

    def replace(self, **changes: Any) -> "StockMDP":
        """A copy with some arguments changed, validated anew; `outcomes=None` derives them from the new model."""
        old = {name: getattr(self, name) for name in ("mdp", "objective", "outcomes", "start", "running")}
        unknown = set(changes) - set(old)
        if unknown:
            raise ValueError(f"unknown argument {sorted(unknown)[0]!r}; a StockMDP has {[*old]}")
        arguments = old | changes
        return StockMDP(arguments.pop("mdp"), arguments.pop("objective"), **arguments)

    def __repr__(self) -> str:
        horizon = "" if self.horizon is None else f", horizon={self.horizon}"
        sizes = f"S={self.S}, A={self.A}, outcomes={self.outcomes.prob.size}, gamma={self.gamma:g}"
        return f"StockMDP({self.objective.name}, {sizes}{horizon})"


def _checked_start(start: Any, mdp: MDP) -> Any:
    """A state as int, or a frozen distribution (S,); the model's own by default, None if it has none."""
    if start is None:
        return mdp.mu
    if np.ndim(start) == 0:
        if isinstance(start, bool) or int(start) != start or not 0 <= start < mdp.S:
            raise ValueError(f"start is {start!r}; expected a state in [0, {mdp.S}) or a distribution")
        return int(start)
    return check_distribution("start", start, mdp.S)


def _check_same_model(outcomes: Outcomes, mdp: MDP) -> None:
    """ValueError unless the outcomes have the probabilities and mean rewards of the model."""
    if (outcomes.S, outcomes.A) != (mdp.S, mdp.A):
        raise ValueError(f"outcomes are for S={outcomes.S}, A={outcomes.A}; the model has S={mdp.S}, A={mdp.A}")
    P = mdp.P if mdp.is_sparse else sp.csr_array(mdp.P.reshape(-1, mdp.S))
    kernel = outcomes.kernel()
    far = sp.coo_array(kernel - P)
    bad = _first(np.abs(far.data) > _SAME_MODEL)
    if bad is not None:
        k, t = int(far.coords[0][bad]), int(far.coords[1][bad])
        s, a = divmod(k, mdp.A)
        raise ValueError(f"outcomes: P[{s}, {a}, {t}] is {kernel[k, t]:.12g}, but {P[k, t]:.12g} in the model")
    mean = outcomes.mean_reward()
    bad = _first(np.abs(mean - mdp.r) > _SAME_MODEL * (1 + np.abs(mdp.r)))
    if bad is not None:
        raise ValueError(
            f"outcomes: mean reward {_at('r', bad)} is {mean[bad]:.12g}, but {mdp.r[bad]:.12g} in the model"
        )
    row = outcomes.row_of()
    bad = _first((outcomes.reward != 0) & mdp.terminal[row // mdp.A])
    if bad is not None:
        s, a = divmod(int(row[bad]), mdp.A)
        raise ValueError(f"{_at('outcomes.reward', bad)} is {outcomes.reward[bad]:g} in terminal state {s}, action {a}")
