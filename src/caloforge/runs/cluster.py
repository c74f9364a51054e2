"""The parent of workers on a Dask cluster: the same shards in the same folder as with processes on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caloforge.errors import RequestError, WorkError, require
from caloforge.progress import Advance
from caloforge.runs.remote import Answer, Order
from caloforge.runs.work import Shard, Work
from caloforge.showers.atomic import atomic_output

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 2  # shards under way for each thread of the cluster
_POLL = 1.0  # seconds between looks at how many workers there are


def make_shards_on_cluster(
    client: Client,
    work: Work,
    shards: Sequence[Shard],
    *,
    module: str,
    extras: str,
    order: Callable[[int, int], Order],
    shared: bytes | None = None,
    hear: Callable[[str], None] = lambda printed: None,
    advance: Advance,
) -> None:
    """Make the ``shards`` of a run on the workers of a Dask cluster.

    The content of a shard's file comes back through Dask, so that no file system needs to be shared. Dask does the
    shards of a lost worker again elsewhere.

    Args:
        module: of CaloForge, whose ``make_shard(order)``, or ``make_shard(order, shared)``, a worker calls.
        extras: of CaloForge that a worker needs.
        order: returns the order for the events from a first one to an end.
        shared: what all orders need; it travels once to each worker.
        hear: told what workers printed.
        advance: told how many more events are done.

    Raises:
        RequestError: a worker lacks CaloForge, or refuses the order.
        WorkError: a worker failed, with its message, a shard cannot be written, or the scheduler is lost; the shards
            made so far stay.
    """
    distributed = require("distributed", "cluster")
    queue = deque(shards)
    under_way: dict[Future, Shard] = {}
    function = _function(module, extras)
    further = [] if shared is None else [_send(client, shared)]

    def some_finished() -> list[Future]:
        most = _AHEAD * max(1, sum(client.nthreads().values()))
        while queue and len(under_way) < most:
            start, stop = queue.popleft()
            under_way[client.submit(function, order(start, stop), *further, pure=False)] = (start, stop)
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
                kind, content, printed = _answer(future, start, stop)
                hear(printed)
                if kind == "refused":
                    raise RequestError(content)
                if kind == "failed":
                    raise WorkError(content)
                _write(work.shard(start, stop), content)
                advance(stop - start)
    except WorkError as error:
        raise WorkError(f"{error}; {work.kept()}") from error
    finally:
        with suppress(Exception):  # the scheduler may be lost
            client.cancel(list(under_way))


def _function(module: str, extras: str) -> Callable[..., Answer]:
    def order_shard(order: Order, *shared: bytes) -> Answer:
        # A function within a function is carried whole: this one also runs where there is no CaloForge.
        import importlib

        try:
            make_shard = vars(importlib.import_module(module))["make_shard"]
        except ImportError as error:
            import platform

            advice = f"install caloforge[{extras}] there, in the version that is here"
            return "refused", f"the worker on {platform.node()} cannot import CaloForge ({error}); {advice}", ""
        answer: Answer = make_shard(order, *shared)
        return answer

    return order_shard


def _send(client: Client, content: bytes) -> Future:
    """The content as the result of a task: it goes from worker to worker, and is made again when its worker is lost."""
    config = require("dask", "cluster").config
    with config.set({"distributed.admin.large-graph-warning-threshold": len(content) + 2**20}):
        return client.submit(bytes, content, pure=False)


def _answer(future: Any, start: int, stop: int) -> Answer:
    try:
        answer: Answer = future.result()
    except Exception as error:  # of any kind: Dask hands on what went wrong anywhere
        raise WorkError(f"Dask lost the events {start} to {stop} ({type(error).__name__}: {error})") from error
    return answer


def _write(path: Path, content: bytes) -> None:
    try:
        with atomic_output(path, overwrite=True) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise WorkError(f"cannot write {path} ({error.strerror}); make room or choose another place") from error
