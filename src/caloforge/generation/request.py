"""A request for showers, checked as a whole before any work: which model, which conditions, how many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import (
    Conditions,
    Detector,
    Energy,
    Mixture,
    Particle,
    check_domain,
    check_same,
    draw_conditions,
    load_detector,
)
from caloforge.errors import DomainError, RequestError
from caloforge.models.bundle import Bundle, read_bundle, resolve_bundle, shipped_bundle, shipped_families
from caloforge.random import check_seed
from caloforge.runs.work import Shard, cut
from caloforge.showers.arrays import WHOLE_CHUNKS
from caloforge.showers.asked import asked_conditions

SHARD = 4 * WHOLE_CHUNKS
"""Showers of a shard on a cluster: seconds of work, and whole chunks, which are joined without being unpacked."""
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Block:
    """A stretch of events: number of the first, their conditions, and which lie outside the domain (or None)."""

    start: int
    conditions: Conditions
    outside: NDArray[np.bool_] | None

    def parts(self, size: int) -> Iterator[Block]:
        """Yield the same events in order, ``size`` at a time."""
        for start in range(0, len(self.conditions), size):
            rows = slice(start, start + size)
            outside = None if self.outside is None else self.outside[rows]
            yield Block(self.start + start, self.conditions[rows], outside)


@dataclass(frozen=True)
class Request:
    """What to generate; ``batch`` showers go to the model at a time, ``block`` to the file.

    ``detector`` is the one asked for: it gives ranges and densities of the conditions. All else that matters to the
    showers is equal in it and in the model's.
    """

    bundle: Bundle
    detector: Detector
    n: int
    seed: int
    batch: int
    block: int
    given: Conditions | None
    mixture: Mixture
    energy: Energy | None
    allow_extrapolation: bool

    def conditions(self, start: int, stop: int) -> Conditions:
        """Return the conditions of the events ``start`` to ``stop``."""
        if self.given is not None:
            return self.given[start:stop]
        return draw_conditions(self.detector, self.seed, start, stop - start, self.mixture, self.energy)

    def shards(self) -> list[Shard]:
        """Return the first event and the end of each shard, in order."""
        return cut(self.n, SHARD)

    def check_domain(self) -> None:
        """Refuse conditions outside the model's domain before any work.

        Raises:
            DomainError: some condition is outside, without ``allow_extrapolation``.
        """
        self.conditions(0, 1)  # refuses a range of energies that is none
        if self.allow_extrapolation or (self.given is None and self._range_is_inside()):
            return
        for _ in self.blocks():  # conditions cost a thousandth of the showers
            pass

    def _range_is_inside(self) -> bool:
        detector, domain = self.detector, self.bundle.domain
        corners = np.stack([detector.low, detector.high])
        if self.energy is not None:
            corners[:, detector.column("energy")] = self.energy
        conditions = Conditions(detector, corners, np.full(2, self.mixture.codes[0]))
        outside = check_domain(conditions, np.array(domain.low), np.array(domain.high), allow_extrapolation=True)
        return not outside.any()

    def blocks(self) -> Iterator[Block]:
        """Yield the events in order, checked against the model's domain.

        Raises:
            DomainError: conditions outside, without ``allow_extrapolation``.
        """
        for start in range(0, self.n, self.block):
            yield self.stretch(start, min(start + self.block, self.n))

    def stretch(self, start: int, stop: int) -> Block:
        """Return the events ``start`` to ``stop``, checked against the model's domain.

        Raises:
            DomainError: conditions outside, without ``allow_extrapolation``.
        """
        domain = self.bundle.domain
        low, high = np.array(domain.low), np.array(domain.high)
        conditions = self.conditions(start, stop)
        outside = check_domain(
            conditions, low, high, domain.particles, first=start, allow_extrapolation=self.allow_extrapolation
        )
        return Block(start, conditions, outside if self.allow_extrapolation else None)


def make_request(
    detector: str | Path | Detector,
    n: int | None,
    *,
    model: str | Path | None,
    seed: int,
    like: str | Path | None,
    energy: Energy | None,
    particle: Particle | None,
    batch: int,
    allow_extrapolation: bool,
) -> Request:
    """Check the values of a request and return it; :meth:`Request.check_domain` looks at the conditions themselves.

    Raises:
        RequestError: any of the values is wrong; ``FormatError`` for a file, ``DomainError`` for the particle.
    """
    described = load_detector(detector)
    check_seed(seed)
    bundle = resolve_bundle(model, described.name)
    check_detector(described, bundle, f"the detector {described.name}")
    if batch < 1:
        raise RequestError(f"the batch must be at least 1, not {batch}")
    n, given = asked_conditions(
        described,
        n,
        like,
        narrowed=energy is not None or particle is not None,
        check=lambda theirs, name: check_detector(theirs, bundle, name),
    )
    batch = min(batch, max(1, _MOST_BYTES // (4 * bundle.detector.n_cells)))
    return Request(
        bundle=bundle,
        detector=described,
        n=n,
        seed=seed,
        batch=batch,
        block=batch * -(-WHOLE_CHUNKS // batch),
        given=given,
        mixture=_mixture(described, bundle, particle),
        energy=energy,
        allow_extrapolation=allow_extrapolation,
    )


def _mixture(detector: Detector, bundle: Bundle, particle: Particle | None) -> Mixture:
    """Return the particles asked for, or the model's first that the detector takes."""
    known = bundle.domain.particles
    if particle is None:
        common = [code for code in known if code in detector.particles]
        mixture = Mixture.of(common[0] if common else detector.particles[0])
    else:
        mixture = Mixture.of(particle)
    beyond = [code for code in mixture.codes if code not in known]
    if beyond:
        able = [name for name in shipped_families(detector.name) if {*mixture.codes} <= {*_particles(detector, name)}]
        hint = f"; a model that comes with the package makes it: --model {able[0]}" if able else ""
        raise DomainError(
            f"PDG code {beyond[0]} is not among the particles of the model {bundle.path.name}: {known}{hint}"
        )
    return mixture


def _particles(detector: Detector, family: str) -> tuple[int, ...]:
    return read_bundle(shipped_bundle(detector.name, family)).domain.particles


def check_detector(asked: Detector, bundle: Bundle, what: str) -> None:
    """Refuse a detector whose showers are not those of the model's; ``what`` is asked for, in the error.

    Raises:
        RequestError: they differ; names the difference.
    """
    advice = "ask for the model's detector, or train a model for this one"
    check_same(asked, bundle.detector, what, f"the model {bundle.path.name}", advice)
