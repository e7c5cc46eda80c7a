"""Bounds of the optimal gain where it differs between states; `mdplab.exact.average` says what they prove and how.

Within an end component the upper gain is one number, the best of staying. Between components gains are a total reward
that is collected on stopping, so that every row which may leave gets its slack from the number of moves between
components.
"""

import numpy as np

from mdplab.exact.components import end_components
from mdplab.exact.probabilities import Rows
from mdplab.exact.quotient import Quotient, quotient, total_reward, transient_solve
from mdplab.models import SolverFailure

_ROUNDS = 60


def nested_bounds(rows: Rows, policy: np.ndarray, bias: np.ndarray, label: np.ndarray) -> dict[str, object]:
    """Data of a certificate of kind `"average"`, form `"multichain"`.

    Parameters
    ----------
    policy, bias, label : arrays (S,)
        A policy, its bias, and its recurrent classes, -1 where transient.

    Raises
    ------
    SolverFailure
        Rounding keeps some inequality from being proved.
    """
    gain_hi, bias_hi = _upper(rows, bias)
    gain_lo, bias_lo = _lower(rows, policy, bias, label)
    bounds = {"gain_lo": gain_lo, "gain_hi": gain_hi, "bias_lo": bias_lo, "bias_hi": bias_hi}
    return {"form": "multichain", "bias": bias, **bounds}


def _upper(rows: Rows, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`gain_hi` and `bias_hi` (S,) with U1 and U2."""
    S = len(bias)
    label, inside = end_components(rows.P, rows.owner, rows.alive)
    count = int(label.max()) + 1
    none = np.zeros(S, dtype=bool)
    q = quotient(rows.P, rows.owner, rows.alive & ~inside, label, none, np.zeros(count))
    moves = total_reward(q, np.ones(len(q.origin)))[0][q.state]
    leaving = rows.alive & ~inside
    scale = max(np.abs(rows.r).max(), 1.0)
    lack = -rows.excess(bias, rows.r)
    # One move then costs more than any leaving row lacks, whatever the gain.
    shift = scale + max(0.0, float((lack[leaving] + scale).max(initial=0.0)))
    bias_hi = bias + shift * moves
    needed = -rows.excess(bias_hi, rows.r) + 2 * rows.allowance(bias_hi, rows.r)
    best = np.full(count, -np.inf)
    np.maximum.at(best, label[rows.owner[inside]], needed[inside])
    gain_hi = _descending(rows, q, best, leaving)
    if not np.all(gain_hi[rows.owner[leaving]] >= needed[leaving]):
        raise SolverFailure(f"up to {moves.max():.3g} expected moves between end components are too many for floats")
    return gain_hi, bias_hi


def _descending(rows: Rows, q: Quotient, best: np.ndarray, leaving: np.ndarray) -> np.ndarray:
    """The least gains (S,) above `best` of each component that satisfy U1, with margins where a row leaves."""
    stop = q.stop.copy()
    stop[: len(best)] = best
    stopping = Quotient(q.M, q.owner, stop, q.ends, q.origin, q.state)
    eps, choice = 0.0, None
    for _ in range(_ROUNDS):
        value, choice, _ = total_reward(stopping, np.full(len(q.origin), eps), start=choice)
        gain = value[q.state]
        lack = (rows.allowance(gain, 0.0) - rows.excess(gain, 0.0))[leaving].max(initial=0.0)
        if lack <= 0:
            return gain
        eps = 2 * eps + lack
    raise SolverFailure(f"a raise of {eps:.3g} a step does not bound the gain above")


def _lower(rows: Rows, policy: np.ndarray, bias: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`gain_lo` and `bias_lo` (S,) with L1 and L2."""
    chosen = rows.of_policy(policy)
    stays, moves = np.flatnonzero(label >= 0), np.flatnonzero(label < 0)
    got = -rows.excess(bias, rows.r) - 2 * rows.allowance(bias, rows.r)
    worst = np.full(int(label.max()) + 1, np.inf)
    np.minimum.at(worst, label[stays], got[chosen[stays]])
    gain = np.zeros(len(policy))
    gain[stays] = worst[label[stays]]
    if len(moves) == 0:
        return gain, bias
    P = rows.P[chosen[moves]]
    Q = P[:, moves]
    steps = np.zeros(len(policy))
    # Twice the expected steps leave a slack of 1 for rounding.
    steps[moves] = transient_solve(Q, np.full(len(moves), 2.0))
    gain[moves] = transient_solve(Q, P @ gain)
    gain = _lowered(gain, steps, lambda x: (rows.excess(x, 0.0) + rows.allowance(x, 0.0))[chosen[moves]])
    r = rows.r - gain[rows.owner]
    room = rows.rounding * (np.abs(rows.r) + np.abs(gain[rows.owner]))
    return gain, _lowered(bias, steps, lambda x: (rows.excess(x, r) + rows.allowance(x, r) + room)[chosen[moves]])


def _lowered(x: np.ndarray, steps: np.ndarray, lack: object) -> np.ndarray:
    """`x` less the smallest multiple of `steps`, among doublings, at which nothing is lacking."""
    eps, out = 0.0, x
    for _ in range(_ROUNDS):
        short = lack(out).max()
        if short <= 0:
            return out
        eps = 2 * eps + short
        out = x - eps * steps
    raise SolverFailure(f"a policy that moves for up to {steps.max():.3g} steps cannot be bounded below in floats")
