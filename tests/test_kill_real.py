"""The real suite, killed ten times: same verdicts and same arrays as an undisturbed run, for one worker and for two.

As a script, `python tests/test_kill_real.py`, it prints what it does.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from mdplab.claims.store import Store

KILLS = 10
COMMAND = "import sys; from mdplab.cli import main; sys.argv[0] = 'mdplab'; main()"


def _start(folder, name, workers):
    arguments = ["verify", "--workers", str(workers), "--store", f"{name}.sqlite", "--json", f"{name}.json"]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], cwd=folder, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _finish(folder, name, workers):
    process = _start(folder, name, workers)
    try:
        said, _ = process.communicate(timeout=3600)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said
    return json.loads((folder / f"{name}.json").read_text())


def _stored(folder, name):
    path = folder / f"{name}.sqlite"
    if not path.exists():
        return {}
    with Store(path) as store:
        return store.digests()


def _told(run):
    return {result["id"]: (result["verdict"], result["reason"], result["slack"]) for result in run["results"]}


def kill_and_compare(folder, say):
    """Raises AssertionError where a killed run, or one on another number of workers, leaves anything else."""
    start = time.monotonic()
    whole = _finish(folder, "undisturbed", 2)
    seconds = time.monotonic() - start
    say(f"undisturbed, 2 workers: {seconds:.0f} s, {len(whole['results'])} claims, ok {whole['ok']}")
    expected = _stored(folder, "undisturbed")
    # Two moments while it starts, and eight a random while after a random number of tasks is stored.
    rng = np.random.default_rng([1986, 10])
    targets = [0, 0, *np.sort(rng.integers(1, 9 * len(expected) // 10, KILLS - 2))]
    counts = [0]
    for kill, (target, pause) in enumerate(zip(targets, rng.uniform(0.0, 1.0, KILLS))):
        process = _start(folder, "killed", 2)
        began = time.monotonic()
        while target and process.poll() is None and len(_stored(folder, "killed")) < target:
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=pause if target else 4 * pause)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        counts.append(len(_stored(folder, "killed")))
        ended = "killed" if process.returncode == -signal.SIGKILL else "ended by itself"
        say(f"{kill + 1}: {ended} after {time.monotonic() - began:.1f} s, {counts[-1]} of {len(expected)} tasks stored")
    assert counts == sorted(counts), "a kill lost what had been stored"
    assert len({count for count in counts if 0 < count < len(expected)}) >= 3, "too few kills hit the middle of the run"
    after = _finish(folder, "killed", 2)
    say(f"then left alone: {after['seconds']:.0f} s, {after['manifest']['tasks_reused']} tasks reused")
    alone = _finish(folder, "alone", 1)
    say(f"1 worker: {alone['seconds']:.0f} s")
    for name, run in (("killed", after), ("alone", alone)):
        found = _stored(folder, name)
        assert found == expected, f"{name}: other arrays for {[k for k in expected if found.get(k) != expected[k]][:5]}"
        assert _told(run) == _told(whole), name
    say(f"{len(expected)} arrays and {len(whole['results'])} verdicts the same in all three")


@pytest.mark.full
def test_killed_ten_times_the_real_suite_says_and_stores_the_same(tmp_path, capsys):
    def say(line):
        with capsys.disabled():
            print(line)

    kill_and_compare(tmp_path, say)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        kill_and_compare(Path(scratch), lambda line: print(line, flush=True))
