"""The search spends its budget as it says, keeps the worst point, and climbs more than once."""

import numpy as np
import pytest

from mdplab.claims.search import APART, _apart, search_worst


def bumps(z):
    """A low broad bump and a high narrow one."""
    return 1 + np.exp(-10 * ((z - 0.2) ** 2).sum()) + 3 * np.exp(-60 * ((z - 0.8) ** 2).sum())


def test_budget_shares_trace_and_best_point():
    known = [np.full(3, 0.5)] * 150
    found = search_worst(bumps, 3, evaluations=500, rng=np.random.default_rng([80]), structured=known)
    counts = np.bincount(found.stages)
    assert counts[:2].tolist() == [100, 100]
    assert counts[2:].sum() == 300
    assert (counts[2:] > 0).sum() >= 3
    assert np.all(np.diff(found.trace) >= 0)
    assert found.trace[-1] == found.ratio == bumps(found.point)
    assert not found.point.flags.writeable
    assert not found.trace.flags.writeable


def test_restarts_leave_a_local_maximum():
    found = [search_worst(bumps, 3, evaluations=1000, rng=np.random.default_rng([81, key])) for key in range(8)]
    assert min(one.ratio for one in found) > 3.9
    lone = sum(one.trace[one.stages == 2][-1] > 3.9 for one in found)
    assert lone < 8, "a single climb would not have been enough"


def test_climbs_do_not_start_on_one_hill():
    points = np.random.default_rng([85]).random((200, 3))
    explored = sorted(((bumps(z), z) for z in points), key=lambda pair: -pair[0])
    starts = [z for _, z in _apart(explored, 3)]
    assert starts[0] is explored[0][1]
    distances = [np.sqrt(((a - b) ** 2).mean()) for i, a in enumerate(starts) for b in starts[:i]]
    assert len(distances) == 3
    assert min(distances) >= APART


def test_a_structured_point_is_used():
    needle = np.full(12, 0.987654321)

    def ratio(z):
        return 5.0 if np.array_equal(z, needle) else 0.0

    found = search_worst(ratio, 12, evaluations=60, rng=np.random.default_rng([82]), structured=[needle])
    assert found.ratio == 5.0
    np.testing.assert_array_equal(found.point, needle)


def test_the_same_key_finds_the_same_point():
    one, two = (search_worst(bumps, 4, evaluations=200, rng=np.random.default_rng([83])) for _ in range(2))
    np.testing.assert_array_equal(one.point, two.point)
    np.testing.assert_array_equal(one.trace, two.trace)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(dimension=0), "dimension is 0"),
        (dict(evaluations=19), "evaluations is 19"),
        (dict(restarts=2), "restarts is 2"),
        (dict(structured=[np.zeros(3), np.zeros(2)]), r"structured\[1\] has shape \(2,\)"),
        (dict(structured=[np.full(3, 1.5)]), r"structured\[0\]"),
        (dict(ratio=lambda z: np.nan), "ratio is nan at evaluation 0"),
        (dict(ratio=lambda z: -1.0), "ratio is -1.0 at evaluation 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    call = dict(ratio=bumps, dimension=3, evaluations=50) | arguments
    with pytest.raises(ValueError, match=message):
        search_worst(call.pop("ratio"), call.pop("dimension"), rng=np.random.default_rng([84]), **call)
