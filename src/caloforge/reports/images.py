"""Pictures of cells: event displays, mean images, correlation matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation import Evaluation
from caloforge.evaluation.results import Display
from caloforge.reports.style import Picture, as_png, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISPLAY_FLOOR = 0.1  # MeV; fainter cells are drawn empty
EMPTY = "#f2f2f2"


def _extent(evaluation: Evaluation) -> tuple[float, float, float, float]:
    half = [n * size / 2 for n, size in zip(evaluation.cells, evaluation.cell_size, strict=True)]
    return (-half[0], half[0], -half[1], half[1])


def _draw(axes: Axes, values: NDArray[np.float64], evaluation: Evaluation, **options: Any) -> Any:
    """One value a cell, x to the right and y upwards, mm."""
    image = np.ma.masked_invalid(values.reshape(evaluation.cells))
    axes.set_facecolor(EMPTY)
    axes.minorticks_off()
    return axes.imshow(
        image.T, origin="lower", extent=_extent(evaluation), interpolation="nearest", aspect="equal", **options
    )


def _describe(display: Display, evaluation: Evaluation) -> str:
    values = dict(zip(evaluation.condition_names, display.conditions, strict=True))
    angles = [f"{math.degrees(values[name]):+.1f}°" for name in ("angle_xz", "angle_yz") if name in values]
    return f"{values['energy'] / 1000:.2f} GeV   {', '.join(angles)}\n{sum(display.energies):.0f} MeV seen"


def event_displays(evaluation: Evaluation) -> Picture:
    """One row for each energy: the reference's shower, then that of every sample at the same or nearest conditions."""
    from matplotlib.colors import LogNorm

    columns = [(evaluation.reference.info.label, evaluation.reference.displays)]
    columns += [(sample.info.label, sample.displays) for sample in evaluation.samples]
    rows = len(evaluation.reference.displays)
    # Few columns: two energies side by side, so that the page is not one narrow strip.
    fold = 2 if len(columns) == 2 and rows % 2 == 0 else 1
    figure = new_figure(2.75 * len(columns) * fold, 2.75 * rows / fold)
    grid = figure.subplots(rows // fold, len(columns) * fold, squeeze=False)
    for row in range(rows):
        line = grid[row // fold, (row % fold) * len(columns) : (row % fold + 1) * len(columns)]
        top = max(max(displays[row].energies) for _, displays in columns)
        norm = LogNorm(DISPLAY_FLOOR, max(top, 10 * DISPLAY_FLOOR))
        for axes, (label, displays) in zip(line, columns, strict=True):
            energies = np.array(displays[row].energies)
            mesh = _draw(
                axes, np.where(energies > DISPLAY_FLOOR, energies, np.nan), evaluation, norm=norm, cmap="viridis"
            )
            axes.set_title(f"{label}\n{_describe(displays[row], evaluation)}", fontsize=7.5)
            axes.tick_params(labelsize=7)
        figure.colorbar(mesh, ax=list(line), shrink=0.8, pad=0.01, label="energy of the cell [MeV]")
    return as_png(figure, "Single showers, energy of each cell on a logarithmic scale: reference and generated")


def mean_images(evaluation: Evaluation) -> Picture:
    """Mean energy of each cell on a log scale, and the ratio of every sample to the reference."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    truth = np.array(evaluation.reference.mean_image)
    count = len(evaluation.samples)
    figure = new_figure(7.6 if count == 1 else 2.9 * (1 + count), 2.6 if count == 1 else 5.2)
    top = float(truth.max())
    norm = LogNorm(top * 1e-5, top)
    layout = figure.subplots(1, 3, squeeze=False) if count == 1 else figure.subplots(2, 1 + count, squeeze=False)
    upper = layout[0, : 1 + count]
    lower = layout[0, 2:] if count == 1 else layout[1, 1:]
    if count > 1:
        layout[1, 0].set_axis_off()
    images = [truth, *(np.array(sample.mean_image) for sample in evaluation.samples)]
    labels = [evaluation.reference.info.label, *(sample.info.label for sample in evaluation.samples)]
    for axes, image, label in zip(upper, images, labels, strict=True):
        mesh = _draw(axes, np.where(image > 0, image, np.nan), evaluation, norm=norm, cmap="viridis")
        axes.set_title(label)
        axes.tick_params(labelsize=7)
    figure.colorbar(mesh, ax=list(upper), shrink=0.75, pad=0.01, label="mean energy [MeV]")
    for axes, image, label in zip(lower, images[1:], labels[1:], strict=True):
        ratio = np.where(truth > top * 1e-5, image / np.where(truth > 0, truth, 1.0), np.nan)
        shown = np.clip(ratio, 0.5, 2.0)
        mesh = _draw(axes, shown, evaluation, norm=LogNorm(0.5, 2.0), cmap="RdBu_r")
        axes.set_title(f"{label} / {labels[0]}")
        axes.tick_params(labelsize=7)
    bar = figure.colorbar(mesh, ax=list(lower), shrink=0.75, pad=0.01, label="ratio of means")
    bar.ax.yaxis.set_major_locator(FixedLocator([0.5, 0.7, 1.0, 1.4, 2.0]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    return as_png(figure, "Mean energy of each cell, reference and generated, and their ratio")


def correlation_matrices(evaluation: Evaluation) -> Picture:
    """Matrix of the reference, of each sample, and the difference."""
    reference = np.array(evaluation.reference.correlations.matrix)
    count = len(evaluation.samples)
    figure = new_figure(9.0, 2.9 * count)
    grid = figure.subplots(count, 3, squeeze=False)
    for line, sample in zip(grid, evaluation.samples, strict=True):
        matrix = np.array(sample.correlations.matrix)
        label = sample.info.label
        titles = (evaluation.reference.info.label, label)
        for axes, values, title in zip(line[:2], (reference, matrix), titles, strict=True):
            mesh = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
            axes.set_title(title)
        figure.colorbar(mesh, ax=list(line[:2]), shrink=0.8, pad=0.01, label="correlation")
        difference = matrix - reference
        limit = max(0.05, float(np.quantile(np.abs(difference), 0.99)))
        mesh = line[2].imshow(difference, vmin=-limit, vmax=limit, cmap="RdBu_r", interpolation="nearest")
        line[2].set_title(f"{label} minus {evaluation.reference.info.label}")
        figure.colorbar(mesh, ax=line[2], shrink=0.8, pad=0.02, label="difference")
        for axes in line:
            axes.minorticks_off()
            axes.set_xlabel("cell")
    return as_png(figure, "Correlation of the central cells with one another, reference, generated and difference")
