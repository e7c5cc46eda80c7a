"""Optimal action values of many followers at once, each on a grid of its own, against one policy of the leader."""

from mdplab.kernels._jit import kernel


@kernel
def mean_optimal_q(rewards, following, terminal, policy, gamma, cost, tol, max_sweeps, value, out_q):
    """Sweeps used by the slowest; out_q (S, A + 1) is the mean over followers of Q*, its last action "do nothing".

    rewards (K, S) of the cell entered, following (S, A) cells, terminal (S,), policy (S, A) of the leader, value (S,)
    scratch. Action b < A overrides the leader's move at a cost; action A lets policy move. Values are found by
    Gauss-Seidel sweeps in alternating order, because rewards travel along rows of the grid in either direction.
    """
    K, S = rewards.shape
    A = following.shape[1]
    slowest = 0
    for s in range(S):
        for b in range(A + 1):
            out_q[s, b] = 0.0
    for k in range(K):
        for s in range(S):
            value[s] = 0.0
        change = 2.0 * tol + 1.0
        sweep = 0
        while sweep < max_sweeps and change > tol:
            change = 0.0
            for index in range(S):
                s = index if sweep % 2 == 0 else S - 1 - index
                if terminal[s]:
                    continue
                best = -1e300
                mean = 0.0
                for a in range(A):
                    t = following[s, a]
                    ahead = rewards[k, t] + gamma * value[t]
                    mean += policy[s, a] * ahead
                    best = max(best, ahead)
                best = max(best - cost, mean)
                change = max(change, abs(best - value[s]))
                value[s] = best
            sweep += 1
        slowest = max(slowest, sweep)
        for s in range(S):
            if terminal[s]:
                continue
            mean = 0.0
            for a in range(A):
                t = following[s, a]
                ahead = rewards[k, t] + gamma * value[t]
                mean += policy[s, a] * ahead
                out_q[s, a] += (ahead - cost) / K
            out_q[s, A] += mean / K
    return slowest
