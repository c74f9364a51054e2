"""Parts of the conditions in words: thirds, particles, cells of a grid, and where a sample is worst."""

from __future__ import annotations

import math
from collections.abc import Iterator

from caloforge.evaluation.results import Grid, GridAxis, GridCell, SampleResult

DASH, SIGMA = "\N{EN DASH}", "\N{GREEK SMALL LETTER SIGMA}"


def part_title(variable: str, low: float, high: float) -> str:
    """'3.2 – 10 GeV', '5.0 – 11.2°', 'particle 22'.

    >>> part_title("energy", 1000.0, 5000.0)
    '1 – 5 GeV'
    """
    if variable == "particle":
        return f"particle {low:.0f}"
    unit = {"energy": "MeV", "angle": "rad"}[variable]
    return interval(GridAxis(variable, unit, [low, high]), 0)


def interval(axis: GridAxis, index: int) -> str:
    """One bin of an axis with its unit as people write it."""
    low, high = tick_labels(axis)[index : index + 2]
    return f"{low} {DASH} {high}{_unit(axis) if axis.unit == 'rad' else f' {_unit(axis)}'}"


def tick_labels(axis: GridAxis) -> list[str]:
    """The edges as text without unit: degrees to a tenth, others to three digits."""
    return [f"{shown(axis, edge):.1f}" if axis.unit == "rad" else f"{shown(axis, edge):.3g}" for edge in axis.edges]


def shown(axis: GridAxis, value: float) -> float:
    """A value in the unit that is shown: GeV for MeV, degrees for rad."""
    return {"MeV": value / 1000, "rad": math.degrees(value)}.get(axis.unit, value)


def axis_label(axis: GridAxis) -> str:
    """'incident energy [GeV]', 'angle to the normal [°]', or the name of another condition with its unit."""
    names = {"energy": "incident energy", "angle": "angle to the normal"}
    return f"{names.get(axis.variable, axis.variable.replace('_', ' '))} [{_unit(axis)}]"


def _unit(axis: GridAxis) -> str:
    return {"MeV": "GeV", "rad": "\N{DEGREE SIGN}"}.get(axis.unit, axis.unit)


def cell_title(grid: Grid, cell: GridCell) -> str:
    """The conditions of a cell, such as '10 – 22 GeV, 0.0 – 8.0°'."""
    found = [interval(grid.along, cell.column)]
    if grid.across is not None:
        across = interval(grid.across, cell.row)
        known = grid.across.variable in ("energy", "angle")
        found.append(across if known else f"{grid.across.variable.replace('_', ' ')} {across}")
    return ", ".join(found if grid.particle is None else [f"particle {grid.particle}", *found])


def worst_places(sample: SampleResult) -> Iterator[str]:
    """Sentences on the cells where the classifier sees most and where an observable is furthest off."""
    cells = [(grid, cell) for grid in sample.grids for cell in grid.cells]
    judged = [(cell.auc, grid, cell) for grid, cell in cells if cell.auc is not None]
    if judged:
        auc, grid, cell = max(judged, key=lambda item: item[0].value)
        yield (
            f"The classifier sees most at {cell_title(grid, cell)}: AUC {auc.value:.3f} ± {auc.error:.3f} there, "
            f"{sample.classifier.auc.value:.3f} ± {sample.classifier.auc.error:.3f} over all."
        )
    far = [(cell.excess, grid, cell) for grid, cell in cells if cell.excess is not None]
    if far:
        excess, grid, cell = max(far, key=lambda item: item[0])
        assert cell.worst is not None
        assert cell.distance is not None
        yield (
            f"Furthest above its floor is {cell.worst.replace('_', ' ')} at {cell_title(grid, cell)}: Wasserstein-1 "
            f"{cell.distance.value.value:.3f} {SIGMA}, floor {cell.distance.strictest_floor.value:.3f} {SIGMA}, "
            f"{excess:.3g} spreads above it."
        )
    few = [cell for _, cell in cells if cell.auc is None or cell.excess is None]
    if few:
        yield f"{len(few)} of {len(cells)} cells have too few showers for one figure or the other and are hatched."
