"""Lemmas of performative reinforcement learning (Mandal, Triantafyllou, Radanovic 2023).

Repeated optimisation: d_{t+1} maximises <d, r_t> - lam/2 |d|^2 over the flow polytope of the kernel P_t, where (P_t,
r_t) answer the policy of d_t. Occupancies have mass 1 / (1 - gamma).
"""

from fractions import Fraction

import sympy

from proofs_check.checked import Checked

# Arguments that make each statement false: a factor smaller by half, a response too gentle to make the policies cycle,
# a step that is not 1 / lam, a sign, a term left out.
FALSIFIED = {
    "one_state_factor": {"factor": Fraction(1, 2)},
    "large_weight_is_not_enough": {"steepness": Fraction(1, 4)},
    "step_is_projection": {"share": Fraction(49, 50)},
    "one_state_gradient": {"pull": Fraction(1, 2)},
    "nonexpansive": {"sign": -1},
    "perturbation": {"forgotten": 0},
    "gap": {"factor": Fraction(1, 2)},
    "weight_limit": {"power": 0},
    "rounds": {"factor": 0},
    "dual_step": {"share": Fraction(2)},
}

_SOURCE = "Mandal, Triantafyllou, Radanovic 2023, arXiv:2207.00046"


def lemma_one_state_factor(factor: Fraction = Fraction(1), n: int = 3) -> Checked:
    """With one state and rewards r0 + eps W d, W = I, a step scales differences by exactly eps / lam.

    Where no occupancy is 0 the step is the projection of (r0 + eps d) / lam on the plane of mass M. So it contracts if
    eps < lam, and moves apart if eps > lam: the threshold lam > eps of reward-only environments is sharp.
    """
    eps, lam, mass = sympy.symbols("eps lam M", positive=True)
    r = sympy.Matrix(sympy.symbols(f"r0:{n}", real=True))
    start = []
    for name in "de":
        free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
        start.append(sympy.Matrix([*free, mass - sum(free)]))

    def step(d: sympy.Matrix) -> sympy.Matrix:
        target = (r + eps * d) / lam
        return target + (mass - sum(target)) / n * sympy.ones(n, 1)

    one, other = (step(d) for d in start)
    defect = one - other - sympy.Rational(factor) * eps / lam * (start[0] - start[1])
    kept = [sympy.expand(sum(d) - mass) for d in (one, other)]
    return Checked(
        "IDENTITY",
        f"d' - e' = (eps / lam)(d - e) for one state, {n} actions, rewards r0 + eps d, occupancies positive",
        _SOURCE + ", repeated optimisation; instance derived",
        "projection on the plane of constant mass; squared defects of the difference and of the mass",
        sympy.expand(sum(x**2 for x in (*defect, *kept))),
    )


def lemma_large_weight_is_not_enough(steepness: Fraction = Fraction(1, 2)) -> Checked:
    """However large lam is, repeated optimisation may cycle: two policies that answer each other, whatever lam is.

    Two states, two actions, gamma = 9/10, no rewards: for every lam > 0 the step is the occupancy of least norm,
    A^T (A A^T)^-1 rho where that is positive. P(first state | s, a) = b + u c; u = (pi - 3/10) / 2 cut off at -1/10 and
    1/10, pi the probability of the first action in the first state. u = 1/10 leads to a policy that is answered by u =
    -1/10, and the other way round. As d(s) >= 1/2, pi is 2-Lipschitz in the occupancy and the kernel 2
    sqrt(2)-Lipschitz, rewards 0-Lipschitz: a threshold for lam in terms of these constants alone cannot be enough (the
    published one, as recalled, is of this form).
    """
    gamma, rho = Fraction(9, 10), sympy.Matrix([Fraction(1, 2), Fraction(1, 2)])
    b = ((Fraction(1, 10), Fraction(1, 5)),) * 2
    c = ((-1, 1), (-1, -1))
    tenth = sympy.Rational(1, 10)

    def answer(pi: sympy.Rational) -> sympy.Rational:
        free = sympy.Rational(steepness) * (pi - sympy.Rational(3, 10))
        return max(min(free, tenth), -tenth)

    def step(u: sympy.Rational) -> sympy.Matrix:
        """Occupancy of least norm under the kernel that u makes: (0, 0), (0, 1), (1, 0), (1, 1)."""
        pairs = [(s, a) for s in range(2) for a in range(2)]
        flow = sympy.zeros(2, 4)
        for k, (s, a) in enumerate(pairs):
            first = b[s][a] + u * c[s][a]
            for t, move in enumerate((first, 1 - first)):
                flow[t, k] = int(s == t) - sympy.Rational(gamma) * move
        return flow.T * (flow * flow.T).LUsolve(rho)

    found = {u: step(u) for u in (tenth, -tenth)}
    policy = {u: d[0] / (d[0] + d[1]) for u, d in found.items()}
    positive = all(min(d) > 0 and sum(d) == 10 for d in found.values())
    cycles = all(answer(pi) == -u for u, pi in policy.items())
    gap = policy[-tenth] - policy[tenth]
    return Checked(
        "COUNTEREXAMPLE",
        "repeated optimisation without rewards has a 2-cycle that does not depend on lam: no lam makes it converge",
        _SOURCE + ", Theorem 1 as recalled, not as read; witness derived",
        f"probabilities of the first action in the first state: {[str(pi) for pi in policy.values()]}",
        gap if positive and cycles and Fraction(49, 100) < gap < Fraction(1, 2) else 0,
    )


def lemma_step_is_projection(share: Fraction = Fraction(1), n: int = 4) -> Checked:
    """<d, r> - lam |d|^2 / 2 = |r|^2 / (2 lam) - lam |d - r / lam|^2 / 2, and a gradient step 1 / lam aims at r / lam.

    So the regularised optimum over any set is the projection of r / lam on it, and repeated gradient ascent with eta =
    1 / lam is repeated optimisation, from any d.
    """
    lam = sympy.Symbol("lam", positive=True)
    d, r = (sympy.Matrix(sympy.symbols(f"{name}0:{n}", real=True)) for name in "dr")
    eta = sympy.Rational(share) / lam
    aim = (1 - eta * lam) * d + eta * r
    square = d.dot(r) - lam * d.dot(d) / 2 - r.dot(r) / (2 * lam) + lam * (d - aim).dot(d - aim) / 2
    return Checked(
        "IDENTITY",
        "<d, r> - lam |d|^2 / 2 = |r|^2 / (2 lam) - lam |d - t|^2 / 2, t = (1 - eta lam) d + eta r, eta = 1 / lam",
        _SOURCE + ", repeated optimisation and gradient ascent; derived",
        "expanded; defects of the square and of the coordinates of t = r / lam that are not 0",
        sum(sympy.expand(x) != 0 for x in [square, *(aim - r / lam)]),
    )


def lemma_one_state_gradient(pull: Fraction = Fraction(1), n: int = 3) -> Checked:
    """With one state and rewards r0 + w d a gradient step scales differences by exactly 1 - eta (lam - w).

    w = eps: the factor is 1 - eta (lam - eps), which is eps / lam at eta = 1 / lam. w = -eps: its modulus is below 1
    only if eta < 2 / (lam + eps), so that eta = 2 / lam never contracts, and flips signs for ever if eps = 0.
    """
    lam, eta, mass = sympy.symbols("lam eta M", positive=True)
    w = sympy.Symbol("w", real=True)
    r = sympy.Matrix(sympy.symbols(f"r0:{n}", real=True))
    start = []
    for name in "de":
        free = sympy.symbols(f"{name}0:{n - 1}", positive=True)
        start.append(sympy.Matrix([*free, mass - sum(free)]))

    def step(d: sympy.Matrix) -> sympy.Matrix:
        target = (1 - eta * lam) * d + eta * (r + w * d)
        return target + (mass - sum(target)) / n * sympy.ones(n, 1)

    one, other = (step(d) for d in start)
    factor = 1 - eta * (sympy.Rational(pull) * lam - w)
    defect = one - other - factor * (start[0] - start[1])
    flips = factor.subs({w: 0, eta: 2 / lam}) + 1
    return Checked(
        "IDENTITY",
        f"d' - e' = (1 - eta (lam - w))(d - e) for one state, {n} actions, rewards r0 + w d, occupancies positive",
        _SOURCE + ", repeated gradient ascent; instance derived",
        "projection on the plane of constant mass; squared defects, and factor + 1 at w = 0, eta = 2 / lam",
        sympy.expand(sum(x**2 for x in (*defect, flips))),
    )


def lemma_nonexpansive(sign: int = 1, n: int = 4) -> Checked:
    """|x - y|^2 = |p - q|^2 + |(x - p) - (y - q)|^2 + 2 <x - p, p - q> + 2 <y - q, q - p>.

    For projections p, q of x, y on a convex set the last two terms are at least 0. So |p - q| <= |x - y|, and where
    only rewards respond, |d_{t+1} - d_t| <= |r_t - r_{t-1}| / lam <= (eps_r / lam) |d_t - d_{t-1}|.
    """
    x, y, p, q = (sympy.Matrix(sympy.symbols(f"{name}0:{n}", real=True)) for name in "xypq")
    rest = (x - p) - (y - q)
    angles = 2 * (x - p).dot(p - q) + 2 * sign * (y - q).dot(q - p)
    return Checked(
        "IDENTITY",
        "|x - y|^2 - |p - q|^2 is a square plus twice two inner products that are >= 0 for projections",
        _SOURCE + ", contraction; derived",
        f"expanded in dimension {n}, a sum over coordinates",
        sympy.expand((x - y).dot(x - y) - (p - q).dot(p - q) - rest.dot(rest) - angles),
    )


def lemma_perturbation(forgotten: int = 1) -> Checked:
    """How far the regularised optimum moves when kernel and rewards do: the identity behind the perturbation lemma.

    Optima d, d' with multipliers h, h' and slacks s, s' >= 0, <s, d> = <s', d'> = 0: r - lam d = A^T h - s, A d = mu.
    With D = d - d', dP = P - P':

        lam |D|^2 = <r - r', D> + gamma <dP h', D> - gamma <dP (h - h'), d'> - <s, d'> - <s', d>.

    The last two terms are at most 0. As d' has mass 1 / (1 - gamma), and |h - h'|_inf <= (|r - r'|_inf + lam |D|_inf +
    gamma max |dP h'|) / (1 - gamma), because h and h' are optimal values for r - lam d and r' - lam d', which is the
    lemma.
    """
    S, A = 2, 2
    pairs = [(i, a) for i in range(S) for a in range(A)]
    gamma, lam = sympy.symbols("gamma lam", positive=True)

    def draw(name: str, size: int) -> sympy.Matrix:
        return sympy.Matrix(sympy.symbols(f"{name}0:{size}", real=True))

    def kernel(name: str) -> sympy.Matrix:
        first = draw(name, len(pairs))
        return sympy.Matrix([[x, 1 - x] for x in first])

    def flow(P: sympy.Matrix) -> sympy.Matrix:
        return sympy.Matrix(S, len(pairs), lambda t, k: int(pairs[k][0] == t) - gamma * P[k, t])

    (P, P2), (d, d2) = (kernel("p"), kernel("q")), (draw("d", 4), draw("e", 4))
    (h, h2), (s, s2) = (draw("h", S), draw("k", S)), (draw("s", 4), draw("t", 4))
    r, r2 = lam * d + flow(P).T * h - s, lam * d2 + flow(P2).T * h2 - s2
    D, dP = d - d2, P - P2
    right = (r - r2).dot(D) + gamma * (dP * h2).dot(D) - forgotten * gamma * (dP * (h - h2)).dot(d2)
    right += -s.dot(d2) - s2.dot(d)
    # What complementary slackness and A d = A' d' = mu make 0.
    zero = s.dot(d) + s2.dot(d2) - (h - h2).dot(flow(P) * d - flow(P2) * d2)
    return Checked(
        "IDENTITY",
        "lam |D|^2 = <dr, D> + gamma <dP h', D> - gamma <dP (h - h'), d'> - <s, d'> - <s', d>",
        _SOURCE + ", perturbation of the regularised optimum; derived",
        "two states, two actions, all numbers symbols, rewards by stationarity; terms that vanish at optima subtracted",
        sympy.expand(lam * D.dot(D) - right - zero),
    )


def lemma_gap(factor: Fraction = Fraction(1)) -> Checked:
    """What the regularised optimum d loses: <r, e - d> = lam <d, e - d> - <s, e> for every e with the same flow.

    Hence the best unregularised value exceeds that of d by lam <d, e - d> at most, with equality where the best e uses
    no pair that d leaves out; and lam <d, e - d> = lam (|e|^2 - |d|^2 - |e - d|^2) / 2, below the lam / (2 (1 -
    gamma)^2) of the notes.
    """
    lam, gamma = sympy.symbols("lam gamma", positive=True)
    first = sympy.symbols("p0:4", real=True)
    flow = sympy.Matrix(2, 4, lambda t, k: int(k // 2 == t) - gamma * (first[k] if t == 0 else 1 - first[k]))
    d, e, s = (sympy.Matrix(sympy.symbols(f"{name}0:4", real=True)) for name in "des")
    h = sympy.Matrix(sympy.symbols("h0:2", real=True))
    r = lam * d + flow.T * h - s
    loss = lam * sympy.Rational(factor) * d.dot(e - d)
    # s . d = 0 and A (e - d) = 0.
    one = r.dot(e - d) - loss + s.dot(e) - s.dot(d) - h.dot(flow * (e - d))
    two = loss - lam * (e.dot(e) - d.dot(d) - (e - d).dot(e - d)) / 2
    return Checked(
        "IDENTITY",
        "<r, e - d> = lam <d, e - d> - <s, e>, and lam <d, e - d> = lam (|e|^2 - |d|^2 - |e - d|^2) / 2",
        _SOURCE + ", gap of the regularised optimum; derived",
        "two states, two actions, every number a symbol; squared defects",
        sympy.expand(one) ** 2 + sympy.expand(two) ** 2,
    )


def lemma_weight_limit(power: int = 1) -> Checked:
    """Where no occupancy is 0, the step is d_0(P) + (I - A^T (A A^T)^-1 A) r / lam, d_0 the occupancy of least norm.

    As lam grows the rewards fade and d_0(P) stays: it moves with P at a rate that lam does not touch.
    """
    gamma, lam = sympy.Rational(9, 10), sympy.Symbol("lam", positive=True)
    rho = sympy.Matrix([sympy.Rational(1, 3), sympy.Rational(2, 3)])
    first = [sympy.Rational(k, 7) for k in (1, 2, 4, 5)]
    flow = sympy.Matrix(2, 4, lambda t, k: int(k // 2 == t) - gamma * (first[k] if t == 0 else 1 - first[k]))
    r = sympy.Matrix(sympy.symbols("r0:4", real=True))
    inverse = (flow * flow.T).inv()
    least = flow.T * inverse * rho
    step = least + (sympy.eye(4) - flow.T * inverse * flow) * r / lam**power
    # Feasible, and r - lam d is in the range of A^T: its part orthogonal to that range vanishes.
    off = r - lam * step
    defects = [*(flow * step - rho), *(off - flow.T * inverse * flow * off)]
    return Checked(
        "IDENTITY",
        "argmax <d, r> - lam |d|^2 / 2 over A d = mu is affine in 1 / lam, and its limit is the solution of least norm",
        _SOURCE + ", large weights; derived",
        "two states, two actions, one rational kernel, rewards and lam symbols; squared defects of the flow and of the "
        "stationarity",
        sympy.simplify(sum(sympy.expand(x) ** 2 for x in defects)),
    )


def lemma_rounds(factor: int = 1) -> Checked:
    """sum_{k >= t} q^k x = q^t x / (1 - q): what is left after t rounds of steps that shrink by q, the first x.

    Hence |d_t - d_S| <= delta once t >= ln(x / ((1 - q) delta)) / ln(1 / q).
    """
    q, x = sympy.symbols("q x", positive=True)
    power, more = sympy.symbols("Q R", positive=True)  # q^t and q^n

    def partial(shrunk: sympy.Expr) -> sympy.Expr:
        """Sum of the n steps from t on, shrunk = q^n."""
        return power * x * (1 - factor * shrunk) / (1 - q)

    step = partial(q * more) - partial(more) - power * more * x
    return Checked(
        "IDENTITY",
        "q^t x + ... + q^(t+n-1) x = q^t x (1 - q^n) / (1 - q)",
        _SOURCE + ", number of rounds where only rewards respond; derived",
        "start n = 0 and induction step, q^t and q^n as symbols; squared defects",
        sympy.cancel(step) ** 2 + sympy.cancel(partial(sympy.Integer(1))) ** 2,
    )


def lemma_dual_step(share: Fraction = Fraction(1), n: int = 3) -> Checked:
    """The h-player of the Lagrangian game is gradient descent: h' = h - g / L, L = 2 delta.

    |h - k|^2 - |h' - k|^2 = (2 / L) (<g, h - k> - |g|^2 / (2 L)): for the dual f of smoothness at most L, convex, that
    is at least (2 / L)(f(h') - f(k)). Summed over N rounds, with lam |d_n - d*|^2 / 2 <= f(h_n) - f*, the mean answer
    obeys |mean - d*|^2 <= 4 delta |h*|^2 / (lam N).
    """
    L = sympy.Symbol("L", positive=True)
    g, h, k = (sympy.Matrix(sympy.symbols(f"{name}0:{n}", real=True)) for name in "ghk")
    after = h - g / L
    left = (h - k).dot(h - k) - (after - k).dot(after - k)
    right = 2 / L * (g.dot(h - k) - sympy.Rational(share) * g.dot(g) / (2 * L))
    return Checked(
        "IDENTITY",
        "|h - k|^2 - |h - g / L - k|^2 = (2 / L)(<g, h - k> - |g|^2 / (2 L))",
        _SOURCE + ", Lagrangian game on samples; derived",
        f"expanded in dimension {n}, a sum over coordinates",
        sympy.expand(left - right),
    )
