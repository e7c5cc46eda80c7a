"""Robust Markov decision processes: exact solvers for every rectangular set of `mdplab.models`.

`n` is the number of entries of a row (all S states, or its nominal successors), `A` that of a state's actions, `k` of
entries that give mass, `K` of models; a root costs some ten to fifty passes over the entries, to the last digits.

| set | one row, `"sa"` | one state, `"s"` | referee: kernel in the set by / least of the set by |
|---|---|---|---|
| `L1Ball`, `TVBall` | transport to the least entry, n + k log n; dense rows share one sort: n | steps of all \
actions by heap, A n log(A n) | distance / dual, one multiplier |
| `WeightedL1Ball` | steps along an envelope, n log n | the same steps, A n log(A n) | distance / dual, one multiplier |
| `LinfBall`, `IntervalSet`, `CVaRSet` | fill from the least entry, n log n | - | bounds / dual, one multiplier |
| `Contamination` | mix with the least entry, n | - | bounds / dual, one multiplier |
| `L2Ball`, `Chi2Ball` | root over projections | root over roots | distance / dual, two multipliers |
| `KLBall`, `BurgBall` | root over tilted rows | root over roots | distance / dual, one or two multipliers |
| `WassersteinBall` | hulls of all pairs, n^2, and a heap | the same moves, A n^2, and a heap | transport plan, by a \
linear program / dual, one multiplier |
| `ModelSet` | least of K products, K n | pure saddle point or linear program of the K x A game | nearest model, or \
combination by least squares / least of K |
| `NoiseSet` | closed form, n | one root over A numbers | distance / dual |
| `SoftTV` | closed form, n | - | price recomputed / dual at the temperature |
| `SoftKL` | closed form, n | - | price recomputed / closed form |
| `SoftChi2` | tilted row, passes until no entry leaves | - | price recomputed / dual at the temperature |

| solver | outer step | linear systems |
|---|---|---|
| `robust_value_iteration` | a backup | none |
| `robust_modified_policy_iteration` | a backup, `sweeps` answers of nature's to the policy | none |
| `robust_policy_iteration` (Hoffman-Karp) | a backup, nature's policy iteration to the end | one an answer |
| `partial_policy_iteration` | a backup, nature's policy iteration to a tolerance | one an answer |
| `residual_conditioned_policy_iteration` | a backup, and more of them where the residual did not contract | one |
| `robust_policy_evaluation` | an answer of nature's | one |

Every answer carries the certificate `"robust"` (`"robust-evaluation"` for a policy) of `mdplab.certify`: lower and
upper bounds of the value, and nature's kernel. Newton's step without the condition on the residual may cycle: it is an
algorithm of its papers, not a solver.
"""

from mdplab.exact.robust.operator import RobustBellman
from mdplab.exact.robust.solvers import (
    partial_policy_iteration,
    residual_conditioned_policy_iteration,
    robust_modified_policy_iteration,
    robust_policy_evaluation,
    robust_policy_iteration,
    robust_value_iteration,
)

__all__ = [
    "RobustBellman",
    "partial_policy_iteration",
    "residual_conditioned_policy_iteration",
    "robust_modified_policy_iteration",
    "robust_policy_evaluation",
    "robust_policy_iteration",
    "robust_value_iteration",
]
