"""Decision rules: pure functions from raw arrays to a `Decision`, each calibrated by simulation in the tests.

The unit of replication is the instance: where an array has a leading axis `I`, it runs over instances, never seeds.
"""

from mdplab.claims.rules.bounds import bound_d, bound_e, bound_hp
from mdplab.claims.rules.exact import certificate, identity, witness
from mdplab.claims.rules.linear import lin_1
from mdplab.claims.rules.ordering import ord_1
from mdplab.claims.rules.rates import rate_e1, rate_g1, rate_h1, synthetic_rate
from mdplab.claims.rules.regret import reg_1

__all__ = [
    "bound_d",
    "bound_e",
    "bound_hp",
    "certificate",
    "identity",
    "lin_1",
    "ord_1",
    "rate_e1",
    "rate_g1",
    "rate_h1",
    "reg_1",
    "synthetic_rate",
    "witness",
]
