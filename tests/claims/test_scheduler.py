"""A real Dask scheduler with two real workers on loopback, one of them killed in the middle."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from claims.toy import CLAIM, MODULE, write_paper

from mdplab.claims.runner import run_claims
from mdplab.claims.store import Store

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="distributed is not installed (the extra mdplab[dask])"
)
SECONDS = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dask(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(process, phrase):
    """The line of the process's log that has `phrase`."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        line = process.stderr.readline()
        if phrase in line:
            return line
        assert process.poll() is None, "it ended"
    raise AssertionError(f"never said {phrase!r}")


def worker(folder, address):
    # Without a nanny no one starts a killed worker again.
    return dask(folder, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")


@pytest.fixture
def cluster(tmp_path, toy, monkeypatch):
    """(address, workers): both see the toy paper through the environment."""
    # A nanny would have said so.
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    address = f"tcp://127.0.0.1:{free_port()}"
    processes = [dask(tmp_path, "scheduler", "--host", "127.0.0.1", "--port", address.split(":")[-1], "--no-dashboard")]
    try:
        wait_for(processes[0], "Scheduler at")
        processes += [worker(tmp_path, address) for _ in range(2)]
        for process in processes[1:]:
            wait_for(process, "Registered to")
        yield address, processes[1:]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_a_worker_killed_in_the_middle_loses_nothing(cluster, toy, tmp_path):
    module = MODULE[: MODULE.index('@claim("Lemma 2"')] + MODULE[MODULE.index('@claim("Theorem 1"') :]
    card = CLAIM.format(name="small", verdict="verified", quick=12, full=12)
    card += CLAIM.format(name="rate", verdict="consistent", quick=12, full=12)
    write_paper(toy, module=module[: module.index('@claim("Theorem 2"')], pause=0.05, card=card)
    address, workers = cluster
    finished = []

    def kill_in_the_middle(event):
        if event.kind == "finished":
            finished.append(event)
            if len(finished) == 20:
                workers[0].kill()

    run = run_claims(
        ["toy2000"], profile="full", scheduler=address, store=tmp_path / "far", on_event=kill_in_the_middle
    )
    assert workers[0].wait(SECONDS) == -signal.SIGKILL
    assert len(finished) == 60
    near = run_claims(["toy2000"], profile="full", workers=2, store=tmp_path / "near")
    assert [(r.id, r.verdict, r.reason) for r in run.results] == [(r.id, r.verdict, r.reason) for r in near.results]
    assert run.ok
    with Store(tmp_path / "far") as far, Store(tmp_path / "near") as local:
        assert far.digests() == local.digests()
    assert run.manifest["where"] == "cluster (tcp)"


def test_no_scheduler_at_that_address_is_said_within_seconds(toy):
    clock = time.monotonic()
    with pytest.raises(ValueError, match=r"no scheduler at tcp://127\.0\.0\.1:\d+: nothing answered within 4 s"):
        run_claims(["toy2000:small"], scheduler=f"tcp://127.0.0.1:{free_port()}")
    assert time.monotonic() - clock < 10
