"""The blocks of a request made in order: in this process, ahead of who takes them, or in several."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from caloforge.generation.maker import Maker, made_showers
from caloforge.generation.request import Block, Request
from caloforge.generation.rows import Made
from caloforge.generation.workers import ordered
from caloforge.showers import Showers

_Task = tuple[int, NDArray[np.float32]]
_AHEAD = 2


@final
class Run:
    """The sampling of one request.

    Attributes:
        seconds: that each step has taken so far, over all threads and workers.
    """

    def __init__(self, request: Request, engine: str, threads: int, workers: int) -> None:
        self.seconds = dict.fromkeys(("conditions", "noise", "model", "writing"), 0.0)
        self._request = request
        self._threads = threads
        self._workers = workers
        self._arguments = (
            str(request.bundle.path),
            request.bundle.digest,
            engine,
            threads,
            request.seed,
            request.batch,
        )

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to that step."""
        before = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - before

    def showers(self) -> Generator[Showers, None, None]:
        """Yield the showers of each block, in order."""
        waiting: deque[Block] = deque()  # not more blocks than are under way
        with closing(self._made(self._tasks(waiting))) as made:
            for energies, noise, model in made:
                self.seconds["noise"] += noise
                self.seconds["model"] += model
                yield made_showers(waiting.popleft(), energies, self._request.bundle.path.name)

    def _tasks(self, waiting: deque[Block]) -> Iterator[_Task]:
        blocks = self._request.blocks()
        while True:
            with self.step("conditions"):
                block = next(blocks, None)
            if block is None:
                return
            waiting.append(block)
            yield block.start, block.conditions.inputs

    def _made(self, tasks: Iterator[_Task]) -> Generator[Made, None, None]:
        if self._workers > 1:
            yield from ordered(_work, tasks, self._workers, _prepare, self._arguments)
            return
        maker = Maker(*self._arguments)
        if self._threads == 1:
            for task in tasks:
                yield maker.make(*task)
            return
        # While a block is written the next are made: two of them, so that no thread waits for the end of one.
        ahead = ThreadPoolExecutor(_AHEAD)
        under_way: deque[Future[Made]] = deque()
        try:
            for task in tasks:
                under_way.append(ahead.submit(maker.make, *task))
                if len(under_way) > _AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            ahead.shutdown(cancel_futures=True)


_maker: Maker | None = None


def _prepare(*arguments: Any) -> None:
    global _maker  # one a process, loaded once
    _maker = Maker(*arguments)


def _work(task: _Task) -> Made:
    assert _maker is not None
    return _maker.make(*task)
