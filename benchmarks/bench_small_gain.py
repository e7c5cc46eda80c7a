"""Small-gain certificates beside their promise: 64 players, from the game to the exact verdict, in under a second.

    python benchmarks/bench_small_gain.py

Each line is one game: seconds for the constants and weights (propose), for the referee (check), and for the same
verdict with leading minors alone, without the proof by squares (pivots). Process time of one thread, the median of
five, warm.
"""

import os

if __name__ == "__main__":
    # Before NumPy loads its BLAS: a benchmark on a shared machine uses one thread.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = "1"

import time
from collections.abc import Callable

import numpy as np

from mdplab.algorithms.games.small_gain import small_gain
from mdplab.certify import definite
from mdplab.certify.small_gain import check_small_gain
from mdplab.instances.smooth_games import lq_game, orthogonal, random_quadratic, random_tanh
from mdplab.models import QuadraticGame, SmoothGame

LIMIT = 1.0


def cases() -> dict[str, QuadraticGame | SmoothGame]:
    """The games by name."""
    rng = np.random.default_rng([64])
    return {
        "64 players, scalar": random_quadratic((1,) * 64, rng=rng, gain=0.7),
        "64 players, 2 coordinates each": random_quadratic((2,) * 64, rng=rng, gain=0.7),
        "LQ, 2 players, d = 64": lq_game(1.0, orthogonal(32, rng=rng)),
        "tanh, 3 players, 64 cells": random_tanh((1, 2, 1), rng=rng, gain=0.7),
    }


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median process time."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def by_pivots_only(game: QuadraticGame | SmoothGame, certificate: object) -> float:
    """Seconds of the check with elimination alone."""
    squares = definite._squares_and_rest
    definite._squares_and_rest = lambda S: False
    try:
        return seconds(lambda: check_small_gain(game, certificate), repeats=1)
    finally:
        definite._squares_and_rest = squares


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a game goes to `out`, and all come back as rows."""
    rows = []
    out(f"{'game':32s} {'propose':>9s} {'check':>9s} {'pivots':>9s}  verdict")
    for name, game in cases().items():
        certificate, repeats = small_gain(game), 1 if quick else 5
        propose = seconds(lambda game=game: small_gain(game), repeats)
        check = seconds(lambda game=game, certificate=certificate: check_small_gain(game, certificate), repeats)
        pivots = by_pivots_only(game, certificate)
        verdict = check_small_gain(game, certificate).verdict
        rows.append({"case": name, "propose": propose, "check": check, "pivots": pivots, "verdict": verdict})
        late = "" if propose + check < LIMIT else f", over {LIMIT:g} s"
        out(f"{name:32s} {propose:9.4f} {check:9.4f} {pivots:9.4f}  {verdict}{late}")
    return rows


if __name__ == "__main__":
    run(quick=False)
