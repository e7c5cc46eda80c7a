"""What the terminal and JSON say of an answer beyond the mean."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from mdplab.exact import solve
from mdplab.exact.objectives import solve_objective, solve_stock
from mdplab.instances import chow_gap, garnet, ocvar_randomisation, random_stock, risk_averse_grid
from mdplab.models import CVaR, EntropicRisk, FiniteLaw, NestedCVaR, cvar, functional, ocvar
from mdplab.report.distribution import decisions, law_of_return, print_answer, print_law, record
from mdplab.report.terminal import finite


def _text(call):
    stream = io.StringIO()
    call(Console(file=stream, width=160))
    return stream.getvalue()


def _printed(problem, answer, stock=0.0):
    return _text(lambda console: print_answer(console, problem, answer, stock))


def test_few_atoms_are_listed():
    text = _text(lambda console: print_law(console, FiniteLaw([-1.0, 2.0], [0.25, 0.75])))
    lines = text.splitlines()
    assert lines[0] == "law of the return: 2 atoms"
    assert lines[2].split()[:2] == ["-1", "0.25"] and lines[3].split()[:2] == ["2", "0.75"]
    # Bars are as long as masses, the largest 40.
    assert [line.count("#") for line in lines[2:4]] == [13, 40]
    assert "mean 1.25" in lines[4] and "10% quantile -1" in lines[4] and "90% quantile 2" in lines[4]
    assert _text(lambda console: print_law(console, FiniteLaw([0.5], [1.0]), 0.25)).startswith(
        "law of the return: 1 atom, within 0.25 in w_1"
    )


def test_many_atoms_make_a_histogram_of_all_mass():
    rng = np.random.default_rng([4, 10])
    law = FiniteLaw.of(rng.normal(size=200), rng.dirichlet(np.ones(200)))
    lines = _text(lambda console: print_law(console, law)).splitlines()
    bins = [line for line in lines if " to " in line]
    assert len(bins) == 16
    masses = [float(line.split()[3]) for line in bins]
    np.testing.assert_allclose(sum(masses), 1.0, atol=16 * 5e-7)  # printed with six digits
    assert float(bins[0].split()[0]) == pytest.approx(law.x[0], rel=1e-3)  # printed with four digits
    assert float(bins[-1].split()[2]) == pytest.approx(law.x[-1], rel=1e-3)  # likewise


def test_the_law_is_that_of_the_policy():
    for key in range(4):
        problem = random_stock(key, 0.9, objective=CVaR(0.4))
        answer = solve_stock(problem)
        law, error, _ = law_of_return(problem, answer)
        assert error == 0.0
        assert abs(cvar(law, 0.4) - answer.value[0]) <= answer.certificate.gap
        target = problem.replace(objective=functional("target"))
        answer = solve_stock(target, stock=-1.5)
        law, _, _ = law_of_return(target, answer, -1.5)
        value = law.expect(lambda x: -np.abs(x - 1.5))
        assert abs(value - answer.extras["start_value"][0]) <= 2 * answer.certificate.gap


def test_laws_of_policies_without_a_stock():
    mdp = garnet(5, 2, 3, gamma=0.8, rng=np.random.default_rng([4, 11])).replace(mu=np.full(5, 0.2))
    answer = solve(mdp)
    law, error, _ = law_of_return(mdp, answer)
    assert abs(law.mean - mdp.mu @ answer.value) <= error + answer.certificate.gap
    _, risk = solve_objective(mdp, EntropicRisk(0.5))
    law, error, _ = law_of_return(mdp, risk)
    # Entropic risk of returns above 0 is 1-Lipschitz in w_1 up to exp(beta range).
    sure = np.exp(0.5 * (law.x[-1] - law.x[0] + error))
    start = -2 * np.log(mdp.mu @ np.exp(-0.5 * risk.value))
    value = -2 * np.log(law.expect(lambda x: np.exp(-0.5 * x)))
    assert abs(value - start) <= sure * error + risk.certificate.gap
    finite_mdp = mdp.replace(horizon=3)
    law, error, _ = law_of_return(finite_mdp, solve(finite_mdp))
    assert abs(law.mean - mdp.mu @ solve(finite_mdp).value[0]) <= 1e-9 + error


def test_where_there_is_no_law_the_reason_is_said():
    problem = random_stock(0, objective=functional("target")).replace(start=None)
    assert problem.start is None
    law, error, why = law_of_return(problem, solve_stock(problem))
    assert law is None and error == np.inf and "no start" in why
    text = _printed(problem, solve_stock(problem))
    assert "law of the return: there is no start; give --start" in text
    assert "state" in text and "with initial stock 0" in text


def test_decisions_are_followed_from_the_chosen_stock():
    problem = chow_gap()
    answer = solve_stock(problem)
    followed = list(decisions(problem, answer))
    assert followed[0] == {"stage": 0, "state": 0, "stock": answer.extras["c0"], "action": 0}
    assert [one["state"] for one in followed] == [0, 1, 2]
    assert all(one["stock"] == answer.extras["c0"] for one in followed)  # nothing is earned before stage 2
    text = _printed(problem, answer)
    assert "objective cvar:0.5 (static)" in text
    assert "value -1 from the start, with initial stock" in text
    assert "certificate static-cvar: value and policy within" in text


def test_a_mixture_says_its_parts():
    problem = ocvar_randomisation()
    answer = solve_stock(problem)
    text = _printed(problem, answer)
    assert "randomised once at the start: part 0: 0.714286, part 1: 0.285714" in text
    followed = list(decisions(problem, answer))
    assert {one["part"]: one["action"] for one in followed} == {0: 1, 1: 0}
    law, _, _ = law_of_return(problem, answer)
    assert ocvar(law, 0.5) == pytest.approx(10 / 7, abs=1e-9)  # the mixture program's tolerance


def test_grids_show_thresholds():
    problem = risk_averse_grid(gamma=0.5)
    answer = solve_stock(problem, stock_step=0.25)
    text = _printed(problem, answer, -1.0)
    assert "action by stock (of the nearest stock of the grid)" in text
    assert "... 6 more states; --json writes all" in text
    assert "law of the return" in text and "objective negative_part (utility)" in text
    said = record(problem, answer, -1.0)
    np.testing.assert_array_equal(said["grid"], answer.certificate.data["grid"])


def test_heuristics_are_labelled():
    problem = random_stock(1, 0.7, objective=functional("median"))
    answer = solve_stock(problem, heuristic=True)
    text = _printed(problem, answer)
    assert "heuristic, not known to be optimal: median is not indifferent" in text
    assert record(problem, answer)["status"] == "heuristic"


def test_records_are_json():
    mdp = garnet(4, 2, 2, gamma=0.8, rng=np.random.default_rng([4, 12])).replace(mu=[1, 0, 0, 0])
    cases = [solve_objective(mdp, objective) for objective in (EntropicRisk(1.0), NestedCVaR(0.3))]
    cases += [(problem, solve_stock(problem)) for problem in (chow_gap(), ocvar_randomisation())]
    names = []
    for problem, answer in cases:
        said = json.loads(json.dumps(finite(record(problem, answer)), allow_nan=False))
        names.append(said["objective"])
        assert sum(said["law"]["p"]) == pytest.approx(1, abs=1e-9)  # laws are renormalised nowhere
        assert "objective" in _printed(problem, answer)
    assert names == ["entropic:1", "nested-cvar:0.3", "cvar:0.5 (static)", "ocvar:0.5 (static)"]
