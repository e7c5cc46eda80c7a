"""Plans: pilots are stored and reused, what is out of reach is said beforehand, and nothing else is run."""

import numpy as np
import pytest
from claims.toy import write_paper

from mdplab.claims.claim import MAIN
from mdplab.claims.planning import plan_claims
from mdplab.claims.power import PILOT
from mdplab.claims.runner import run_claims
from mdplab.claims.store import Store


def by_id(plans):
    return {plan.id.removeprefix("toy2000:"): plan for plan in plans}


@pytest.fixture
def plans(toy):
    return by_id(plan_claims(["toy2000"]))


def test_every_claim_is_planned_as_it_should(plans):
    assert plans["rate"].feasible and plans["rate"].power.enough
    assert plans["rate"].power.needed[0] <= 12
    assert plans["small"].power is None and plans["small"].statement.startswith("deterministic")
    assert not plans["unclear"].feasible
    assert plans["unclear"].statement.startswith("INCONCLUSIVE(budget): cannot reach 80% power")
    assert "x is even" in plans["out_of_scope"].statement
    assert plans["broken"].statement.startswith("no plan: replicate 0 raised RuntimeError: no such number")
    assert np.isnan(plans["broken"].minutes)
    assert all(plan.minutes > 0 for name, plan in plans.items() if name != "broken")


def test_a_pilot_is_the_first_main_replicates_and_a_run_reuses_it(toy, plans, tmp_path):
    with Store() as store:
        stored = store.digests()
    assert {arm for _, arm, _, _ in stored} == {MAIN}
    assert sum(claim == "toy2000:rate" for claim, _, _, _ in stored) == PILOT
    assert sum(claim == "toy2000:small" for claim, _, _, _ in stored) == 3, "the card has no more"
    run = run_claims(["toy2000:rate", "toy2000:small"])
    assert run.manifest["tasks_reused"] == PILOT + 3
    afresh = run_claims(["toy2000:rate", "toy2000:small"], store=tmp_path / "afresh")
    assert [r.arm(MAIN).digest for r in run.results] == [r.arm(MAIN).digest for r in afresh.results]
    assert run["toy2000:rate"].provenance["power"] == afresh["toy2000:rate"].provenance["power"]


def test_a_pilot_that_leaves_nothing_is_no_plan(toy, monkeypatch):
    """What an edit of the sources does while the pilot runs: the keys are others afterwards."""
    monkeypatch.setattr("mdplab.claims.planning._run_pilots", lambda *arguments: {})
    assert by_id(plan_claims(["toy2000:rate"]))["rate"].statement.startswith("no plan: sources changed")


def test_planning_registers_before_it_draws(toy, plans):
    changed = (toy / "toy2000.toml").read_text().replace("quick = 12, full = 12", "quick = 13, full = 12")
    (toy / "toy2000.toml").write_text(changed)
    run = run_claims(["toy2000:rate"])
    assert "replicates: 12 -> 13" in run["toy2000:rate"].amendments


def test_minutes_are_a_budget(toy):
    write_paper(toy, pause=0.02)
    rich = by_id(plan_claims(["toy2000"], profile="full", minutes=60.0))
    poor = by_id(plan_claims(["toy2000"], profile="full", minutes=1e-4))
    assert rich["rate"].feasible and rich["small"].feasible
    assert not poor["rate"].feasible and "in the budget of 0.0001 min" in poor["rate"].statement
    assert not poor["small"].feasible and poor["small"].statement.startswith("INCONCLUSIVE(budget): takes")
    # 12 replicates of three arms, at least 20 ms each, on one worker and on two.
    assert 12 * 3 * 0.02 <= 60 * poor["rate"].minutes <= 100 * 12 * 3 * 0.02
    halved = by_id(plan_claims(["toy2000:rate"], profile="full", workers=2))
    assert halved["rate"].minutes == pytest.approx(poor["rate"].minutes / 2)


def test_bad_arguments_are_named(toy):
    for call, message in [
        (lambda: plan_claims(["toy2000:rat"]), "toy2000:rate"),
        (lambda: plan_claims(["toy2000"], minutes=0.0), "minutes is 0"),
        (lambda: plan_claims(["toy2000"], profile="huge"), "profile is 'huge'"),
        (lambda: plan_claims(["toy2000"], workers=0), "workers is 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
