"""Runs of several seeds, and what is reported where numbers stop being finite."""

import numpy as np
import pytest

from mdplab.algorithms.policy_gradient.batches import run_seeds
from mdplab.algorithms.policy_gradient.sampled_ecrm import sampled_barrier, sampled_natural, sampled_projected
from mdplab.algorithms.policy_gradient.sampled_polyak import sampled_polyak
from mdplab.instances.ecrm import random_ecrm
from mdplab.models import MDP

CHAIN = MDP([[[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]], [[0.0, 5.0], [9.0, 0.0]], 0.5, mu=[1.0, 0.0])
ECRM = random_ecrm(2, 2, num_costs=2, gamma=0.5, weight=0.6, tail=0.1, rng=np.random.default_rng([641]))
HOW = {"horizon": 6, "batch": 2, "num_iters": 4, "checkpoints": np.arange(5), "seeds": 2}


def test_tables_are_rows_of_pairs_for_runs_and_states_by_actions_for_readers():
    def run(start, kept, stream, table, number):
        table[:] = start + np.arange(6)
        number[:] = stream.random()
        return -1

    trace = run_seeds(run, (10,), np.arange(3), np.random.default_rng(0), 2, table=(3, 2), number=())
    assert trace["table"].shape == (2, 3, 3, 2) and trace["table"][1, 2].tolist() == [[10, 11], [12, 13], [14, 15]]
    assert trace["number"].shape == (2, 3) and trace["number"][0, 0] != trace["number"][1, 0] and trace.status == "ok"


def test_the_first_seed_to_diverge_is_named():
    stops = iter([-1, 7, 3])
    trace = run_seeds(lambda *_: next(stops), (), np.arange(2), np.random.default_rng(0), 3, x=())
    assert trace.status == "diverged at t=3" and np.isnan(trace["x"]).all()


HUGE = 1e308
METHODS = {
    "polyak": (sampled_polyak, {"mdp": CHAIN, "best": np.inf, "cap": HUGE}, "theta"),
    "barrier": (sampled_barrier, {"problem": ECRM, "barrier": HUGE, "step": HUGE}, "policy"),
    "projected": (sampled_projected, {"problem": ECRM, "mixing": 0.01, "step": HUGE}, "policy"),
    "natural": (sampled_natural, {"problem": ECRM, "tau": 0.5, "step": HUGE}, "policy"),
}


@pytest.mark.parametrize("name", METHODS)
def test_runs_say_where_numbers_stop_being_finite(name):
    method, arguments, column = METHODS[name]
    run = method(**arguments, rng=np.random.default_rng([641, 1]), **HOW)
    finite = np.isfinite(run[column]).all(axis=(2, 3))
    # What was recorded before the update that overflows, in one seed or more, is kept; nothing after it is.
    reached = finite.sum(axis=1)
    assert run.status == f"diverged at t={reached.min() - 1}" and 1 <= reached.min() < 5
    assert np.array_equal(finite, np.arange(5) < reached[:, None])


def test_an_update_that_is_not_asked_for_is_not_taken():
    """The second update overflows: a run of one update is sound."""
    method, arguments, column = METHODS["barrier"]
    run = method(**arguments, rng=np.random.default_rng([641, 1]), **HOW)
    assert run.status == "diverged at t=1"
    how = HOW | {"num_iters": 1, "checkpoints": np.arange(2)}
    run = method(**arguments, rng=np.random.default_rng([641, 1]), **how)
    assert run.status == "ok" and np.isfinite(run[column]).all()
