"""Logged transitions: counts by hand, ends of episodes, states without data, and bad tables by line."""

import numpy as np
import pytest
from instances.exactly import optimum
from numpy.testing import assert_allclose

from mdplab.instances import garnet
from mdplab.io import estimate, load

LOG = "s,a,r,s_next,done,episode\n0,0,1,1,0,x\n1,1,0.5,0,false,x\n0,0,3,0,False,y\n0,0,2,2,true,y\n1,0,7,1,0,z\n"


def write(folder, text=LOG):
    path = folder / "log.csv"
    path.write_text(text)
    return path


def test_counts_frequencies_and_means(tmp_path):
    model = estimate(write(tmp_path), gamma=0.9)
    assert model.counts.tolist() == [[3, 0], [1, 1], [0, 0]]
    assert model.transitions.toarray()[0].tolist() == [1, 1, 1]
    assert model.transitions.toarray().sum() == 5
    third = 1 / 3
    assert model.mdp.P[0, 0].tolist() == [third, third, third]
    assert model.mdp.r.tolist() == [[2.0, 0.0], [7.0, 0.5], [0.0, 0.0]]
    assert model.mdp.actions.tolist() == [[True, False], [True, True], [True, True]]
    assert model.unvisited.tolist() == [[0, 1]]
    assert model.absorbed.tolist() == [2]
    assert model.mdp.terminal.tolist() == [False, False, True]
    assert_allclose(model.mdp.mu, [2 / 3, 1 / 3, 0], rtol=1e-15)  # one division
    assert load(tmp_path / "log.csv", gamma=0.9).digest() == model.mdp.digest()


def test_an_end_in_a_state_with_data_gets_a_terminal_state_of_its_own():
    log = {"s": [0, 0, 1], "a": [0, 0, 0], "r": [1.0, 2.0, 3.0], "s_next": [1, 1, 0], "done": [True, False, False]}
    model = estimate(log, gamma=0.9)
    assert model.mdp.S == 3
    assert model.mdp.P[0, 0].tolist() == [0.0, 0.5, 0.5]
    assert model.mdp.terminal.tolist() == [False, False, True]
    assert model.counts.tolist() == [[2], [1], [0]]


def test_states_without_data_are_refused_or_made_absorbing(tmp_path):
    text = "s,a,r,s_next\n0,0,1,1\n0,0,1,3\n"
    with pytest.raises(ValueError, match=r"log\.csv: no data from states 1, 2, 3; log their"):
        load(write(tmp_path, text), gamma=0.9)
    model = estimate(write(tmp_path, text), gamma=0.9, unseen="absorbing")
    assert model.absorbed.tolist() == [1, 2, 3]
    assert load(f"{tmp_path}/log.csv?unseen=absorbing&num_states=6", gamma=0.9).S == 6
    assert load(tmp_path / "log.csv", gamma=0.9, unseen="absorbing", num_actions=2).actions[0].tolist() == [True, False]


def test_columns_in_any_order_and_quoted(tmp_path):
    text = 's_next,"r",a,s\r\n"1", 2.5 ,0,0\r\n0,-1e3,0,1\r\n'
    mdp = load(write(tmp_path, text), gamma=0.5)
    assert mdp.r.tolist() == [[2.5], [-1000.0]]


def test_parquet_equals_csv(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import pyarrow.parquet as parquet

    columns = {"s": [0, 1, 0, 0, 1], "a": [0, 1, 0, 0, 0], "r": [1.0, 0.5, 3.0, 2.0, 7.0], "s_next": [1, 0, 0, 2, 1]}
    columns |= {"done": [False, False, False, True, False], "episode": list("xxyyz")}
    path = tmp_path / "log.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    assert load(path, gamma=0.9).digest() == load(write(tmp_path), gamma=0.9).digest()
    for raw, message in ((path.read_bytes()[:-30], "truncated or no Parquet"), (b"junk", "truncated or no Parquet")):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=rf"log\.parquet: {message}"):
            load(path, gamma=0.9)
    for broken, message in (
        ({**columns, "r": [1.0, None, 1.0, 1.0, 1.0]}, "column r has 1 missing"),
        ({**columns, "a": [0, 1, 0, -2, 0]}, r"a\[3\] is '-2', expected an integer"),
        ({"s": [0], "a": [0], "r": [0.0]}, "columns are 's, a, r', expected s, a, r, s_next"),
    ):
        parquet.write_table(pyarrow.table(broken), path)
        with pytest.raises(ValueError, match=rf"log\.parquet: {message}"):
            load(path, gamma=0.9)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "log.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"pyarrow is not installed; pip install 'mdplab\[parquet\]'"):
        load(tmp_path / "log.parquet", gamma=0.9)


def test_estimates_come_near_the_truth():
    """Each of 8 x 2 pairs about 20 000 times: by Hoeffding and a union over 16 x 3 entries the largest error of a
    probability exceeds 0.02 with probability below 2 * 48 * exp(-2 * 19000 * 4e-4) = 3e-5.
    """
    rng = np.random.default_rng([81])
    truth = garnet(8, 2, 3, gamma=0.9, rng=rng)
    n = 320_000
    s, a = rng.integers(0, 8, n), rng.integers(0, 2, n)
    t = (rng.random((n, 1)) > truth.P[s, a].cumsum(axis=1)).sum(axis=1).clip(max=7)
    model = estimate({"s": s, "a": a, "r": truth.r[s, a], "s_next": t}, gamma=0.9)
    assert model.counts.min() > 19_000
    assert np.abs(model.mdp.P - truth.P).max() < 0.02
    assert_allclose(model.mdp.r, truth.r, rtol=1e-11)  # a sum of 20 000 equal numbers, divided
    # |V - V'| <= gamma |P - P'|_1 |V| / (1 - gamma), with |V| <= 10 and three successors: 0.06 * 0.9 * 10 / 0.1.
    assert np.abs(optimum(model.mdp)[0] - optimum(truth)[0]).max() < 5.4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the file is empty"),
        ("s,a,r,s_next\n", ":1: a header and no transitions"),
        ("s,a,r\n0,0,1\n", ":1: columns are 's, a, r', expected s, a, r, s_next"),
        ("s,a,r,s_next,q\n0,0,1,0,0\n", ":1: columns are 's, a, r, s_next, q'"),
        ("s,s,a,r,s_next\n0,0,0,1,0\n", ":1: columns are 's, s, a"),
        ("s,a,r,s_next\n0,0,1,0\n0,0,1\n", ":3: 3 fields, expected 4: s, a, r, s_next"),
        ("s,a,r,s_next\n0,0,1,0\n\n0,0,x,0\n", ":4: r is 'x', expected a number"),
        ("s,a,r,s_next\n0,0,1,0\n0,0,nan,0\n", ":3: r is 'nan', expected a finite number"),
        ("s,a,r,s_next\n0,0,1,0\n-1,0,1,0\n", ":3: s is '-1', expected an integer of at least 0"),
        ("s,a,r,s_next\n0,0,1,0\n0,0.5,1,0\n", ":3: a is '0.5', expected an integer"),
        ("s,a,r,s_next\n0,0,1,99999999999\n", ":2: s_next is '99999999999', expected an integer"),
        ("s,a,r,s_next,done\n0,0,1,0,2\n", ":2: done is '2', expected 0, 1, true or false"),
        ('s,a,r,s_next\n"0,0,1,0\n', ":2: (no CSV|1 fields)"),
        ("\x7fELF\n\n", ":1: columns are"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=rf"log\.csv{message}") as caught:
        load(path, gamma=0.9)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_binary_junk(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"s,a\n\xff\xfe")
    with pytest.raises(ValueError, match=r"log\.csv:2: byte 4 is not UTF-8"):
        load(tmp_path / "log.csv", gamma=0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_states": 1}, "num_states is 1, but the log needs at least 2"),
        ({"num_actions": 0}, "num_actions is 0, but the log needs at least 1"),
        ({"unseen": "guess"}, "unseen is 'guess'"),
        ({"gamma": 7}, "gamma is 7"),
    ],
)
def test_bad_arguments(arguments, message):
    log = {"s": [0, 1], "a": [0, 0], "r": [0.0, 0.0], "s_next": [1, 0]}
    with pytest.raises(ValueError, match=message):
        estimate(log, **{"gamma": 0.9, **arguments})


def test_columns_of_different_lengths():
    with pytest.raises(ValueError, match="columns have shapes"):
        estimate({"s": [0, 1], "a": [0], "r": [0.0], "s_next": [1]}, gamma=0.9)


def test_gamma_is_needed(tmp_path):
    with pytest.raises(ValueError, match=r"log\.csv: gamma is needed"):
        load(write(tmp_path))
