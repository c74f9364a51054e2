"""The contract of every fast model: conditions and noise in, cell energies out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError

if TYPE_CHECKING:
    from caloforge.detector import Detector

FAMILIES: dict[str, str] = {
    "wgan-gp": "conditional convolutional Wasserstein GAN with gradient penalty",
    "flow": "normalising flow of the factors that cells share, each cell's own noise beside it",
    "vae": "variational autoencoder of the pulls of the cells",
    "flow-matching": "conditional flow matching of the pulls, a few steps of an ordinary differential equation",
    "student": "one-step network distilled from a flow-matching model",
    "neighbour": "nearest training shower, folded by the mirror symmetries, energy scaled",
    "interpolation": "mean of the four nearest training showers: a baseline, with too little fluctuation",
    "conditional-wgan": "published baseline (arXiv:1812.01319): conditional WGAN-GP of whole images",
    "conditional-gan": "published baseline: conditional GAN of whole images",
    "stream-gan": "published baseline (arXiv:1705.02355): GAN with a stream of locally connected layers for each layer",
    "wgan": "published baseline: WGAN-GP of whole images; follows the training spectrum, whatever conditions are asked",
    "gan": "published baseline: GAN of whole images; follows the training spectrum, whatever conditions are asked",
}
"""Every family of models, best first: what a bundle may name, and what a detector's default is chosen from."""

UNCONDITIONAL = frozenset({"gan", "wgan"})
"""Families whose showers follow the spectrum of the training sample and do not belong to the conditions asked for."""

PARITY = 1e-5
"""Largest difference between torch and onnxruntime that is let pass, relative to the hottest cell of the shower."""


class Sampler(ABC):
    """A trained model, ready to turn conditions into showers.

    The noise is drawn outside (``caloforge.random``), so a fixed pair (conditions, noise) gives the same showers
    whatever the batch, the number of workers or the engine.

    Attributes:
        detector: the detector whose cells are filled.
        noise_width: standard-normal numbers that one shower takes; 0 for a model without noise.
    """

    def __init__(self, detector: Detector, noise_width: int) -> None:
        self.detector = detector
        self.noise_width = noise_width

    @abstractmethod
    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one shower a row.

        Args:
            conditions: (N, C + 1), in the detector's own order and units (MeV, mm, rad), and the PDG code in the last
                column: ``Conditions.inputs``.
            noise: (N, noise_width), standard normal.

        Returns:
            (N, n_cells) float32, MeV, finite and not negative.

        Raises:
            RequestError: the shapes do not fit the detector or each other.
        """

    def checked(
        self, conditions: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both inputs as contiguous float32; a wrong shape raises ``RequestError``."""
        conditions = np.ascontiguousarray(conditions, dtype=np.float32)
        noise = np.ascontiguousarray(noise, dtype=np.float32)
        width = len(self.detector.conditions) + 1
        if conditions.ndim != 2 or conditions.shape[1] != width:
            names = ", ".join(spec.name for spec in self.detector.conditions)
            raise RequestError(
                f"conditions have the shape {conditions.shape}; expected (N, {width}): one column for "
                f"each of {names}, and one of PDG codes"
            )
        if noise.shape != (len(conditions), self.noise_width):
            raise RequestError(
                f"noise has the shape {noise.shape}; expected ({len(conditions)}, {self.noise_width}): "
                "draw it with caloforge.random.normals(seed, 'noise', start, count, sampler.noise_width)"
            )
        return conditions, noise
