"""What every generator is from the outside, whatever is in it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Generator(nn.Module, ABC):
    """The whole sampler of a family: conditions and noise in, cell energies out.

    Attributes:
        noise_width: standard-normal numbers that one shower takes.
        folded_training: whether it is trained on showers reflected into the quadrant of non-negative angles.
        conditional: whether the showers depend on the conditions.
        particles: PDG codes of the particles that it tells apart, and makes.
    """

    noise_width: int
    folded_training: bool = True
    conditional: bool = True
    particles: tuple[int, ...]

    @property
    @abstractmethod
    def trained(self) -> nn.Module:
        """The part that the steps train, of which a running average is kept."""

    @abstractmethod
    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """``Conditions.inputs`` (N, C + 1) and noise (N, noise_width) -> energies (N, n_cells), MeV, not negative."""
