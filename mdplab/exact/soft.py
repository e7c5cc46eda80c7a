"""Entropy- and KL-regularised discounted problems, by soft value iteration and soft policy iteration.

With temperature `tau > 0` and a reference `mu_ref` `(S, A)`, zero exactly where an action is unavailable or excluded,

    (T v)(s)    = tau log sum_a mu_ref(a | s) exp(q(s, a) / tau),    q = r + gamma P v, rows as stored,
    (T_pi v)(s) = sum_a pi(a | s) (q(s, a) - tau log(pi(a | s) / mu_ref(a | s))),    0 log 0 = 0.

A KL penalty has `mu_ref` a distribution; the entropy bonus is the case `mu_ref = 1` on available actions (then `T_pi`
subtracts `tau log pi`). The variational formula gives `T v = max_pi T_pi v`.

Certificate, kind `"soft"`: `lo`, `hi` `(S,)`, `tau`, `mu_ref` `(S, A)`, with pi the solution's policy `(S, A)`, whose support lies
in that of `mu_ref` and whose rows sum to 1 within `4 A u` (`u = 2^-53`) and are read as normalised:

    lo <= T_pi lo,    T hi <= hi,    gamma max row sum < 1,

hence `lo <= V_tau^pi <= V_tau* <= hi`, as `T` and `T_pi` are monotone and contract. Margins are at least
`2 gamma_n (|r| + gamma P |v|)` with n the non-zeros of the row plus A plus 16, plus `16 gamma_n tau (1 + |log pi| + |log mu_ref|)`.

Source: Ziebart 2010; Neu, Jonsson and Gomez 2017; Geist, Scherrer and Pietquin 2019.
"""
