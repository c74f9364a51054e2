"""Conditions as networks see them: folded by the mirror symmetries, scaled to -1..1, a column for each particle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from caloforge.detector import reflections
from caloforge.models.networks.functions import log

if TYPE_CHECKING:
    from caloforge.detector import Detector


class MirrorFold(nn.Module):
    """Reflects every shower into the quadrant of non-negative angles (positions, where those are fixed), and back.

    The mirror symmetries are exact, so a network that only ever sees one quadrant respects them by construction and
    finds its training conditions four times as dense as with the full range.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.columns = {
            symmetry: [detector.column(name) for name in names] for symmetry, names in reflections(detector).items()
        }
        for symmetry in self.columns:
            in_x = symmetry == "mirror_x"
            mirrored = [layer.offset + layer.cells.mirrored(in_x, not in_x) for layer in detector.cell_layers]
            self.register_buffer(symmetry, torch.from_numpy(np.concatenate(mirrored)), persistent=False)

    def flips(self, conditions: Tensor) -> dict[str, Tensor]:
        """Which showers (N,) are to be reflected, by symmetry."""
        return {symmetry: conditions[:, columns[0]] < 0 for symmetry, columns in self.columns.items()}

    def conditions(self, conditions: Tensor, flips: dict[str, Tensor]) -> Tensor:
        """Conditions (N, C + 1) with the sign of angle and position changed where flipped."""
        columns = list(conditions.unbind(1))
        for symmetry, flip in flips.items():
            for column in self.columns[symmetry]:
                columns[column] = torch.where(flip, -columns[column], columns[column])
        return torch.stack(columns, 1)

    def energies(self, energies: Tensor, flips: dict[str, Tensor]) -> Tensor:
        """Energies (N, n_cells) reflected where flipped; its own inverse."""
        for symmetry, flip in flips.items():
            energies = torch.where(flip[:, None], energies[:, self.get_buffer(symmetry)], energies)
        return energies


class ConditionFeatures(nn.Module):
    """Conditions (N, C + 1) in MeV, mm, rad, PDG code to features (N, width) in -1..1 on the detector's ranges.

    An energy of density 1/E or of a list enters as log E; a fixed condition is -1. With several particles each has a
    column that is 1 for its showers and -1 for others.

    Args:
        particles: PDG codes that are told apart.
        folded: whether the conditions are reflected into the quadrant of non-negative angles beforehand.
    """

    codes: Tensor
    low: Tensor
    high: Tensor
    logarithmic: Tensor

    def __init__(self, detector: Detector, particles: tuple[int, ...], *, folded: bool = True) -> None:
        super().__init__()
        self.particles = particles
        self.n_conditions = len(detector.conditions)
        self.width = self.n_conditions + (len(particles) if len(particles) > 1 else 0)
        positive = [names[0] for names in reflections(detector).values()] if folded else []
        logarithmic = np.array([spec.logarithmic for spec in detector.conditions])
        low = np.array([0.0 if spec.name in positive else spec.low for spec in detector.conditions])
        low, high = (np.where(logarithmic, np.log(np.where(logarithmic, x, 1.0)), x) for x in (low, detector.high))
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32))
        self.register_buffer("logarithmic", torch.tensor(logarithmic))
        self.register_buffer("codes", torch.tensor(particles, dtype=torch.float32), persistent=False)

    def forward(self, conditions: Tensor) -> Tensor:
        numbers, code = conditions[:, :-1], conditions[:, -1:]
        middle = 0.5 * (self.low + self.high)
        logs = middle + log(torch.where(self.logarithmic, numbers * torch.exp(-middle), torch.ones_like(numbers)))
        values = torch.where(self.logarithmic, logs, numbers)
        scaled = 2 * (values - self.low) / torch.where(self.high > self.low, self.high - self.low, 1.0) - 1
        if len(self.particles) == 1:
            return scaled
        return torch.cat([scaled, 2 * (code == self.codes).float() - 1], 1)

    def inverse(self, features: Tensor) -> Tensor:
        """Features (N, width) in -1..1 back to conditions (N, C + 1); the particle is that of the largest feature."""
        numbers, particles = features[:, : self.n_conditions], features[:, self.n_conditions :]
        values = self.low + (self.high - self.low) * (numbers + 1) / 2
        # Powers and not exp: in onnxruntime its last bit may depend on the place in the batch.
        powers = torch.pow(math.e, torch.where(self.logarithmic, values, torch.zeros_like(values)))
        which = particles.argmax(1) if len(self.particles) > 1 else torch.zeros_like(features[:, 0]).long()
        return torch.cat([torch.where(self.logarithmic, powers, values), self.codes[which][:, None]], 1)
