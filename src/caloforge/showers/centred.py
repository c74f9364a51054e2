"""Files that hold nothing of the incident particle but its energy: what that implies, and what they cannot say.

The particles of such a file are of one kind, and each enters in the middle of the face, perpendicular to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector
from caloforge.detector.base import ConditionSpec
from caloforge.errors import FormatError, RequestError
from caloforge.showers.container import Showers, check_unflagged, no_showers

# Were a unit wrong by a factor of 1000, a share of the energy inside these bounds would come to lie outside.
_LEAST_SHARE, _LARGEST_SHARE = 0.002, 2.0


def centred_conditions(detector: Detector, energy: NDArray[np.floating], particle: int) -> Conditions:
    """Conditions of particles in the middle of the face and perpendicular to it, at these energies (N,) in MeV.

    A condition that the detector fixes has its value.

    Raises:
        RequestError: the detector has no condition "energy", or an energy that no particle can have.
    """
    detector.column("energy")
    columns = [
        energy if spec.name == "energy" else np.full(len(energy), _implied(spec)) for spec in detector.conditions
    ]
    return Conditions(detector, np.stack(columns, axis=1), np.full(len(energy), particle))


def _implied(spec: ConditionSpec) -> float:
    return spec.low if spec.low == spec.high else 0.0


class OneBeam:
    """Lets through the showers that a file of one kind of particle in the middle can tell.

    Attributes:
        particle: PDG code of the particles so far; the detector's first where there were none.
    """

    def __init__(self, detector: Detector, form: str) -> None:
        self.particle = detector.particles[0]
        self._detector = detector
        self._form = form
        self._n = 0

    def only(self, blocks: Iterable[Showers]) -> Iterator[Showers]:
        """The blocks, each once it is checked; the first has no showers, only the shapes of those that follow.

        Raises:
            RequestError: showers with another particle, off the middle, at an angle, or flagged as extrapolated.
        """
        yield no_showers(self._detector)
        for block in blocks:
            self._check(block)
            yield block

    def _check(self, block: Showers) -> None:
        check_unflagged(block, self._form)
        for spec in block.detector.conditions:
            values, implied = block.conditions.column(spec.name), _implied(spec)
            off = np.abs(values - implied) > 1e-6 * max(1.0, abs(implied))
            if spec.name != "energy" and off.any():
                row = int(off.argmax())
                raise RequestError(
                    f"{self._form} is for particles in the middle of the face and perpendicular to it; {spec.name} of "
                    f"shower {self._n + row} is {values[row]:g} {spec.unit}, for which it has no place"
                )
        if len(block) and not self._n:
            self.particle = int(block.conditions.pdg[0])
        others = block.conditions.pdg[block.conditions.pdg != self.particle]
        if len(others):
            raise RequestError(
                f"a file in the format {self._form} holds one kind of particle; these showers are of the PDG codes "
                f"{self.particle} and {others[0]}. Convert each from a file of its own"
            )
        self._n += len(block)


class UnitCheck:
    """Adds up what the cells hold and what the particles brought, and refuses units that are evidently others."""

    def __init__(self, units: str) -> None:
        self._units = units
        self._cells = self._incident = 0.0

    def add(self, block: Showers) -> None:
        """Take in a block.

        Raises:
            FormatError: all cells so far hold less than 0.2 % of the incident energy, or more than twice as much.
        """
        self._cells += float(block.energies.sum(dtype=np.float64))
        self._incident += float(block.conditions.column("energy").sum())
        share = self._cells / self._incident if self._incident else 0.0
        if share and not _LEAST_SHARE < share < _LARGEST_SHARE:
            raise FormatError(
                f"the cells hold {share:.3g} times the energy of the particles, so some energies are in another unit; "
                f"{self._units} are expected"
            )
