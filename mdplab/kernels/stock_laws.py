"""Sweeps over states times stocks times atoms: laws of the return on a grid of stocks, as masses on fixed returns."""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def law_sweep(
    indptr, following, prob, kind, rewards, actions, terminal, grid, near, gamma, at_zero, left, right, z, improve, eta,
    pi, out_eta, out_value,
):  # fmt: skip
    """out_eta = projected T eta for the actions pi, which are first made greedy if `improve`; returns the mass lost.

    grid (K,) stocks; near (rewards, K) the stock nearest to (grid + reward) / gamma; f has the value at_zero at 0 and
    slopes left and right; z (M,) increasing evenly; eta, out_eta (S, K, M) masses, pi (S, K), out_value (S, K) the
    utility of stock plus return before projection. Mass outside z goes to its ends and is counted.
    """
    S, K, M = eta.shape
    A = actions.shape[1]
    step, lost = z[1] - z[0], 0.0
    for s in range(S):
        if terminal[s]:
            continue
        for k in range(K):
            best = -np.inf
            for a in range(A):
                if not actions[s, a] or (not improve and a != pi[s, k]):
                    continue
                # Atoms as they are: projecting them first would let the projection's error choose.
                total = 0.0
                for o in range(indptr[s * A + a], indptr[s * A + a + 1]):
                    r, t = rewards[kind[o]], following[o]
                    if terminal[t]:
                        c = grid[k] + r
                        total += prob[o] * (right * c if c > 0 else left * c)
                        continue
                    law = eta[t, near[kind[o], k]]
                    for m in range(M):
                        c = grid[k] + r + gamma * z[m]
                        total += prob[o] * law[m] * (right * c if c > 0 else left * c)
                if total > best + 1e-12 * (1 + abs(total)):
                    best = total
                    if improve:
                        pi[s, k] = a
            out_value[s, k] = best + at_zero
            law = out_eta[s, k]
            law[:] = 0.0
            row = s * A + pi[s, k]
            for o in range(indptr[row], indptr[row + 1]):
                r, t = rewards[kind[o]], following[o]
                ends = terminal[t]
                before = eta[t, near[kind[o], k]]
                for m in range(1 if ends else M):
                    mass = prob[o] * (1.0 if ends else before[m])
                    x = r if ends else r + gamma * z[m]
                    place = (x - z[0]) / step
                    # Rounding of the outermost returns is no loss.
                    if place < -1e-9 or place > M - 1 + 1e-9:
                        lost = max(lost, mass)
                    place = min(max(place, 0.0), M - 1.0)
                    i = min(int(place), M - 2)
                    law[i] += mass * (i + 1 - place)
                    law[i + 1] += mass * (place - i)
    return lost
