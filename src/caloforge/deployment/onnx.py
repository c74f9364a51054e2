"""The ONNX graph of a trained model as a file of its own, checked against torch where that is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caloforge.deployment.metadata import metadata, with_metadata
from caloforge.detector import draw_conditions
from caloforge.errors import RequestError, WorkError
from caloforge.generation.engines import ENGINES, start_engine
from caloforge.generation.graphs import GRAPH
from caloforge.models.base import PARITY
from caloforge.models.bundle import Bundle, read_bundle
from caloforge.random import normals
from caloforge.showers.atomic import atomic_output, check_output

EVENTS = 200


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        output: the graph; ``inputs`` and ``outputs`` by name and shape.
        parity: largest difference between torch and onnxruntime over ``EVENTS`` showers, as a share of each shower's
            hottest cell; None where torch is not installed.
    """

    output: Path
    inputs: dict[str, tuple[str | int, ...]]
    outputs: dict[str, tuple[str | int, ...]]
    parity: float | None


def export(model: str | Path, output: str | Path, *, overwrite: bool = False) -> Export:
    """Write the ONNX graph of a bundle: conditions in MeV, mm, rad, PDG code and noise in, cell energies in MeV out.

    The file says by itself what goes in and comes out (:mod:`caloforge.deployment.metadata`).

    Raises:
        RequestError: the output exists, or the model's family has no graph.
        WorkError: torch and onnxruntime disagree by more than ``PARITY``; nothing is written.
    """
    output = check_output(output, overwrite=overwrite)
    bundle = read_bundle(model)
    if GRAPH not in bundle.parts:
        raise RequestError(f"{bundle.path}: a model of the family {bundle.family} has no ONNX graph to export")
    difference = _parity(bundle)
    if difference is not None and not difference <= PARITY:
        raise WorkError(
            f"{bundle.path}: torch and onnxruntime differ by {difference:.1e} of the hottest cell; "
            f"at most {PARITY} is allowed"
        )
    with atomic_output(output, overwrite=overwrite) as partial:
        partial.write_bytes(with_metadata(bundle.part(GRAPH), metadata(bundle)))
    return Export(
        output=output,
        inputs={"conditions": ("N", len(bundle.detector.conditions) + 1), "noise": ("N", bundle.noise_width)},
        outputs={"showers": ("N", bundle.detector.n_cells)},
        parity=difference,
    )


def _parity(bundle: Bundle) -> float | None:
    start_engine("onnxruntime", bundle, 1)  # a damaged graph is refused with or without torch
    if not ENGINES["torch"].installed:
        return None
    conditions = draw_conditions(bundle.detector, 0, 0, EVENTS, dict.fromkeys(bundle.domain.particles, 1.0)).inputs
    noise = normals(0, "noise", 0, EVENTS, bundle.noise_width)
    ours, theirs = (start_engine(engine, bundle, 1).sample(conditions, noise) for engine in ("onnxruntime", "torch"))
    hottest = np.maximum(ours.max(axis=1), theirs.max(axis=1)).clip(1e-6)
    return float((np.abs(ours - theirs).max(axis=1) / hottest).max())
