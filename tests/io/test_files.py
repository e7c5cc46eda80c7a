"""Files are written whole or not at all; what cannot be read is named."""

import errno
import os

import numpy as np
import pytest

from mdplab.instances import frozen_lake, garnet, riverswim
from mdplab.io import files, load, save


@pytest.mark.parametrize("suffix", [".npz", ".json", ".tra", ".drn", ".csv", ".parquet"])
def test_a_missing_file_is_named(tmp_path, suffix):
    path = tmp_path / f"none{suffix}"
    with pytest.raises(ValueError, match=f"none{suffix}: no such file"):
        load(path, gamma=0.9)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ValueError, match=r"folder\.json: Is a directory"):
        load(tmp_path / "folder.json")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("model.txt", "model.txt: unknown suffix '.txt'; expected one of .npz, .json"),
        ("model", "unknown suffix ''"),
        ("model.json?goal", "options 'goal' are not of the form"),
        ("model.json?goal=x", "unknown option 'goal'; .json files take none"),
        ("model.tra?target=x", "unknown option 'target'; .tra files take goal, rewards, minimise"),
        ("model.drn?minimise=perhaps", "option minimise is 'perhaps'"),
        ("model.csv?num_states=many", "option num_states is 'many'"),
    ],
)
def test_what_load_cannot_place_is_named(source, message):
    with pytest.raises(ValueError, match=message):
        load(source, gamma=0.5)


def test_save_names_its_suffixes(tmp_path):
    with pytest.raises(ValueError, match=r"unknown suffix .\.xml.; expected one of \.npz, \.json, \.tra, \.drn"):
        save(riverswim(), tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".npz", ".json", ".tra", ".drn"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"model{suffix}"
    save(frozen_lake(), path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        save(riverswim(), path)
    assert caught.value.errno == errno.ENOSPC
    assert f"model{suffix}" in str(caught.value) and "\n" not in str(caught.value)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("suffix", [".npz", ".json", ".tra", ".drn"])
def test_a_device_that_is_full(tmp_path, suffix, monkeypatch):
    """Real writes that fail, in the middle of a large file and at its end."""
    real = open
    monkeypatch.setattr(files, "open", lambda path, mode: real("/dev/full", mode), raising=False)
    model = garnet(60, 3, 4, gamma=0.9, rng=np.random.default_rng([51]), sparse=True)
    with pytest.raises(OSError, match="No space left on device"):
        save(model, tmp_path / f"model{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"No such file or directory.*model\.json"):
        save(riverswim(), tmp_path / "nowhere" / "model.json")


def test_a_reader_in_the_way_of_another_writer_sees_whole_files(tmp_path):
    """The rename is atomic: the target is never absent or partial between two saves."""
    path = tmp_path / "model.json"
    save(riverswim(), path)
    seen = []
    files.write_whole({path: lambda file: (file.write(b"half"), seen.append(load(path).S), file.write(b"other half"))})
    assert seen == [6]
    assert path.read_bytes() == b"halfother half"
