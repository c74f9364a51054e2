"""``train``: from a shower file to a bundle, whatever the family."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from caloforge._version import __version__
from caloforge.detector import load_detector
from caloforge.errors import RequestError, require
from caloforge.models.bundle import file_digest
from caloforge.models.neighbour import fit_neighbour
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output
from caloforge.training.config import NeighbourConfig, load_config, make_config


def train(
    detector: str,
    data: str | Path,
    output: str | Path,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a model on a shower file and write it as a bundle.

    Work in progress is kept in the folder ``OUTPUT.training`` beside the output; the same call goes on from there after
    an interruption, to the identical result. The folder is removed when the bundle is written.

    Args:
        detector: name or path of the TOML; must be the detector of the data.
        data: showers for training; the last ``validation_events`` are kept for validation.
        output: the bundle, ``*.caloforge``.
        model: family, with its default settings; or
        config: a training file (YAML) that names the family and its settings.
        overwrite: replace an existing output, and start afresh.

    Returns:
        What the bundle records as metrics.

    Raises:
        RequestError: neither or both of model and config, another detector's data, an output that exists.
        FormatError: the data or the training file cannot be read.
        MissingExtraError: the family needs torch, which is not installed.
    """
    if (model is None) == (config is None):
        raise RequestError("give either a model (--model) or a training file (--config), not both and not neither")
    settings = load_config(config) if config is not None else make_config({"model": model})
    output = check_output(output, overwrite=overwrite)
    expected = load_detector(detector)
    folder = output.with_name(output.name + ".training")
    with ShowerFile(data) as file:
        if file.detector != expected:
            raise RequestError(f"{data} holds showers of {file.detector.name!r}, not of {expected.name!r}")
        provenance = {
            "caloforge": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "data": Path(data).name,
            "data_sha256": file_digest(Path(data)),
            "data_provenance": file.provenance,
            "events": len(file),
            "seed": settings.seed,
        }
        if isinstance(settings, NeighbourConfig):
            stop = len(file) - settings.validation_events
            fit_neighbour(data, output, stop=stop, overwrite=overwrite)
            return {"events": stop}
        for module in ("torch", "lightning_fabric", "onnx", "onnxscript"):
            require(module, "train")
        from caloforge.training.wgan_gp import train_wgan_gp

        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        metrics = train_wgan_gp(file, settings, output, folder, provenance, overwrite=overwrite, progress=progress)
    shutil.rmtree(folder)
    return metrics
