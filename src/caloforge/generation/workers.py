"""Ordered results from worker processes, with back-pressure."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from caloforge.errors import WorkError
from caloforge.processes import end_with_parent
from caloforge.showers.interrupts import ctrl_c_waits

Task = TypeVar("Task")
Result = TypeVar("Result")


def ordered(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
    prepare: Callable[..., object],
    arguments: tuple[Any, ...],
) -> Iterator[Result]:
    """Yield ``function(task)`` of each task, in the order of the tasks, computed in ``workers`` new processes.

    At most two tasks a worker are under way or waiting to be fetched, so memory does not grow with the number of tasks.
    ``prepare(*arguments)`` runs once in each process. Workers ignore Ctrl-C, which the caller handles, and end when
    the caller is killed. Everything that goes to a worker is pickled between our own processes, never read from a file.

    Raises:
        WorkError: a worker died.
    """
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(prepare, arguments))
    pending: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            with (
                ctrl_c_waits(),
                _children_without_ctrl_c(),
            ):  # a pool interrupted while it starts a process cannot be shut down
                pending.append(executor.submit(function, task))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise WorkError(
            "a worker process died (killed, or out of memory?); ask for fewer workers. "
            "A script that uses workers needs its calls under: if __name__ == '__main__':"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _children_without_ctrl_c() -> Iterator[None]:
    """Processes started in the block have Ctrl-C blocked from their first moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(prepare: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    prepare(*arguments)
