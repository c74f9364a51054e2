"""The parent of workers on a Dask cluster: the same shards in the same folder as with processes on this machine."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caloforge.errors import RequestError, WorkError, require
from caloforge.fullsim.job import Job
from caloforge.fullsim.remote import Answer, Order, make_order
from caloforge.fullsim.work import Work
from caloforge.progress import Advance
from caloforge.showers.atomic import atomic_output

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 2  # shards under way for each thread of the cluster
_POLL = 1.0  # seconds between looks at how many workers there are


def simulate_shards_on_cluster(
    job: Job,
    folder: Work,
    shards: Sequence[tuple[int, int]],
    *,
    client: Client,
    tables: str,
    advance: Advance,
    verbose: bool,
) -> None:
    """Make the ``shards`` of a job on the workers of a Dask cluster, each of whose threads holds a Geant4 process.

    The content of a shard's file comes back through Dask, so that no file system needs to be shared. Dask does the
    shards of a lost worker again elsewhere.

    Args:
        tables: description of Geant4's tables here; those of a worker must have the same.
        advance: told how many more events are done.
        verbose: copy what Geant4 prints to the error stream.

    Raises:
        RequestError: a worker lacks CaloForge or Geant4, or has other versions or tables.
        WorkError: Geant4 failed, with its message, or the scheduler is lost; the shards made so far stay.
    """
    distributed = require("distributed", "cluster")
    log = folder.log("cluster")
    log.touch()
    queue = deque(shards)
    under_way: dict[Future, tuple[int, int]] = {}
    function = _function()

    def some_finished() -> list[Future]:
        most = _AHEAD * max(1, sum(client.nthreads().values()))
        while queue and len(under_way) < most:
            start, stop = queue.popleft()
            order = make_order(job, tables, start, stop)
            under_way[client.submit(function, order, pure=False)] = (start, stop)
        with suppress(TimeoutError):
            return list(distributed.wait(list(under_way), timeout=_POLL, return_when="FIRST_COMPLETED").done)
        return []

    try:
        while queue or under_way:
            try:
                finished = some_finished()
            except (CancelledError, OSError) as error:
                raise WorkError("the connection to the Dask scheduler is lost") from error
            for future in finished:
                start, stop = under_way.pop(future)
                kind, content, news = _answer(future, start, stop)
                _note(log, news, verbose=verbose)
                if kind == "refused":
                    raise RequestError(content)
                if kind == "failed":
                    raise WorkError(content)
                _write(folder.shard(start, stop), content)
                advance(stop - start)
    except WorkError as error:
        raise WorkError(f"{error}; {folder.kept(log)}") from error
    finally:
        with suppress(Exception):  # the scheduler may be lost
            client.cancel(list(under_way))


def _function() -> Callable[[Order], Answer]:
    def order_shard(order: Order) -> Answer:
        # A function within a function is carried whole: this one also runs where there is no CaloForge.
        try:
            from caloforge.fullsim.remote import make_shard
        except ImportError as error:
            import platform

            advice = "install caloforge[fullsim,cluster] there, in the version that is here"
            return "refused", f"the worker on {platform.node()} cannot import CaloForge ({error}); {advice}", ""
        return make_shard(order)

    return order_shard


def _answer(future: Any, start: int, stop: int) -> Answer:
    try:
        answer: Answer = future.result()
    except Exception as error:  # of any kind: Dask hands on what went wrong anywhere
        raise WorkError(f"Dask lost the events {start} to {stop} ({type(error).__name__}: {error})") from error
    return answer


def _note(log: Path, news: str, *, verbose: bool) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(news)
    if verbose:
        sys.stderr.write(news)


def _write(path: Path, content: bytes) -> None:
    try:
        with atomic_output(path, overwrite=True) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise WorkError(f"cannot write {path} ({error.strerror}); make room or choose another place") from error
