import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import markov_exploitability, shapley_value_iteration, solve, strategy_iteration
from mdplab.exact.games import nash_equilibrium
from mdplab.exact.markov_games import shapley_operator
from mdplab.exact.matrix_games import solve_matrix_games
from mdplab.instances.games import p3
from mdplab.instances.markov_games import half_turn, random_markov_game, soccer, van_der_wal_game
from mdplab.models import MDP, MarkovGame, MatrixGame, SolverFailure

# Linear programs solved to HiGHS's 1e-10, with payoffs of order 1.
LP = 1e-9


def games(key, count, *, discounts=(0.0, 0.5, 0.9)):
    for i in range(count):
        rng = np.random.default_rng([73, key, i])
        S, A, B = (int(k) for k in rng.integers(1, 6, 3))
        yield random_markov_game(S, A, B, discounts[i % len(discounts)], rng=rng), rng


def mixed(rng, rows, columns):
    return rng.dirichlet(np.ones(columns), size=rows)


def test_matrix_games_in_one_program_agree_with_one_at_a_time():
    rng = np.random.default_rng([73, 1])
    Q = rng.standard_normal((30, 4, 3)) * 10 ** rng.uniform(-6, 6, (30, 1, 1))
    Q[:5] = rng.integers(-1, 2, (5, 4, 3))
    value, x, y = solve_matrix_games(Q)
    for k in range(30):
        alone = nash_equilibrium(MatrixGame(Q[k]), tol=1e-7 * np.abs(Q[k]).max())
        scale = float(np.abs(Q[k]).max())
        assert value[k] == pytest.approx(alone.value[0], abs=1e-7 * scale)  # HiGHS's default tolerance in the latter
        # What the strategies guarantee and concede meets at the value.
        assert (Q[k] @ y[k]).max() - (x[k] @ Q[k]).min() <= LP * scale


def test_shapley_operator_contracts_and_is_monotone():
    """|Sv - Sw| <= gamma |v - w|, and equality for w = v + constant."""
    for game, rng in games(2, 20):
        v, w = rng.standard_normal((2, game.S)) * 5
        Sv, Sw = shapley_operator(game, v)[0], shapley_operator(game, w)[0]
        assert np.abs(Sv - Sw).max() <= game.gamma * np.abs(v - w).max() + LP
        np.testing.assert_allclose(shapley_operator(game, v + 1)[0], Sv + game.gamma, atol=10 * LP)  # payoffs up to 10
        assert (shapley_operator(game, np.maximum(v, w))[0] >= np.maximum(Sv, Sw) - LP).all()


def test_sweeps_contract_and_the_stopping_bound_holds():
    """At every sweep |V_k+1 - V*| <= gamma / (1 - gamma) |V_k+1 - V_k|, and greedy strategies lose 4 gamma eps / ..."""
    for game, _ in games(3, 9, discounts=(0.5, 0.8, 0.9)):
        star = strategy_iteration(game, tol=1e-8).value
        v, before = np.zeros(game.S), np.inf
        for _ in range(12):
            after, x, y = shapley_operator(game, v)
            change = np.abs(after - v).max()
            assert change <= game.gamma * before + LP
            # The last term: the tolerance of star.
            assert np.abs(after - star).max() <= game.gamma / (1 - game.gamma) * change + 2e-8
            eps = np.abs(v - star).max()
            exploited = markov_exploitability(game, x, y)
            gap = (exploited.extras["upper"] - exploited.extras["lower"]).max()
            assert gap <= 4 * game.gamma * eps / (1 - game.gamma) + 1e-7  # again star's tolerance, times 4 / 0.1
            v, before = after, change


def test_both_iterations_certify_the_same_value():
    for game, _ in games(4, 25):
        one, two = strategy_iteration(game, tol=1e-8), shapley_value_iteration(game, tol=1e-8)
        np.testing.assert_allclose(one.value, two.value, atol=2e-8)  # both tolerances
        for answer in (one, two):
            assert answer.certificate.gap <= 1e-8
            assert check(game, answer) and check(game, answer, level="exact")
        assert one.num_iters <= two.num_iters + 2


def test_exploitability_is_certified_and_vanishes_only_at_the_value():
    for game, rng in games(5, 20):
        star = strategy_iteration(game, tol=1e-9)
        found = markov_exploitability(game, star.policy, star.extras["column"])
        assert found.certificate.gap <= 1e-9 and check(game, found)
        x, y = mixed(rng, game.S, game.A), mixed(rng, game.S, game.B)
        found = markov_exploitability(game, x, y)
        assert check(game, found) and check(game, found, level="exact")
        lower, upper = found.extras["lower"], found.extras["upper"]
        assert (lower <= star.value + 1e-9).all() and (star.value - 1e-9 <= upper).all()  # star's tolerance
        assert found.certificate.gap >= (upper - lower).max()
        # The enclosure adds rounding only.
        assert found.certificate.gap == pytest.approx(float((upper - lower).max()), abs=1e-10)


def test_best_replies_beat_every_pure_reply():
    """Against enumeration of all stationary pure replies of a small game."""
    game = random_markov_game(3, 2, 2, 0.8, rng=np.random.default_rng([73, 6]))
    rng = np.random.default_rng([73, 7])
    x, y = mixed(rng, 3, 2), mixed(rng, 3, 2)
    found = markov_exploitability(game, x, y)

    def value(x, y):
        P, r = np.einsum("sa,sb,sabt->st", x, y, game.T), np.einsum("sa,sb,sab->s", x, y, game.R)
        return np.linalg.solve(np.eye(3) - 0.8 * P, r)

    pure = [np.eye(2)[[i & 1, i >> 1 & 1, i >> 2]] for i in range(8)]
    # Conditioning of I - 0.8 P: a few digits of rounding.
    np.testing.assert_allclose(found.extras["upper"], np.max([value(p, y) for p in pure], axis=0), atol=1e-12)
    np.testing.assert_allclose(found.extras["lower"], np.min([value(x, p) for p in pure], axis=0), atol=1e-12)


def test_without_a_future_every_state_is_a_matrix_game():
    game, _ = next(games(8, 1, discounts=(0.0,)))
    answer = solve(game)
    for s in range(game.S):
        alone = nash_equilibrium(MatrixGame(game.R[s]))
        assert answer.value[s] == pytest.approx(alone.value[0], abs=1e-6)  # solve's default tolerance


def test_one_state_of_skew_rewards_is_the_preference_game():
    """The value is 0 and the strategy that of the linear program for P3, (.3, .3, .4)."""
    game = MarkovGame(p3().K[None], np.ones((1, 3, 3, 1)), 0.9)
    answer = solve(game, tol=1e-8)
    np.testing.assert_allclose(answer.value, [0.0], atol=1e-8)  # the certified gap
    np.testing.assert_allclose(answer.policy, [[0.3, 0.3, 0.4]], atol=1e-7)  # LP vertex with entries above 0.1
    np.testing.assert_allclose(answer.extras["column"], answer.policy, atol=1e-7)  # symmetric game, unique equilibrium


@pytest.mark.parametrize("player", [0, 1])
def test_a_player_without_a_choice_leaves_an_mdp(player):
    rng = np.random.default_rng([73, 9, player])
    mdp = MDP(rng.dirichlet(np.ones(6), size=(6, 3)), rng.standard_normal((6, 3)), 0.9)
    game = MarkovGame(mdp.r[:, :, None], mdp.P[:, :, None], 0.9)
    sign = 1.0
    if player == 1:
        game, sign = game.transposed(), -1.0
    reference = solve(mdp, tol=1e-9, method="value_iteration")
    for method in ("strategy_iteration", "shapley_value_iteration"):
        answer = solve(game, tol=1e-9, method=method)
        np.testing.assert_allclose(sign * answer.value, reference.value, atol=2e-9)  # both tolerances
        strategy = answer.policy if player == 0 else answer.extras["column"]
        assert np.array_equal(strategy.argmax(axis=1), reference.policy)


def test_exchanging_the_players_negates_the_value():
    for game, _ in games(10, 6):
        one, two = solve(game, tol=1e-8), solve(game.transposed(), tol=1e-8)
        np.testing.assert_allclose(one.value, -two.value, atol=2e-8)  # both tolerances


def test_the_safeguard_stops_van_der_wals_cycle():
    """Newton alone alternates 12, 4 in state 0; the value is 8."""
    game = van_der_wal_game()
    v, seen = np.zeros(2), []
    for _ in range(4):
        _, x, y = shapley_operator(game, v)
        P, r = np.einsum("sa,sb,sabt->st", x, y, game.T), np.einsum("sa,sb,sab->s", x, y, game.R)
        v = np.linalg.solve(np.eye(2) - 0.75 * P, r)
        seen.append(round(float(v[0]), 9))
    assert seen == [12.0, 4.0, 12.0, 4.0]
    answer = strategy_iteration(game, tol=1e-9)
    np.testing.assert_allclose(answer.value, [8.0, 0.0], atol=1e-9)  # the tolerance
    assert check(game, answer, level="exact")


def test_soccer_is_fair():
    """The value of a state is minus that of its image under a half-turn; so the kick-off, drawn by lot, is worth 0."""
    game = soccer(2, 4)
    answer = solve(game, tol=1e-8)
    states, _ = half_turn(2, 4)
    np.testing.assert_allclose(answer.value, -answer.value[states], atol=2e-8)  # the certified gap, twice
    assert float(game.mu @ answer.value) == pytest.approx(0.0, abs=2e-8)  # likewise
    with_ball, without = answer.value[np.flatnonzero(game.mu)]
    assert with_ball > 0.1 > -0.1 > without
    assert check(game, answer)


def test_solve_says_what_it_chose():
    game = van_der_wal_game()
    assert solve(game).method == "strategy_iteration" and solve(game).reason.startswith("strategy_iteration: ")
    chosen = solve(game, method="shapley_value_iteration")
    assert (chosen.method, chosen.reason) == ("shapley_value_iteration", "")
    with pytest.raises(ValueError, match="a MarkovGame is solved by strategy_iteration or shapley_value_iteration"):
        solve(game, method="policy_iteration")
    with pytest.raises(ValueError, match="criterion 'average'"):
        solve(game, criterion="average")


def test_bad_arguments_and_failures_are_loud():
    game = van_der_wal_game()
    with pytest.raises(ValueError, match=r"x has shape \(2, 3\), expected \(2, 2\)"):
        markov_exploitability(game, np.full((2, 3), 1 / 3), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"y\[1\] sums to 0\.9, not 1"):
        markov_exploitability(game, np.full((2, 2), 0.5), [[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(ValueError, match=r"y\[0, 1\] is -0\.5"):
        markov_exploitability(game, np.full((2, 2), 0.5), [[1.5, -0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"v0 has shape \(3,\)"):
        strategy_iteration(game, v0=np.zeros(3))
    with pytest.raises(ValueError, match="takes MarkovGame"):
        strategy_iteration(p3())
    with pytest.raises(SolverFailure, match=r"certified gap of .* after 3 backups"):
        shapley_value_iteration(game, max_iters=3)
    with pytest.raises(SolverFailure, match="certified gap of"):
        strategy_iteration(game, tol=1e-17)
