"""Static CVaR and OCVaR over a finite horizon: against brute force, linear programs, and the published gridworlds."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact.stock.brute_force import brute_force, history_laws
from mdplab.exact.stock.finite import reachable_from, stock_backward_induction
from mdplab.exact.stock.finite_static import static_cvar_finite, static_ocvar_finite
from mdplab.exact.stock.mixtures import best_mixture
from mdplab.exact.stock.stage_passes import end_money, utility_pass
from mdplab.instances.stock_grids import (
    chow_gap,
    constraint_grid,
    cvar_suboptimal_pair,
    generate_returns_grid,
    halving_grid,
    ocvar_randomisation,
    random_stock,
    risk_averse_grid,
    risk_seeking_grid,
)
from mdplab.models import MDP, CVaR, OCVaR, SolverFailure, StockMDP, cvar, functional, ocvar
from tests.exact.stock import tiny

GAMMA = 0.997
LEVELS = (0.1, 0.25, 0.4, 0.7)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_cvar_by_stock_is_brute_force(gamma):
    """1.D-8: theorem 16 on RM(0) to RM(24) at four levels."""
    for seed in range(25):
        for tau in LEVELS:
            problem = random_stock(seed, gamma, objective=CVaR(tau))
            answer = static_cvar_finite(problem)
            best = brute_force(problem, laws=tiny.laws(gamma)[seed]).value
            # The tolerance; 2e-15 is what we see.
            assert answer.value[0] == pytest.approx(best, rel=0, abs=1e-9)
            assert cvar(answer.extras["law"], tau) == answer.value[0]
            assert answer.extras["objective"].max() == pytest.approx(best, rel=0, abs=1e-9)  # as above
            assert answer.certificate.gap < 1e-9


def test_candidates_left_out_hold_no_maximum():
    """Thousands of possible returns: the scan looks at few of them and finds what all of them say."""
    for seed in range(3):
        problem = random_stock(seed, 0.7, horizon=6)
        graph = reachable_from(problem)
        candidates = -np.unique(end_money(graph))[::-1]
        assert candidates.size > 300
        values, _ = utility_pass(graph, functional("negative_part").utility, candidates)
        for tau in LEVELS:
            answer = static_cvar_finite(problem.replace(objective=CVaR(tau)), certify=False)
            every = -candidates + values[0][0] / tau
            assert answer.extras["objective"].max() == pytest.approx(every.max(), rel=0, abs=1e-12)  # rounding of sums
            assert answer.num_iters < candidates.size


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_ocvar_is_the_linear_program_over_mixtures_of_laws(gamma):
    """1.D-10: deterministic policies with memory fall short of it in 30 of 200 cases, by 0.452 at most."""
    gaps = []
    for seed in range(25):
        laws = tiny.laws(gamma)[seed]
        for tau in LEVELS:
            problem = random_stock(seed, gamma, objective=OCVaR(tau))
            answer = static_ocvar_finite(problem)
            best = best_mixture(laws.support, laws.masses, tau)
            # Two linear programs of HiGHS, each exact to its tolerance on masses.
            assert answer.value[0] == pytest.approx(best.value, rel=0, abs=1e-9)
            assert answer.certificate.gap < 1e-9
            assert answer.extras["weights"].sum() == pytest.approx(1, rel=0, abs=1e-15)  # divided by their sum
            gaps.append(answer.value[0] - brute_force(problem, laws=laws).value)
    assert min(gaps) > -1e-9
    assert np.count_nonzero(np.array(gaps) > 1e-9) == {1.0: 16, 0.7: 14}[gamma]
    if gamma == 1:
        assert max(gaps) == pytest.approx(0.452, rel=0, abs=5e-4)  # three digits


def test_levels_at_the_ends():
    """1.D-12: level 1 is the mean, and CVaR below the least mass of an atom the essential infimum."""
    for seed in range(10):
        problem, laws = random_stock(seed, 0.7), tiny.laws(0.7)[seed]
        mean = brute_force(problem, laws=laws).value
        for objective in (CVaR(1.0), OCVaR(1.0)):
            solver = static_cvar_finite if type(objective) is CVaR else static_ocvar_finite
            # A mean of at most eight atoms, summed in another order.
            assert solver(problem.replace(objective=objective)).value[0] == pytest.approx(mean, rel=0, abs=1e-12)
        least = laws.masses[laws.masses > 0].min()
        answer = static_cvar_finite(problem.replace(objective=CVaR(least)))
        assert answer.value[0] == pytest.approx(tiny.best("ess_inf", 0.7)[seed, 2], rel=0, abs=1e-12)  # as above


@pytest.mark.parametrize("tau", [0.3, 0.7])
def test_the_referee_agrees(tau):
    for seed in (0, 1, 2):
        for gamma in (1.0, 0.7):
            for objective, solver in ((CVaR(tau), static_cvar_finite), (OCVaR(tau), static_ocvar_finite)):
                problem = random_stock(seed, gamma, objective=objective)
                answer = solver(problem)
                report = check(problem, answer)
                assert report, report.reason
                assert report.gap <= answer.certificate.gap


def test_the_exact_referee_agrees_on_dyadic_data():
    rng = np.random.default_rng([4, 3])
    P = rng.multinomial(4, np.full(2, 1 / 2), size=(2, 2)) / 4
    R = rng.integers(-4, 5, size=(2, 2, 2)) / 4
    mdp = MDP(P, R, 0.5, horizon=3)
    for objective, solver in ((CVaR(0.25), static_cvar_finite), (OCVaR(0.25), static_ocvar_finite)):
        problem = StockMDP(mdp, objective, start=[0.5, 0.5])
        answer = solver(problem)
        report = check(problem, answer, level="exact")
        assert report, report.reason


def test_a_start_distribution_is_part_of_the_law():
    start = np.array([0.3, 0.7])
    for seed in range(2):
        problem = random_stock(seed, 0.7).replace(start=start)
        laws = history_laws(problem)
        for objective, solver in ((CVaR(0.4), static_cvar_finite), (OCVaR(0.4), static_ocvar_finite)):
            asked = problem.replace(objective=objective)
            value, best = solver(asked).value[0], brute_force(asked, laws=laws).value
            if solver is static_cvar_finite:
                assert value == pytest.approx(best, rel=0, abs=1e-9)  # the tolerance
            else:
                assert value >= best - 1e-9


def test_the_policy_needs_randomisation():
    """E2: the value 10/7 at c0 = -4/7, against 1.2 of the better deterministic policy."""
    answer = static_ocvar_finite(ocvar_randomisation())
    # Closed forms; the linear program's vertex is a ratio of two of its numbers.
    np.testing.assert_allclose(answer.value, [10 / 7], rtol=0, atol=1e-12)
    assert answer.extras["c0"] == pytest.approx(-4 / 7, rel=0, abs=1e-12)  # as above
    assert sorted(answer.extras["weights"]) == pytest.approx([2 / 7, 5 / 7], rel=0, abs=1e-12)  # as above
    assert answer.extras["deterministic"] == pytest.approx(1.2, rel=0, abs=1e-12)  # as above
    assert ocvar(answer.extras["law"], 0.5) == answer.value[0]


@pytest.mark.parametrize("tau", [0.05, 0.2, 0.5])
def test_a_loss_of_utility_costs_its_quotient_by_the_level(tau):
    """E1: always action 1 loses p in utility and p / tau in CVaR, more than four times it below tau = 1/4."""
    problem = cvar_suboptimal_pair(tau, tau)
    assert static_cvar_finite(problem).value[0] == 0
    utility = problem.replace(objective=functional("negative_part"))
    best = stock_backward_induction(utility, 0.0).value[0, 0]
    loss = best - brute_force(_always(utility, 1), 0.0).value
    gap = 0.0 - brute_force(_always(problem, 1)).value
    assert gap == pytest.approx(loss / tau, rel=1e-12)  # a quotient of two numbers
    assert (gap > 4 * loss + 1e-9) == (tau < 0.25)


def _always(problem, action):
    actions = np.zeros((problem.S, problem.A), dtype=bool)
    actions[:, action] = True
    keep = actions.ravel()[problem.outcomes.row_of()]
    out = problem.outcomes
    sizes = np.where(actions.ravel(), np.diff(out.indptr), 0)
    rows = type(out)(
        np.append(0, np.cumsum(sizes)), out.next_state[keep], out.reward[keep], out.prob[keep], out.S, out.A
    )
    P, r = problem.mdp.P.copy(), problem.mdp.r.copy()
    P[~actions], r[~actions] = 0, 0
    return problem.replace(mdp=problem.mdp.replace(P=P, r=r, actions=actions), outcomes=rows)


def test_the_true_optimum_where_a_decomposition_overestimates():
    """Section 3.E: -1, by either action in state 1; the decomposition's dynamic program says -2/3."""
    assert static_cvar_finite(chow_gap()).value[0] == -1


# Targets and what the published agent reached (its returns, two digits).
G3 = {7: 6.95, 5: 4.98, 3: 3.00, 1: 1.01, -2: -1.85, -4: -3.96, -6: -5.92, -8: -7.87}
# Least errors within 12 and 16 decisions, from an independent exhaustive recursion; four digits.
G3_ERRORS = {
    12: [0.0511, 0.0213, 0.0003, 0.0027, 0.0150, 0.0418, 0.0805, 0.1309],
    16: [0.0013, 0.0016, 0.0003, 0.0003, 0.0010, 0.0011, 0.0428, 0.1309],
}


@pytest.mark.parametrize("horizon", [12, 16])
def test_returns_on_request_beat_the_published_agent(horizon):
    problem = generate_returns_grid(horizon=horizon)
    targets = np.array(list(G3), dtype=float)
    values, _ = utility_pass(reachable_from(problem), problem.objective.utility, -targets)
    errors = -values[0][0]
    np.testing.assert_allclose(errors, G3_ERRORS[horizon], rtol=0, atol=6e-5)  # four digits
    if horizon == 16:
        agent = np.abs(np.array(list(G3.values())) - targets)
        # Half a unit of the last printed digit, where the agent is optimal too.
        assert (errors <= agent + 0.005).all()
        assert (errors < agent - 0.005).sum() >= 4


def test_powers_of_one_half_are_returns():
    """G4: staying in the corner from the third to the last step gives 2 (1/4 + ... + 2^-15) = 1 - 2^-14."""
    problem = halving_grid(horizon=16)
    targets = np.array([1, 0.5, 0.25, 0.125, 0.0625])
    values, _ = utility_pass(reachable_from(problem), problem.objective.utility, -targets)
    np.testing.assert_array_equal(values[0][0], [-(2.0**-14), 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("tau", "value", "c0"),
    [
        (0.1, GAMMA**2, -(GAMMA**2)),
        (0.501, GAMMA**2, -(GAMMA**2)),
        (0.502, 0.99597, -3 * GAMMA**2),
        (0.75, 1.65269, -3 * GAMMA**2),
        (0.99, 1.97496, -3 * GAMMA**2),
    ],
)
def test_risk_averse_grid(tau, value, c0):
    """G5: safe gamma^2, or 3 gamma^2 - 2 gamma B, which has CVaR (3 gamma^2 tau - gamma) / tau above tau = 1/2."""
    problem = risk_averse_grid(horizon=6).replace(objective=CVaR(tau))
    answer = static_cvar_finite(problem)
    assert answer.value[0] == pytest.approx(value, rel=0, abs=6e-6)  # five digits
    closed = max(GAMMA**2, (3 * GAMMA**2 * tau - GAMMA) / tau if tau > 0.5 else -np.inf)
    assert answer.value[0] == pytest.approx(closed, rel=0, abs=1e-12)  # sums of four rewards
    assert answer.extras["c0"] == pytest.approx(c0, rel=0, abs=1e-12)  # as above
    if tau in (0.501, 0.75):
        report = check(problem, answer)
        assert report, report.reason
    longer = static_cvar_finite(problem.replace(mdp=problem.mdp.replace(horizon=12)), certify=False)
    assert longer.status == "uncertified"
    assert longer.value[0] == pytest.approx(closed, rel=0, abs=1e-12)  # as above


@pytest.mark.parametrize(
    ("tau", "value"),
    [(0.1, 4.48651), (0.125, 4.48651), (0.25, 3.98951), (0.5, 3.48951), (0.75, 3.158), (0.9, 3.047), (0.99, 2.996)],
)
def test_risk_seeking_grid(tau, value):
    """G7: three coins give 1.5 (1 + gamma + gamma^2) with probability 1/8; the model has no cycle and no horizon."""
    problem = risk_seeking_grid().replace(objective=OCVaR(tau))
    answer = static_ocvar_finite(problem)
    assert answer.value[0] == pytest.approx(value, rel=0, abs=1.1e-3)  # three digits, the last one rounded up
    if tau <= 0.125:
        best = 1.5 * (1 + GAMMA + GAMMA**2)
        assert answer.value[0] == pytest.approx(best, rel=0, abs=1e-12)  # a sum of three rewards
        # One policy suffices where it does as well as any mixture.
        assert answer.extras["weights"].tolist() == [1.0]
    report = check(problem, answer)
    assert report, report.reason


# Target of the second return: steps, and the second return, by weight of the shortfall.
G9 = {
    50: {3: (10, 3.958), 2: (8, 1.985), 1: (7, 0.994), 0: (5, 0), -1: (5, 0), -2: (5, 0), -6: (3, -5.982)},
    500: {3: (10, 3.958), 2: (9, 2.973), 1: (8, 1.985), 0: (5, 0), -1: (5, 0), -2: (5, 0), -6: (3, -5.982)},
}


@pytest.mark.parametrize("weight", [50, 500])
def test_constraint_grid(weight):
    """G9: the fewest steps that reach the target, as far as the weight makes that worth while."""
    problem = constraint_grid(weight, horizon=10)
    targets = np.array(list(G9[weight]), dtype=float)
    order = np.argsort(-targets)
    answer = stock_backward_induction(problem, -targets[order])
    for k, target in enumerate(targets[order]):
        steps, second = G9[weight][int(target)]
        law = answer.extras["policy"].law(-target, problem.start_law).shift(target)
        assert law.x.size == 1
        if target != 3:
            assert law.x[0] == pytest.approx(second, rel=0, abs=6e-4)  # three digits
        else:
            # Ten steps reach 3 in more than one way.
            assert law.x[0] >= 3
        closed = -(1 - GAMMA**steps) / (1 - GAMMA) + weight * min(law.x[0] - target, 0.0)
        assert answer.extras["start_value"][k] == pytest.approx(closed, rel=0, abs=1e-11)  # 500 times a rounded sum
    # Rounding of utilities with slope up to 500.
    assert answer.certificate.gap < 1e-8


def test_running_reward_with_the_printed_sign_makes_episodes_long():
    """E3: with +1 a step, as printed, the longest episode is best."""
    problem = constraint_grid(50, horizon=8)
    printed = problem.replace(running=-problem.running)
    answer = stock_backward_induction(printed, 0.0)
    assert answer.extras["start_value"][0] == pytest.approx((1 - GAMMA**8) / (1 - GAMMA), rel=1e-12)  # eight terms


def test_what_cannot_be_done_is_refused():
    problem = random_stock(0, objective=CVaR(0.5))
    with pytest.raises(ValueError, match="not ocvar"):
        static_cvar_finite(problem.replace(objective=OCVaR(0.5)))
    with pytest.raises(ValueError, match="not cvar"):
        static_ocvar_finite(problem)
    with pytest.raises(ValueError, match="max_nodes=20"):
        static_cvar_finite(problem, max_nodes=20)
    with pytest.raises(ValueError, match="tie is"):
        static_cvar_finite(problem, tie="best")
    with pytest.raises(SolverFailure, match="tol"):
        static_ocvar_finite(ocvar_randomisation(), max_iters=1)


def test_a_start_where_nothing_is_decided():
    """Without a horizon, and every start terminal: the answer is the stock."""
    mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5, mu=[0.0, 1.0])
    for objective, solver in ((CVaR(0.5), static_cvar_finite), (OCVaR(0.5), static_ocvar_finite)):
        problem = StockMDP(mdp, objective)
        answer = solver(problem)
        assert answer.value.tolist() == [0.0]
        report = check(problem, answer)
        assert report, report.reason


def test_the_gap_of_ocvar_leaves_room_for_the_referee():
    """Many starts and few decisions: what is left is the rounding of masses."""
    for seed in range(40):
        rng = np.random.default_rng([44, seed])
        P = rng.dirichlet(np.full(4, 0.4), size=(4, 2))
        mdp = MDP(P, rng.choice([-0.5, 0.0, 0.7, 1.3], size=(4, 2, 4)), 0.3, horizon=1 + seed % 2)
        problem = StockMDP(mdp, OCVaR((0.05, 0.5, 1.0)[seed % 3]), start=rng.dirichlet(np.ones(4)))
        report = check(problem, static_ocvar_finite(problem))
        assert report, report.reason
