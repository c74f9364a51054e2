"""Showers of a sample after reconstruction, and the calibration that the reference gives."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.collect import Sample
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.unweight import survivors
from caloforge.observables import shower_axis
from caloforge.random import permutation
from caloforge.reconstruction import Calibration, Clusters, calibrate, seed_grid

ELECTROMAGNETIC = (11, -11, 22)
"""The calibration is made with these, where the reference has them."""

CALIBRATING = 4  # one reference shower in so many calibrates, and enters no figure


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """N showers of a sample and what the reconstruction makes of them.

    Attributes:
        label: of the sample.
        pdg: (N,) particle codes.
        incident: (N,) incident energies, MeV.
        visible: (N,) energy of all cells, MeV.
        weights: (N,) of the showers.
        clusters: of the showers.
        energy: (N,) E_rec, MeV.
        residual: (N, 2) reconstructed position minus that of the particle's line, mm.
    """

    label: str
    pdg: NDArray[np.int32]
    incident: Floats
    visible: Floats
    weights: Floats
    clusters: Clusters
    energy: Floats
    residual: Floats

    def __len__(self) -> int:
        return len(self.energy)

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Reconstructed:
        names = [field.name for field in dataclasses.fields(self) if field.name != "label"]
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in names})

    def of(self, codes: tuple[int, ...]) -> Reconstructed:
        """The showers of these particles (PDG codes) alone."""
        return self[np.isin(self.pdg, codes)]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration, the reference showers it was fitted to, and those that are left for figures (their numbers)."""

    calibration: Calibration
    with_particles: list[int]
    fitted: NDArray[np.int64]
    left: NDArray[np.int64]


def calibrate_with(reference: Sample, seed: int) -> Calibrated:
    """Calibrate with a random quarter of the reference: with its electrons, positrons and photons, where it has them.

    Raises:
        RequestError: no clusters, or too few to calibrate with.
    """
    clusters = _clusters(reference)
    order = permutation(seed, "evaluation/calibration", 0, len(clusters))
    part, left = (np.sort(rows) for rows in np.split(order, [len(order) // CALIBRATING]))
    gentle = part[np.isin(reference.pdg[part], ELECTROMAGNETIC)]
    fitted = gentle if len(gentle) else part
    calibration = calibrate(
        clusters[fitted],
        shower_axis(reference.conditions[fitted], reference.detector),
        None if reference.weights is None else reference.weights[fitted],
    )
    return Calibrated(calibration, sorted(set(reference.pdg[fitted].tolist())), fitted, left)


def reconstruct(sample: Sample, calibration: Calibration) -> Reconstructed:
    """Energy and position of every shower of a sample that has a cluster: those from the start of its file.

    Raises:
        RequestError: no clusters.
    """
    clusters = _clusters(sample)
    head = slice(0, len(clusters))
    conditions = sample.conditions[head]
    return Reconstructed(
        label=sample.info.label,
        pdg=sample.pdg[head],
        incident=sample.incident[head],
        visible=sample.visible[head],
        weights=np.ones(len(clusters)) if sample.weights is None else sample.weights[head],
        clusters=clusters,
        energy=calibration.energy(clusters),
        residual=calibration.residual(clusters, shower_axis(conditions, sample.detector)),
    )


def unweighted_pair(
    sample: Reconstructed, reference: Reconstructed, *, paired: bool, seed: int
) -> tuple[Reconstructed, Reconstructed, bool]:
    """Both without weights, some showers left out in proportion to them, and whether pairs are still pairs."""
    kept, other = (survivors(item.weights, seed) for item in (sample, reference))
    return sample[kept], reference[other], paired and np.array_equal(kept, other)


def _clusters(sample: Sample) -> Clusters:
    seed_grid(sample.detector)  # the error of a detector that has none
    assert sample.clusters is not None
    return sample.clusters
