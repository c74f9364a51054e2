"""Single showers: those of generate whoever asks and when; gathered while the model works; errors to their callers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import DomainError, RequestError, WorkError
from caloforge.generation import ShowerQueue, generate, open_queue
from caloforge.models.base import Sampler
from caloforge.models.bundle import Domain
from caloforge.showers import Showers, save

SEED = 3
PATIENCE = 60.0  # seconds, of a machine with other work


class Held(Sampler):
    """Each cell holds the first noise of its shower; a call ends when it is let go. Energies above 50 GeV fail."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector, 1)
        self.batches: list[int] = []
        self.started, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batches.append(len(conditions))
        self.started.release()
        assert self.go.acquire(timeout=PATIENCE)
        if (conditions[:, 0] > 50_000).any():
            raise WorkError("too hot")
        return np.repeat(np.abs(noise), self.detector.n_cells, axis=1)


@pytest.fixture
def held(lhcb: Detector) -> Held:
    return Held(lhcb)


@pytest.fixture
def queue(held: Held) -> Iterator[ShowerQueue]:
    """Of the held sampler; at most 5 together, 8 waiting."""
    queue = ShowerQueue(held, Domain.of(held.detector), seed=SEED, batch=5, most_waiting=8)
    yield queue
    for _ in range(100):
        held.go.release()
    queue.close()


def row(energy: float = 10_000.0, pdg: int = 11) -> list[float]:
    return [energy, 0.0, 0.0, 0.0, 0.0, pdg]


def occupied(queue: ShowerQueue, held: Held) -> Future[NDArray[np.float32]]:
    """The future of event 0, on which the model works from now on."""
    future = queue.submit(row(), 0)
    assert held.started.acquire(timeout=PATIENCE)
    return future


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("callers", "threads"), [(1, 1), (8, 1), (8, 2)])
def test_showers_are_those_of_generate_in_any_order(tiny_model: Path, engine: str, callers: int, threads: int) -> None:
    pytest.importorskip(engine, reason="the engine (extra 'openvino')")
    expected = generate(n=150, model=tiny_model, seed=SEED, engine=engine)
    assert isinstance(expected, Showers)
    rows = np.column_stack([expected.conditions.matrix, expected.conditions.pdg])
    order = np.random.default_rng(callers).permutation(len(rows))
    with (
        open_queue(model=tiny_model, seed=SEED, engine=engine, batch=7, threads=threads) as queue,
        ThreadPoolExecutor(callers) as pool,
    ):
        made = list(pool.map(lambda event: queue.submit(rows[event], event).result(PATIENCE), order))
    np.testing.assert_array_equal(np.stack(made), expected.energies[order])


def test_showers_are_those_at_the_conditions_of_a_file(tiny_model: Path, showers: Showers, tmp_path: Path) -> None:
    save(tmp_path / "full.h5", showers, source="import", provenance={})
    like = generate(model=tiny_model, like=tmp_path / "full.h5", seed=SEED, engine="onnxruntime")
    assert isinstance(like, Showers)
    rows = np.column_stack([like.conditions.matrix, like.conditions.pdg])
    with open_queue(model=tiny_model, seed=SEED, engine="onnxruntime") as queue:
        futures = [queue.submit(values, event) for event, values in enumerate(rows)]
        made = np.stack([future.result(PATIENCE) for future in futures])
    np.testing.assert_array_equal(made, like.energies)


def test_what_waits_while_the_model_works_goes_to_it_together(queue: ShowerQueue, held: Held) -> None:
    futures = [occupied(queue, held)]
    futures += [queue.submit(row(), event) for event in range(1, 8)]
    for _ in range(3):
        held.go.release()
    made = [future.result(PATIENCE)[0] for future in futures]
    assert held.batches == [1, 5, 2]
    assert len(set(made)) == 8  # each its own noise


def test_a_caller_waits_while_too_many_wait(queue: ShowerQueue, held: Held) -> None:
    occupied(queue, held)
    for event in range(1, 9):
        queue.submit(row(), event)
    sent: list[Future[NDArray[np.float32]]] = []
    caller = threading.Thread(target=lambda: sent.append(queue.submit(row(), 9)))
    caller.start()
    caller.join(0.2)
    assert caller.is_alive()
    held.go.release()  # and the next batch leaves the queue
    caller.join(PATIENCE)
    assert not caller.is_alive()
    for _ in range(2):
        held.go.release()
    assert sent[0].result(PATIENCE).shape == (900,)


def test_an_error_of_the_model_reaches_its_batch_and_no_other(queue: ShowerQueue, held: Held) -> None:
    first = occupied(queue, held)
    failing = [queue.submit(row(60_000 if event == 3 else 10_000), event) for event in range(1, 6)]
    good = queue.submit(row(), 6)
    for _ in range(3):
        held.go.release()
    for future in failing:
        with pytest.raises(WorkError, match="too hot"):
            future.result(PATIENCE)
    assert first.result(PATIENCE).min() > 0
    assert good.result(PATIENCE).min() > 0


def test_what_is_no_shower_is_an_error(write_tiny: Callable[..., Path], broken_graph: bytes, tmp_path: Path) -> None:
    with open_queue(model=write_tiny(tmp_path / "broken.caloforge", graph=broken_graph)) as queue:
        future = queue.submit(row(), 0)
    with pytest.raises(WorkError, match="no shower"):
        future.result(PATIENCE)


def test_what_was_cancelled_is_not_made(queue: ShowerQueue, held: Held) -> None:
    occupied(queue, held)
    futures = [queue.submit(row(), event) for event in range(1, 4)]
    assert futures[1].cancel()
    for _ in range(2):
        held.go.release()
    assert futures[2].result(PATIENCE).shape == (900,)
    assert held.batches == [1, 2]


def test_close_finishes_what_was_sent_and_takes_no_more(queue: ShowerQueue, held: Held) -> None:
    futures = [occupied(queue, held), *(queue.submit(row(), event) for event in range(1, 9))]
    closer = threading.Thread(target=queue.close)
    closer.start()
    with pytest.raises(RequestError, match="closed"):
        queue.submit(row(), 9)  # waits for room, and then for nothing
    for _ in range(3):
        held.go.release()
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert all(future.done() for future in futures)
    queue.close()  # once more does no harm
    with pytest.raises(RequestError, match="closed"):
        queue.submit(row(), 5)


@pytest.mark.parametrize(
    ("conditions", "event", "error", "message"),
    [
        (row(500_000), 7, DomainError, "energy 500 GeV of event 7 lies outside"),
        (row(pdg=13), 0, DomainError, "PDG code 13"),
        (row()[:-1], 0, RequestError, "angle_yz and the PDG code; got the shape \\(5,\\)"),
        ([row()], 0, RequestError, "\\(1, 6\\)"),
        ([float("nan"), 0, 0, 0, 0, 11], 0, RequestError, "'energy' .* not finite"),
        (row(-5), 0, RequestError, "must be positive"),
        ([*row()[:-1], 11.5], 0, RequestError, "whole PDG codes"),
        (["a"] * 6, 0, RequestError, "real numbers"),
        (row(), -1, RequestError, "not negative"),
        (row(), 1.5, TypeError, "integer"),
    ],
)
def test_a_wrong_request_is_an_error_of_its_caller_alone(
    queue: ShowerQueue, held: Held, conditions: Any, event: Any, error: type[Exception], message: str
) -> None:
    good = queue.submit(row(), 0)
    with pytest.raises(error, match=message):
        queue.submit(conditions, event)
    held.go.release()
    assert good.result(PATIENCE).min() > 0
    assert held.batches == [1]


def test_conditions_outside_are_taken_where_allowed(tiny_model: Path) -> None:
    expected = generate(n=1, model=tiny_model, energy=200_000, engine="onnxruntime", allow_extrapolation=True)
    assert isinstance(expected, Showers)
    with open_queue(model=tiny_model, engine="onnxruntime", allow_extrapolation=True) as queue:
        made = queue.submit(np.append(expected.conditions.matrix[0], 11), 0).result(PATIENCE)
    np.testing.assert_array_equal(made, expected.energies[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "at least 1"),
        ({"most_waiting": 0}, "at least 1"),
        ({"seed": -1}, "seed"),
        ({"detector": "calogan"}, "differ|detector"),
    ],
)
def test_a_wrong_queue_is_refused(tiny_model: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        open_queue(**{"detector": "lhcb-ecal", "model": tiny_model, **options})
