"""The referee: from a problem and an answer alone, is the answer's error bound true?

`check` re-derives a certificate, in floating point with a proved bound of its own rounding (`rows`) or in rational
arithmetic without any tolerance (`rational`); `prove_optimal` decides exactly whether a deterministic policy is
optimal, `prove_equilibrium` finds the exact equilibrium of a matrix game. Nothing here imports a solver or a kernel.
What is trusted: the validation of `mdplab.models`, IEEE arithmetic of NumPy (for kinds `"soft"` and `"general-utility"`
and robust KL and Burg sets also its `exp` and `log`), and at the exact level integers, `fractions` and python-flint.

Formats
-------
A `Certificate` has a `kind`, a claimed `gap`, and `data`. All conditions below hold exactly for the stored numbers;
to pass at the float level each needs a margin, of about `2 gamma_n` times the magnitudes in its row, `n` the number
of non-zeros.
The solution's policy is `(S,)` actions, or `(S, A)` weights on available actions whose rows sum to one within 1e-8
and are read as divided by their sums. `value` lies in `[lo, hi]`. The claimed gap is at least `max(hi - lo)`, to
the last bit.
`T v = max_a (r_a + gamma P_a v)` and `T_pi` take the rows as stored, `sigma` is a row's sum.

discounted
    `lo`, `hi` `(S,)`: `lo <= T_pi lo`, `T hi <= hi`, `gamma sigma < 1` in all available rows. Proves `lo <= V^pi <=
    V* <= hi`.
evaluation
    `lo`, `hi` `(S,)`: `lo <= T_pi lo`, `T_pi hi <= hi`, `gamma sigma < 1`. Proves `lo <= V^pi <= hi`; says nothing
    of V*.
finite-horizon
    `lo`, `hi` `(H + 1, S)`; value `(H + 1, S)`; policy with a leading axis H: `lo[H] <= 0 <= hi[H]`, `lo[t] <=
    T_pi[t] lo[t + 1]`, `T hi[t + 1] <= hi[t]`. Any gamma in [0, 1]. A model without a horizon takes that of the
    policy.
total
    Undiscounted reward until termination, rows read as probabilities `p / sigma`. `lo`, `hi`, `steps` `(S,)`, 0 on
    terminal states; off them `lo <= r_pi + P_pi lo`, `hi >= r_a + P_a hi`, `steps >= 0` and, by `lower`, `"proper"`
    (the default): `steps >= 1 + P_pi steps`; `"transient"`: `steps >= 1[lo > 0] + P_pi steps`; and by `upper`,
    `"nonnegative"`: `hi >= 0`; `"all-proper"`: `steps_all >= 0` `(S,)`, 0 on terminal states, `steps_all >= 1 + P_a
    steps_all`; `"negative-rewards"`: all rewards off terminal states are negative; `"transient"`: `visits` `(S,)`,
    0 on terminal states, `scale >= 0`, `visits >= 1[hi < 0] + scale r_a + P_a visits`. Proves `lo <= V^pi` and `V*
    <= hi` over all policies, those that never terminate among them.
average
    Gain, the discount ignored, rows read as probabilities. `gain_lo`, `gain_hi`, `bias_lo`, `bias_hi` `(S,)`, where
    `bias` stands for either of the last two: `gain_lo <= P_pi gain_lo`, `gain_lo + bias_lo <= r_pi + P_pi bias_lo`,
    `P_a gain_hi <= gain_hi`, `r_a + P_a bias_hi <= gain_hi + bias_hi`. Unichain or multichain alike. The value is a
    gain `(S,)` in `[gain_lo, gain_hi]`.
soft
    Entropy- or KL-regularised, discounted: `lo`, `hi` `(S,)`, `tau > 0`, `mu_ref` `(S, A)`, not negative, 0 on
    unavailable actions: `lo <= T_pi lo`, `T hi <= hi` for the operators of `mdplab.certify.soft`, `gamma sigma <
    1`.
occupancy
    A `ConstrainedMDP` (or an MDP with `mu`): `x` `(S, A)`, `hi` `(S,)`, `lam` `(m,)`, `primal_lo`, `primal_hi`,
    `dual_hi`, `violation`, with the conditions of `mdplab.certify.occupancy`. The policy is x conditioned on the
    state; the gap is that of `mu . V`.
robust, robust-evaluation
    A `RobustMDP`. `lo`, `hi` `(S,)`, `kernel` `(S, A, S)` or sparse `(S * A, S)`, not negative, its rows of available
    actions (others are ignored) read as divided by their sums, as the nominal rows are; rewards by next state are
    paid by the row in question and are 0 where a sparse model stores none. With minima over the set and, in soft
    sets, `temperature * D` in every sum: the kernel is in the set, `hi >= max_a kernel_a . (r_a + gamma hi)`, `lo <=
    min sum_a pi(a) q_a . (r_a + gamma lo)`; for robust-evaluation `hi >= sum_a pi(a) kernel_a . (r_a + gamma hi)`. A
    row may be outside its set by 1e-12 (1 + radius) in the set's own distance, entries of a box by 1e-12, plans and
    combinations of models by 1e-9: the referee moves it into the set and `hi` must hold there. Mass off the nominal
    support where the set has none, or none on it under Burg, is refused. Leave a margin of about 1e-12 of the
    magnitudes, 1e-9 for Wasserstein plans. Proves `lo <= V^pi <= V* <= hi`, or `lo <= V^pi <= hi`, for the least
    value over kernels in the set: see `mdplab.certify.robust`.
exploitability, regularized-gap
    Matrix and preference games: see `mdplab.certify.games`.
markov-game
    A zero-sum `MarkovGame`: policy `(S, A)`, `column` `(S, B)`, `lo`, `hi` `(S,)`: `lo <= sum_a x(a) (R + gamma T
    lo)` for every column and `hi >= sum_b y(b) (R + gamma T hi)` for every row, `gamma sigma < 1`. Proves `lo <=
    V^(x, best reply) <= V* <= V^(best reply, y) <= hi`.
return-laws
    An MDP, or a StockMDP for its outcomes. Rows and laws are read divided by their sums (laws sum to one within
    1e-8); the return from terminal states is 0. Infinite horizon, gamma < 1: `indptr` `(S + 1,)`, `x`, `p`: state s
    has the atoms `x[indptr[s]:indptr[s + 1]]`, strictly increasing, of positive masses `p`; value `(S,)`, policy
    `(S,)` or `(S, A)`; the gap is at least `max w_1(T_pi eta, eta) / (1 - gamma) + max |value - mean|`. Staged, any
    gamma: `indptr` `((H + 1) S + 1,)`, stage t, state s at index `t S + s`; value `(H + 1, S)`, policy with a leading
    axis H; the gap is at least `b_0 + ..`, with `b_t = max_s w_1(T_pi eta[t + 1], eta[t]) + gamma b[t + 1]`, `b_H =
    max E |eta[H]|`, of the stage where `b_t + max |value - mean|` is largest. Proves `w_1(eta, law of the return) <=
    gap`, and means alike.
stock
    A StockMDP whose objective f is an expected utility (CVaR: `min(x, 0)`, OCVaR: `max(x, 0)`), or, staged,
    `ess_inf`, `ess_sup`, `all_nonnegative`. Rows read as probabilities. Infinite horizon, f linear on both sides of
    0, gamma < 1 or no cycles off the terminal states: `grid` `(K,)` increasing, with 0 among its stocks if there are
    terminal states; `lo`, `hi` `(S, K)`; the solution's policy `(S, K)` integers: with stock c the action of the
    nearest grid stock. Functions are linear between stocks and have the slopes of f outside; on terminal states they
    are f, and `lo <= f <= hi` there. At every stock, on the grid or not, `lo <= T_pi lo` and `T hi <= hi`, `(T v)(s,
    c) = max_a running + gamma E v(s', (c + r) / gamma)`. Proves `lo <= V^pi <= V* <= hi` at every stock for the
    policy that carries its exact stock. Value `(S, K)`. Staged, any expected utility and gamma: stocks in money of
    the first stage, `y = c0 + sum_{i<t} gamma^i r`: `grid_ptr` `(H + 2,)`, `grid` the stocks of stages 0 to H,
    increasing within each; `lo`, `hi` flat, stage after stage, each a block `(S, n_t)`; the solution's policy flat,
    blocks of stages 0 to H - 1. A pair with `lo = -inf`, `hi = inf` claims nothing (its policy is not read). On
    terminal states and at stage H `lo <= f(y) <= hi`, elsewhere `lo[t] <= T_pi lo[t + 1]`, `T hi[t + 1] <= hi[t]`,
    `(T v)(s, y) = max_a gamma^t running + E v(s', y + gamma^t r)`, v off the grid from the nearest stock by the
    slopes of f (on the range of stocks). Where f jumps, the nearest stock stands for `y + gamma^t r` and must be
    within 1e-9 (1 + max |y|): the report says how far. Without a horizon in the model, all pairs claimed at stage H
    are terminal. Value `(S, n_0)`.
static-cvar
    A StockMDP with objective CVaR. As `stock`, plus `tau` (the problem's) and `c0`, a stock of the grid (of stage 0):
    the policy starts with it. The lower bound is `-c0 + start . lo(c0) / tau`; the upper one `max_k -c_k + start .
    hi_k / tau`: for stages, the stocks of stage 0 must come within 1e-9 of minus every possible return from the
    start. Value `(1,)`; gap: upper - lower.
static-ocvar
    A StockMDP with objective OCVaR. As `stock`, plus `tau`, and `c0`, `weights` `(m,)`: with probability `weights[i]`
    start with stock `c0[i]`. Policy as in `stock`, or with a leading axis m, one table for each. Upper bound: `min_k
    -c_k + start . hi_k / tau`, for all policies, randomised ones too. Lower bound: the referee's own enclosure of the
    mixture's law; `lo` need not be there; on a grid `edges` and `merge_from` may say that stocks are known by cells
    (`mdplab.certify.stock`). Value `(1,)`; gap: upper - lower.
policy-statistic
    An MDP or StockMDP with a start. `statistic`: `"mean"`, `"variance"`, `"cvar"`, `"ocvar"`, `"quantile"`,
    `"entropic"`, `"mean-variance"`; `parameter` (tau, tau, level, beta, weight); `lo`, `hi` numbers, value `(1,)`.
    The referee's own enclosure of the statistic of the return of the solution's policy lies in `[lo, hi]`; see
    `enclose_statistic`, whose result is such a pair.
entropic, evar
    An MDP, or a StockMDP for its outcomes; formats in `mdplab.certify.risk`.
linear, linear-evaluation
    A `LinearMDP` or `RobustLinearMDP`. `lo`, `hi` `(H + 1, S)`; `factors` `(H, d, S)` if robust, read as divided by
    their sums and moved into their sets as in kind robust; `tau` and `reference` `(H, S, A)` if the policy is
    regularised: `lo[H] <= 0 <= hi[H]`, `lo[h] <= T_pi lo[h + 1]`, and `T hi[h + 1] <= hi[h]` under the factors,
    `T_pi` for linear-evaluation: see `mdplab.certify.linear`.
regularized-occupancy, performative-stability, performative-optimum
    An MDP with `mu`, and two of a `PerformativeMDP`: see `mdplab.certify.performative` (the gap is one of occupancies)
    and `mdplab.certify.performative_optimum` (of the objective).
general-utility
    A `UtilityMDP`. `occupancy` `(S, A)`, not negative, 0 on unavailable actions; `slopes` `(K,)` of f at its arguments,
    as good as may be; `h` `(S,)` with `h >= r + gamma P h` for `r = R + weight M^T slopes`. Value `(1,)`; gap: `max(U,
    value) - min(L, value)`, with the bounds `L <= F(policy) <= F* <= U` of `mdplab.certify.general_utility`.
logit-equilibrium
    A `PolymatrixGame`: see `mdplab.certify.polymatrix`; float level only.

Contraction of smooth games has its own certificate, `SmallGainCertificate`, and verdict: `check_small_gain`.
"""

from mdplab.certify.checker import check
from mdplab.certify.equilibria import EquilibriumProof, prove_equilibrium
from mdplab.certify.optimality import OptimalityProof, prove_optimal
from mdplab.certify.polymatrix import check_logit
from mdplab.certify.report import CheckReport
from mdplab.certify.small_gain import SmallGainVerdict, check_small_gain
from mdplab.certify.statistics import enclose_statistic

__all__ = [
    "CheckReport",
    "EquilibriumProof",
    "OptimalityProof",
    "SmallGainVerdict",
    "check",
    "check_logit",
    "check_small_gain",
    "enclose_statistic",
    "prove_equilibrium",
    "prove_optimal",
]
