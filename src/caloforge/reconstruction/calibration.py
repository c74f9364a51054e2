"""Calibration of clusters: a factor of the cluster's energy, and the depth at which the position is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.observables import ShowerAxis
from caloforge.reconstruction.clusters import Clusters

Floats = NDArray[np.float64]
LEAST = 20
"""Clusters with energy that a calibration needs."""

WIDE = 2.0  # highest over lowest energy from which a factor that depends on the energy can be told from fluctuations


@dataclass(frozen=True)
class Calibration:
    """What turns a cluster into the energy and the impact of a particle.

        E_rec = E_5x5 (c_0 + c_1 L + c_2 L^2),    L = ln(E_5x5 / scale), held between low and high
        depth = depth_0 + depth_1 L

    Attributes:
        factors: c_0, c_1 ...; one to three of them.
        scale: MeV, of the cluster.
        low, high: L of the clusters it was fitted to; outside, the factor is that of the nearer end.
        depths: depth_0 and depth_1, mm.
    """

    factors: tuple[float, ...]
    scale: float
    low: float
    high: float
    depths: tuple[float, float]

    def energy(self, clusters: Clusters) -> Floats:
        """(N,) E_rec, MeV; 0 for a cluster without energy."""
        factor = np.polynomial.polynomial.polyval(self._log(clusters), self.factors)
        return np.asarray(clusters.energy * factor, dtype=np.float64)

    def residual(self, clusters: Clusters, axis: ShowerAxis) -> Floats:
        """(N, 2) position minus the point where the particle's line crosses the depth of the cluster, mm."""
        depth = self.depths[0] + self.depths[1] * self._log(clusters)
        return np.asarray(clusters.position - axis.at(depth[:, None]), dtype=np.float64)

    def _log(self, clusters: Clusters) -> Floats:
        return np.clip(_log(clusters, self.scale), self.low, self.high)


def calibrate(clusters: Clusters, axis: ShowerAxis, weights: NDArray[np.floating] | None = None) -> Calibration:
    """Fit the calibration to clusters of particles of known energy and direction.

    The factors solve, for k = 0, 1, 2,

        sum over events of (E_rec / E - 1) ln(E / E_0)^k = 0

    three linear equations: linearity is asked for at given *true* energy. A least-squares fit of E to the cluster would
    ask for it at given cluster energy instead, which draws low energies up and high ones down, and depends on the
    spectrum (regression to the mean). Where the energies span less than a factor of 2 there is one factor for all; of
    two energies there are two. The depth is a least-squares fit of the positions along the direction.

    Args:
        clusters: of particles that the calorimeter is calibrated with; those without energy are left out.
        axis: of the same particles.
        weights: (N,) of the events, 1 by default.

    Raises:
        RequestError: fewer than 20 clusters have energy, or they cannot determine the factors.
    """
    used = clusters.energy > 0
    times = np.ones(len(clusters)) if weights is None else np.asarray(weights, dtype=np.float64)
    used &= times > 0
    if used.sum() < LEAST:
        raise RequestError(f"{used.sum()} clusters with energy are too few to calibrate with; it takes {LEAST}")
    times, energy = times[used], axis.energy[used]
    scale = float(np.exp(np.average(np.log(clusters.energy[used]), weights=times)))
    log = _log(clusters, scale)[used]
    truth = np.log(energy)
    terms = 1 if np.ptp(truth) < np.log(WIDE) else min(3, len(np.unique(energy)))
    powers = np.arange(terms)
    basis = (clusters.energy[used] / energy)[:, None] * log[:, None] ** powers
    asked = times[:, None] * (truth - np.average(truth, weights=times))[:, None] ** powers
    equations = asked.T @ basis
    if np.linalg.matrix_rank(equations) < terms:
        raise RequestError("the clusters' energies do not follow those of the particles: no calibration")
    factors = np.linalg.solve(equations, asked.sum(axis=0))
    slope, offset = axis.slope[used], clusters.position[used] - axis.at(0.0)[used]
    # One row for x and one for y of every event: offset = slope (depth_0 + depth_1 L).
    root = np.sqrt(times)[:, None]
    rows = (root * slope)[:, :, None] * np.stack([np.ones_like(log), log], axis=1)[:, None, :]
    found, *_ = np.linalg.lstsq(rows.reshape(-1, 2), (root * offset).reshape(-1), rcond=None)
    return Calibration(
        factors=tuple(factors.tolist()),
        scale=scale,
        low=float(log.min()),
        high=float(log.max()),
        depths=(float(found[0]), float(found[1])),
    )


def _log(clusters: Clusters, scale: float) -> Floats:
    return np.log(np.maximum(clusters.energy, 1e-30) / scale)
