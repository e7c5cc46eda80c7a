"""npz and JSON: round trips to the bit, and every kind of bad file refused with its name and line."""

import io
import json
import zipfile

import numpy as np
import pytest
from instances.random_models import random_model

from mdplab.instances import garnet, riverswim
from mdplab.io import load, save
from mdplab.models import MDP, MarkovGame

GOOD = {"version": 1, "gamma": 0.5, "r": [[1.0], [0.0]], "P": [[[0.25, 0.75]], [[0.0, 1.0]]]}
CSR = {
    "gamma": 0.5,
    "r": [[1.0], [0.0]],
    "P_data": [0.25, 0.75, 1.0],
    "P_indices": [0, 1, 1],
    "P_indptr": [0, 2, 3],
}


def text_of(changes=(), base=GOOD):
    """A JSON file, one key a line."""
    content = {**base, **dict(changes)}
    content = {key: value for key, value in content.items() if value is not None}
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()) + "\n}\n"


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("by_next", [False, True])
@pytest.mark.parametrize("kind", ["full", "plain"])
def test_round_trip_to_the_bit(tmp_path, suffix, sparse, by_next, kind):
    for seed in range(12):
        mdp = random_model(np.random.default_rng([41, seed]), sparse=sparse, kind=kind, by_next=by_next)
        path = tmp_path / f"{seed}{suffix}"
        save(mdp, path)
        back = load(path)
        assert back.digest() == mdp.digest()
        assert (back.states, back.horizon, back.gamma) == (mdp.states, mdp.horizon, mdp.gamma)
        assert (back.mu is None) == (mdp.mu is None)
        assert np.array_equal(back.terminal, mdp.terminal)
        assert back.is_sparse == sparse
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [suffix] * 12


def test_gamma_and_horizon_can_be_replaced(tmp_path):
    path = tmp_path / "model.json"
    save(riverswim().replace(horizon=5), path)
    assert (load(path).gamma, load(path).horizon) == (0.99, 5)
    assert (load(path, gamma=1.0).gamma, load(path, horizon=7).horizon) == (1.0, 7)


def test_a_large_sparse_model_is_adopted_without_a_copy(tmp_path):
    mdp = garnet(3000, 3, 4, gamma=0.9, rng=np.random.default_rng([42]), sparse=True)
    path = tmp_path / "model.npz"
    save(mdp, path)
    back = load(path)
    assert back.digest() == mdp.digest()
    assert back.P.indices.dtype == np.int32


def test_numbers_as_people_write_them(tmp_path):
    path = tmp_path / "hand.json"
    path.write_text('\ufeff{"P": [[[1, 0]], [[5e-1, 0.5]]], "r": [[-1], [2]], "gamma": 0, "actions": [[true], [true]]}')
    mdp = load(path)
    assert mdp.P[1, 0].tolist() == [0.5, 0.5] and mdp.gamma == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (text_of()[:40], r":\d+: not JSON at column \d+"),
        (text_of().replace("0.25", "0.25x"), r":5: not JSON at column \d+"),
        ("[1, 2]", ":1: holds a list, expected an object"),
        ("", ":1: the file is empty"),
        ("  \n ", ":1: the file is empty"),
        ("[" * 100_000, "nested too deep"),
        (text_of({"P": None}), "missing key 'P'"),
        (text_of({"r": None}), "missing key 'r'"),
        (text_of({"gamma": None}), "missing key 'gamma'"),
        (text_of({"P_indptr": None}, CSR), "missing key 'P_indptr'"),
        (text_of({"P_data": [1.0]}), "both P and P_data"),
        (text_of({"version": 2}), ":2: version 2 is newer than this program reads"),
        (text_of({"version": "one"}), ":2: version is 'one', expected an integer"),
        (text_of({"discount": 0.9}), ":6: unknown key 'discount'"),
        (text_of({"gamma": "high"}), ":3: gamma is 'high', expected a number"),
        (text_of({"gamma": 1.5}), ":3: gamma is 1.5"),
        (text_of({"r": [["x"], [0.0]]}), ":4: r holds 'x', expected numbers"),
        (text_of({"r": [[None], [0.0]]}), ":4: r holds None, expected numbers"),
        (text_of({"r": [[float("nan")], [0.0]]}), r":4: r\[0, 0\] is nan"),
        (text_of({"r": [1.0, 0.0]}), r":4: r has shape \(2,\)"),
        (text_of({"r": [[1.0], [0.0, 2.0]]}), ":4: r is ragged"),
        (text_of({"r": [[1.0]]}), r":4: r has shape \(1, 1\)"),
        (text_of({"P": [[[0.25, 0.65]], [[0.0, 1.0]]]}), r":5: P\[0, 0\] sums to 0\.9"),
        (text_of({"P": [[[1.25, -0.25]], [[0.0, 1.0]]]}), r":5: P\[0, 0, 1\] is -0\.25"),
        (text_of({"P": [[0.25, 0.75]]}), r":5: P has shape \(1, 2\)"),
        (text_of({"mu": [0.5, 0.6]}), ":6: mu sums to 1.1"),
        (text_of({"mu": [1.0]}), r":6: mu has shape \(1,\)"),
        (text_of({"actions": [[1], [1]]}), ":6: actions holds .*expected booleans"),
        (text_of({"actions": [[True], [False]]}), r":6: actions\[1\] is False everywhere"),
        (text_of({"states": ["a"]}), ":6: states has 1 names"),
        (text_of({"states": [1, 2]}), ":6: states is no list of names"),
        (text_of({"horizon": 0}), ":6: horizon is 0"),
        (text_of({"horizon": 2.5}), ":6: horizon is '2.5', expected an integer"),
        (text_of({"P_indices": [0, 2, 1]}, CSR), r":5: P_indices\[1\] is 2; states are 0\.\.1"),
        (text_of({"P_indices": [0, 0.5, 1]}, CSR), ":5: P_indices is no list of integers"),
        (text_of({"P_indptr": [0, 3]}, CSR), r":6: P_indptr has shape \(2,\), expected \(3,\)"),
        (text_of({"P_indptr": [0, 4, 3]}, CSR), ":6: P_indptr does not rise"),
        (text_of({"P_data": [1.0]}, CSR), ":4: P_data has shape"),
        (text_of({"r_next": [[[1.0, 1.0]]]}), r":6: P, r, r_next have shapes \(2, 1, 2\), \(2, 1\), \(1, 1, 2\)"),
        (text_of({"r_next": [1.0]}, CSR), r":7: r_next has shape \(1,\), expected \(3,\)"),
        (text_of({"r_next": [1.0, 5.0, 0.0]}, CSR), r":3: r\[0, 0\] is 1, but the mean of r_next is 4"),
    ],
)
def test_bad_json(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_binary_junk_is_no_json(tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(b"{\n\x80\x81\xff")
    with pytest.raises(ValueError, match=r"bad\.json:2: byte 2 is not UTF-8"):
        load(path)
    path.write_bytes(b"{\n\n\0")
    with pytest.raises(ValueError, match=r"bad\.json:3: a NUL byte"):
        load(path)


def npz_bytes(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def array_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def pickled():
    buffer = io.BytesIO()
    np.savez(buffer, **{**GOOD, "states": np.array([{}, {}], dtype=object)})
    return buffer.getvalue()


def zip_of_text():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("P.npy", "no array")
        archive.writestr("r.npy", array_bytes(np.array(GOOD["r"])))
        archive.writestr("gamma.npy", array_bytes(np.array(0.5)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", ":1: the file is empty"),
        (b"\x00\xff junk", "not an npz file"),
        (array_bytes(np.zeros(3)), "not an npz file"),
        (npz_bytes(**GOOD)[:300], "truncated or damaged npz file"),
        (b"PK\x03\x04" + b"junk" * 50, "truncated or damaged npz file"),
        (pickled(), "truncated or damaged npz file: Object arrays"),
        (zip_of_text(), "P holds b'no array', expected numbers"),
        (npz_bytes(**{**GOOD, "version": 9}), "version 9 is newer"),
        (npz_bytes(r=GOOD["r"], gamma=0.5), "missing key 'P'"),
        (npz_bytes(**{**GOOD, "P": np.array(["a", "b"])}), "P holds entries of type <U1, expected numbers"),
        (npz_bytes(**{**GOOD, "gamma": np.zeros(2)}), "gamma is .*expected a number"),
        (npz_bytes(**{**GOOD, "P": np.ones((2, 1, 2))}), r"P\[0, 0\] sums to 2"),
    ],
)
def test_bad_npz(tmp_path, raw, message):
    path = tmp_path / "bad.npz"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_every_truncation_of_a_file_is_refused(tmp_path):
    """Whatever byte the copy stopped at: ValueError with the file's name, never another exception or a wrong model."""
    mdp = MDP(GOOD["P"], GOOD["r"], 0.5)
    for suffix in (".npz", ".json"):
        path = tmp_path / f"model{suffix}"
        save(mdp, path)
        raw = path.read_bytes()
        for stop in range(0, len(raw.rstrip()), 7):
            path.write_bytes(raw[:stop])
            with pytest.raises(ValueError, match=f"model{suffix}"):
                load(path)


GAME = {"gamma": 0.5, "R": [[[1.0, -1.0]]], "T": [[[[1.0], [1.0]]]]}


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_markov_games_round_trip(tmp_path, suffix):
    rng = np.random.default_rng([41, 99])
    for mu in (None, [0.25, 0.75]):
        game = MarkovGame(rng.standard_normal((2, 3, 2)), rng.dirichlet(np.ones(2), size=(2, 3, 2)), 0.9, mu=mu)
        path = tmp_path / f"game{suffix}"
        save(game, path)
        back = load(path)
        assert isinstance(back, MarkovGame) and back.digest() == game.digest()
        assert load(path, gamma=0.25).gamma == 0.25
    with pytest.raises(ValueError, match=r"\.drn files hold no games"):
        save(game, tmp_path / "game.drn")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"R": None}, r"missing key 'R'; a Markov game has R, T and gamma"),
        ({"gamma": None}, r"missing key 'gamma'"),
        ({"P": [[[1.0]]]}, r"g\.json:\d: unknown key 'P'; expected keys among R, T, gamma, mu, version"),
        ({"T": [[[[1.0], [0.5]]]]}, r"g\.json:3: T\[0, 0, 1\] sums to 0\.5, not 1"),
        ({"T": [[[["a"], [1.0]]]]}, r"g\.json:3: T holds 'a', expected numbers"),
        ({"gamma": 1.0}, r"g\.json:1: gamma is 1; a MarkovGame is discounted"),
    ],
)
def test_a_bad_markov_game_is_refused_with_its_line(tmp_path, changes, message):
    path = tmp_path / "g.json"
    path.write_text(text_of(changes, GAME).replace("{\n", "{", 1))
    with pytest.raises(ValueError, match=message):
        load(path)


def test_a_markov_game_has_no_horizon(tmp_path):
    path = tmp_path / "g.json"
    path.write_text(text_of((), GAME))
    with pytest.raises(ValueError, match="horizon is 3; a Markov game is discounted"):
        load(path, horizon=3)
