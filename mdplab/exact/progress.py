"""A progress line for long solves: shown only when asked for, and only after it is clear that the solve is long."""

import math
import time
from typing import Any

_PATIENCE_SECONDS = 2.0


class Progress:
    """Shows the certified gap on its way to `tol`, once a solve has lasted two seconds."""

    def __init__(self, name: str, tol: float, shown: bool) -> None:
        self._name, self._tol, self._shown = name, tol, shown
        self._start = time.perf_counter()
        self._first: float | None = None
        self._bar: Any = None
        self._task: Any = None

    def update(self, bound: float) -> None:
        """Report the present bound on the error."""
        if not self._shown or not 0 < bound < math.inf:
            return
        self._first = self._first or bound
        if self._bar is None:
            if time.perf_counter() - self._start < _PATIENCE_SECONDS:
                return
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=1.0)
        ahead = max(math.log(self._first / self._tol), 1e-9)
        done = min(1.0, math.log(max(self._first / bound, 1.0)) / ahead)
        text = f"{self._name}: error at most {bound:.1e}, asked for {self._tol:.0e}"
        self._bar.update(self._task, completed=done, description=text)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
