"""The runner: same bits for any number of workers, and nothing that had finished is lost, whatever is killed."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from claims.toy import CLAIM, MODULE, VERDICTS, write_paper

from mdplab.claims.local import ONE_THREAD
from mdplab.claims.runner import run_claims
from mdplab.claims.store import Store, StoreFull

NAMES = ("small", "rate")
HEAD = MODULE[: MODULE.index('@claim("Lemma 1"')]

# Says which processes it has, then works through the toy claims; "+" for each task that is stored.
# Run from the background of a shell, the tests themselves ignore interrupts, and so would what they start.
SCRIPT = """
import multiprocessing, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mdplab.claims.runner import run_claims

def show(event):
    if event.kind == "started":
        print("pids", *(child.pid for child in multiprocessing.active_children()), flush=True)
    if event.kind == "finished":
        print("+", flush=True)

try:
    run_claims(["toy2000"], profile="full", workers=2, store=sys.argv[1], on_event=show)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def slow_toy(toy):
    """60 tasks of 25 ms: two workers need at least 0.75 s for them."""
    card = "".join(CLAIM.format(name=name, verdict=VERDICTS[name], quick=12, full=12) for name in NAMES)
    module = MODULE[: MODULE.index('@claim("Lemma 2"')] + MODULE[MODULE.index('@claim("Theorem 1"') :]
    return write_paper(toy, module=module[: module.index('@claim("Theorem 2"')], pause=0.025, card=card)


@pytest.fixture
def start():
    """Starts the script in a process group of its own, all of which ends with the test."""
    started = []

    def launch(store, **environment):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(store)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True, env=os.environ | environment,
        )  # fmt: skip
        started.append(process)
        return process

    yield launch
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def ended(pid):
    """Whether a process is gone, or is a zombie that nobody reaps."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def stored(path):
    with Store(path) as store:
        return store.digests()


def told(run):
    return {result.id: (result.verdict, [arm.digest for arm in result.arms]) for result in run.results}


def test_one_two_and_no_workers_store_the_same_arrays_and_say_the_same(slow_toy, tmp_path):
    runs = {n: run_claims(["toy2000"], workers=n, store=tmp_path / str(n)) for n in (0, 1, 2)}
    assert told(runs[0]) == told(runs[1]) == told(runs[2])
    assert stored(tmp_path / "0") == stored(tmp_path / "1") == stored(tmp_path / "2")
    assert len(stored(tmp_path / "1")) == 60
    assert not any("mdplab" in repr(child) for child in multiprocessing.active_children())


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc to see that workers ended")
def test_killed_at_random_moments_it_resumes_to_the_same_verdicts_and_arrays(slow_toy, tmp_path, start):
    undisturbed = run_claims(["toy2000"], profile="full", workers=1, store=tmp_path / "undisturbed")
    killed = tmp_path / "killed"
    progress = [0]
    rng = np.random.default_rng([20])
    # Once while it starts, then a random while after a random number of further tasks; 60 tasks outlast all of it.
    for tasks, pause in zip([0, *rng.integers(1, 13, 3)], rng.uniform(0.0, 0.1, 4)):
        process = start(killed)
        lines = []
        while lines.count("+") < tasks:
            lines.append(process.stdout.readline().strip())
            assert lines[-1], "it ended before it was killed"
        time.sleep(0.3 if not tasks else pause)
        os.kill(process.pid, signal.SIGKILL)
        # Its workers hold the other end of this pipe: it closes when they end too.
        lines += process.communicate(timeout=20)[0].splitlines()
        workers = {pid for line in lines if line.startswith("pids") for pid in line.split()[1:]}
        assert within(10, lambda workers=workers: all(ended(pid) for pid in workers)), "a worker outlived the run"
        if killed.exists():
            now = stored(killed)
            assert now.items() <= stored(tmp_path / "undisturbed").items()
            # What the run reported as stored is in the store.
            assert len(now) >= progress[-1] + lines.count("+")
            progress.append(len(now))
    resumed = run_claims(["toy2000"], profile="full", workers=2, store=killed)
    assert resumed.manifest["tasks_reused"] == progress[-1] > 0
    assert told(resumed) == told(undisturbed)
    assert stored(killed) == stored(tmp_path / "undisturbed")


def test_an_interrupt_ends_at_once_and_leaves_a_store_to_resume(slow_toy, tmp_path, start):
    process = start(tmp_path / "s", TOY_NAP="60")
    while process.stdout.readline().strip() != "+":
        assert process.poll() is None
    # What a terminal does: the whole process group is interrupted.
    os.killpg(process.pid, signal.SIGINT)
    clock = time.monotonic()
    lines = process.communicate(timeout=20)[0].splitlines()
    # One worker is in a nap of a minute, which was not waited for.
    assert time.monotonic() - clock < 5
    assert process.returncode == 130
    count = len(stored(tmp_path / "s"))
    assert 1 + lines.count("+") <= count < 60
    run = run_claims(["toy2000"], profile="full", workers=2, store=tmp_path / "s")
    assert run.ok and run.manifest["tasks_reused"] == count


@pytest.fixture
def on_interrupt():
    """Sets the handler of interrupts for one test."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("last", [False, True])
def test_an_interrupt_is_raised_wherever_it_comes(slow_toy, tmp_path, on_interrupt, last):
    def interrupt(event):
        if event.kind == "finished" and (event.done == event.total) == last:
            signal.raise_signal(signal.SIGINT)

    on_interrupt(signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        run_claims(["toy2000:small"], workers=1, store=tmp_path / "s", on_event=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_interrupts_that_are_ignored_stay_ignored(slow_toy, tmp_path, on_interrupt):
    on_interrupt(signal.SIG_IGN)
    run = run_claims(
        ["toy2000:small"], workers=1, store=tmp_path / "s", on_event=lambda event: signal.raise_signal(signal.SIGINT)
    )
    assert run.ok and signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_a_killed_worker_costs_nothing_but_time(slow_toy, tmp_path):
    victims = []

    def kill_one(event):
        children = multiprocessing.active_children()
        if event.kind == "finished" and len(victims) < 2 and event.replicate in {3, 9} and children:
            victims.append(children[0].pid)
            children[0].kill()

    run = run_claims(["toy2000"], workers=2, store=tmp_path / "killed", on_event=kill_one)
    assert len(victims) == 2
    assert told(run) == told(run_claims(["toy2000"], workers=1, store=tmp_path / "calm"))


def test_a_task_that_ends_its_worker_is_named_and_the_others_finish(toy):
    module = HEAD + '''
@claim("Theorem 8", "x", relation=Bound(), falsifiers={"doubled": doubled})
def deadly(p, rng):
    os._exit(7)
''' + MODULE[MODULE.index('@claim("Lemma 1"') : MODULE.index('@claim("Lemma 2"')]  # fmt: skip
    card = CLAIM.format(name="deadly", verdict="invalid-check", quick=1, full=1)
    card += CLAIM.format(name="small", verdict="verified", quick=3, full=3)
    write_paper(toy, module=module, card=card)
    run = run_claims(["toy2000"], workers=2)
    assert run.ok
    assert "replicate 0 ended its worker process 3 times" in run["toy2000:deadly"].reason


def test_workers_have_one_thread_and_the_caller_keeps_its_own(toy, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    module = HEAD + '''
@claim("Theorem 9", "x", relation=Witness(), falsifiers={"no": lambda p, rng: Evidence(holds=[False])})
def threads(p, rng):
    return Evidence(holds=[os.environ[name] == "1" for name in NAMES])
'''.replace("NAMES", repr(sorted(ONE_THREAD)))  # fmt: skip
    write_paper(toy, module=module, card=CLAIM.format(name="threads", verdict="verified", quick=1, full=1))
    assert run_claims(["toy2000"], workers=1).ok
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert sys.modules["__main__"].__spec__ is None or sys.modules["__main__"].__spec__.name


def test_adding_a_claim_changes_no_other_stream(toy, tmp_path):
    few = run_claims(["toy2000:small", "toy2000:rate"], workers=0, store=tmp_path / "few")
    added = '''
@claim("Lemma 0", "x", relation=Bound(), falsifiers={"doubled": doubled})
def added(p, rng):
    return small(p, rng)


@claim("Lemma 2"'''
    write_paper(toy, module=MODULE.replace('@claim("Lemma 2"', added))
    card = (toy / "toy2000.toml").read_text() + CLAIM.format(name="added", verdict="verified", quick=3, full=3)
    (toy / "toy2000.toml").write_text(card)
    more = run_claims(["toy2000"], workers=0, store=tmp_path / "more")
    for name in few.results:
        assert [arm.arrays for arm in more[name.id].arms] == [arm.arrays for arm in name.arms]
    assert more["toy2000:added"].arm("main").arrays != more["toy2000:small"].arm("main").arrays


def test_stored_data_of_other_sources_are_computed_again(toy):
    run_claims(["toy2000:small"], workers=0)
    assert run_claims(["toy2000:small"], workers=0).manifest["tasks_reused"] == 6
    write_paper(toy, module=MODULE.replace("rng.uniform(0.5, 1.0, 5)", "rng.uniform(0.5, 0.9, 5)"))
    run = run_claims(["toy2000:small"], workers=0)
    assert run.manifest["tasks_reused"] == 0
    assert run["toy2000:small"].slack <= 0.9


def test_a_full_disk_stops_the_run_and_the_next_one_resumes(toy, monkeypatch):
    put, room = Store.put, [2]

    def limited(self, *args):
        # SQLite's own limit raises the error that a full disk does.
        if not room[0]:
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            self._db.execute(f"PRAGMA max_page_count={pages}")
        room[0] -= 1
        put(self, *args)

    monkeypatch.setattr(Store, "put", limited)
    with pytest.raises(StoreFull, match="disk full"):
        run_claims(["toy2000"], workers=1)
    assert not multiprocessing.active_children()
    monkeypatch.undo()
    monkeypatch.setenv("MDPLAB_PAPERS", str(toy))
    run = run_claims(["toy2000"], workers=0, store=toy.parent / "store.sqlite")
    assert run.ok and run.manifest["tasks_reused"] >= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "huge"}, "profile is 'huge'; expected one of quick, full"),
        ({"workers": -1}, "workers is -1"),
        ({"ids": ["toy2000:smal"]}, "nearest: toy2000:small"),
        ({"ids": ["toy2000:small"], "scheduler": "127.0.0.1:1"}, "expected tcp://HOST:PORT"),
    ],
)
def test_what_cannot_be_run_is_refused(toy, options, message):
    with pytest.raises(ValueError, match=message):
        run_claims(**options)


def test_events_tell_the_story(toy):
    seen = []
    run_claims(["toy2000:small", "toy2000:broken"], workers=0, on_event=seen.append)
    kinds = [event.kind for event in seen]
    assert kinds[:2] == ["plan", "plan"] and kinds[-2:] == ["verdict", "verdict"]
    assert kinds.count("started") == 12 and kinds.count("finished") == 9 and kinds.count("failed") == 3
    assert kinds.count("claim") == 2
    failed = next(event for event in seen if event.kind == "failed")
    assert failed.text == "replicate 0 raised RuntimeError: no such number"
    assert 'raise RuntimeError("no such number")' in failed.detail
    last = [event for event in seen if event.claim == "toy2000:small" and event.kind == "finished"][-1]
    assert (last.done, last.total) == (6, 6)
