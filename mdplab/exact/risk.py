"""Risk measures with a dynamic programme: nested CVaR, and the entropic risk measure of the whole return.

The entropic certainty equivalent `ERM_b(X) = -(1/b) log E exp(-b X)` obeys `ERM_b(r + gamma X) = r + gamma
ERM_{b gamma}(X)`: what is optimal at time t is a matter of the risk aversion `b_t = beta gamma^t` that is left, hence

    V_t(s) = max_a ERM_{b_t}(r + gamma V_{t+1}(S')),

with a policy that depends on time and turns risk-neutral. (With the same b at all times the recursion is another,
nested objective.) An infinite horizon is cut at T: from there on the risk-neutral policy is followed, which loses at
most `b_T R^2 / 8` (Hoeffding), R the spread of returns, and that loss counts `gamma^T` now.

Certificate of kind `"entropic"`. Rows read as probabilities `p / sigma`, T stages, `b_t = beta gamma^t`:

    beta; lo, hi (T + 1, S); policy of the solution (T, S) over a finite horizon, else (T + 1, S), whose last row holds
    from T on; infinite horizon also mean_lo, mean_hi (S,).
    lo[t](s) <= ERM_{b_t}(r_a + gamma lo[t + 1]),  a = policy[t, s],   that is   sum_s' p expm1(-b_t d) <= 0,
    hi[t](s) >= ERM_{b_t}(r_a + gamma hi[t + 1])   for all a,          that is   sum_s' p expm1(-b_t d) >= 0,
        d = r + gamma x[t + 1](s') - x[t](s);
    finite:    lo[T] <= 0 <= hi[T];
    infinite:  hi[T] >= mean_hi,  lo[T] <= mean_lo - b_T R^2 / 8,  R = (max r - min r) / (1 - gamma) over transitions of
               positive probability, mean_hi >= T mean_hi, mean_lo <= T_pi mean_lo with pi = policy[T].

Then `lo[0] <= ERM_beta(G^pi) <= sup over all policies <= hi[0]`. Value and gap are about time 0.
"""

import math
import time

import numpy as np

from mdplab.exact.arguments import checked_count, checked_positive, checked_tol, require_discounted, require_type
from mdplab.exact.operator import TINY, UNIT
from mdplab.exact.policy_iteration import policy_iteration
from mdplab.exact.risk_rows import RiskRows
from mdplab.exact.robust import residual_conditioned_policy_iteration
from mdplab.models import MDP, Certificate, CVaRSet, RobustMDP, Solution, SolverFailure, StockMDP

MAX_ENTRIES = 200_000_000


def nested_cvar(mdp: MDP, tau: float, *, tol: float = 1e-6) -> Solution:
    """Optimal nested CVaR: `V(s) = max_a CVaR_tau(r + gamma V(S'))`, risk taken anew at every step.

    Parameters
    ----------
    mdp : MDP
        Discounted, infinite horizon; rewards may depend on the next state.
    tau : float in (0, 1]
        Level: the mean of the lowest share tau; 1 is risk-neutral.
    tol : float > 0
        Largest certified error.

    Returns
    -------
    Solution
        Value and policy `(S,)`; certificate of kind `"robust"`, about `RobustMDP(mdp, CVaRSet(tau))`; extras `kernel`,
        the worst case.

    Raises
    ------
    ValueError
        `tau` outside (0, 1], `tol` not positive, or a model with a horizon or without a discount.
    SolverFailure
        The certificate misses `tol`.

    Notes
    -----
    Time consistent, and not the CVaR of the whole return, which it never exceeds. The dual of CVaR, `min q . x` over
    `q <= p / tau`, makes it a robust problem.

    Source
    ------
    Ruszczynski (2010), "Risk-averse dynamic programming for Markov decision processes"; the robust reading is Osogami
    (2012).

    Examples
    --------
    >>> mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9)
    >>> [nested_cvar(mdp, tau).value.round(6).tolist()[0] for tau in (1.0, 0.625, 0.5)]  # stays with 0.5, 0.2, 0
    [1.818182, 1.219512, 1.0]
    """
    started = time.perf_counter()
    require_discounted(mdp, "nested_cvar")
    problem = RobustMDP(mdp, CVaRSet(checked_level("tau", tau)))
    answer = residual_conditioned_policy_iteration(problem, tol=tol)
    seconds = time.perf_counter() - started
    extras = {"kernel": answer.extras["kernel"]}
    return Solution(
        answer.value, answer.policy, answer.certificate, "nested_cvar", answer.num_iters, seconds, extras=extras
    )


def checked_level(name: str, level: float) -> float:
    """A risk level as a float; ValueError unless in (0, 1]."""
    value = checked_positive(name, level)
    if value > 1:
        raise ValueError(f"{name} is {level!r}; expected a level in (0, 1]")
    return value


def entropic_risk_dp(mdp: MDP | StockMDP, beta: float, *, tol: float = 1e-6, horizon: int | None = None) -> Solution:
    """Optimal entropic certainty equivalent `-(1/beta) log E exp(-beta G)` of the discounted return from every state.

    Parameters
    ----------
    mdp : MDP or StockMDP
        With `gamma < 1`, or over a finite horizon (any gamma); rewards may depend on the next state, those of a
        `StockMDP` are the ones of its outcomes (its objective plays no part).
    beta : float > 0
        Risk aversion; the risk-neutral value is the limit 0, the worst case the limit infinity.
    tol : float > 0
        Largest certified error; over an infinite horizon it decides where the risk-neutral tail begins.
    horizon : int, optional
        Number of decisions; the model's by default.

    Returns
    -------
    Solution
        Value `(S,)`, from time 0; policy `(H, S)` over a finite horizon, else `(T + 1, S)` whose last row holds from T
        on; certificate of kind `"entropic"`; extras `stage_values` (T + 1, S) and `betas` (T + 1,). `num_iters` is T.

    Raises
    ------
    ValueError
        `beta` or `tol` not positive and finite, or gamma 1 without a horizon.
    SolverFailure
        The certificate misses `tol`.

    Source
    ------
    Hau, Petrik, Ghavamzadeh (2023), "Entropic risk optimization in discounted MDPs", from memory; the tail is bounded
    here by Hoeffding's lemma.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.25, 0.0]], 0.5)
    >>> entropic_risk_dp(mdp, 1.0).value.round(6).tolist()  # a sure return is worth itself
    [0.5]
    >>> coin = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0], [1.0], [-1.0]], 1.0, horizon=2)
    >>> float(entropic_risk_dp(coin, 2.0).value[0].round(6)), float((-np.log(np.cosh(2.0)) / 2).round(6))
    (-0.662501, -0.662501)
    """
    started = time.perf_counter()
    beta, tol = checked_positive("beta", beta), checked_tol(tol)
    problem = StagedRisk(mdp, horizon, tol, "entropic_risk_dp")
    stages = problem.solve(beta, tol / 2)
    if not stages.gap <= tol:
        raise SolverFailure(f"entropic_risk_dp: the bounds are {stages.gap:.3g} apart, tol is {tol:.3g}")
    residuals = {"tail": stages.tail, "rounding": stages.rounding}
    data = {"beta": beta, "lo": stages.lo, "hi": stages.hi, **problem.tail_data}
    return Solution(
        stages.value[0],
        stages.policy,
        Certificate("entropic", stages.gap, residuals, data),
        "entropic_risk_dp",
        stages.T,
        time.perf_counter() - started,
        extras={"stage_values": stages.value, "betas": stages.betas},
    )


class Stages:
    """Bounds of one entropic problem at every stage, and the policy that has the lower ones."""

    def __init__(self, value: np.ndarray, width: np.ndarray, policy: np.ndarray, betas: np.ndarray, tail: float):
        self.value, self.policy, self.betas, self.tail = value, policy, betas, tail
        self.lo, self.hi = value - width[:, None], value + width[:, None]
        self.gap = float(np.nextafter((self.hi[0] - self.lo[0]).max(), np.inf))
        self.rounding = max(0.0, self.gap - tail)
        self.T = len(value) - 1


class StagedRisk:
    """A model prepared for entropic problems of any risk aversion: its rows and its risk-neutral tail."""

    def __init__(self, problem: MDP | StockMDP, horizon: int | None, tol: float, name: str) -> None:
        require_type(problem, (MDP, StockMDP), name)
        mdp = problem.mdp if isinstance(problem, StockMDP) else problem
        self.mdp, self.name = mdp, name
        self.H = mdp.horizon if horizon is None else checked_count("horizon", horizon)
        if self.H is None and mdp.gamma >= 1:
            raise ValueError(f"gamma is {mdp.gamma:g} without a horizon; {name} needs gamma < 1 or a horizon")
        self.rows = RiskRows.of(problem)
        self.R = self.rows.spread(self.H)
        self.n = int(self.rows.counts.max())
        self.owner = np.repeat(self.rows.pair // mdp.A, self.rows.counts)
        if self.H is None:
            self._neutral(tol)
            self.tail_data = {"mean_lo": self.mean - self.slack, "mean_hi": self.mean + self.slack}
        else:
            self.tail_data = {}

    def _neutral(self, tol: float) -> None:
        """Risk-neutral value and policy, and how far the true ones are off at most."""
        gamma = self.mdp.gamma
        answer = policy_iteration(self.mdp, tol=min(tol, 1e-6))
        self.neutral, self.mean = answer.policy, answer.value
        v, q = self.mean, self.rows.q(self.mean, 0.0)
        off = max(float((q.max(axis=1) - v).max()), float((v - q[np.arange(self.mdp.S), self.neutral]).max()), 0.0)
        self.slack = (off + 2 * self.allowance(v, 0.0)) / (1 - gamma) * (1 + 1e-9)

    def allowance(self, v: np.ndarray, width: float, t: int = 0, d: float = 0.0) -> float:
        """Margin that makes an inequality between floats hold exactly, ours and a referee's rounding included.

        The risk aversion b_t is a power, rounded t times; that matters only as far as values differ, by `d` at most.
        """
        size = float(np.abs(self.rows.reward).max() + 2 * np.abs(v).max()) + width
        return ((256 + 4 * self.n) * size + 8 * t * (d + width)) * UNIT + TINY

    def solve(self, beta: float, tol: float) -> Stages:
        """Stages of one risk aversion, with a tail that costs at most tol / 2."""
        S, gamma, states = self.mdp.S, self.mdp.gamma, np.arange(self.mdp.S)
        T = self.H if self.H is not None else self._cut(beta, tol)
        if (T + 1) * S > MAX_ENTRIES:
            raise SolverFailure(f"{self.name}: {T + 1} stages of {S} states exceed {MAX_ENTRIES} entries")
        betas = beta * gamma ** np.arange(T + 1.0)
        value, width = np.zeros((T + 1, S)), np.zeros(T + 1)
        policy = np.zeros((T if self.H is not None else T + 1, S), dtype=np.int64)
        if self.H is None:
            loss = betas[T] * self.R**2 / 8 * (1 + 1e-9)
            value[T], policy[T] = self.mean - loss / 2, self.neutral
            room = self.allowance(self.mean, loss + self.slack, T, loss + float(np.abs(self.mean).max()))
            width[T] = loss / 2 + self.slack + room
        for t in range(T - 1, -1, -1):
            q = self.rows.q(value[t + 1], betas[t])
            policy[t] = q.argmax(axis=1)
            value[t] = q[states, policy[t]]
            d = float(np.abs(self.rows.reward + gamma * value[t + 1][self.rows.to] - value[t][self.owner]).max())
            room = self.allowance(value[t + 1], width[t + 1], t, d)
            width[t] = gamma * width[t + 1] * (1 + 4 * UNIT) + room + 4 * UNIT * np.abs(value[t]).max()
        return Stages(value, width, policy, betas, float(2 * gamma**T * width[T]))

    def _cut(self, beta: float, tol: float) -> int:
        gamma, loss = self.mdp.gamma, beta * self.R**2 / 8
        if gamma == 0 or loss <= tol / 2:
            return 1
        # gamma^T b_T R^2 / 8 = gamma^(2 T) loss.
        return max(1, math.ceil(math.log(tol / 2 / loss) / (2 * math.log(gamma))))
