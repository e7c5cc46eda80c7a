"""Claims, the evidence for them, the rules that decide, and the machinery that runs and stores all of it.

What a paper's module needs is here; the runner is `mdplab.claims.runner.run_claims`.
"""

from mdplab.claims.claim import Claim, Evidence, NotApplicable, claim, variant
from mdplab.claims.relation import Relation
from mdplab.claims.relations import (
    Bound,
    BoundHP,
    BoundMean,
    CertificateSound,
    Identity,
    LinearRate,
    Ordering,
    Rate,
    Regret,
    SequentialRate,
    Witness,
    WorstRate,
)
from mdplab.claims.result import ArmResult, ClaimResult, RunResult, Verdict

__all__ = [
    "ArmResult",
    "Bound",
    "BoundHP",
    "BoundMean",
    "CertificateSound",
    "Claim",
    "ClaimResult",
    "Evidence",
    "Identity",
    "LinearRate",
    "NotApplicable",
    "Ordering",
    "Rate",
    "Regret",
    "Relation",
    "RunResult",
    "SequentialRate",
    "Verdict",
    "Witness",
    "WorstRate",
    "claim",
    "variant",
]
