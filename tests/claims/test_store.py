"""The store: nothing that was stored is lost, nothing that changed is read."""

import sqlite3

import numpy as np
import pytest

from mdplab.claims.result import ClaimResult, RunResult, Verdict, worst
from mdplab.claims.store import SCHEMA, Outcome, Store, StoreFull, arrays_digest, default_path


def outcome(seed=0, size=10):
    arrays = {"x": np.random.default_rng([seed]).random(size), "text": np.array("seen"), "yes": np.array([True])}
    return Outcome(arrays, arrays_digest(arrays), "", 0.5, 0.25)


def test_what_is_put_is_got_by_another_process_of_the_same_file(tmp_path):
    path = tmp_path / "deep" / "store.sqlite"
    with Store(path) as store:
        store.put("k", "p:c", "main", 0, "quick", outcome())
        store.put("skip", "p:c", "main", 1, "quick", Outcome(None, "", "ergodic", 0.1, 0.1))
    with Store(path) as store:
        back = store.get("k")
        assert back.arrays.keys() == {"x", "text", "yes"}
        assert np.array_equal(back.arrays["x"], outcome().arrays["x"])
        assert (back.digest, back.seconds, back.cpu_seconds) == (outcome().digest, 0.5, 0.25)
        assert (store.get("skip").arrays, store.get("skip").skipped) == (None, "ergodic")
        assert store.get("other") is None
        assert store.digests()["p:c", "main", 0, "quick"] == back.digest


def test_equal_arrays_are_kept_once(tmp_path):
    with Store(tmp_path / "s") as store:
        for key in "abc":
            store.put(key, "p:c", "main", 0, "quick", outcome())
        assert store._db.execute("SELECT count(*) FROM blob").fetchone() == (1,)


@pytest.mark.parametrize(
    "change",
    [{"x": np.array([1.0, 2.5])}, {"x": np.array([[1.0, 2.0]])}, {"y": np.array([1.0, 2.0])}, {"x": np.array([1, 2])}],
)
def test_the_digest_sees_values_shapes_names_and_types(change):
    assert arrays_digest(change) != arrays_digest({"x": np.array([1.0, 2.0])})


def test_arrays_that_were_tampered_with_are_dropped(tmp_path):
    with Store(tmp_path / "s") as store:
        store.put("a", "p:c", "main", 0, "quick", outcome(0))
        store.put("b", "p:c", "main", 1, "quick", outcome(1))
        store._db.execute("UPDATE blob SET npz = (SELECT npz FROM blob WHERE digest = ?)", (outcome(1).digest,))
        assert store.get("a") is None
        assert store.get("b").digest == outcome(1).digest
        store._db.execute("UPDATE blob SET npz = x'00'")
        assert store.get("b") is None
        assert store.digests() == {}


def test_a_newer_store_and_another_database_are_refused_unchanged(tmp_path):
    path = tmp_path / "s"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={SCHEMA + 1}")
    with pytest.raises(ValueError, match=f"format {SCHEMA + 1}, written by a newer mdplab"):
        Store(path)
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(ValueError, match="a database of something else: tables songs"):
        Store(tmp_path / "other")
    (tmp_path / "text").write_text("not a database, but long enough to be read as one" * 50)
    with pytest.raises(ValueError, match="is not a store of mdplab"):
        Store(tmp_path / "text")
    assert (tmp_path / "text").read_text().startswith("not a database")
    with pytest.raises(ValueError, match="cannot be used"):
        Store(tmp_path / "text" / "below")


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    with Store(tmp_path / "s") as store:
        store.put("a", "p:c", "main", 0, "quick", outcome())
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        # SQLite's own limit raises the error that a full disk does.
        store._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreFull, match=r"disk full: .*what was stored is safe") as caught:
            store.put("b", "p:c", "main", 1, "quick", outcome(1, size=100_000))
        assert "\n" not in str(caught.value)
        assert store.get("b") is None
        store._db.execute("PRAGMA max_page_count=1000000")
        store.put("b", "p:c", "main", 1, "quick", outcome(1, size=100_000))
    with Store(tmp_path / "s") as store:
        assert (store.get("a").digest, store.get("b").digest) == (outcome().digest, outcome(1, size=100_000).digest)


def test_the_first_design_is_the_registered_one(tmp_path):
    with Store(tmp_path / "s") as store:
        assert store.register("p:c", "quick", {"margin": 0.05}, "h") == {"margin": 0.05}
        assert store.register("p:c", "quick", {"margin": 0.1}, "i") == {"margin": 0.05}
        assert store.register("p:c", "full", {"margin": 0.1}, "i") == {"margin": 0.1}


def test_runs_come_back_the_last_one_first(tmp_path):
    def run(verdict, *ids):
        results = [ClaimResult(i, "p", "t", "T1", "x", "r", verdict, "", verdict, True, slack=np.inf) for i in ids]
        return RunResult("quick", tuple(results), 1.0, {"nothing": None})

    with Store(tmp_path / "s") as store:
        assert (store.last_run(), store.latest("p:a")) == (None, None)
        store.put_run(run("REFUTED", "p:a", "p:b"))
        store.put_run(run("VERIFIED", "p:a"))
        assert store.last_run() == run("VERIFIED", "p:a")
        assert store.latest("p:b") == ("quick", run("REFUTED", "p:a", "p:b")["p:b"])
    with pytest.raises(KeyError, match="p:c"):
        run("VERIFIED", "p:a")["p:c"]


def test_the_default_place_is_beside_the_user_or_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("MDPLAB_STORE", raising=False)
    assert default_path().as_posix() == ".mdplab/store.sqlite"
    monkeypatch.setenv("MDPLAB_STORE", str(tmp_path / "x"))
    assert default_path() == tmp_path / "x"


def test_verdicts_are_ordered_from_worst_to_best():
    order = [v for v in Verdict if v is not Verdict.NOT_APPLICABLE]
    for i, bad in enumerate(order):
        assert [worst([good, bad]) for good in order[i:]] == [bad] * (len(order) - i)
    assert worst([Verdict.NOT_APPLICABLE, Verdict.PROVED]) is Verdict.PROVED
    assert Verdict.parse("invalid") is Verdict.INVALID_CHECK
    assert Verdict.parse("not_applicable") is Verdict.NOT_APPLICABLE
