"""Showers asked for one at a time, as simulation frameworks do."""

from __future__ import annotations

import operator
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.detector import DEFAULT_DETECTOR, Conditions, Detector, check_domain, load_detector, real_numbers
from caloforge.errors import RequestError, WorkError
from caloforge.generation.choice import load_sampler
from caloforge.generation.gather import Gatherer
from caloforge.generation.maker import STREAM
from caloforge.generation.request import check_detector
from caloforge.models.base import Sampler
from caloforge.models.bundle import Domain, resolve_bundle
from caloforge.random import check_seed, normals

_Row = tuple[int, NDArray[np.float32]]  # number of the event, Conditions.inputs (1, C + 1)


@final
class ShowerQueue:
    """A model that gives single showers, to any number of threads.

    When the model is free it takes at once what waits; other requests gather while it works. So one caller has the
    latency of one shower, and the showers of many are made in batches. Each is the one that
    :func:`caloforge.generate` makes for this seed, number of the event and conditions.

    Args:
        sampler, domain: a model and where it may be asked; :func:`open_queue` finds them.
        seed: of the noise.
        batch: the most showers that the model makes together.
        most_waiting: :meth:`submit` blocks while as many requests wait.
        allow_extrapolation: take conditions outside the domain; :func:`caloforge.check_domain` says which are.

    Raises:
        RequestError: a wrong seed, or ``batch`` or ``most_waiting`` below 1.
    """

    def __init__(
        self,
        sampler: Sampler,
        domain: Domain,
        *,
        seed: int = 0,
        batch: int = 128,
        most_waiting: int = 1024,
        allow_extrapolation: bool = False,
    ) -> None:
        self._sampler = sampler
        self._domain = domain
        self._seed = check_seed(seed)
        self._allow_extrapolation = allow_extrapolation
        self._gatherer = Gatherer(self._make, batch, most_waiting)

    def submit(self, conditions: ArrayLike, event: int) -> Future[NDArray[np.float32]]:
        """Ask for the shower of event number ``event``.

        Args:
            conditions: (C + 1,), in the detector's own order and units (MeV, mm, rad), the PDG code last.

        Returns:
            The future of its energies: (n_cells,) float32, MeV. If the model fails, it raises the model's error.
            Callbacks run in the thread of the model: they must be quick, and not submit.

        Raises:
            RequestError: conditions that no shower has, a number below 0, or the queue is closed.
            DomainError: conditions outside the domain, without ``allow_extrapolation``.
        """
        event = operator.index(event)
        if event < 0:
            raise RequestError(f"the number of an event is not negative; got {event}")
        return self._gatherer.submit((event, self._checked(conditions, event).inputs))

    def close(self) -> None:
        """Finish what was submitted, and take no more."""
        self._gatherer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _checked(self, conditions: ArrayLike, event: int) -> Conditions:
        row = real_numbers("conditions", conditions)
        detector, domain = self._sampler.detector, self._domain
        if row.shape != (len(detector.condition_names) + 1,):
            names = ", ".join(detector.condition_names)
            raise RequestError(f"the conditions of a shower are {names} and the PDG code; got the shape {row.shape}")
        one = Conditions(detector, row[None, :-1], row[-1:])
        low, high, extrapolate = np.array(domain.low), np.array(domain.high), self._allow_extrapolation
        check_domain(one, low, high, domain.particles, first=event, allow_extrapolation=extrapolate)
        return one

    def _make(self, rows: list[_Row]) -> list[NDArray[np.float32]]:
        width = self._sampler.noise_width
        noise = np.concatenate([normals(self._seed, STREAM, event, 1, width) for event, _ in rows])
        made = self._sampler.sample(np.concatenate([inputs for _, inputs in rows]), noise)
        if not (made.min() >= 0 and made.max() < np.inf):
            raise WorkError("the model gave something that is no shower: energies are finite and not negative")
        return [energies.copy() for energies in made]  # a view would keep its whole batch in memory


def open_queue(
    detector: str | Path | Detector = DEFAULT_DETECTOR,
    *,
    model: str | Path | None = None,
    engine: str = "auto",
    threads: int = 1,
    seed: int = 0,
    batch: int = 128,
    most_waiting: int = 1024,
    allow_extrapolation: bool = False,
) -> ShowerQueue:
    """Load a model for single showers.

    >>> with open_queue("lhcb-ecal", seed=1) as queue:
    ...     shower = queue.submit([20_000, 0, 0, 0.1, 0, 11], event=0).result()  # MeV, mm, mm, rad, rad, PDG code
    >>> shower.shape
    (900,)

    Args:
        detector, model, engine: as for :func:`caloforge.generate`.
        threads: of the engine, which share the rows of a batch; one by default, for a framework has its own.
        seed, batch, most_waiting, allow_extrapolation: as for :class:`ShowerQueue`.

    Raises:
        RequestError: as from :func:`caloforge.generate` before any work.
    """
    described = load_detector(detector)
    bundle = resolve_bundle(model, described.name)
    check_detector(described, bundle, f"the detector {described.name}")
    return ShowerQueue(
        load_sampler(bundle, engine, threads),
        bundle.domain,
        seed=seed,
        batch=batch,
        most_waiting=most_waiting,
        allow_extrapolation=allow_extrapolation,
    )
