"""Drawings of a detector: lines of text for the terminal, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from caloforge.detector.base import Detector, Layer
from caloforge.units import describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_COLUMNS = 48


def _range(detector: Detector, name: str) -> tuple[float, float]:
    """Range of a condition, or a point at 0 where the detector does not have it."""
    for spec in detector.conditions:
        if spec.name == name:
            return spec.low, spec.high
    return 0.0, 0.0


def _entered(detector: Detector) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which cells particles can enter, bool of the shape of the grid: those that overlap the ranges of x and y."""
    masks = []
    for axis, name in enumerate(("x", "y")):
        centres = np.unique(detector.cell_centres[:, axis])
        low, high = _range(detector, name)
        half = detector.cells.size[axis] / 2
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
    nx, ny = detector.cells.shape
    lines = [f"Front view: {nx} x {ny} cells of {detector.cells.size[0]:g} x {detector.cells.size[1]:g} mm"]
    if nx <= _MAX_COLUMNS and ny <= _MAX_COLUMNS:
        # Rows from the top: y downwards, so that x and y point right and up.
        lines += ["  " + " ".join("■" if cell else "·" for cell in row) for row in _entered(detector).T[::-1]]
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

    figure = Figure(figsize=(12, 5.2), layout="constrained")
    front, side = figure.subplots(1, 2)
    _draw_front(front, detector)
    _draw_side(side, detector)
    figure.suptitle(detector.title)
    figure.savefig(Path(path), format=kind, dpi=120)


def _draw_front(axes: Axes, detector: Detector) -> None:
    from matplotlib.patches import Rectangle

    (nx, ny), (width, height) = detector.cells.shape, detector.cells.size
    half_x, half_y = detector.cells.extent[0] / 2, detector.cells.extent[1] / 2
    axes.vlines(np.arange(nx + 1) * width - half_x, -half_y, half_y, color="0.6", linewidth=0.5)
    axes.hlines(np.arange(ny + 1) * height - half_y, -half_x, half_x, color="0.6", linewidth=0.5)
    (x_low, x_high), (y_low, y_high) = _range(detector, "x"), _range(detector, "y")
    axes.add_patch(
        Rectangle((x_low, y_low), x_high - x_low, y_high - y_low, color="tab:red", label="where particles enter")
    )
    axes.set(xlabel="x [mm]", ylabel="y [mm]", title=f"{nx} x {ny} cells", aspect="equal")
    axes.legend(loc="upper right")


def _draw_side(axes: Axes, detector: Detector) -> None:
    extent = detector.cells.extent[0]
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
    axes.axvline(detector.reference_depth, color="k", linestyle="--", label="reference depth")
    title = f"{detector.n_layers} layers; particles from {describe(low, 'rad')} to {describe(high, 'rad')}"
    axes.set(xlabel="depth [mm]", ylabel="x [mm]", title=title, xlim=(0, detector.depth))
    axes.legend(loc="upper right")
