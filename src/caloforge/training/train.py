"""``train``: from a shower file to a bundle, whatever the family."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge._version import __version__
from caloforge.detector import check_same, load_detector
from caloforge.errors import RequestError, require
from caloforge.models.bundle import SUFFIX, Domain, file_digest
from caloforge.models.neighbour import fit_neighbour
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output
from caloforge.training.config import NetworkTraining, TrainingConfig, load_config, make_config
from caloforge.training.data import STAGED, check_size


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
        output: the bundle, ``*.caloforge``; of an ensemble member k becomes ``*.member-k.caloforge``.
        model: family, with its default settings; or
        config: a training file (YAML) that names the family and its settings.
        overwrite: replace an existing output.

    Returns:
        What the bundle records as metrics.

    Raises:
        RequestError: neither or both of model and config, another detector's data, too few showers, a particle that
            the detector or the model does not take, an output that exists.
        FormatError: the data or the training file cannot be read.
        MissingExtraError: the family needs torch, which is not installed.
    """
    if (model is None) == (config is None):
        raise RequestError("give either a model (--model) or a training file (--config), not both and not neither")
    settings = load_config(config) if config is not None else make_config({"model": model})
    output = check_output(output, overwrite=overwrite)
    if output.suffix != SUFFIX:
        raise RequestError(f"the output {output} is to be a bundle; give it a name that ends in {SUFFIX}")
    expected = load_detector(detector)
    with ShowerFile(data) as file:
        advice = f"give data of {expected.name}, or train for the detector of the data"
        check_same(file.detector, expected, str(data), f"the detector {expected.name}", advice)
        check_size(file, settings.validation_events)
        job = Job(file, output, overwrite=overwrite, progress=progress)
        if isinstance(settings, NetworkTraining):
            return _train_network(job, settings)
        return _train_neighbour(job, settings)


@dataclass(frozen=True)
class Job:
    """What every family is trained with."""

    file: ShowerFile
    output: Path
    overwrite: bool
    progress: bool


def _train_neighbour(job: Job, settings: TrainingConfig) -> dict[str, Any]:
    stop = len(job.file) - settings.validation_events
    fit_neighbour(job.file.path, job.output, family=settings.model, stop=stop, overwrite=job.overwrite)
    return {"events": stop}


def _train_network(job: Job, settings: NetworkTraining) -> dict[str, Any]:
    for module in ("torch", "lightning_fabric", "onnx", "onnxscript"):
        require(module, "train")
    from caloforge.training import loop

    file = job.file
    domain = Domain.covered(file.conditions()[: len(file) - settings.validation_events])
    provenance = {
        "caloforge": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "data": file.path.name,
        "data_sha256": file_digest(file.path),
        "data_provenance": file.provenance,
        "events": len(file),
        "seed": settings.seed,
    }
    folder = job.output.with_name(job.output.name + ".training")
    metrics = loop.train_network(
        file, settings, job.output, folder, domain, provenance, overwrite=job.overwrite, progress=job.progress
    )
    for name in (STAGED, loop.CHECKPOINT):
        (folder / name).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return metrics
