"""Laws of returns: exact propagation, and dynamic programming on a grid or on quantiles.

| solver | represents a law by | a backup costs | error, sup over states |
|---|---|---|---|
| `return_laws` | its atoms | the atoms of all successors | what merging and truncation cost, measured |
| `categorical_evaluation` | masses on a grid of K, spacing dz | K a transition | w_1 <= \
dz / (2 (1 - gamma)); Cramer <= sqrt(dz / (4 (1 - gamma))) |
| `quantile_evaluation` | m atoms of mass 1/m | m log(b) a transition, b of them | w_1 <= range / (2 m (1 - gamma)) |

All carry the certificate `"return-laws"`: the residual w_1(T eta, eta), measured before any projection, over 1 - gamma.
`categorical_control` and `quantile_control` choose by the mean.
"""

from mdplab.exact.distributional.control import categorical_control, quantile_control
from mdplab.exact.distributional.evaluation import categorical_evaluation, quantile_evaluation
from mdplab.exact.distributional.propagation import return_laws

__all__ = [
    "categorical_control",
    "categorical_evaluation",
    "quantile_control",
    "quantile_evaluation",
    "return_laws",
]
