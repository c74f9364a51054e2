"""Whether the voxels of a file stand in the order that is assumed: what the energies themselves say about it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import FormatError
from caloforge.showers.binning import round_cells
from caloforge.showers.container import Showers

# Of layer energies: rounding, and what a threshold may have taken away.
_TOLERANCE = 1e-3
# Of the energy, in sectors that hold more than their share: 2 to 5 % is usual, another order gives about half.
_UNROUND = 0.2


class OrderCheck:
    """Takes in showers block by block and compares them with what holds in the right order.

    - The cells of a layer hold no more than the layer, where the layers' energies are known.
    - Particles in the middle, perpendicular to the face, light all sectors of a ring alike: over all layers l and
      sectors s, U = 1/2 sum |f_ls - <f_l>| / sum f_ls is small, f being the energy over that of the particle summed
      over all showers. Few showers are not round either, which their spread tells: expected is 0.4 sum sigma_ls / sum
      f_ls with sigma^2 the sum of the squares, and U is compared with 0.2 and three times that.

    Two layers exchanged, or a ring for another, only the first one sees.

    Raises:
        RequestError: on construction, where the detector has cells that are not round.
    """

    def __init__(self, detector: Detector) -> None:
        self._places = [layer.index for layer in detector.cell_layers]
        self._sectors = [cells.sectors for cells in round_cells(detector)]
        self._sums = [np.zeros(sectors) for sectors in self._sectors]
        self._squares = [np.zeros(sectors) for sectors in self._sectors]

    def add(self, showers: Showers, layer_energies: NDArray[np.float64] | None) -> None:
        """Take in a block of showers.

        Args:
            layer_energies: (N, number of cell layers) or None, what the layers hold in the cells and beside them, MeV.

        Raises:
            FormatError: the cells of a layer hold more than the layer.
        """
        for number, (place, sectors) in enumerate(zip(self._places, self._sectors, strict=True)):
            parts = showers.energies[:, place].reshape(len(showers), sectors, -1).sum(axis=2, dtype=np.float64)
            shares = parts / showers.conditions.column("energy")[:, None]
            self._sums[number] += shares.sum(axis=0)
            self._squares[number] += np.square(shares).sum(axis=0)
            if layer_energies is not None:
                _check_layer(parts.sum(axis=1), layer_energies[:, number], number)

    def finish(self) -> None:
        """Say whether all showers together are round.

        Raises:
            FormatError: they are not.
        """
        total = sum(float(sums.sum()) for sums in self._sums)
        if not total:
            return
        unround = sum(float(np.abs(sums - sums.mean()).sum()) for sums in self._sums) / (2 * total)
        noise = 0.4 * sum(float(np.sqrt(squares).sum()) for squares in self._squares) / total
        if unround > _UNROUND + 3 * noise:
            raise FormatError(
                f"{100 * unround:.0f} % of the energy stands in sectors that hold more than their share, where showers "
                "of particles in the middle are round. Either the voxels are in another order than rings, sectors, "
                "layers (the ring runs fastest), or the particles did not enter there"
            )


def _check_layer(cells: NDArray[np.float64], layer: NDArray[np.float64], number: int) -> None:
    excess = ~(cells <= layer * (1 + _TOLERANCE) + 1e-6)  # NaN is too little as well
    if excess.any():
        row = int(excess.argmax())
        raise FormatError(
            f"the cells of cell layer {number + 1} hold {cells[row]:g} MeV in shower {row} of this part, more than the "
            f"{layer[row]:g} MeV of 'layer_energies': the voxels are in another order than the detector's, or the "
            "layer energies are those of other showers"
        )
