"""Total reward until termination (`gamma = 1`): stochastic shortest paths, reachability, costs to go.

The criterion is `V*(s) = sup over all policies of limsup_n E sum_{k<n} r(s_k, a_k)`, with 0 on terminal states. A policy
that never terminates is a policy: it is worth minus infinity where it pays for ever, and 0 where it stays for nothing.

Certificate, kind `"total"`. Rows are read as probabilities, `p(j) / sum_i p(i)`: without a discount a row that sums to
`1 + 1e-16` would let mass grow for ever inside a set of states that need not be left. Write `sigma` for the sum of the
stored row of `(s, a)`. For a vector `x` and a number `c`, the inequality `x(s) >= c + P_a x(s)` means, in exact
arithmetic on the stored numbers,

    sum_j p(j) (x(s) - x(j)) >= sigma c.                                                        (*)

Rows on which `x` is constant satisfy it with equality when `c = 0`, and are stored so; every other row has a margin of at
least `2 gamma_n (|c| + P_a |x|)`, `n` the non-zeros of the row plus 3. Where rows sum to one up to rounding, the margin
also covers the reading `x(s) >= c + sum_j p(j) x(j)`. Data:

- `lo`, `hi`, `steps` `(S,)`, finite, all 0 on terminal states; off them
- `lo <= r_pi + P_pi lo` (pi the solution's policy, `(S,)` actions);
- `steps >= 0`, and by `lower`:
  `"proper"`: `steps >= 1 + P_pi steps` (pi terminates, in `steps` expected steps at most);
  `"transient"`: `steps >= 1[lo > 0] + P_pi steps` (states with `lo > 0` are visited finitely often, in expectation).
  Either way `limsup E lo(s_n) <= 0`, hence `lo <= V^pi`;
- `hi >= r_a + P_a hi` for every available action `a`; and by `upper`:
  `"nonnegative"`: `hi >= 0`;
  `"all-proper"`: `steps_all >= 0`, 0 on terminal states, `steps_all >= 1 + P_a steps_all` for every `a`;
  `"negative-rewards"`: every available reward off terminal states is negative;
  `"transient"`: `visits` `(S,)` finite of any sign, 0 on terminal states, and a number `scale >= 0`, with
  `visits >= 1[hi < 0] + scale * r_a + P_a visits` for every `a`.
  Each says that a policy with `V^pi > -inf` visits states with `hi < 0` finitely often, in expectation (sum the last
  inequality along the policy: expected visits by time n are at most `visits(s) + max|visits| - scale * V_n`, and the
  first three are its cases `visits = 0 = scale`, `scale = 0`, `visits = 0`); so `liminf E hi(s_n) >= 0` and `V* <= hi`.

Source: Bertsekas and Tsitsiklis 1991 (stochastic shortest paths); Hartmanns and Kaminski 2020 (inductive upper bounds);
de Alfaro 1997, Haddad and Monmege 2018 (collapsing end components).
"""
