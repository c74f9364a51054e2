"""``train``: from a shower file to a bundle, whatever the family."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge._version import __version__
from caloforge.detector import Detector, check_same, load_detector
from caloforge.errors import RequestError, require
from caloforge.models.bundle import SUFFIX, Domain, file_digest
from caloforge.models.neighbour import fit_neighbour
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output
from caloforge.showers.convert import check_told, convert, format_of
from caloforge.training.config import NetworkTraining, TrainingConfig, load_config, make_config
from caloforge.training.data import STAGED, check_size

OWN_FORMAT = "caloforge"
CONVERTED = "converted.h5"


def train(
    detector: str,
    data: str | Path,
    output: str | Path,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    particle: int | None = None,
    binning: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a model on a shower file and write it as a bundle.

    Work in progress is kept in the folder ``OUTPUT.training`` beside the output; the same call goes on from there after
    an interruption, to the identical result. The folder is removed when the bundle is written.

    Args:
        detector: name or path of the TOML; must be the detector of the data.
        data: showers for training, in any format that :func:`caloforge.showers.convert.convert` reads; the last
            ``validation_events`` are kept for validation.
        output: the bundle, ``*.caloforge``; of an ensemble member k becomes ``*.member-k.caloforge``.
        model: family, with its default settings; or
        config: a training file (YAML) that names the family and its settings.
        particle, binning: of data in another format than our own, as for ``convert``.
        overwrite: replace an existing output.

    Returns:
        What the bundle records as metrics.

    Raises:
        RequestError: neither or both of model and config, another detector's data, too few showers, a particle that
            the detector or the model does not take, a particle or binning for data that have no use for it, an output
            that exists.
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
    folder = output.with_name(output.name + ".training")
    with _own_format(Path(data), folder, expected, particle, binning) as path, ShowerFile(path) as file:
        advice = f"give data of {expected.name}, or train for the detector of the data"
        check_same(file.detector, expected, str(data), f"the detector {expected.name}", advice)
        check_size(file, settings.validation_events)
        job = Job(file, Path(data).name, output, folder, overwrite=overwrite, progress=progress)
        if isinstance(settings, NetworkTraining):
            return _train_network(job, settings)
        return _train_neighbour(job, settings)


@dataclass(frozen=True)
class Job:
    """What every family is trained with."""

    file: ShowerFile
    data: str
    output: Path
    folder: Path
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
        "data": job.data,
        "data_sha256": file_digest(file.path),
        "data_provenance": file.provenance,
        "events": len(file),
        "seed": settings.seed,
    }
    metrics = loop.train_network(
        file, settings, job.output, job.folder, domain, provenance, overwrite=job.overwrite, progress=job.progress
    )
    _remove(job.folder, STAGED, loop.CHECKPOINT)
    return metrics


@contextmanager
def _own_format(
    data: Path, folder: Path, detector: Detector, particle: int | None, binning: str | Path | None
) -> Iterator[Path]:
    """A file of our own with the showers: ``data``, or a copy in the folder, which is removed in the end."""
    form = format_of(data)
    if form == OWN_FORMAT:
        check_told(data, form, particle=particle, binning=binning)
        yield data
        return
    folder.mkdir(exist_ok=True)
    copy = folder / CONVERTED
    try:
        convert(data, copy, OWN_FORMAT, detector=detector, particle=particle, binning=binning, overwrite=True)
        yield copy
    finally:
        _remove(folder, CONVERTED)


def _remove(folder: Path, *names: str) -> None:
    """Take away files of a folder, and the folder unless it holds something else."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
