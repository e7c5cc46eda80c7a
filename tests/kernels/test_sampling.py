import numpy as np
import pytest

from mdplab.kernels.sampling import draw

FORMS = [draw, draw.py_func] if hasattr(draw, "py_func") else [draw]


@pytest.mark.parametrize("form", FORMS)
def test_inverts_the_distribution_function(form):
    cdf = np.array([0.25, 0.25, 0.75, 1.0])
    got = [form(cdf, u) for u in (0.0, 0.249, 0.25, 0.5, 0.749, 0.75, 0.999)]
    assert got == [0, 0, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", [[0.7, 0.2, 0.1, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0], [0.1] * 10])
def test_what_rounding_leaves_over_goes_to_a_possible_index(form, row):
    short = np.cumsum(row) * (1 - 2.0**-40)
    assert row[form(short, 1 - 2.0**-53)] > 0
