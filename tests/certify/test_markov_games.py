import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.certify.markov_games import check_markov_game
from mdplab.exact import markov_exploitability, strategy_iteration
from mdplab.instances.markov_games import random_markov_game, van_der_wal_game
from mdplab.models import MDP, Certificate, MarkovGame, Solution

LEVELS = ("float", "exact")


def solved(key, *, tol=1e-8):
    rng = np.random.default_rng([74, key])
    S, A, B = (int(k) for k in rng.integers(2, 5, 3))
    game = random_markov_game(S, A, B, 0.9, rng=rng)
    return game, strategy_iteration(game, tol=tol), rng


def changed(answer, *, kind="markov-game", gap=None, drop=(), value=None, policy=None, **data):
    old = answer.certificate
    data = {name: array for name, array in {**old.data, **data}.items() if name not in drop}
    certificate = Certificate(kind, old.gap if gap is None else gap, data=data)
    replace = {k: v for k, v in (("value", value), ("policy", policy)) if v is not None}
    return dataclasses.replace(answer, certificate=certificate, **replace)


def raised(array, by, at=0):
    out = np.array(array)
    out[at] += by
    return out


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("key", range(6))
def test_corrupted_certificates_are_refused(key, level):
    """lo raised or hi lowered anywhere by ten gaps breaks an inequality there, or the order of lo, value and hi."""
    game, answer, _ = solved(key)
    lo, hi, column = (answer.certificate.data[name] for name in ("lo", "hi", "column"))
    assert check(game, answer, level=level)
    for s in range(game.S):
        for wrong in ({"lo": raised(lo, 1e-6, s)}, {"hi": raised(hi, -1e-6, s)}):
            assert not check(game, changed(answer, **wrong), level=level)
            # With the other bound far off, which is true, and a value between them, the inequality has to refuse.
            bounds = {"lo": lo - 1e-3, "hi": hi + 1e-3}
            far = changed(answer, gap=1.0, **bounds)
            assert check(game, far, level=level)
            bounds |= wrong
            middle = 0.5 * (bounds["lo"] + bounds["hi"])
            report = check(game, changed(answer, gap=1.0, value=middle, **bounds), level=level)
            assert f"T_{'x' if 'lo' in wrong else 'y'}" in report.reason
    cases = {
        "kind is 'discounted'": changed(answer, kind="discounted"),
        "has no 'lo'": changed(answer, drop=("lo",)),
        "has no 'column'": changed(answer, drop=("column",)),
        "lo[0] is nan": changed(answer, lo=raised(lo, np.nan)),
        "hi[1] is inf": changed(answer, hi=raised(hi, np.inf, 1)),
        "lo has shape": changed(answer, lo=lo[:-1]),
        "column has shape": changed(answer, column=column[:, :-1]),
        "policy has shape": changed(answer, policy=answer.policy[:-1]),
        "value[0] is nan": changed(answer, value=raised(answer.value, np.nan)),
        "value < lo": changed(answer, value=lo - 1e-9),
        "value > hi": changed(answer, value=hi + 1e-9),
        "column[0, 0] is negative": changed(answer, column=raised(column, -1.5, (0, 0))),
        "column[0] sums to": changed(answer, column=0.9 * column),
        "claimed gap": changed(answer, gap=0.999 * float((hi - lo).max())),
        "claimed gap nan": changed(answer, gap=np.nan),
        "claimed gap is 'small'": changed(answer, gap="small"),
    }
    for reason, wrong in cases.items():
        report = check(game, wrong, level=level)
        assert not report and reason in report.reason and report.gap == np.inf


@pytest.mark.parametrize("level", LEVELS)
def test_other_strategies_and_other_games_are_refused(level):
    """Strategies exchanged between states or players, or the game changed a little, do not prove these bounds."""
    for key in range(20, 26):
        game, answer, rng = solved(key, tol=1e-9)
        pure = np.eye(game.A)[rng.integers(0, game.A, game.S)]
        loss = markov_exploitability(game, pure, answer.extras["column"]).extras["lower"]
        if (loss < answer.certificate.data["lo"] - 1e-6).any():
            assert not check(game, changed(answer, policy=pure), level=level)
        for s in range(game.S):
            worse = np.array(game.R)
            worse[s] -= 1e-6
            assert "lo <= T_x lo against column" in check(game.replace(R=worse), answer, level=level).reason
            better = np.array(game.R)
            better[s] += 1e-6
            assert "T_y hi <= hi against row" in check(game.replace(R=better), answer, level=level).reason
    # Rock, paper, scissors with a bonus: both strategies are mixed and different, so that exchanging them is an error.
    R = np.array([[[2.0, -1.0], [-1.5, 1.0]]])
    game = MarkovGame(R, np.ones((1, 2, 2, 1)), 0.5)
    answer = strategy_iteration(game)
    swapped = changed(answer, policy=answer.extras["column"], column=answer.policy)
    assert check(game, answer, level=level) and not check(game, swapped, level=level)
    assert not check(game.transposed(), answer, level=level)


def test_the_claimed_gap_is_compared_to_the_last_bit():
    game, answer, _ = solved(40)
    lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
    exact = max(Fraction(h) - Fraction(low) for h, low in zip(hi.tolist(), lo.tolist()))
    least = float(exact)
    least = least if Fraction(least) >= exact else float(np.nextafter(least, np.inf))
    for level in LEVELS:
        assert check(game, changed(answer, gap=least), level=level)
        assert not check(game, changed(answer, gap=float(np.nextafter(least, 0.0))), level=level)


def test_the_exact_level_decides_what_rounding_hides():
    """Van der Wal's game with dyadic data: the value at pure strategies, 96/13, lies between two floats."""
    game = van_der_wal_game()
    game = game.replace(T=np.where(game.T == 1 / 3, 0.25, np.where(game.T == 2 / 3, 0.75, game.T)))
    # Now row 0 against column 1 is worth 6 + 3/16 v = v, v = 96/13; the saddle point stays (0, 1).
    v, x, y = 96 / 13, np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    down = float(np.nextafter(v, 0)) if Fraction(v) > Fraction(96, 13) else v
    up = float(np.nextafter(down, np.inf))
    assert Fraction(down) < Fraction(96, 13) < Fraction(up)

    def stated(low, high):
        data = {"lo": np.array([low, 0.0]), "hi": np.array([high, 0.0]), "column": y}
        return Solution(np.array([low, 0.0]), x, Certificate("markov-game", 1e-3, data=data), "by hand", 0, 0.0)

    assert check(game, stated(down, up), level="exact")
    assert not check(game, stated(up, up), level="exact")
    assert not check(game, stated(down, down), level="exact")
    assert "undecided in floats" in check(game, stated(down, up)).reason


def test_no_false_enclosure_is_accepted_in_floats():
    """What the float level accepts, rationals accept: bounds moved by a few ulps around the edge, 600 certificates."""
    accepted = refused = 0
    for key in range(60):
        rng = np.random.default_rng([74, 50, key])
        game = random_markov_game(3, 2, 2, float(rng.choice([0.5, 0.99])), rng=rng)
        game = game.replace(R=game.R * 10 ** rng.uniform(-8, 8))
        x, y = rng.dirichlet(np.ones(2), size=3), rng.dirichlet(np.ones(2), size=3)
        answer = markov_exploitability(game, x, y)
        lower, upper = answer.extras["lower"], answer.extras["upper"]
        size = max(np.abs(lower).max(), np.abs(upper).max())
        for _ in range(10):
            # One bound at the edge of what is true, on either side of it; the other safe.
            near, safe = size * 10 ** rng.uniform(-17, -11) * rng.choice([-1, 1]), 1e-9 * size
            down, up = (near, safe) if rng.random() < 0.5 else (safe, near)
            lo, hi = lower - down, upper + up
            moved = changed(answer, lo=lo, hi=hi, value=0.5 * (lo + hi), gap=2 * float((hi - lo).max()))
            if check(game, moved):
                accepted += 1
                assert check(game, moved, level="exact")
            else:
                refused += 1
    assert accepted > 50 and refused > 50


def test_row_sums_that_defeat_the_discount_are_refused():
    """gamma just below 1 and rows that sum to 1 + 5e-9: the operator is no contraction, the bounds prove nothing."""
    game = MarkovGame(np.zeros((1, 1, 1)), np.full((1, 1, 1, 1), 1 + 5e-9), 1 - 1e-9)
    data = {"lo": np.zeros(1), "hi": np.zeros(1), "column": np.ones((1, 1))}
    answer = Solution(np.zeros(1), np.ones((1, 1)), Certificate("markov-game", 0.0, data=data), "by hand", 0, 0.0)
    for level in LEVELS:
        assert "gamma * rowsum < 1" in check(game, answer, level=level).reason


def test_the_referee_knows_its_problems():
    game, answer, _ = solved(60)
    with pytest.raises(ValueError, match="level is 'loose'"):
        check_markov_game(game, answer, level="loose")
    mdp = MDP(game.T[:, :, 0], game.R[:, :, 0], game.gamma)
    assert "unknown kind 'markov-game'" in check(mdp, answer).reason
    report = check(game, answer)
    assert report.kind == "markov-game" and "MarkovGame(S=" in report.speaks_about
    assert report.gap == pytest.approx(answer.certificate.gap, rel=1e-12)  # the answer's is rounded up once more
