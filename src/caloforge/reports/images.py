"""Pictures of cells: event displays, mean images, correlation matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import detector_from_toml
from caloforge.detector.draw import FrontView, draw_cells, front_views
from caloforge.evaluation import Evaluation
from caloforge.evaluation.results import Display
from caloforge.reports.style import Picture, as_png, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISPLAY_FLOOR = 0.1  # MeV; fainter cells are drawn empty, and less where a shower has no 1,000 times as much
EMPTY = "#f2f2f2"


def _draw(axes: Axes, view: FrontView, energies: NDArray[np.float64], least: float, **options: Any) -> Any:
    """The energies of a shower in one view; cells with no more than ``least`` are left empty."""
    axes.set_facecolor(EMPTY)
    axes.minorticks_off()
    axes.tick_params(labelsize=7)
    return draw_cells(axes, view.cells, np.ma.masked_less_equal(view.sum(energies), least), **options)


def _describe(display: Display, evaluation: Evaluation) -> str:
    values = dict(zip(evaluation.condition_names, display.conditions, strict=True))
    angles = [f"{math.degrees(values[name]):+.1f}°" for name in ("angle_xz", "angle_yz") if name in values]
    return f"{values['energy'] / 1000:.2f} GeV   {', '.join(angles)}\n{sum(display.energies):.0f} MeV seen"


def event_displays(evaluation: Evaluation) -> Picture:
    """One row for each energy: the reference's shower, then that of every sample at the same or nearest conditions.

    Layers of different cells stand side by side.
    """
    from matplotlib.colors import LogNorm

    views = front_views(detector_from_toml(evaluation.detector_toml))
    columns = [(evaluation.reference.info.label, evaluation.reference.displays)]
    columns += [(sample.info.label, sample.displays) for sample in evaluation.samples]
    panels = [(label, displays, view) for label, displays in columns for view in views]
    rows = len(evaluation.reference.displays)
    # Few columns: two energies side by side, so that the page is not one narrow strip.
    fold = 2 if len(panels) == 2 and rows % 2 == 0 else 1
    figure = new_figure(2.75 * len(panels) * fold, 2.75 * rows / fold)
    grid = figure.subplots(rows // fold, len(panels) * fold, squeeze=False)
    for row in range(rows):
        line = grid[row // fold, (row % fold) * len(panels) : (row % fold + 1) * len(panels)]
        top = max(1e-6, *(max(displays[row].energies) for _, displays in columns))
        least = min(DISPLAY_FLOOR, top / 1e3)
        norm = LogNorm(least, top)
        for axes, (label, displays, view) in zip(line, panels, strict=True):
            energies = np.array(displays[row].energies)
            mesh = _draw(axes, view, energies, least, norm=norm, cmap="viridis")
            title = f"{label}\n{_describe(displays[row], evaluation)}"
            axes.set_title(title if len(views) == 1 else f"{title}\n{view.title}", fontsize=7.5)
        figure.colorbar(mesh, ax=list(line), shrink=0.8, pad=0.01, label="energy of the cell [MeV]")
    return as_png(figure, "Single showers, energy of each cell on a logarithmic scale: reference and generated")


def mean_images(evaluation: Evaluation) -> Picture:
    """Mean energy of each cell on a log scale and the ratio of every sample to the reference, a block for each view."""
    views = front_views(detector_from_toml(evaluation.detector_toml))
    count = len(evaluation.samples)
    high = 1 if count == 1 else 2
    figure = new_figure(7.6 if count == 1 else 2.9 * (1 + count), 2.6 * high * len(views))
    layout = figure.subplots(high * len(views), 3 if count == 1 else 1 + count, squeeze=False)
    for number, view in enumerate(views):
        block = layout[high * number : high * (number + 1)]
        if count > 1:
            block[1, 0].set_axis_off()
        lower = block[0, 2:] if count == 1 else block[1, 1:]
        _mean_block(figure, list(block[0, : 1 + count]), list(lower), view, evaluation, several=len(views) > 1)
    return as_png(figure, "Mean energy of each cell, reference and generated, and their ratio")


def _mean_block(
    figure: Any, upper: list[Axes], lower: list[Axes], view: FrontView, evaluation: Evaluation, *, several: bool
) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    infos = [evaluation.reference.info, *(sample.info for sample in evaluation.samples)]
    labels = [f"{info.label}\n{view.title}" if several else info.label for info in infos]
    means = [evaluation.reference.mean_image, *(sample.mean_image for sample in evaluation.samples)]
    images = [view.sum(np.array(mean)) for mean in means]
    truth, top = images[0], float(images[0].max())
    norm = LogNorm(top * 1e-5, top)
    for axes, mean, label in zip(upper, means, labels, strict=True):
        mesh = _draw(axes, view, np.array(mean), 0.0, norm=norm, cmap="viridis")
        axes.set_title(label, fontsize=7.5 if several else None)
    figure.colorbar(mesh, ax=upper, shrink=0.75, pad=0.01, label="mean energy [MeV]")
    for axes, image, info in zip(lower, images[1:], infos[1:], strict=True):
        bright = truth > top * 1e-5
        ratio = np.ma.masked_where(~bright, image / np.where(bright, truth, 1.0))
        axes.set_facecolor(EMPTY)
        axes.minorticks_off()
        axes.tick_params(labelsize=7)
        mesh = draw_cells(axes, view.cells, ratio.clip(0.5, 2.0), norm=LogNorm(0.5, 2.0), cmap="RdBu_r")
        axes.set_title(f"{info.label} / {infos[0].label}")
    bar = figure.colorbar(mesh, ax=lower, shrink=0.75, pad=0.01, label="ratio of means")
    bar.ax.yaxis.set_major_locator(FixedLocator([0.5, 0.7, 1.0, 1.4, 2.0]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())


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
            axes.set_xlabel("number")
    return as_png(figure, "Correlation of cells or layers with one another, reference, generated and difference")
