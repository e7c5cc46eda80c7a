"""Nature's side of a robust Bellman equation: the worst row of each uncertainty set, for one row, many, or a state.

Every kernel is ragged: row k of a flat array occupies `indptr[k]:indptr[k + 1]`, and nature may move mass to any entry
of its row. A dense row, a sparse row and a row cut to the nominal support differ only in what the caller lays out. In
the s-rectangular kernels `state_ptr[s]:state_ptr[s + 1]` are the rows (actions) of state s, which share one budget.

Throughout, `z` is the objective nature minimises, `p` the nominal row and `out_p` the worst row.
"""
