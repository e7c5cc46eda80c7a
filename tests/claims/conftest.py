"""The toy paper in a folder of its own."""

import pytest
from claims.toy import write_paper


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder of the toy paper, which discovery finds; the store is beside it."""
    folder = tmp_path / "papers"
    folder.mkdir()
    monkeypatch.setenv("MDPLAB_PAPERS", str(folder))
    monkeypatch.setenv("MDPLAB_STORE", str(tmp_path / "store.sqlite"))
    return write_paper(folder)
