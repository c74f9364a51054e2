"""Heat maps: where in the conditions a sample is told from the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from caloforge.evaluation import Evaluation
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import Grid, GridAxis, GridCell
from caloforge.reports.places import axis_label, shown, tick_labels
from caloforge.reports.style import Picture, as_svg, new_figure
from caloforge.reports.wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
Figure = Callable[[GridCell], tuple[float, str] | None]


def _auc(cell: GridCell) -> tuple[float, str] | None:
    return None if cell.auc is None else (cell.auc.value, f"{cell.auc.value:.2f}\n±{cell.auc.error:.2f}")


def _excess(cell: GridCell) -> tuple[float, str] | None:
    return None if cell.excess is None else (cell.excess, f"{cell.excess:.1f}" if cell.excess < 100 else "> 100")


def _response(cell: GridCell) -> tuple[float, str] | None:
    if cell.response is None:
        return None
    off, error = cell.response.value - 1, cell.response.error
    return off / error if error > 0 else 0.0, f"{percent(off, 1)[:-2]}\n±{100 * error:.1f}"


def heat_maps(evaluation: Evaluation) -> Picture | None:
    """A row for each sample and particle: AUC, worst observable over its floor, response; one scale for all rows.

    None where no condition varies.
    """
    from matplotlib.colors import Normalize

    lines = [(sample.info.label, grid) for sample in evaluation.samples for grid in sample.grids]
    if not lines:
        return None
    figures: list[tuple[str, Figure, str]] = [
        ("classifier AUC", _auc, "YlOrRd"),
        ("worst observable, spreads above its floor", _excess, "YlOrRd"),
        ("response / reference \N{MINUS SIGN} 1 [%], colour: in errors", _response, "RdBu_r"),
    ]
    heights = [1.15 + 0.42 * _rows(grid) for _, grid in lines]
    figure = new_figure(10.6, sum(heights))
    panels = figure.subplots(len(lines), 3, squeeze=False, gridspec_kw={"height_ratios": heights})
    for column, (title, read, colours) in enumerate(figures):
        values = [found[0] for _, grid in lines for cell in grid.cells if (found := read(cell)) is not None]
        scale = _scale(read, values)
        for (label, grid), axes in zip(lines, panels[:, column], strict=True):
            mesh = _map(axes, grid, read, Normalize(*scale), colours)
            particle = "" if grid.particle is None else f", particle {grid.particle}"
            axes.set_title(f"{label}{particle}\n{title}", fontsize=8)
            figure.colorbar(mesh, ax=axes, pad=0.015, aspect=12 * _rows(grid) ** 0.5)
            axes.set_ylabel(axis_label(grid.across) if grid.across is not None and column == 0 else "")
            axes.set_xlabel(axis_label(grid.along))
    return as_svg(figure, "Classifier AUC, worst observable and response in cells of the conditions")


def _scale(read: Figure, values: list[float]) -> tuple[float, float]:
    """Wide enough that noise does not look like structure, and that one cell does not hide the others."""
    if read is _auc:
        return 0.5, max(0.65, *values, 0.0)
    if read is _excess:
        return 0.0, min(max(6.0, *values, 0.0), 25.0)
    extreme = max(5.0, *(abs(value) for value in values), 0.0)
    return -extreme, extreme


def _rows(grid: Grid) -> int:
    return 1 if grid.across is None else len(grid.across.edges) - 1


def _map(axes: Axes, grid: Grid, read: Figure, norm: Any, colours: str) -> Any:
    x = _edges(grid.along)
    y = np.array([0.0, 1.0]) if grid.across is None else _edges(grid.across)
    logarithmic = grid.along.variable == "energy"
    found = {(cell.row, cell.column): (cell, read(cell)) for cell in grid.cells}
    values = np.full((len(y) - 1, len(x) - 1), np.nan)
    for place, (_, figure) in found.items():
        if figure is not None:
            values[place] = figure[0]
    axes.patch.set(hatch="////", facecolor="#f2f2f2", edgecolor="#c8c8c8")
    mesh = axes.pcolormesh(
        x, y, np.ma.masked_invalid(values), norm=norm, cmap=colours, edgecolors="white", linewidth=0.8
    )
    for (row, column), (cell, figure) in found.items():
        ends = x[column : column + 2]
        centre = float(np.sqrt(ends.prod()) if logarithmic else ends.mean())
        text = f"{min(cell.events, cell.events_reference)}\nshowers" if figure is None else figure[1]
        bright = figure is None or float(mesh.to_rgba(np.array(figure[0]))[:3] @ LUMINANCE) > 0.45
        axes.text(
            centre,
            float(y[row : row + 2].mean()),
            text,
            ha="center",
            va="center",
            fontsize=6,
            linespacing=0.95,
            color="black" if bright else "white",
        )
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(x, tick_labels(grid.along), fontsize=7)
    if grid.across is None:
        axes.set_yticks([])
    else:
        axes.set_yticks(y, tick_labels(grid.across), fontsize=7)
    axes.minorticks_off()
    return mesh


def _edges(axis: GridAxis) -> Floats:
    """Edges as they are shown; one value alone gets a width."""
    edges = np.array([shown(axis, edge) for edge in axis.edges])
    return edges if np.ptp(edges) else edges * [0.9, 1.1]
