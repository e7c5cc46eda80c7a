"""Verdicts: each can be reached, a toothless check is INVALID, and the budget is shared by the run."""

import json

import numpy as np
import pytest
from claims.toy import CLAIM, MODULE, VERDICTS, write_paper

from mdplab.claims import Evidence, Verdict
from mdplab.claims.adjudicate import ArmData, conclude, judge, stack
from mdplab.claims.discovery import entries
from mdplab.claims.result import RunResult
from mdplab.claims.runner import load_evidence, run_claims, with_true_algorithm
from mdplab.claims.store import Outcome, arrays_digest


def outcome(**arrays):
    arrays = dict(Evidence(**arrays).arrays)
    return Outcome(arrays, arrays_digest(arrays), "", 0.0, 0.0)


def test_every_verdict_is_reached_and_expected(toy):
    run = run_claims(["toy2000"], workers=0)
    assert {r.id.split(":")[1]: r.verdict for r in run.results} == {k: v.upper() for k, v in VERDICTS.items()}
    assert {r.verdict for r in run.results} == set(Verdict)
    assert run.ok and all(r.as_expected for r in run.results)
    reasons = {r.id.split(":")[1]: r.reason for r in run.results}
    assert reasons["too_small"].startswith("measured[")
    assert reasons["unclear"] == "underpowered"
    assert reasons["sum_of_ones"] == "the integers 1 and 1"
    assert reasons["out_of_scope"] == "x is even"
    assert reasons["toothless"] == "falsifier:true_one was not refuted but accepted"
    assert "main failed: replicate 0 raised RuntimeError: no such number" in reasons["broken"]
    assert run["toy2000:toothless"].kill_matrix == {"true_one": False}
    assert run["toy2000:rate"].kill_matrix == {"slow": True}
    assert run["toy2000:rate"].arm("control:faster").as_wanted
    assert run["toy2000:rate"].arm("control:synthetic").outcome == "accepted"
    assert "tight" in run["toy2000:rate"].qualifiers


def test_results_are_the_same_after_json(toy):
    run = run_claims(["toy2000"], workers=0)
    again = RunResult.from_json(json.loads(run.dumps()))
    assert again.dumps() == run.dumps()
    assert again["toy2000:rate"].arm("main").digest == run["toy2000:rate"].arm("main").digest
    text = run.dumps()
    assert str(toy) not in text


def test_an_unexpected_verdict_or_a_slack_out_of_its_band_is_not_green(toy):
    card = CLAIM.format(name="small", verdict="verified", quick=3, full=3)
    write_paper(toy, module=MODULE[: MODULE.index('@claim("Lemma 2"')], card=card + "tightness = [0.1, 0.2]\n")
    result = run_claims(["toy2000"], workers=0)["toy2000:small"]
    assert (result.verdict, result.as_expected) == ("VERIFIED", False)
    assert result.reason.endswith("outside the card's [0.1, 0.2]")
    write_paper(toy, module=MODULE[: MODULE.index('@claim("Lemma 2"')], card=card.replace("verified", "refuted"))
    run = run_claims(["toy2000"], workers=0)
    assert not run.ok
    assert repr(run).startswith("RunResult(quick: 1 claims, 0 as expected")
    assert "<td>VERIFIED (expected REFUTED)</td>" in run._repr_html_()


@pytest.mark.parametrize("name", ["small", "rate", "sum_of_ones"])
def test_a_falsifier_that_is_the_true_algorithm_makes_the_check_invalid(toy, name):
    run_claims([f"toy2000:{name}"], workers=0)
    swapped = with_true_algorithm(f"toy2000:{name}")
    assert {result.verdict for result in swapped.values()} == {"INVALID-CHECK"}
    assert all("was not refuted but" in result.reason for result in swapped.values())


def test_the_streams_of_falsifier_and_main_are_the_same(toy):
    run = run_claims(["toy2000:toothless"], workers=0)["toy2000:toothless"]
    assert run.arm("main").arrays == run.arm("falsifier:true_one").arrays


def test_evidence_is_stacked_by_replicate_and_must_agree(toy):
    run_claims(["toy2000:small"], workers=0)
    assert load_evidence("toy2000:small")["measured"].shape == (3, 5)
    doubled = load_evidence("toy2000:small", arm="falsifier:doubled")["measured"]
    assert np.array_equal(doubled, 4 * load_evidence("toy2000:small")["measured"])
    with pytest.raises(ValueError, match="no arm 'falsifier:x'"):
        load_evidence("toy2000:small", arm="falsifier:x")
    with pytest.raises(ValueError, match="not in the store"):
        load_evidence("toy2000:rate")
    claim = entries(["toy2000:small"])["toy2000:small"].claim
    one, other = Evidence(measured=[1], bound=[1]).arrays, Evidence(measured=[1, 2], bound=[1]).arrays
    with pytest.raises(ValueError, match=r"measured has shape \(2,\) in replicate 1, \(1,\) in replicate 0"):
        stack(claim, [one, other])
    with pytest.raises(ValueError, match="replicate 0 has no array 'bound'"):
        stack(claim, [{"measured": np.ones(1)}])


def judged(toy, name, main, falsifier, **more):
    entry = entries([f"toy2000:{name}"])[f"toy2000:{name}"]
    data = {"main": ArmData(main)}
    data |= {arm: ArmData(falsifier) for arm in entry.claim.arms if arm.startswith("falsifier:")}
    return judge(entry, "quick", data | more)


def test_replicates_outside_the_hypotheses_are_left_out(toy):
    good, bad = outcome(measured=[0.5], bound=[1.0]), outcome(measured=[2.0], bound=[1.0])
    skipped = Outcome(None, "", "x is even", 0.0, 0.0)
    result = conclude([judged(toy, "small", [good, skipped], [bad, skipped])])[0]
    assert (result.verdict, result.reason) == ("VERIFIED", "1 instances, 1 outside the hypotheses left out")
    result = conclude([judged(toy, "small", [skipped], [skipped])])[0]
    assert (result.verdict, result.reason) == ("NOT-APPLICABLE", "x is even")
    result = conclude([judged(toy, "small", [good], [skipped])])[0]
    assert result.verdict == "INVALID-CHECK"


def test_the_budget_is_shared_by_the_run(toy):
    rng = np.random.default_rng([3])
    flipped = [outcome(left=[1.0], right=[0.0])] * 12
    # A shift of one standard deviation on 12 instances: p about 0.003, so 1 claim passes at 5 % and 30 do not.
    shifted = [outcome(left=[float(x) - 0.9], right=[0.0]) for x in rng.standard_normal(12)]
    one = judged(toy, "unclear", shifted, flipped)
    p = one.decisions["main"].p_accept
    assert 0.05 / 30 < p < 0.05
    assert conclude([one])[0].verdict == "CONSISTENT"
    crowded = conclude([one], pending=29)[0]
    assert crowded.verdict == "INCONCLUSIVE"
    assert crowded.provenance["p_values"]["main"]["accept_adjusted"] == pytest.approx(30 * p)
    deterministic = judged(toy, "small", [outcome(measured=[0.5], bound=[1.0])], [outcome(measured=[2.0], bound=[1.0])])
    assert [r.verdict for r in conclude([one, *[deterministic] * 30])][:2] == ["CONSISTENT", "VERIFIED"]


TWO_STARTS = """
@claim("Theorem 7", "x", relation=Rate(0.5), falsifiers={"slow": decay(0.2)}, two_start=decay(EXPONENT),
       zero_error=lambda p, rng: decay(0.0)(Params(ZERO), rng))
def started(p, rng):
    return decay(0.5, 1e-9)(p, rng)
"""


@pytest.mark.parametrize(
    ("exponent", "zero", "verdict"),
    [
        ("0.5", "1e-9", "CONSISTENT"),
        ("0.2", "1e-9", "REFUTED"),
        ("0.5", "5e-2", "INCONCLUSIVE"),
        ("0.5", "float('nan')", "INVALID-CHECK"),
    ],
)
def test_both_starts_must_hold_above_the_measured_floor(toy, exponent, zero, verdict):
    head = MODULE[: MODULE.index('@claim("Lemma 1"')]
    module = head + TWO_STARTS.replace("EXPONENT", exponent).replace("ZERO", zero)
    write_paper(toy, module=module, card=CLAIM.format(name="started", verdict=verdict, quick=12, full=12))
    result = run_claims(["toy2000"], workers=0)["toy2000:started"]
    # A floor that hides the window withholds the falsifier too, and a check that cannot fail is invalid.
    expected = "INVALID-CHECK" if verdict == "INCONCLUSIVE" else verdict
    assert result.verdict == expected
    if verdict == "REFUTED":
        assert result.reason.startswith("two-start: p = ")
    if zero == "5e-2":
        assert "floor-limited" in result.reason
    if zero == "float('nan')":
        assert "zero-error was not accepted" in result.reason


def test_a_changed_margin_is_an_amendment_and_needs_no_new_data(toy):
    module = MODULE[: MODULE.index('@claim("Theorem 2"')]
    card = "".join(
        CLAIM.format(name=name, verdict=VERDICTS[name], quick=12, full=12) for name in ("small", "too_small", "rate")
    )
    write_paper(toy, module=module, card=card)
    first = run_claims(["toy2000"], workers=0)
    assert first["toy2000:rate"].amendments == ()
    write_paper(toy, module=module, card=card.replace('"consistent"', '"refuted"') + "tightness = [0, 2]\n")
    second = run_claims(["toy2000"], workers=0)
    assert second["toy2000:rate"].amendments == (
        "card.expect.verdict: CONSISTENT -> REFUTED",
        "card.tightness: absent -> [0.0,2.0]",
    )
    assert second.manifest["tasks_reused"] == 12 * (2 + 2 + 3)
    assert second["toy2000:rate"].registration != first["toy2000:rate"].registration
    assert second["toy2000:rate"].arm("main").arrays == first["toy2000:rate"].arm("main").arrays
    write_paper(toy, module=module.replace("Rate(0.5)", "Rate(0.5, margin=0.1)"), card=card)
    third = run_claims(["toy2000"], workers=0)
    assert "relation.margin: 0.05 -> 0.1" in third["toy2000:rate"].amendments
    assert third.manifest["tasks_reused"] == 0, "other sources, other data"


SEARCHED = """
from mdplab.claims.search import search_worst

def worst_found(p, rng):
    found = search_worst(lambda x: 2.0 * float(x.max()), 2, evaluations=60, rng=rng)
    return Evidence(measured=[found.ratio], bound=[1.0])


@claim("Theorem 8", "x", relation=Bound(), falsifiers={"three": lambda p, rng: Evidence(measured=[3.0], bound=[1.0])},
       search=worst_found)
def fixed_instance(p, rng):
    return Evidence(measured=[0.5], bound=[1.0])
"""


def test_adversarial_search_is_a_sub_check_and_the_worst_one_counts(toy):
    module = MODULE[: MODULE.index('@claim("Lemma 1"')] + SEARCHED
    write_paper(toy, module=module, card=CLAIM.format(name="fixed_instance", verdict="refuted", quick=2, full=2))
    result = run_claims(["toy2000"], workers=0)["toy2000:fixed_instance"]
    assert (result.verdict, result.as_expected) == ("REFUTED", True)
    assert result.reason.startswith("search: measured[")
    assert result.slack > 1 and result.arm("main").outcome == "accepted"
