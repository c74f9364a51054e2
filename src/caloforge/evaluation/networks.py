"""Neural networks told to tell samples apart: CaloChallenge's dense network and ResNet-18 (torch, extra `train`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from caloforge.errors import RequestError
from caloforge.evaluation.network_inputs import Inputs, Training
from caloforge.evaluation.network_scores import NetworkScore
from caloforge.evaluation.results import Measured
from caloforge.evaluation.roc import auc_with_error
from caloforge.random import permutation
from caloforge.training.checkpoint import (
    load_checkpoint,
    module_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)

SHARES = (0.6, 0.2, 0.2)
LEAST = 50
_SAVE_SECONDS = 60.0
Report = Callable[[int, int], None]


class DenseClassifier(nn.Sequential):
    """CaloChallenge's network (arXiv:2410.21611): dense layers with LeakyReLU, one logit out.

    Args:
        features: number of inputs.
        layers: number of hidden layers.
        hidden: width of each.
    """

    def __init__(self, features: int, layers: int = 3, hidden: int = 2048) -> None:
        steps: list[nn.Module] = []
        for number in range(layers):
            steps += [nn.Linear(hidden if number else features, hidden), nn.LeakyReLU()]
        super().__init__(*steps, nn.Linear(hidden, 1))


class Convolution3x3(nn.Conv2d):
    """A 3 x 3 convolution with padding 1 and no bias, without the parts of its kernel that only ever meet the padding.

    Images of ResNet-18 shrink to one pixel, where that is eight weights of nine: a third of a training's time.
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(before, after, 3, stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (self._met(size) for size in x.shape[2:])
        padding = [int(part == slice(None)) for part in (rows, columns)]
        return functional.conv2d(x, self.weight[:, :, rows, columns], None, self.stride, padding)

    def _met(self, size: int) -> slice:
        """Which part of the kernel meets pixels of an image of this size."""
        if size == 1:
            return slice(1, 2)
        return slice(1, None) if size == 2 and self.stride[0] == 2 else slice(None)


class _Block(nn.Module):
    """Two convolutions and a way round them, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = Convolution3x3(before, after, stride)
        self.second = Convolution3x3(after, after)
        self.norms = nn.ModuleList([nn.BatchNorm2d(after), nn.BatchNorm2d(after)])
        self.way = nn.Sequential()
        if stride != 1 or before != after:
            self.way = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(inner)) + self.way(x))


class ResNet18(nn.Sequential):
    """ResNet-18 (He et al., CVPR 2016, arXiv:1512.03385) for images of one channel, (N, 1, X, Y) in, one logit out.

    Args:
        width: channels of the first stage; 64 in the paper.
    """

    def __init__(self, width: int = 64) -> None:
        stem = [nn.Conv2d(1, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        stages: list[nn.Module] = []
        channels = width
        for number in range(4):
            after = width * 2**number
            stages += [_Block(channels, after, 2 if number else 1), _Block(after, after, 1)]
            channels = after
        super().__init__(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1))


def score_network(
    build: Callable[[], nn.Module],
    sample: Inputs,
    reference: Inputs,
    training: Training,
    *,
    paired: bool,
    seed: int,
    report: Report | None = None,
    checkpoint: Path | None = None,
) -> NetworkScore:
    """Train a network to tell sample from reference and score it on events it has not met.

    Of each kind 60 % train, 20 % choose the epoch with the fewest errors and calibrate the probability (isotonic
    regression), 20 % are scored: CaloChallenge's shares. Pairs of equal conditions stay in the same part. The larger
    sample is cut. On a CPU the same seed gives the same figures, on the same machine with as many threads.

    Args:
        build: makes the network, one logit a shower.
        sample: (n, ...) inputs of class 1.
        reference: (m, ...) inputs of class 0.
        training: epochs, batch and rate.
        paired: event i of both has the same conditions.
        seed: of parts, first weights and batches.
        report: called with (epochs done, epochs in all).
        checkpoint: a file, written about once a minute, from where the same call goes on to the same figures.

    Raises:
        RequestError: fewer than 50 showers of a kind, or inputs that are not finite.
    """
    events = min(len(sample), len(reference))
    if events < LEAST:
        raise RequestError(f"{events} showers of a kind; a network needs at least {LEAST}")
    if not (np.isfinite(sample).all() and np.isfinite(reference).all()):
        raise RequestError("an input of the network is NaN or infinite; expected finite showers")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    order = permutation(seed, "evaluation/network/reference", 0, events)
    other = order if paired else permutation(seed, "evaluation/network/sample", 0, events)
    limits = np.cumsum([round(share * events) for share in SHARES[:2]])
    train, choose, test = (
        _Part(reference[first], sample[second], device)
        for first, second in zip(np.split(order, limits), np.split(other, limits), strict=True)
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = build().to(device)
    epoch, weights = _train(network, train, choose, training, seed, report or (lambda done, total: None), checkpoint)
    network.load_state_dict(weights)
    return _score(network, choose, test, epoch, events)


class _Part:
    """Inputs on the device, reference first, and their labels."""

    def __init__(self, reference: Inputs, sample: Inputs, device: torch.device) -> None:
        self.x = torch.from_numpy(np.concatenate([reference, sample])).to(device)
        self.y = np.repeat([0, 1], [len(reference), len(sample)])
        self.target = torch.from_numpy(self.y.astype(np.float32)).to(device)

    def scores(self, network: nn.Module) -> NDArray[np.float64]:
        """Probability of class 1."""
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(part)[:, 0] for part in torch.split(self.x, 1000)])
        return torch.sigmoid(logits).cpu().numpy().astype(np.float64)


def _train(
    network: nn.Module,
    train: _Part,
    choose: _Part,
    training: Training,
    seed: int,
    report: Report,
    checkpoint: Path | None,
) -> tuple[int, dict[str, Tensor]]:
    """The best epoch, from 1, and the weights after it."""
    optimiser = torch.optim.Adam(network.parameters(), lr=training.rate, fused=True)
    best, best_epoch, weights = np.inf, 0, module_tensors(network)
    done, saved = 0, time.monotonic()
    if checkpoint is not None and checkpoint.exists():
        parts, numbers = load_checkpoint(checkpoint)
        network.load_state_dict(parts["network"])
        restore_optimizer(optimiser, parts["optimizer"])
        best, best_epoch, weights, done = numbers["best"], numbers["best_epoch"], parts["weights"], numbers["done"]
    for epoch in range(done, training.epochs):
        if training.patience is not None and epoch - best_epoch >= training.patience:
            report(training.epochs, training.epochs)
            break
        network.train()
        order = torch.from_numpy(permutation(seed, "evaluation/network/batches", epoch, len(train.y)))
        for rows in torch.split(order.to(train.x.device), training.batch):
            if len(rows) == 1:
                continue  # one shower has no variance, which batch normalisation needs
            loss = functional.binary_cross_entropy_with_logits(network(train.x[rows])[:, 0], train.target[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        errors = _error_rate(choose.scores(network), choose.y)
        if errors < best:
            best, best_epoch = errors, epoch + 1
            weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        report(epoch + 1, training.epochs)
        if checkpoint is not None and time.monotonic() - saved >= _SAVE_SECONDS:
            now = {"network": module_tensors(network), "optimizer": optimizer_tensors(optimiser), "weights": weights}
            save_checkpoint(checkpoint, now, {"best": best, "best_epoch": best_epoch, "done": epoch + 1})
            saved = time.monotonic()
    return best_epoch, weights


def _score(network: nn.Module, choose: _Part, test: _Part, epoch: int, events: int) -> NetworkScore:
    from sklearn.isotonic import IsotonicRegression

    chosen, scores = choose.scores(network), test.scores(network)
    calibration = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6, out_of_bounds="clip").fit(chosen, choose.y)
    calibrated = calibration.predict(scores)
    rate = _error_rate(calibrated, test.y)
    return NetworkScore(
        auc=auc_with_error(calibrated, test.y),
        error_rate=Measured(rate, (rate * (1 - rate) / len(test.y)) ** 0.5),
        chosen_auc=auc_with_error(chosen, choose.y).value,
        chosen_error_rate=_error_rate(chosen, choose.y),
        epoch=epoch,
        events=events,
    )


def _error_rate(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Share of events on the wrong side of 1/2; one at 1/2 counts half."""
    wrong = np.where(scores == 0.5, 0.5, (scores > 0.5) != labels)
    return float(wrong.mean())
