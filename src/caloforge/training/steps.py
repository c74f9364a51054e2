"""What every training needs: random numbers of the seed for weights and steps, and batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from caloforge.random import uniforms
from caloforge.training.data import Sample


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Networks made inside have the weights of the seed; the caller's random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def step_generator(seed: int, stream: str, step: int) -> torch.Generator:
    """A generator that depends on seed, stream and step only, so that a resumed training draws the same numbers."""
    return torch.Generator().manual_seed(int(uniforms(seed, stream, step, 1, 1)[0, 0] * 2**52))


def batch_of(sample: Sample, rows: Tensor | slice, device: torch.device) -> tuple[Tensor, Tensor]:
    """Energies (B, n_cells) and conditions (B, C + 1) of some events, float32."""
    index = rows if isinstance(rows, slice) else rows.numpy()
    energies = torch.from_numpy(np.array(sample.energies[index]))
    conditions = torch.from_numpy(sample.inputs[index])
    return energies.to(device), conditions.to(device)
