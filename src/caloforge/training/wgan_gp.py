"""Train ``wgan-gp``: pretraining, epochs with validation, checkpoints, the best epoch into a bundle."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from caloforge.errors import RequestError, WorkError
from caloforge.models.bundle import Domain, write_bundle
from caloforge.models.wgan_gp.sampler import export_onnx, save_weights
from caloforge.progress import progress_bar
from caloforge.showers import ShowerFile
from caloforge.training.adversarial import Adversaries, Losses
from caloforge.training.checkpoint import load_checkpoint, module_tensors, save_checkpoint
from caloforge.training.config import WganGpConfig
from caloforge.training.data import stage
from caloforge.training.pretraining import pretrain
from caloforge.training.validation import binned_distances, score

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_STEPS = 100


def train_wgan_gp(
    file: ShowerFile,
    config: WganGpConfig,
    output: Path,
    folder: Path,
    domain: Domain,
    provenance: dict[str, Any],
    *,
    overwrite: bool,
    progress: bool,
) -> dict[str, Any]:
    """Train on a shower file and write the bundle; return what the bundle records as metrics.

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
    split = stage(file, folder, config.validation_events)
    steps = max(1, len(split.training) // config.batch_size)
    total = steps * config.epochs
    identity = {"config": config.model_dump(mode="json"), "data": provenance["data_sha256"]}
    path = folder / CHECKPOINT
    adversaries = Adversaries(detector, config, fabric)
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
        adversaries.restore(parts)
        best, history, done, seconds = parts.get("best", {}), numbers["history"], numbers["step"], numbers["seconds"]
        say(f"resuming after step {done} of {total}")
    started = time.monotonic() - seconds

    def checkpoint(step: int) -> None:
        elapsed = time.monotonic() - started
        numbers = {"identity": identity, "step": step, "history": history, "seconds": elapsed}
        save_checkpoint(path, {**adversaries.state(), "best": best}, numbers)

    if not path.exists():
        with progress_bar("pretraining", 4 * config.pretraining_steps, show=progress, unit="steps") as advance:
            pretrain(adversaries.generator, adversaries.critic, split.training, config, fabric.device, advance)
        adversaries.start()
        checkpoint(0)
    for epoch in range(done // steps, config.epochs):
        first = max(done, epoch * steps)
        with progress_bar(
            f"epoch {epoch + 1}/{config.epochs}", steps, show=progress, unit="steps", done=first - epoch * steps
        ) as advance:
            for step in range(first, (epoch + 1) * steps):
                losses = adversaries.step(split.training, step, total)
                _require_finite(losses, step)
                advance(1)
                if (step + 1) % CHECKPOINT_STEPS == 0 and step + 1 < (epoch + 1) * steps:
                    checkpoint(step + 1)
        distances = binned_distances(
            adversaries.validation_showers(split.validation), split.validation.energies, split.validation.conditions
        )
        history.append(
            {
                "epoch": epoch + 1,
                "score": score(distances),
                "critic_distance": losses.distance,
                "penalty": losses.penalty,
                "distances": distances,
            }
        )
        if min(history, key=lambda entry: entry["score"]) is history[-1]:
            best = {name: tensor.clone() for name, tensor in module_tensors(adversaries.average).items()}
        checkpoint((epoch + 1) * steps)
        say(
            f"epoch {epoch + 1}: validation score {history[-1]['score']:.4f} "
            f"(worst {max(distances, key=lambda name: distances[name])} {max(distances.values()):.3f}), "
            f"critic distance {losses.distance:.3f}"
        )
    adversaries.average.load_state_dict(best)
    chosen = min(history, key=lambda entry: entry["score"])
    metrics = {
        "best_epoch": chosen["epoch"],
        "validation_score": chosen["score"],
        "validation_distances": chosen["distances"],
        "training_seconds": time.monotonic() - started,
    }
    generator = adversaries.average.cpu()
    write_bundle(
        output,
        family="wgan-gp",
        detector=detector,
        domain=domain,
        noise_width=generator.noise_width,
        config=identity["config"],
        metrics=metrics,
        provenance={**provenance, "torch": torch.__version__},
        parts={
            "sampler.onnx": export_onnx(generator, detector),
            "weights.safetensors": save_weights(generator),
            "history.json": json.dumps(history).encode(),
        },
        overwrite=overwrite,
    )
    return metrics


def _require_finite(losses: Losses, step: int) -> None:
    if not np.isfinite([losses.distance, losses.penalty]).all():
        raise WorkError(
            f"the losses of step {step + 1} are not finite (distance {losses.distance}, penalty {losses.penalty}); "
            "lower the learning rates in the training file"
        )
