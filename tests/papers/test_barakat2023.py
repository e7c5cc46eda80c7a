import dataclasses

import numpy as np
import pytest

from mdplab.claims import NotApplicable
from mdplab.claims.discovery import load_paper
from mdplab.exact.general_utility import maximal_utility
from mdplab.instances.toytext import frozen_lake
from mdplab.models.utility import UtilityMDP, entropy_utility, linear_utility, log_utility
from mdplab.papers import barakat2023 as paper

QUICK = load_paper("barakat2023").card.params["quick"]


def test_hypotheses_that_fail_are_named():
    mdp = paper._model(np.random.default_rng([95, 1]))
    assert paper.hypotheses(mdp, linear_utility(mdp.r)) is None
    with pytest.raises(NotApplicable, match="gradient of the entropy utility is not Lipschitz: its floor is 0"):
        paper.hypotheses(mdp, entropy_utility(3, 2, 0.7))
    with pytest.raises(NotApplicable, match=r"mu\[1\] is 0"):
        paper.hypotheses(frozen_lake("8x8"), linear_utility(frozen_lake("8x8").r))


def test_a_claim_on_a_utility_without_a_lipschitz_gradient_is_not_applicable():
    with pytest.raises(NotApplicable, match="log utility is not Lipschitz"):
        paper._reached(QUICK, np.random.default_rng([95, 2]), lambda mdp, expert: log_utility(mdp.r, shift=0.125))


def test_complex_values_are_those_of_real_parameters():
    rng = np.random.default_rng([95, 3])
    mdp, theta = paper._model(rng), rng.standard_normal((3, 2))
    for horizon in (None, 4):
        value = paper._complex_value(mdp, linear_utility(mdp.r), theta.astype(complex), horizon)
        lam = paper.softmax_occupancy(mdp, theta, horizon=horizon)
        # Two codes for numbers below 4.
        assert abs(value - (lam * mdp.r).sum()) < 1e-14


def test_frozen_lake_figure_stays_below_the_optimum():
    p = dataclasses.replace(QUICK, lake_iterations=300, lake_runs=2)
    table = paper.figure_frozen_lake(p, np.random.default_rng([95, 4]))
    assert {"linear", "log_hi", "entropy_lo"} <= set(table)
    assert all((table[f"{name}_hi"] <= 1).all() for name in ("linear", "log", "entropy"))
    assert table["linear"][0] == 0


def test_tracking_figure_has_bands_and_bounds():
    p = dataclasses.replace(QUICK, last=8, seeds=2)
    table = paper.figure_tracking(p, np.random.default_rng([95, 5]))
    assert {"bound_half", "bound_third", "n_vr_pg_lo", "no_correction_hi"} <= set(table)
    assert (table["n_vr_pg_lo"] <= table["n_vr_pg_hi"]).all()


def test_runs_without_memory_share_their_trajectories_with_the_formulas_alone():
    evidence = paper._no_memory(QUICK, np.random.default_rng([95, 8]))
    left, right = evidence["left"], evidence["right"]
    step = paper.global_schedule(40, 4 * QUICK.alpha0)[1]
    for run in (*left, *right):
        # Steps of the schedule's length, .06 or more, between iterates below 10; estimates are never zero.
        np.testing.assert_allclose(paper._size(np.diff(run[:, 0], axis=0)), step[:-1], rtol=1e-12)
        assert paper._size(run[:, 1]).min() > 1e-3
    assert np.abs(left[0] - left[1]).max() > 0.1


@pytest.mark.full
@pytest.mark.parametrize(("alpha0", "slope"), [(0.3, -0.54), (1.0, -0.54)])
def test_the_calibration_of_the_notes_is_reproduced(alpha0, slope):
    """Occupancy tracking with the log utility to T = 1e5, 20 seeds: slope and its ablations."""
    mdp = paper._model(np.random.default_rng([95, 6]))
    t, found = np.unique(np.geomspace(1e2, 99_999, 12).astype(np.int64)), {}
    for name, exponent, correction in (("printed", 1.0, 1.0), ("none", 1.0, 0.0), ("slow", 2 / 3, 1.0)):
        eta, step = paper.global_schedule(100_000, alpha0)
        run = paper.n_vr_pg(
            mdp, paper._log(mdp), horizon=12, eta=eta**exponent, step=step, checkpoints=t, seeds=20,
            rng=np.random.default_rng([95, 7]), correction=correction,
        )  # fmt: skip
        error = paper._errors(run, mdp, paper._log(mdp))[0].mean(axis=0)
        found[name] = np.polyfit(np.log(t), np.log(error), 1)[0]
    # Twenty seeds, twelve correlated points: the notes' own runs differ by .05 between step constants.
    assert abs(found["printed"] - slope) < 0.12
    assert found["none"] > found["printed"] + 0.08 and found["slow"] > found["printed"] + 0.08


def test_the_program_of_frozen_lake_is_certified_for_each_utility():
    mdp = frozen_lake("8x8")
    for utility in (log_utility(mdp.r, shift=0.125, floor=0.02), entropy_utility(64, 4, 0.99, floor=1e-3)):
        assert maximal_utility(UtilityMDP(mdp, utility), tol=1e-4).certificate.gap <= 1e-4
