"""One of each uncertainty set around a model, for tests that hold for all of them."""

import numpy as np

from mdplab.models import (
    MDP,
    BurgBall,
    Chi2Ball,
    Contamination,
    CVaRSet,
    IntervalSet,
    KLBall,
    L1Ball,
    L2Ball,
    LinfBall,
    ModelSet,
    NoiseSet,
    RobustMDP,
    SoftChi2,
    SoftKL,
    SoftTV,
    TVBall,
    WassersteinBall,
    WeightedL1Ball,
)


def every_set(mdp, *, size=0.15, rng):
    """(label, RobustMDP) for each set, rectangularity and support; `size` scales radii and temperatures."""
    S, A = mdp.S, mdp.A
    P = mdp.dense().P
    line = np.abs(np.arange(S)[:, None] - np.arange(S)).astype(float)
    line /= max(1, S - 1)
    weights = rng.uniform(0.5, 2, (S, A, S))
    others = [P, 0.9 * P + 0.1 / S, 0.9 * P + 0.1 * P[:, :, ::-1]]
    sets = []
    for rect in ("sa", "s"):
        for support in ("all", "nominal"):
            options = {"rectangularity": rect, "support": support}
            sets += [
                L1Ball(2 * size, **options),
                TVBall(size, **options),
                WeightedL1Ball(2 * size, weights, **options),
                L2Ball(size, **options),
                BurgBall(size / 2, **options),
                WassersteinBall(size / 2, line, **options),
            ]
        # Entries of the nominal rows may be as small as they like, noise must leave them positive.
        least = P[P > 0].min()
        sets += [NoiseSet(least / 2, order=order, rectangularity=rect, support="nominal") for order in (1, 2, np.inf)]
        sets += [KLBall(size / 2, rectangularity=rect), Chi2Ball(size, rectangularity=rect)]
        sets += [ModelSet(others, rectangularity=rect)]
    sets += [LinfBall(size / 2, support=one) for one in ("all", "nominal")]
    sets += [Contamination(size / 2, support=one) for one in ("all", "nominal")]
    sets += [SoftTV(temperature=1 / size, support=one) for one in ("all", "nominal")]
    sets += [SoftKL(temperature=1 / size), SoftChi2(temperature=1 / size), CVaRSet(level=1 - size)]
    sets += [IntervalSet(np.maximum(P - size / 2, 0), np.minimum(P + size / 2, 1))]
    for one in sets:
        yield f"{one.name}-{one.rectangularity}-{one.support}", RobustMDP(mdp, one)


def small_model(seed, *, S=7, A=3, gamma=0.9, by_next=False, gaps=True):
    """A random model with zeros in its rows, and, with `gaps`, unavailable actions."""
    rng = np.random.default_rng([77, seed])
    P = rng.dirichlet(np.full(S, 0.5), (S, A))
    P[rng.random((S, A, S)) < 0.3] = 0
    P[..., 0] += 0.01
    P /= P.sum(axis=2, keepdims=True)
    actions = rng.random((S, A)) < 0.8
    actions[:, 0] = True
    r = rng.standard_normal((S, A, S) if by_next else (S, A))
    return MDP(P, r, gamma, actions=actions if gaps else None)
