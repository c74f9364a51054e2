"""Showers of a sample after reconstruction, and the calibration that the reference gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.collect import Sample
from caloforge.evaluation.events import chosen
from caloforge.evaluation.resampling import Floats
from caloforge.observables import shower_axis
from caloforge.random import permutation
from caloforge.reconstruction import Calibration, Clusters, calibrate, seed_grid

ELECTROMAGNETIC = (11, -11, 22)
"""The calibration is made with these, where the reference has them."""

CALIBRATING = 4  # one reference shower in so many calibrates, and enters no figure


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """Showers of a sample and what the reconstruction makes of them.

    Attributes:
        sample: conditions, particles and weights of N showers.
        clusters: of these showers.
        energy: (N,) E_rec, MeV.
        residual: (N, 2) reconstructed position minus that of the particle's line, mm.
    """

    sample: Sample
    clusters: Clusters
    energy: Floats
    residual: Floats

    def __getitem__(self, rows: NDArray[np.int64]) -> Reconstructed:
        return Reconstructed(chosen(self.sample, rows), self.clusters[rows], self.energy[rows], self.residual[rows])

    def of(self, codes: tuple[int, ...]) -> Reconstructed:
        """The showers of these particles (PDG codes) alone."""
        return self[np.flatnonzero(np.isin(self.sample.pdg, codes))]

    @property
    def weights(self) -> Floats:
        """(N,) weights of the showers, 1 where they have none."""
        return np.ones(len(self.energy)) if self.sample.weights is None else self.sample.weights


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration, the reference showers it was fitted to, and those that are left for figures (their numbers)."""

    calibration: Calibration
    with_particles: list[int]
    fitted: NDArray[np.int64]
    left: NDArray[np.int64]


def clusters_of(sample: Sample) -> Clusters:
    """The clusters of a sample.

    Raises:
        RequestError: its detector has cells that no cluster can be made of.
    """
    seed_grid(sample.detector)
    assert sample.clusters is not None
    return sample.clusters


def calibrate_with(reference: Sample, seed: int) -> Calibrated:
    """Calibrate with a random quarter of the reference: with its electrons, positrons and photons, where it has them.

    Raises:
        RequestError: no clusters, or too few to calibrate with.
    """
    order = permutation(seed, "evaluation/calibration", 0, len(reference))
    part, left = (np.sort(rows) for rows in np.split(order, [len(order) // CALIBRATING]))
    gentle = part[np.isin(reference.pdg[part], ELECTROMAGNETIC)]
    fitted = gentle if len(gentle) else part
    calibration = calibrate(
        clusters_of(reference)[fitted],
        shower_axis(reference.conditions[fitted], reference.detector),
        None if reference.weights is None else reference.weights[fitted],
    )
    return Calibrated(calibration, sorted(set(reference.pdg[fitted].tolist())), fitted, left)


def reconstruct(sample: Sample, calibration: Calibration) -> Reconstructed:
    """Energy and position of every shower of a sample.

    Raises:
        RequestError: no clusters.
    """
    clusters = clusters_of(sample)
    axis = shower_axis(sample.conditions, sample.detector)
    return Reconstructed(sample, clusters, calibration.energy(clusters), calibration.residual(clusters, axis))
