"""The course of a training, whatever the family: epochs with validation, checkpoints, the best epoch into a bundle."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from caloforge.detector import Detector
from caloforge.errors import RequestError, WorkError
from caloforge.models.bundle import WEIGHTS, Domain, write_bundle
from caloforge.models.networks.base import Generator
from caloforge.models.networks.sampler import export_onnx, save_weights
from caloforge.progress import progress_bar
from caloforge.random import normals
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output, member_file
from caloforge.training.adversarial import ImageAdversaries, PullAdversaries, StreamAdversaries
from caloforge.training.checkpoint import load_checkpoint, module_tensors, save_checkpoint
from caloforge.training.config import MemberTraining, NetworkTraining
from caloforge.training.data import Sample, stage
from caloforge.training.distillation import Distillation
from caloforge.training.factors import FactorLikelihood
from caloforge.training.matching import VelocityMatching
from caloforge.training.members import ENSEMBLES
from caloforge.training.steps import batch_of
from caloforge.training.trainer import Trainer, Training
from caloforge.training.validation import binned_distances, score
from caloforge.training.variational import EvidenceBound

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_STEPS = 100
_VALIDATION_BLOCK = 500

TRAINERS: dict[str, Callable[[Detector, tuple[int, ...], Any, Fabric], Trainer]] = {
    "wgan-gp": PullAdversaries,
    "flow": FactorLikelihood,
    "vae": EvidenceBound,
    "flow-matching": VelocityMatching,
    "student": Distillation,
    "conditional-wgan": ImageAdversaries,
    "conditional-gan": ImageAdversaries,
    "stream-gan": StreamAdversaries,
    "wgan": ImageAdversaries,
    "gan": ImageAdversaries,
}
"""What trains each family, made of the detector, the particles, the training file and the device."""


def train_network(
    file: ShowerFile,
    config: NetworkTraining,
    output: Path,
    folder: Path,
    domain: Domain,
    provenance: dict[str, Any],
    *,
    overwrite: bool,
    progress: bool,
) -> dict[str, Any]:
    """Train on a shower file and write the bundle, or one for each member; return what is recorded as metrics.

    ``folder`` holds the staged showers and the checkpoint: a training that was stopped goes on from there, and ends
    with the weights that it would have ended with. Pretraining, a few minutes, starts again when it was stopped.

    Raises:
        RequestError: ``folder`` belongs to a training with other data or another configuration.
        WorkError: the losses are no longer finite.
    """

    def say(line: str) -> None:
        if progress:
            print(line, file=sys.stderr)

    detector = file.detector
    fabric = Fabric(accelerator="auto", devices=1)
    trainer = _training(detector, domain.particles, config, fabric)
    members = trainer.members
    alone = len(members) == 1
    outputs = [output] if alone else [member_file(output, number + 1) for number in range(len(members))]
    for path in outputs:
        check_output(path, overwrite=overwrite)
    folder.mkdir(exist_ok=True)
    split = stage(file, folder, config.validation_events, folded=members[0].folded_training)
    reference = _reference(split.validation, conditional=members[0].conditional)
    steps = max(1, len(split.training) // config.batch_size)
    total = steps * config.epochs
    identity = {"config": config.model_dump(mode="json"), "data": provenance["data_sha256"]}
    path = folder / CHECKPOINT
    history: list[dict[str, Any]] = []
    best: dict[str, Tensor] = {}
    done, seconds = 0, 0.0
    if path.exists():
        parts, numbers = load_checkpoint(path)
        if numbers["identity"] != identity:
            raise RequestError(
                f"{folder} holds a training with other data or settings; remove the folder to start afresh, "
                "or give what it was started with"
            )
        trainer.restore(parts)
        best, history, done, seconds = parts.get("best", {}), numbers["history"], numbers["step"], numbers["seconds"]
        say(f"resuming after step {done} of {total}")
    started = time.monotonic() - seconds

    def checkpoint(step: int) -> None:
        elapsed = time.monotonic() - started
        numbers = {"identity": identity, "step": step, "history": history, "seconds": elapsed}
        save_checkpoint(path, {**trainer.state(), "best": best}, numbers)

    if not path.exists():
        with progress_bar("pretraining", trainer.pretraining_steps, show=progress, unit="steps") as advance:
            trainer.pretrain(split.training, advance)
        trainer.start()
        checkpoint(0)
    for epoch in range(done // steps, config.epochs):
        first = max(done, epoch * steps)
        losses: dict[str, float] = {}
        with progress_bar(
            f"epoch {epoch + 1}/{config.epochs}", steps, show=progress, unit="steps", done=first - epoch * steps
        ) as advance:
            for step in range(first, (epoch + 1) * steps):
                losses = trainer.step(split.training, step, total)
                _require_finite(losses, step)
                advance(1)
                if (step + 1) % CHECKPOINT_STEPS == 0 and step + 1 < (epoch + 1) * steps:
                    checkpoint(step + 1)
        members = trainer.members
        distances = _distances(members, split.validation, reference, config.seed, fabric.device)
        history.append({"epoch": epoch + 1, "score": score(distances), "losses": losses, "distances": distances})
        if min(history, key=lambda entry: entry["score"]) is history[-1]:
            best = {name: tensor.clone() for name, tensor in module_tensors(nn.ModuleList(members)).items()}
        checkpoint((epoch + 1) * steps)
        say(
            f"epoch {epoch + 1}: validation score {history[-1]['score']:.4f} "
            f"(worst {max(distances, key=lambda name: distances[name])} {max(distances.values()):.3f}), "
            + ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        )
    members = trainer.members
    nn.ModuleList(members).load_state_dict(best)
    chosen = min(history, key=lambda entry: entry["score"])
    metrics = {
        "best_epoch": chosen["epoch"],
        "validation_score": chosen["score"],
        "validation_distances": chosen["distances"],
        "training_seconds": time.monotonic() - started,
        **({} if alone else {"members": len(members)}),
    }
    for path, generator in zip(outputs, (member.cpu() for member in members), strict=True):
        write_bundle(
            path,
            family=config.model,
            detector=detector,
            domain=domain,
            noise_width=generator.noise_width,
            config=identity["config"],
            metrics=metrics,
            provenance={**provenance, "torch": torch.__version__},
            parts={
                "sampler.onnx": export_onnx(generator, detector),
                WEIGHTS: save_weights(generator),
                "history.json": json.dumps(history).encode(),
            },
            overwrite=overwrite,
        )
    return metrics


def _training(detector: Detector, particles: tuple[int, ...], config: NetworkTraining, fabric: Fabric) -> Training:
    make = partial(TRAINERS[config.model], detector, particles)
    if isinstance(config, MemberTraining) and config.ensemble is not None:
        return ENSEMBLES[config.ensemble.kind](make, config, fabric)
    return make(config, fabric)


def _distances(
    members: Sequence[Generator], sample: Sample, reference: NDArray[np.float32], seed: int, device: torch.device
) -> dict[str, float]:
    """Distances of validation showers, mean over the members."""
    found = [
        binned_distances(_validation_showers(member, sample, seed, device), reference, sample.conditions)
        for member in members
    ]
    return {name: float(np.mean([distances[name] for distances in found])) for name in found[0]}


def _reference(sample: Sample, *, conditional: bool) -> NDArray[np.float32]:
    """What generated showers are held against; without conditions, showers that do not belong to theirs either."""
    return sample.energies if conditional else np.roll(sample.energies, 1, axis=0)


def _validation_showers(generator: Generator, sample: Sample, seed: int, device: torch.device) -> NDArray[np.float32]:
    """Showers at the conditions of a sample, with the same noise every time."""
    showers = np.empty_like(sample.energies)
    for start in range(0, len(sample), _VALIDATION_BLOCK):
        _, conditions = batch_of(sample, slice(start, start + _VALIDATION_BLOCK), device)
        noise = normals(seed, "validation", start, len(conditions), generator.noise_width)
        with torch.inference_mode():
            made = generator(conditions, torch.from_numpy(noise).to(conditions.device))
        showers[start : start + _VALIDATION_BLOCK] = made.cpu().numpy()
    return showers


def _require_finite(losses: dict[str, float], step: int) -> None:
    if not all(math.isfinite(value) for value in losses.values()):
        named = ", ".join(f"{name} {value}" for name, value in losses.items())
        raise WorkError(
            f"the losses of step {step + 1} are not finite ({named}); lower the learning rates in the training file"
        )
