"""Long-run average reward: gain and bias, one gain or several.

Certificate, kind `"average"`. The discount is ignored, and rows are read as probabilities, `p(j) / sum_i p(i)`. Write
`sigma` for the sum of the stored row of `(s, a)`; `x(s) >= c + P_a x(s)` means, in exact arithmetic on the stored numbers,

    sum_j p(j) (x(s) - x(j)) >= sigma c,                                                        (*)

and likewise with `<=`. Data: `gain_lo`, `gain_hi` `(S,)`, `bias_lo`, `bias_hi` `(S,)`, `bias` `(S,)`, and `form`:

    (U1)  gain_hi >= P_a gain_hi                        every available a
    (U2)  gain_hi + bias_hi >= r_a + P_a bias_hi        every available a
    (L1)  gain_lo <= P_pi gain_lo                       pi the solution's policy, (S,) actions
    (L2)  gain_lo + bias_lo <= r_pi + P_pi bias_lo

with U2 read as `sum_j p(j) (bias_hi(s) - bias_hi(j)) >= sigma (r(s, a) - gain_hi(s))`, and L2 likewise. Rows on which a
gain is constant satisfy U1 and L1 with equality; all other rows, and all of U2 and L2, have a margin of at least
`2 gamma_n (|c| + P_a |x|)`, `n` the non-zeros of the row plus 3.

`form = "constant"`: `gain_lo` and `gain_hi` are constant vectors, so U1 and L1 are void, and `bias_lo = bias_hi = bias`.
`form = "multichain"`: all four are needed, and `bias` is the policy's own bias (not part of the proof).

Proof. Summing U2 along any policy, also one that depends on history, `E sum_{k<n} r <= E sum_{k<n} gain_hi(s_k) +
bias_hi(s) - E bias_hi(s_n) <= n gain_hi(s) + 2 max|bias_hi|`, since U1 makes `gain_hi(s_k)` a supermartingale. Divide by n:
no policy gains more than `gain_hi`, limsup included. L1 and L2 give liminf at least `gain_lo` for pi. No assumption on the
chains is used, no strict inequality, and no restriction of the actions in U2: an action that loses gain violates U2 for
the optimal bias, and is satisfied by a `bias_hi` which adds a large multiple of the expected number of moves between end
components.

Source: Puterman 1994, sections 8.4-8.5 (bounds, relative value iteration), 9.1-9.2 (multichain optimality equations and
policy iteration).
"""
