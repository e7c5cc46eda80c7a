"""Tasks on the processes of this machine, one thread each, so that results are the same bits for any number of them."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_connections

from mdplab.claims.store import Outcome
from mdplab.claims.worker import Failure, Task, run_task

# Bits of BLAS and of parallel loops depend on the number of threads, which libraries read when they are loaded.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
# A task that was running when a worker died this often is taken to be the cause.
MAX_DEATHS = 3
# Seconds until an interrupt is noticed, and until a pool whose workers are dead is given up.
POLL, PATIENCE = 0.2, 5.0

Done = tuple[Task, Outcome | Failure]


def run_inline(tasks: Iterable[Task], started: Callable[[Task], None]) -> Generator[Done, None, None]:
    """Run tasks in this process, with whatever threads it has."""
    for task in tasks:
        started(task)
        yield task, run_task(task)


def run_local(tasks: Iterable[Task], workers: int, started: Callable[[Task], None]) -> Generator[Done, None, None]:
    """Run tasks on `workers` fresh processes; those of a worker that dies are run again.

    A task that was in flight at a death runs alone from then on, and fails when that kills a worker again. Closing the
    iterator, or an interrupt, ends the processes at once.
    """
    with _interrupts_between_tasks() as check:
        yield from _run_pools(tasks, workers, started, check)


def _run_pools(
    tasks: Iterable[Task], workers: int, started: Callable[[Task], None], check: Callable[[], None]
) -> Generator[Done, None, None]:
    pending, deaths = deque(tasks), Counter()
    while pending:
        before = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)
        flying: dict[Future, Task] = {}
        try:
            while pending or flying:
                while pending and _may_start(pending[0], flying, deaths, workers):
                    flying[_submit(pool, pending[0])] = pending[0]
                    started(pending.popleft())
                done, _ = wait(flying, timeout=POLL, return_when=FIRST_COMPLETED)
                check()
                for future in done:
                    outcome = future.result()
                    yield flying.pop(future), outcome
            pool.shutdown()
        except BrokenProcessPool:
            lost = list(flying.values())
            deaths.update(lost)
            for task in lost:
                if deaths[task] >= MAX_DEATHS:
                    yield task, Failure(f"replicate {task.replicate} ended its worker process {MAX_DEATHS} times")
            pending.extendleft(reversed([task for task in lost if deaths[task] < MAX_DEATHS]))
        finally:
            _end(pool, set(multiprocessing.active_children()) - before)


@contextmanager
def _interrupts_between_tasks() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises where the pool is at rest: raised inside it, with a lock held, it could leave the pool hanging.

    Yields a function to call at such a place. A second Ctrl-C is not deferred.
    """
    before = signal.getsignal(signal.SIGINT)
    # What runs in the background of a shell ignores interrupts, and goes on ignoring them.
    if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    caught = []

    def note(signum: int, frame: object) -> None:
        caught.append(signum)
        signal.signal(signal.SIGINT, before)

    def check() -> None:
        if caught:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
    # One that came with the last task is not lost.
    check()


def _may_start(task: Task, flying: dict[Future, Task], deaths: Counter, workers: int) -> bool:
    """One task beyond the number of workers waits in line; a suspect runs alone."""
    if deaths[task] or any(deaths[other] for other in flying.values()):
        return not flying
    return len(flying) <= workers


def _submit(pool: ProcessPoolExecutor, task: Task) -> Future:
    with _birth():
        return pool.submit(run_task, task)


@contextmanager
def _birth() -> Iterator[None]:
    """What a worker inherits: one thread, interrupts blocked, and no main module.

    An interrupt is for the process that stores results, which then ends the workers. The main module (a script, a test
    runner) is not run again in a worker, because tasks name all that they need.
    """
    main = sys.modules["__main__"]
    hidden = {name: main.__dict__.pop(name) for name in ("__file__", "__spec__") if name in main.__dict__}
    main.__spec__ = None
    saved = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    masked = hasattr(signal, "pthread_sigmask")
    if masked:
        # The tracker unblocks interrupts when it starts, so it has to be there before they are blocked.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        main.__dict__.update(hidden)


def _prepare() -> None:
    """In a new worker: end with the process that started it, even if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait_connections([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end(pool: ProcessPoolExecutor, children: set) -> None:
    for process in children:
        process.kill()
    # Waiting for the pool could be for ever: its own thread may be blocked on a pipe that the dead no longer read.
    pool.shutdown(wait=False, cancel_futures=True)
    for process in children:
        process.join(PATIENCE)
