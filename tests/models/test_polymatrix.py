"""Polymatrix games: couplings against their definition, and refusals that name what is wrong."""

import numpy as np
import pytest

from mdplab.instances.smooth_games import random_polymatrix
from mdplab.models import PolymatrixGame

A = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("payoffs", "taus", "references", "message"),
    [
        ([[None, A], [A, None]], [1.0, 0.0], None, r"taus\[1\] is 0"),
        ([[None, A], [A, None]], [1.0], None, "payoffs is not 1 by 1"),
        (3, [1.0], None, "payoffs is 3; expected 1 by 1 matrices"),
        ([[A, A], [A, None]], [1.0, 1.0], None, r"payoffs\[0\]\[0\] is given"),
        ([[None, [[1.0, np.nan]]], [A, None]], [1.0, 1.0], None, r"payoffs\[0\]\[1\]\[0, 1\] is nan"),
        (
            [[None, A], [[[1.0, 2.0, 3.0]], None]],
            [1.0, 1.0],
            None,
            r"payoffs\[1\]\[0\] has shape \(1, 3\); player 1 has 2",
        ),
        ([[None, A], [A, None]], [1.0, 1.0], [None, [1.0, 0.0]], r"references\[1\]\[1\] is 0"),
        ([[None, A], [A, None]], [1.0, 1.0], [None, [0.5, 0.4]], r"references\[1\] sums to 0.9, not 1"),
        ([[None, None], [None, None]], [1.0, 1.0], [[1.0], None], r"nothing of player 1's actions"),
    ],
)
def test_refusals(payoffs, taus, references, message):
    with pytest.raises(ValueError, match=message):
        PolymatrixGame(payoffs, taus, references)


def test_couplings_bound_the_bilinear_form_and_are_attained():
    game = random_polymatrix((3, 4, 2), rng=np.random.default_rng([7, 3]))
    rng, L = np.random.default_rng([7, 4]), game.couplings()
    for i in range(3):
        for j in range(3):
            if i == j:
                assert L[i, j] == 0
                continue
            M = game.payoffs[i][j]
            e, d = rng.standard_normal((200, M.shape[0])), rng.standard_normal((200, M.shape[1]))
            e, d = e - e.mean(axis=1, keepdims=True), d - d.mean(axis=1, keepdims=True)
            form = np.abs(np.einsum("ki,ij,kj->k", e, M, d)) / np.abs(e).sum(axis=1) / np.abs(d).sum(axis=1)
            assert form.max() <= L[i, j]
            pairs = [
                abs(M[a, c] - M[b, c] - M[a, f] + M[b, f]) / 4
                for a in range(M.shape[0]) for b in range(a)
                for c in range(M.shape[1]) for f in range(c)
            ]  # fmt: skip
            assert max(pairs) == pytest.approx(L[i, j], rel=1e-14)  # order of three subtractions


def test_the_payoff_matrix_has_the_blocks():
    game = PolymatrixGame([[None, A, None], [A, None, A], [None, A, None]], [1.0, 1.0, 1.0])
    M = game.payoff_matrix()
    assert M[:2, 2:4].tolist() == A and not M[:2, 4:].any()
    assert game.sizes == (2, 2, 2) and [part.size for part in game.split(np.zeros(6))] == [2, 2, 2]
