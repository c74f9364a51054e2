"""Drawings of a detector and of energies in its cells: lines of text for the terminal, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.base import Detector, Layer
from caloforge.detector.cells import CellLayer, Cells, PolarCells, RectangularCells
from caloforge.units import describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_COLUMNS = 48


@dataclass(frozen=True)
class FrontView:
    """Cell layers one behind the other that have the same cells, seen from the front as one."""

    cells: Cells
    layers: tuple[CellLayer, ...]
    title: str

    def sum(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_cells,) energies of a shower to those of the view's cells, added up through its layers."""
        return np.asarray(sum(energies[layer.index] for layer in self.layers))


def front_views(detector: Detector) -> list[FrontView]:
    """The views that show every cell of a detector: one for each run of cell layers with the same grid."""
    groups: list[list[CellLayer]] = []
    for layer in detector.cell_layers:
        if groups and groups[-1][0].cells == layer.cells:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    views = []
    number = 0
    for group in groups:
        which = f"cell layer {number}" if len(group) == 1 else f"cell layers {number} to {number + len(group) - 1}"
        depths = f"{group[0].front:g} to {group[-1].back:g} mm"
        views.append(FrontView(group[0].cells, tuple(group), f"{which}, {depths}" if len(groups) > 1 else depths))
        number += len(group)
    return views


def draw_cells(axes: Axes, cells: Cells, values: NDArray[np.float64], *, pieces: int = 8, **options: Any) -> Any:
    """One value a cell as its colour, x to the right and y upwards, mm; ``options`` go to matplotlib's mesh.

    Each sector is drawn in several ``pieces``, so that rings look round.
    """
    if isinstance(cells, PolarCells):
        angles = np.linspace(-np.pi, np.pi, pieces * cells.sectors + 1)
        x, y = np.cos(angles)[:, None] * cells.radii, np.sin(angles)[:, None] * cells.radii
        values = np.ma.repeat(np.ma.asarray(values).reshape(cells.sectors, cells.n_rings), pieces, axis=0)
    else:
        assert isinstance(cells, RectangularCells)
        edges = [(np.arange(n + 1) - n / 2) * size for n, size in zip(cells.shape, cells.size, strict=True)]
        x, y = np.meshgrid(*edges, indexing="ij")
        values = np.ma.asarray(values).reshape(cells.shape)
    mesh = axes.pcolormesh(x, y, values, rasterized=True, **options)
    axes.set_aspect("equal")
    return mesh


def draw_energies(detector: Detector, energies: NDArray[np.float64], path: str | Path, kind: str, title: str) -> None:
    """Draw the energies (n_cells,) in MeV of a shower, or a mean of many: every front view, and the depth profile.

    Args:
        kind: of the picture: png, pdf or svg.
        title: of the whole picture.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    views = front_views(detector)
    profile = len(detector.cell_layers) > 1
    columns = len(views) + profile
    figure = Figure(figsize=(1.5 + 3.6 * columns, 4.2), layout="constrained")
    row = figure.subplots(1, columns, squeeze=False)[0]
    sums = [view.sum(energies) for view in views]
    top = max(float(max(values.max() for values in sums)), np.finfo(float).tiny)
    norm = LogNorm(top * 1e-5, top)
    for axes, view, values in zip(row[: len(views)], views, sums, strict=True):
        shown = np.ma.masked_less_equal(values, 0.0)
        mesh = draw_cells(axes, view.cells, shown, norm=norm, cmap="viridis")
        axes.set(xlabel="x [mm]", ylabel="y [mm]")
        axes.set_title(f"{view.title}\n{view.cells}", fontsize=9)
    figure.colorbar(mesh, ax=list(row[: len(views)]), label="energy of a cell [MeV]", shrink=0.8)
    if profile:
        edges = [layer.front for layer in detector.cell_layers] + [detector.depth]
        totals = [float(energies[layer.index].sum()) for layer in detector.cell_layers]
        row[-1].stairs(totals / np.diff(edges), edges, fill=True, color="tab:blue", alpha=0.7)
        row[-1].set(xlabel="depth [mm]", ylabel="energy per depth [MeV/mm]")
        row[-1].set_title("along the depth", fontsize=9)
    figure.suptitle(title)
    figure.savefig(Path(path), format=kind, dpi=120)


def _range(detector: Detector, name: str) -> tuple[float, float]:
    """Range of a condition, or a point at 0 where the detector does not have it."""
    for spec in detector.conditions:
        if spec.name == name:
            return spec.low, spec.high
    return 0.0, 0.0


def _entered(detector: Detector, cells: RectangularCells) -> NDArray[np.bool_]:
    """Which cells particles can enter, bool of the shape of the grid: those that overlap the ranges of x and y."""
    masks = []
    for axis, name in enumerate(("x", "y")):
        centres = np.unique(cells.centres()[:, axis])
        low, high = _range(detector, name)
        half = cells.size[axis] / 2
        masks.append((centres + half > low) & (centres - half < high))
    return np.logical_and.outer(*masks)


def _layer_text(layer: Layer, scale: float) -> str:
    return "".join(("░" if slab.active else "█") * max(1, round(slab.thickness / scale)) for slab in layer.slabs)


def draw_text(detector: Detector) -> str:
    """Front view (a mark a cell, filled where particles enter) and side view (the first layers and the last).

    >>> from caloforge.detector import load_detector
    >>> print(draw_text(load_detector("lhcb-ecal")).splitlines()[-1])
    face ▏██░░░░▏██░░░░▏██░░░░▏ ... ▏██░░░░▏ back at 396 mm  (█ absorber, ░ active)
    """
    lines = ["Front view"]
    for view in front_views(detector):
        lines += [f"{view.title}: {view.cells}"]
        cells = view.cells
        if isinstance(cells, RectangularCells) and max(cells.shape) <= _MAX_COLUMNS:
            # Rows from the top: y downwards, so that x and y point right and up.
            lines += [
                "  " + " ".join("■" if cell else "·" for cell in row) for row in _entered(detector, cells).T[::-1]
            ]
    scale = min(slab.thickness for layer in detector.layers for slab in layer.slabs)
    scale = max(scale / 2, detector.depth / detector.n_layers / 12)
    texts = [_layer_text(layer, scale) for layer in detector.layers]
    shown = "▏".join(texts) if len(texts) <= 4 else "▏".join([*texts[:3], " ... ", texts[-1]])
    lines += ["", f"Side view: {detector.n_layers} layers"]
    lines += [f"face ▏{shown}▏ back at {detector.depth:g} mm  (█ absorber, ░ active)"]
    return "\n".join(lines)


def draw_picture(detector: Detector, path: str | Path, kind: str) -> None:
    """Draw front and side view, to scale, into a picture of the ``kind`` png, pdf or svg."""
    from matplotlib.figure import Figure

    views = front_views(detector)
    figure = Figure(figsize=(6 + 5 * len(views), 5.2), layout="constrained")
    row = figure.subplots(1, len(views) + 1)
    for axes, view in zip(row, views, strict=False):
        _draw_front(axes, detector, view)
    _draw_side(row[-1], detector)
    figure.suptitle(detector.title)
    figure.savefig(Path(path), format=kind, dpi=120)


def _draw_front(axes: Axes, detector: Detector, view: FrontView) -> None:
    from matplotlib.patches import Rectangle

    empty = np.ma.masked_array(np.zeros(len(view.cells)), mask=True)
    draw_cells(axes, view.cells, empty, pieces=1, edgecolor="0.6", linewidth=0.5)
    (x_low, x_high), (y_low, y_high) = _range(detector, "x"), _range(detector, "y")
    label = "where particles enter"
    if x_low == x_high or y_low == y_high:
        axes.plot([x_low, x_high], [y_low, y_high], "o-", color="tab:red", markersize=4, label=label)
    else:
        axes.add_patch(Rectangle((x_low, y_low), x_high - x_low, y_high - y_low, color="tab:red", label=label))
    axes.set(xlabel="x [mm]", ylabel="y [mm]", title=f"{view.title}\n{view.cells}")
    axes.legend(loc="upper right")


def _draw_side(axes: Axes, detector: Detector) -> None:
    from matplotlib.patches import Rectangle

    extent = detector.face[0]
    bars: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for layer in detector.layers:
        depth = layer.front
        for slab in layer.slabs:
            bars.setdefault((slab.material, slab.active), []).append((depth, slab.thickness))
            depth += slab.thickness
    colours = iter(("0.35", "tab:blue", "tab:green", "tab:orange", "tab:purple"))
    for (material, active), spans in bars.items():
        label = f"{material} ({'active' if active else 'absorber'})"
        axes.broken_barh(spans, (-extent / 2, extent), color=next(colours, "tab:brown"), label=label, linewidth=0)
    low, high = _range(detector, "angle_xz")
    for angle in {low, high}:
        axes.plot([0, detector.depth], [0, detector.depth * np.tan(angle)], color="tab:red")
    if detector.reference_depth:
        axes.axvline(detector.reference_depth, color="k", linestyle="--", label="reference depth")
    for cell_layer in detector.cell_layers:
        half = cell_layer.cells.extent[0] / 2
        axes.add_patch(
            Rectangle(
                (cell_layer.front, -half), cell_layer.back - cell_layer.front, 2 * half, fill=False, linewidth=0.5
            )
        )
    title = f"{detector.n_layers} layers; particles from {describe(low, 'rad')} to {describe(high, 'rad')}"
    axes.set(xlabel="depth [mm]", ylabel="x [mm]", title=title, xlim=(0, detector.depth))
    axes.legend(loc="upper right")
