"""The Box-Cox transform of cell energies inside a network."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caloforge.transforms import BoxCoxTransform

_LEAST_EXPONENT = 1e-2  # nearer to zero float32 loses the digits; the likelihood hardly notices the difference


class BoxCox(nn.Module):
    """v = (((e + epsilon)^lambda - 1) / lambda - mean) / deviation, ``BoxCoxTransform`` with its state in buffers.

    The inverse of any v is an energy that is finite and not negative: an empty cell at v of e = 0 and below, at most
    ten times the largest training energy above.
    """

    epsilon: Tensor
    exponent: Tensor
    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        unfitted = {"epsilon": epsilon, "exponent": 1.0, "mean": 0.0, "deviation": 1.0, "low": 0.0, "high": 1.0}
        for name, value in unfitted.items():
            self.register_buffer(name, torch.tensor(value))

    def fit(self, energies: NDArray[np.float32]) -> None:
        """Take exponent, mean and deviation from training showers (N, n_cells), MeV."""
        epsilon = float(self.epsilon)
        state = BoxCoxTransform(epsilon).fit(energies, np.ones(len(energies))).state()
        fitted = float(state["lambda"])
        exponent = math.copysign(max(abs(fitted), _LEAST_EXPONENT), fitted)
        self.exponent.fill_(exponent)
        self.mean.fill_(float(state["mean"]))
        self.deviation.fill_(float(state["deviation"]))
        for end, energy in ((self.low, 0.0), (self.high, 10 * float(state["largest"]))):
            end.copy_(self(torch.tensor(energy, device=end.device)))

    def forward(self, energies: Tensor) -> Tensor:
        """Energies (N, n_cells), MeV, to v."""
        raw = torch.expm1(self.exponent * torch.log(energies + self.epsilon)) / self.exponent
        return (raw - self.mean) / self.deviation

    def clamp(self, values: Tensor) -> Tensor:
        """v kept between that of an empty cell and that of the largest energy."""
        return values.clamp(self.low, self.high)

    def inverse(self, values: Tensor) -> Tensor:
        """v (N, n_cells) back to energies, MeV; a cell is empty at ``low`` and below."""
        raw = self.clamp(values) * self.deviation + self.mean
        # A power and not exp(log(x)): onnxruntime's logarithm depends, in the last bit, on the place in the batch.
        energies = torch.pow(1 + self.exponent * raw, 1 / self.exponent) - self.epsilon
        return torch.where(values > self.low, energies.clamp_min(0.0), 0.0)
