"""What the claims about quantiles rest on: operators by definition, witnesses and minimisers in closed form."""

from itertools import product

import numpy as np
import pytest

from mdplab.exact.distributional.chain import Chain
from mdplab.exact.distributional.representations import Quantile
from mdplab.models import FiniteLaw, Outcomes, project_quantile, wasserstein
from mdplab.papers import dabney2018

PARAMS = dabney2018.Params(states=3, atoms=5, problems=2, pairs=6, first=6, last=10, seeds=2)


def test_the_definition_is_the_librarys_sweep():
    rng = np.random.default_rng([912])
    mdp, theta = dabney2018._model(PARAMS, rng, 0.8), np.sort(rng.normal(size=(3, 5)), axis=1)
    out = np.empty_like(theta)
    Quantile(5).sweep(Chain.of(mdp, Outcomes.of(mdp), np.zeros(3, dtype=np.int64)), theta, out)
    for law, row in zip(dabney2018._backup(mdp, theta), out, strict=True):
        # A product and a sum an atom.
        assert wasserstein(law, dabney2018._even(row), np.inf) <= 1e-14


@pytest.mark.parametrize(("m", "gamma"), list(product((2, 3, 4, 5), (0.5, 0.9))))
def test_the_witness_spreads_by_m_gamma(m, gamma):
    mdp, theta, moved = dabney2018._spreading(m, gamma)
    assert (np.diff(theta, axis=1) > 0)[1:].all()
    before = [wasserstein(dabney2018._even(x), dabney2018._even(y)) for x, y in zip(theta, moved, strict=True)]
    assert max(before) == pytest.approx(1 / m, rel=1e-12)  # a mass of 1/m moves by 1
    images = [dabney2018._backup(mdp, x)[0] for x in (theta, moved)]
    assert wasserstein(*images) == pytest.approx(gamma, rel=1e-9)  # atoms of size 2500


@pytest.mark.parametrize("gamma", [0.02, 0.8])
def test_the_hopeful_median(gamma):
    mdp, truth = dabney2018._hope(gamma)
    # The probability of going on is 1e-9 above 1/2.
    assert truth[0].mean == pytest.approx((1 - gamma) / (2 - gamma), abs=1e-8)
    backed = FiniteLaw.of(
        np.concatenate([1 - gamma + gamma * truth[0].x, [0.0]]), np.concatenate([truth[0].p * 0.5, [0.5]])
    )
    assert wasserstein(backed, truth[0]) < 1e-8
    # The same 1e-9, and the tolerance of the sweeps.
    assert dabney2018._worst(mdp, truth, 1) == pytest.approx(1 / (2 - gamma), abs=1e-8)


def test_slices_have_the_mean_and_quantiles_the_levels():
    law = FiniteLaw([0.0, 1.0, 3.0], [0.5, 0.25, 0.25])
    assert dabney2018._slices(law, 2).tolist() == [0.0, 2.0]
    assert dabney2018._quantiles(law, 2).tolist() == [0.0, 1.0]
    assert dabney2018._quantiles(law, 2, 0.5).tolist() == [0.0, 3.0]


def test_medians_of_order_statistics():
    """By enumeration of all samples of three."""
    law = FiniteLaw([0.0, 1.0, 5.0], [0.2, 0.35, 0.45])
    found = dabney2018._order_statistics(law, 3)
    for i in range(3):
        mass = dict.fromkeys(law.x, 0.0)
        for draw in product(range(3), repeat=3):
            mass[sorted(law.x[list(draw)])[i]] += law.p[list(draw)].prod()
        assert found[i] == FiniteLaw.of(list(mass), list(mass.values())).quantile(0.5)


def test_what_sampled_losses_descend_to():
    """Mean losses over a fine grid of atoms: none is below that of the minimiser in closed form."""
    law, m = dabney2018._law(np.random.default_rng([913]), 6), 3
    for loss in ("single", "quantile"):
        found = dabney2018._descended(law, m, loss)
        for i, t in product(range(m), np.linspace(-1, 1, 41)):
            tau = (2 * i + 1) / (2 * m) if loss == "quantile" else 0.5
            values = [((law.x - x) * (tau - (law.x < x))) @ law.p for x in (found[i], t)]
            assert values[0] <= values[1] + 1e-15
    assert (dabney2018._descended(law, m, "quantile") == project_quantile(law.x, law.p, m)).all()
    assert np.ptp(dabney2018._descended(law, m, "single")) == 0


def test_drawn_laws_are_distribution_functions():
    table = dabney2018.figure_laws(PARAMS, np.random.default_rng(0))
    for name in ("exact", "five", "twenty", "grid"):
        assert (np.diff(table[name]) >= 0).all()
        assert table[name][0] >= 0
    assert set(np.round(5 * table["five"]).tolist()) <= {0, 1, 2, 3, 4, 5}
    spacing = table["x"][1] - table["x"][0]
    # The certified fixed point of 20 quantiles: range 2/0.3 over 2 * 20 * 0.3, and the drawing's own spacing.
    assert np.abs(table["twenty"] - table["exact"]).sum() * spacing < (2 / 0.3) / 12
