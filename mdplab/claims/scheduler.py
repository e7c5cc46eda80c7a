"""Tasks on a Dask cluster that is already running (optional: `pip install mdplab[dask]`).

Workers need the same sources and versions of mdplab, which every task checks, and one BLAS thread, which `dask worker`
sets unless told otherwise. What a lost worker held is computed again by the others.
"""

import os
import re
from collections.abc import Callable, Generator, Iterable
from typing import Any

from mdplab.claims.local import Done
from mdplab.claims.registration import versions
from mdplab.claims.store import Outcome
from mdplab.claims.worker import Failure, Task, run_task

SECONDS = 4


def connect(address: str) -> Any:
    """A client of the scheduler at `address`, once its workers are known to be able to do the work.

    Raises
    ------
    ValueError
        `distributed` is not installed, the address is malformed, nothing answers there within a few seconds, it has no
        workers, or a worker has other versions or more than one BLAS thread.
    """
    if not re.fullmatch(r"(tcp|tls)://.+:\d+", address):
        raise ValueError(f"scheduler is {address!r}; expected tcp://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("a scheduler needs the extra: pip install 'mdplab[dask]'") from None
    import logging

    # A refused connection is reported once, by the error below.
    logging.getLogger("distributed.comm").setLevel(logging.CRITICAL)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ValueError(f"no scheduler at {address}: nothing answered within {SECONDS} s") from error
    try:
        client.wait_for_workers(1, timeout=SECONDS)
        for worker, found in client.run(_describe).items():
            for name, value in versions().items():
                if found[name] != value:
                    raise ValueError(f"worker {worker} has {name} {found[name]}, here it is {value}")
            if found["threads"] != "1":
                raise ValueError(f"worker {worker} has OPENBLAS_NUM_THREADS={found['threads']!r}; expected 1")
    except TimeoutError:
        client.close()
        raise ValueError(f"the scheduler at {address} has no workers") from None
    except BaseException:
        client.close()
        raise
    return client


def _describe() -> dict[str, str]:
    threads = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS", "")
    return {**versions(), "threads": threads}


def run_distributed(
    tasks: Iterable[Task], address: str, started: Callable[[Task], None]
) -> Generator[Done, None, None]:
    """Run tasks on the cluster at `address`; closing the iterator, or an interrupt, cancels what is left.

    Raises
    ------
    ValueError
        As `connect`, or the scheduler went away.
    """
    from distributed import as_completed

    with connect(address) as client:
        # Keys are random: the store decides what is known, not the cluster's memory.
        futures = {client.submit(run_task, task, pure=False): task for task in tasks}
        for task in futures.values():
            started(task)
        try:
            for future, result in as_completed(list(futures), loop=client.loop, with_results=True, raise_errors=False):
                if future.cancelled():
                    raise ValueError(f"the scheduler at {address} went away; what had finished is stored")
                task = futures.pop(future)
                if isinstance(result, Outcome | Failure):
                    yield task, result
                else:
                    yield task, Failure(f"replicate {task.replicate} was lost: {future.exception()!r}")
        finally:
            if futures:
                client.cancel(list(futures))
