"""Which particles come, and how often each: one of them, or a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.conditions import real_numbers, whole_codes
from caloforge.errors import RequestError
from caloforge.random import uniforms

STREAM = "particles"

Particle = int | Mapping[int, float]
"""A PDG code, or a mixture: the weight of each code, such as ``{11: 3, 211: 1}``."""


@dataclass(frozen=True)
class Mixture:
    """PDG codes, ascending, and the share of each; the shares add up to 1."""

    codes: tuple[int, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, particle: Particle | Mixture) -> Mixture:
        """Return the mixture that a code or the weights of several codes mean.

        Raises:
            RequestError: no particles, a code that is not whole, or a weight that is not positive.

        >>> Mixture.of({211: 1, 11: 3})
        Mixture(codes=(11, 211), shares=(0.75, 0.25))
        """
        if isinstance(particle, Mixture):
            return particle
        weights = particle if isinstance(particle, Mapping) else {particle: 1.0}
        if not weights:
            raise RequestError("the mixture of particles is empty; give at least one PDG code, such as {11: 1}")
        codes = whole_codes(np.array(list(weights))).tolist()
        shares = real_numbers("weights of particles", list(weights.values())).astype(np.float64)
        bad = ~((shares > 0) & (shares < np.inf))
        if bad.any():
            code, weight = codes[int(bad.argmax())], shares[bad][0]
            raise RequestError(f"the weight of the particle {code} in a mixture must be positive; got {weight:g}")
        pairs = sorted(zip(codes, (shares / shares.sum()).tolist(), strict=True))
        return cls(tuple(code for code, _ in pairs), tuple(share for _, share in pairs))

    def draw(self, seed: int, start: int, count: int) -> NDArray[np.int32]:
        """Codes of the events ``start`` to ``start + count``, shape (count,).

        They come from a stream of their own, so that nothing else about an event depends on the mixture.
        """
        codes = np.array(self.codes, dtype=np.int32)
        if len(codes) == 1:
            return np.full(count, codes[0], dtype=np.int32)
        # The last edge is left out: rounding may put it below 1.
        edges = np.cumsum(self.shares)[:-1]
        return codes[np.searchsorted(edges, uniforms(seed, STREAM, start, count, 1)[:, 0], side="right")]

    def to_json(self) -> int | dict[str, float]:
        """Return the code alone, or the share of each code, as JSON has it."""
        if len(self.codes) == 1:
            return self.codes[0]
        return {str(code): share for code, share in zip(self.codes, self.shares, strict=True)}
