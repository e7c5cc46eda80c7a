"""What the terminal and JSON say of a worst case, dense or sparse."""

import io

import numpy as np
from rich.console import Console

from mdplab.exact import solve
from mdplab.instances import garnet
from mdplab.models import L1Ball, RobustMDP
from mdplab.report.robust import print_worst_case, worst_case


def _printed(problem):
    stream = io.StringIO()
    print_worst_case(Console(file=stream, width=200), problem, solve(problem))
    return stream.getvalue()


def test_the_first_moved_rows_are_printed_alike_for_dense_and_sparse_models():
    mdp = garnet(12, 2, 3, gamma=0.9, rng=np.random.default_rng([1]))
    dense, sparse = (RobustMDP(x, L1Ball(0.4, support="nominal")) for x in (mdp.dense(), mdp.sparse()))
    text = _printed(dense)
    assert text == _printed(sparse)
    assert "mass on nominal successors only" in text and "... 4 more rows; --json writes all" in text
    lines = [line for line in text.splitlines() if line.startswith("  state")]
    assert len(lines) == 8
    # At most half of the radius leaves some successors of a row and arrives at one other.
    assert all(line.count("+") == 1 and "-" in line for line in lines)
    assert lines[0].split(": ", 1)[1].split(", ")[0].endswith("+0.2")


def test_an_empty_ball_moves_nothing():
    mdp = garnet(4, 2, 2, gamma=0.9, rng=np.random.default_rng([2]))
    assert "the nominal rows themselves" in _printed(RobustMDP(mdp, L1Ball(0.0)))


def test_json_rows_are_distributions_of_available_actions():
    mdp = garnet(5, 3, 2, gamma=0.9, rng=np.random.default_rng([3]))
    actions = np.ones((5, 3), dtype=bool)
    actions[2, 1] = False
    problem = RobustMDP(mdp.replace(actions=actions), L1Ball(0.1, rectangularity="s"))
    rows = worst_case(problem, solve(problem))
    assert len(rows) == 14 and not any((row["state"], row["action"]) == (2, 1) for row in rows)
    for row in rows:
        assert abs(row["probability"].sum() - 1) < 1e-12  # rounding of five terms
        assert len(row["next"]) == len(row["probability"])
