"""The Box-Cox transform of cell energies inside a network."""

from __future__ import annotations

from torch import Tensor


class BoxCox:
    """v = ((1 + e / epsilon)^(1/4) - 1) / (1/4): 0 for an empty cell, proportional to e well below epsilon.

    Given the conditions, a cell of v fluctuates by about one, be its mean 0.1 MeV or 4 GeV (electrons in
    ``lhcb-ecal``), so no cell hides the others from a discriminator. The exponent of largest likelihood for all showers
    together is about 0, where the fluctuations of the hot cells vanish beside those of the halo.

    Args:
        epsilon: MeV.
        largest: no cell gets more; MeV.
    """

    def __init__(self, epsilon: float, largest: float) -> None:
        self.epsilon = epsilon
        self.high = 4 * ((1 + largest / epsilon) ** 0.25 - 1)

    def __call__(self, energies: Tensor) -> Tensor:
        """Energies (N, n_cells), MeV, to v."""
        return 4 * ((1 + energies / self.epsilon).sqrt().sqrt() - 1)

    def clamp(self, values: Tensor) -> Tensor:
        """v kept between that of an empty cell and that of the largest energy."""
        return values.clamp(0.0, self.high)

    def inverse(self, values: Tensor) -> Tensor:
        """v (N, n_cells) back to energies, MeV; a cell is empty at 0 and below."""
        raw = self.clamp(values) / 4
        # (1 + raw)^4 - 1, without the loss of digits near 0
        return self.epsilon * raw * (2 + raw) * (2 + raw * (2 + raw))
