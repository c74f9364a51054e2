"""Clusters round the hottest cell: energies of 1, 3 x 3 and 5 x 5 cells, log-weighted position, widths."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.detector.cells import Cells, RectangularCells
from caloforge.errors import RequestError
from caloforge.observables.grid import grid_sum, hottest_cell

Floats = NDArray[np.float64]
LOG_WEIGHT = 4.0
"""w0 of the position: cells below exp(-4) = 1.8 % of the cluster have no say."""

SIDE = 5  # cells along an edge of a cluster
_TOUCH = 1 - 1e-6  # cells that only touch the edge of a window are outside, whatever the rounding


@dataclass(frozen=True, eq=False)
class Clusters:
    """One cluster a shower; MeV and mm.

    Attributes:
        seed: (N,) energy of the hottest cell.
        square3: (N,) energy of the 3 x 3 cells round it.
        energy: (N,) energy of the 5 x 5 cells round it; 0 for an empty shower.
        position: (N, 2) log-weighted centre in x and y; the first cell's for an empty shower.
        width: (N, 2) standard deviation of the energy in the 5 x 5 cells, in x and y.
        layers: (N, L) share of each layer of cells in `energy`.
    """

    seed: Floats
    square3: Floats
    energy: Floats
    position: Floats
    width: Floats
    layers: Floats

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> Clusters:
        return Clusters(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    @staticmethod
    def joined(parts: Sequence[Clusters]) -> Clusters:
        """The clusters of all parts, in their order."""
        names = [field.name for field in dataclasses.fields(Clusters)]
        return Clusters(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def seed_grid(detector: Detector) -> RectangularCells:
    """The grid that the seed is looked for in: of several, the one that covers most of the depth.

    Raises:
        RequestError: a layer has cells that are not rectangles, or the grid has no 3 x 3 cells.
    """
    depths: dict[Cells, float] = {}
    for layer in detector.cell_layers:
        if not isinstance(layer.cells, RectangularCells):
            raise RequestError(f"clusters are squares of rectangular cells; {detector.name} has {layer.cells}")
        depths[layer.cells] = depths.get(layer.cells, 0.0) + layer.back - layer.front
    deepest = max(depths, key=depths.__getitem__)
    assert isinstance(deepest, RectangularCells)
    if min(deepest.shape) < 3:
        raise RequestError(f"a cluster needs 3 x 3 cells; the grid of {detector.name} is {deepest}")
    return deepest


def has_clusters(detector: Detector) -> bool:
    """Whether clusters can be found in the detector's cells; `seed_grid` says why not."""
    try:
        seed_grid(detector)
    except RequestError:
        return False
    return True


def find_clusters(energies: NDArray[np.floating], detector: Detector) -> Clusters:
    """The cluster of each shower, from its cells alone.

    The seed is the hottest cell of the seed grid (`seed_grid`), whose layers, if there are several, are added up to
    towers first. A square of 3 x 3 or 5 x 5 of these cells round the seed is a window through the whole depth: in
    layers with other grids those cells count that it reaches into. Beyond the edge of the detector nothing counts.

    The position is that of the seed grid's 5 x 5 cells with logarithmic weights

        x = sum w_i x_i / sum w_i,    w_i = max(0, w0 + ln(e_i / sum e)),    w0 = 4

    which weigh the tails, where a linear mean is drawn to the centre of the hottest cell (T. C. Awes et al., Nucl.
    Instrum. Meth. A 311 (1992) 130).

    Args:
        energies: (N, n_cells), MeV, not negative.
        detector: the detector they belong to.

    Raises:
        RequestError: as `seed_grid`, or another number of cells.

    >>> from caloforge.detector import load_detector
    >>> detector = load_detector("lhcb-ecal")
    >>> cells = np.zeros((1, detector.n_cells))
    >>> cells[0, 30 * 15 + 14 : 30 * 15 + 16] = 60.0  # the same in two neighbours: half-way between them
    >>> found = find_clusters(cells, detector)
    >>> found.energy, found.position
    (array([120.]), array([[10.,  0.]]))
    """
    grid = seed_grid(detector)
    if energies.ndim != 2 or energies.shape[1] != detector.n_cells:
        raise RequestError(
            f"energies have shape {energies.shape}; expected (N, {detector.n_cells}) for {detector.name!r}"
        )
    values = energies.astype(np.float64, copy=False)
    same = [layer.index for layer in detector.cell_layers if layer.cells == grid]
    towers = np.sum([values[:, index] for index in same], axis=0) if len(same) > 1 else values[:, same[0]]
    column, row = hottest_cell(towers, grid)
    x, y = grid.axes()
    centre = np.stack([x[column], y[row]], axis=1)
    image = _patch(towers, grid, column, row)
    layers, inner = np.stack(
        [
            [_inside(values[:, layer.index], layer.cells, grid, centre, side) for layer in detector.cell_layers]
            for side in (SIDE, 3)
        ]
    ).transpose(0, 2, 1)
    energy = layers.sum(axis=1)
    total = image.sum(axis=(1, 2))
    shares = image / np.where(total > 0, total, 1.0)[:, None, None]
    weights = np.maximum(LOG_WEIGHT + np.log(np.maximum(shares, 1e-30)), 0.0)
    return Clusters(
        seed=towers.max(axis=1),
        square3=inner.sum(axis=1),
        energy=energy,
        position=centre + _moments(weights, grid)[0],
        width=_moments(shares, grid)[1],
        layers=layers / np.where(energy > 0, energy, 1.0)[:, None],
    )


def _patch(values: Floats, grid: RectangularCells, column: NDArray[np.intp], row: NDArray[np.intp]) -> Floats:
    """(N, 5, 5) of the cells round one of them; 0 beyond the edge of the grid."""
    steps = np.arange(SIDE) - SIDE // 2
    (n_x, n_y), columns, rows = grid.shape, column[:, None] + steps, row[:, None] + steps
    exists = ((columns >= 0) & (columns < n_x))[:, :, None] & ((rows >= 0) & (rows < n_y))[:, None, :]
    index = columns.clip(0, n_x - 1)[:, :, None] * n_y + rows.clip(0, n_y - 1)[:, None, :]
    return np.where(exists, np.take_along_axis(values, index.reshape(len(index), -1), axis=1).reshape(index.shape), 0.0)


def _inside(values: Floats, cells: Cells, grid: RectangularCells, centre: Floats, side: int) -> Floats:
    """(N,) energy of the cells of a layer that a square of `side` cells of `grid` round `centre` reaches into."""
    assert isinstance(cells, RectangularCells)
    columns, rows = (
        (np.abs(place - middle[:, None]) < _TOUCH * (size + side * step) / 2).astype(np.float64)
        for place, middle, size, step in zip(cells.axes(), centre.T, cells.size, grid.size, strict=True)
    )
    return np.asarray(grid_sum(values, columns, rows), dtype=np.float64)


def _moments(weights: Floats, grid: RectangularCells) -> tuple[Floats, Floats]:
    """Mean and standard deviation in x and y, (N, 2) each, mm from the middle, of (N, 5, 5) weights; 0 without any."""
    steps = np.arange(SIDE) - SIDE // 2
    total = weights.sum(axis=(1, 2))
    safe = np.where(total > 0, total, 1.0)[:, None]
    sides = np.stack([weights.sum(axis=2), weights.sum(axis=1)], axis=1)  # (N, 2, 5): along x, along y
    mean, square = sides @ steps / safe, sides @ steps**2 / safe
    return mean * grid.size, np.sqrt(np.maximum(square - mean**2, 0.0)) * grid.size
