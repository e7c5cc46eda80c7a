"""Constrained discounted problems by the linear program of occupancy measures.

Maximise `mu . V^pi` subject to `mu . C_i^pi <= limits_i`, where `C_i^pi` is the discounted sum of the cost `costs[i]`.

Certificate, kind `"occupancy"`; inequalities hold exactly for the stored numbers, rows as stored (no normalisation), with
`sigma = max` row sum over available pairs, `gamma sigma < 1`, and `norm(f) = max_{s,a available} |f| / (1 - gamma sigma)`.
Data: `x` `(S, A)` (zero where unavailable), `hi` `(S,)`, `lam` `(m,)`, `defect`, `primal_lo`, `primal_hi`, `dual_hi`,
`costs_hi` `(m,)`, `violation`:

- `x >= 0`, `lam >= 0`;
- `defect >= sum_s |xi(s)|`, `xi(s) = sum_a x(s, a) - gamma sum_{s', a'} x(s', a') P(s | s', a') - mu(s)`;
- the policy is `x` conditioned on the state: `|policy(s, a) sum_b x(s, b) - x(s, a)| <= 8 u sum_b x(s, b)`, `u = 2^-53`, and
  uniform on the available actions, up to rounding, where `x(s, .) = 0`. The exact policy meant is `x(s, .) / sum_b x(s, b)`;
- `primal_lo <= <x, r> - defect norm(r)` and `<x, r> + defect norm(r) <= primal_hi`: `x` is the exact occupancy of that
  policy started from the signed measure `mu + xi`, so `<x, r> = (mu + xi) . V^pi`, and `|V^pi| <= norm(r)`;
- `<x, costs_i> + defect norm(costs_i) <= costs_hi_i`, hence the policy's cost i is at most `costs_hi_i`;
- `costs_hi_i <= limits_i + violation`; `violation = 0` whenever limits tightened by rounding leave a feasible policy;
- `hi(s) >= r(s, a) - sum_i lam_i costs[i, s, a] + gamma sum_j P(j | s, a) hi(j)` for every available action;
- `dual_hi >= mu . hi + sum_i lam_i limits_i`: by weak duality no feasible policy is worth more;
- `gap >= dual_hi - primal_lo` and `gap >= primal_hi - primal_lo`.

Sums over available pairs; each inequality has a margin of at least `2 gamma_n` times the sum of the magnitudes of its n
terms. Source: Altman 1999, chapters 3-4.
"""
