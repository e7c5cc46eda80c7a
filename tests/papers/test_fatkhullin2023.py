import copy
import dataclasses

import numpy as np
import pytest

from mdplab.algorithms import policy_gradient as pg
from mdplab.algorithms.policy_gradient import ablations
from mdplab.claims.discovery import load_paper
from mdplab.exact import policy_gradient as exact
from mdplab.instances.policy_gradient import qchain
from mdplab.papers import fatkhullin2023 as paper

QUICK = load_paper("fatkhullin2023").card.params["quick"]


def _stacked(claim, function, p, num):
    rngs = [np.random.default_rng([70, i]) for i in range(num)]
    evidence = [function(p, rng) for rng in rngs]
    return {name: np.stack([e[name] for e in evidence]) for name in claim.relation.arrays}


def test_ordering_says_nothing_when_both_sides_are_one_method():
    p = dataclasses.replace(QUICK, order_iterations=512)

    def one_method(p, rng):
        # Labels shuffled: the same method on both sides, on numbers of its own.
        first = paper._compare(ablations.transport, ablations.transport)(p, copy.deepcopy(rng))
        second = paper._compare(ablations.transport, ablations.transport)(p, np.random.default_rng(rng.integers(2**60)))
        return paper.Evidence(left=first["left"], right=second["right"])

    claim = paper.look_ahead_helps
    decision = claim.relation.decide(_stacked(claim, one_method, p, 16))
    # Chains differ between the sides, which only adds noise: levels 1e-3 on each side.
    assert decision.outcome(1e-3, 1e-3) == "undecided"


def test_both_methods_of_a_comparison_see_the_same_numbers():
    p = dataclasses.replace(QUICK, order_iterations=256)
    same = paper._compare(ablations.transport, ablations.transport)(p, np.random.default_rng([70, 99]))
    assert (same["left"] == same["right"]).all()


def test_figure_has_bands_and_bounds():
    p = dataclasses.replace(QUICK, last=10, seeds=2)
    table = paper.figure_estimator_error(p, np.random.default_rng([70, 5]))
    assert list(table)[:4] == ["n", "n_pg_igt", "n_pg_igt_lo", "n_pg_igt_hi"]
    assert {"bound_two_fifths", "bound_one_third"} <= set(table)
    assert (table["n_pg_igt_lo"] <= table["n_pg_igt_hi"]).all()


@pytest.mark.full
@pytest.mark.parametrize("gamma0", [1.0, 3.0])
def test_the_calibration_table_is_reproduced(gamma0):
    """Noise-only runs on QChain to t = 3e5: slopes and final errors of the estimator, 40 seeds from t = 1000 on."""
    chain, T, seeds = qchain(), 300_000, 40
    t = np.unique(np.geomspace(1e3, T - 1, 12).astype(np.int64))
    slope, final = {}, {}
    for name in ("transport", "no_look_ahead", "momentum"):
        run = getattr(ablations, name)(
            pg.NoisyGradient(chain, 0.3), T, gamma0, checkpoints=t, seeds=seeds, rng=np.random.default_rng([70, 7])
        )
        error = np.linalg.norm(run["d"] - exact.location_gradient(chain, run["theta"]), axis=-1)
        slope[name], final[name] = np.polyfit(np.log(t), np.log(error.mean(axis=0)), 1)[0], error.mean(axis=0)[-1]
    # One checkpoint has a relative error of .52 / sqrt(40) = 8 % (Rayleigh), a slope over twelve .013: 3 of these.
    assert abs(slope["transport"] + 0.391) < 0.04
    assert -0.34 < slope["no_look_ahead"] < -0.25
    assert -0.37 < slope["momentum"] < -0.29
    assert abs(final["transport"] / 2.4e-3 - 1) < 0.3
    assert final["no_look_ahead"] > 5 * final["transport"]
