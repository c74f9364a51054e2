"""Requests with one item each, from any number of threads; those that wait while the function works go together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar, final

from caloforge.errors import RequestError

Item = TypeVar("Item")
Result = TypeVar("Result")


@final
class Gatherer(Generic[Item, Result]):
    """One thread that applies ``function`` to all items that wait, as soon as it is free.

    Args:
        function: from the items of a batch to as many results, in order.
        batch: the most items of a batch.
        most_waiting: :meth:`submit` blocks while as many wait.

    Raises:
        RequestError: ``batch`` or ``most_waiting`` is below 1.
    """

    def __init__(self, function: Callable[[list[Item]], Sequence[Result]], batch: int, most_waiting: int) -> None:
        if batch < 1 or most_waiting < 1:
            raise RequestError(f"batch and most_waiting must be at least 1; got {batch} and {most_waiting}")
        self._function = function
        self._batch = batch
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()
        self._closed = False
        lock = threading.Lock()
        self._arrived, self._room = threading.Condition(lock), threading.Condition(lock)
        # A daemon: what nobody closed must not keep the program from its end.
        self._thread = threading.Thread(target=self._serve, name="caloforge-gatherer", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> Future[Result]:
        """Return the future of the result; an exception of the function is that of its whole batch.

        Raises:
            RequestError: it is closed.
        """
        future: Future[Result] = Future()
        with self._room:
            self._room.wait_for(lambda: self._closed or len(self._waiting) < self._most_waiting)
            if self._closed:
                raise RequestError("this queue is closed and takes no more; open another one")
            self._waiting.append((item, future))
            self._arrived.notify()
        return future

    def close(self) -> None:
        """Finish what was submitted, and take no more."""
        with self._room:
            self._closed = True
            self._arrived.notify_all()
            self._room.notify_all()
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._next():
            kept = [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]
            if kept:
                self._apply(*zip(*kept, strict=True))

    def _next(self) -> list[tuple[Item, Future[Result]]]:
        """What is worked on next; nothing once all is done and closed."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._closed or len(self._waiting) > 0)
            batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            self._room.notify(len(batch))
        return batch

    def _apply(self, items: Sequence[Item], futures: Sequence[Future[Result]]) -> None:
        try:
            results = self._function(list(items))
        except BaseException as error:  # whatever it is: somebody waits for each of them
            for future in futures:
                future.set_exception(error)
            return
        for future, result in zip(futures, results, strict=True):
            future.set_result(result)
