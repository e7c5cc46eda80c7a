"""The results store: one SQLite file, one transaction for each finished task.

Arrays are kept once, as compressed npz under the SHA-256 of their contents; a task's row points to them under the hash
of everything that determines them (`registration.data_key`). The write-ahead log makes a transaction that was reported
as done survive the death of the process at any moment, and lets a report be read while a run goes on.
"""

import errno
import hashlib
import io
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdplab.claims.result import RunResult

SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS blob (digest TEXT PRIMARY KEY, npz BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
    key TEXT PRIMARY KEY, claim TEXT NOT NULL, arm TEXT NOT NULL, replicate INTEGER NOT NULL, profile TEXT NOT NULL,
    digest TEXT, skipped TEXT, seconds REAL NOT NULL, cpu_seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS registration (
    claim TEXT NOT NULL, profile TEXT NOT NULL, design TEXT NOT NULL, hash TEXT NOT NULL,
    PRIMARY KEY (claim, profile)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, profile TEXT NOT NULL, json TEXT NOT NULL);
"""


class StoreFull(RuntimeError):
    """The disk took no more; everything stored before is still there."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one task left: arrays with their digest, or the hypothesis that its instance did not satisfy."""

    arrays: Mapping[str, np.ndarray] | None
    digest: str
    skipped: str
    seconds: float
    cpu_seconds: float


def default_path() -> Path:
    """`MDPLAB_STORE`, else `.mdplab/store.sqlite` in the current folder."""
    return Path(os.environ.get("MDPLAB_STORE") or Path(".mdplab") / "store.sqlite")


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and little-endian bytes, independent of how they are compressed.

    Examples
    --------
    >>> a = {"x": np.array([1.0, 2.0])}
    >>> arrays_digest(a) == arrays_digest({"x": np.array([1.0, 2.0])})
    True
    """
    hasher = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        hasher.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        hasher.update(array.tobytes())
    return hasher.hexdigest()


def _pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _unpack(blob: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(blob), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


class Store:
    """A store opened for reading and writing; use it as a context manager.

    Parameters
    ----------
    path
        File to open or create, with its folder; `default_path()` if None.

    Raises
    ------
    ValueError
        The file is no store, or was written by a newer version of mdplab.
    StoreFull
        The disk is full.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = default_path() if path is None else Path(path)
        with self._faults():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit; every write below is one explicit transaction.
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        with self._faults():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise ValueError(
                    f"store {self.path} has format {version}, written by a newer mdplab; this one reads {SCHEMA}"
                )
            self._db.execute("PRAGMA journal_mode=WAL").fetchone()
            self._db.execute("PRAGMA synchronous=NORMAL")
            if version == 0:
                known = [row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
                if set(known) - {"blob", "task", "registration", "run"}:
                    raise ValueError(f"store {self.path} is a database of something else: tables {', '.join(known)}")
                self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was stored stays."""
        self._db.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text or "disk I/O" in text:
                raise self._full(text) from None
            raise ValueError(f"store {self.path} cannot be used: {text}") from None
        except sqlite3.DatabaseError as error:
            raise ValueError(f"store {self.path} is not a store of mdplab: {error}") from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise self._full(error.strerror) from None
            raise ValueError(f"store {self.path} cannot be used: {error.strerror or error}") from None

    def _full(self, text: str) -> StoreFull:
        return StoreFull(
            f"disk full: store {self.path} took no more ({text}); what was stored is safe, the next run resumes"
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def put(self, key: str, claim: str, arm: str, replicate: int, profile: str, outcome: Outcome) -> None:
        """Store one finished task."""
        with self._transaction() as db:
            if outcome.arrays is not None:
                db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (outcome.digest, _pack(outcome.arrays)))
            stored = (outcome.digest or None, outcome.skipped or None, outcome.seconds, outcome.cpu_seconds)
            db.execute(
                "INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key, claim, arm, replicate, profile, *stored),
            )

    def get(self, key: str) -> Outcome | None:
        """The task stored under `key`, or None; arrays whose contents do not match their hash are dropped."""
        with self._faults():
            row = self._db.execute(
                "SELECT task.digest, skipped, seconds, cpu_seconds, npz FROM task LEFT JOIN blob USING (digest)"
                " WHERE key = ?",
                (key,),
            ).fetchone()
        if row is None:
            return None
        stored, skipped, seconds, cpu_seconds, blob = row
        if stored is None:
            return Outcome(None, "", skipped, seconds, cpu_seconds)
        try:
            arrays = _unpack(blob)
        except (TypeError, ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError):
            arrays = None
        if arrays is None or arrays_digest(arrays) != stored:
            with self._transaction() as db:
                db.execute("DELETE FROM task WHERE digest = ?", (stored,))
                db.execute("DELETE FROM blob WHERE digest = ?", (stored,))
            return None
        return Outcome(arrays, stored, "", seconds, cpu_seconds)

    def digests(self) -> dict[tuple[str, str, int, str], str]:
        """The digest of every stored task's arrays by (claim, arm, replicate, profile)."""
        with self._faults():
            rows = self._db.execute("SELECT claim, arm, replicate, profile, digest FROM task").fetchall()
        return {tuple(row[:4]): row[4] or "" for row in rows}

    def register(self, claim: str, profile: str, design: Mapping[str, Any], hash: str) -> Mapping[str, Any]:
        """Record a design unless the claim has one; the design that was recorded first."""
        with self._transaction() as db:
            row = (claim, profile, json.dumps(design), hash)
            db.execute("INSERT OR IGNORE INTO registration VALUES (?, ?, ?, ?)", row)
            found = db.execute("SELECT design FROM registration WHERE claim = ? AND profile = ?", (claim, profile))
            return json.loads(found.fetchone()[0])

    def put_run(self, run: RunResult) -> None:
        """Store what a run said."""
        with self._transaction() as db:
            db.execute("INSERT INTO run (profile, json) VALUES (?, ?)", (run.profile, run.dumps()))

    def last_run(self) -> RunResult | None:
        """The latest finished run, or None."""
        with self._faults():
            row = self._db.execute("SELECT json FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else RunResult.from_json(json.loads(row[0]))

    def latest(self, claim: str) -> tuple[str, Any] | None:
        """(profile, `ClaimResult`) of the latest run that had this claim, or None."""
        with self._faults():
            rows = self._db.execute("SELECT json FROM run ORDER BY id DESC").fetchall()
        for (text,) in rows:
            run = RunResult.from_json(json.loads(text))
            for result in run.results:
                if result.id == claim:
                    return run.profile, result
        return None
