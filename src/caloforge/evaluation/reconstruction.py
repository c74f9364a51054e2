"""The level of reconstruction: sample and reference through the same clusters and the same calibration."""

from __future__ import annotations

from caloforge.detector import Detector
from caloforge.errors import RequestError
from caloforge.evaluation.binned import energy_edges
from caloforge.evaluation.collect import MIN_EVENTS, Progress, Sample, same_conditions
from caloforge.evaluation.particles import SEPARATIONS, separate
from caloforge.evaluation.performance import deviation_rows, performance, ratios
from caloforge.evaluation.reconstructed import Calibrated, Reconstructed, calibrate_with, reconstruct
from caloforge.evaluation.resampling import Floats, effective_size
from caloforge.evaluation.results import ParticleSeparation, ReconstructedParticle, Reconstruction
from caloforge.evaluation.rows import Draws

LEAST = 30
"""Showers of every sample in every bin of energy, so that random halves have a spread too."""


def compare_reconstruction(
    samples: list[Sample], reference: Sample, *, seed: int, draws: Draws, report: Progress
) -> list[Reconstruction]:
    """Every sample after reconstruction, beside the reference; what cannot be computed says why.

    Where a sample has the reference's conditions, the showers whose partners calibrate are left out of it too. The bins
    of energy are the same for all samples. Curves use the weights of showers; tests and separations take a part of the
    showers instead, at random in proportion to the weight.

    Args:
        samples: the files to judge.
        reference: the file to judge them by.
        seed: of all random draws.
        draws: how many.
        report: called with (stage, steps done, steps in all).
    """
    try:
        calibrated = calibrate_with(reference, seed)
        ours = [reconstruct(sample, calibrated.calibration) for sample in samples]
    except RequestError as error:
        separations = [ParticleSeparation(name, None, None, None, None, [0] * 4, str(error)) for name in SEPARATIONS]
        return [Reconstruction([], 0, [], 0.0, [], [], separations, {"clusters": str(error)}) for _ in samples]
    truth = reconstruct(reference, calibrated.calibration)[calibrated.left]
    paired = [same_conditions(sample, reference) for sample in samples]
    ours = [item[calibrated.left] if pair else item for item, pair in zip(ours, paired, strict=True)]
    edges = {code: _edges(code, ours, truth, reference.detector) for code in sorted(set(truth.pdg.tolist()))}
    found = []
    for number, (item, pair) in enumerate(zip(ours, paired, strict=True)):
        found.append(_compare(item, truth, calibrated, edges, paired=pair, seed=seed, draws=draws))
        report("reconstruction", number + 1, len(ours))
    return found


def _edges(code: int, samples: list[Reconstructed], truth: Reconstructed, detector: Detector) -> Floats | str:
    """Bins of energy for a particle, of all samples that have enough of it, or why there are none."""
    parts = [item for item in (part.of((code,)) for part in samples) if effective_size(item.weights) >= MIN_EVENTS]
    spec = detector.conditions[detector.column("energy")]
    try:
        return energy_edges(spec.low, spec.high, [item.incident for item in (truth.of((code,)), *parts)], LEAST)
    except RequestError as error:
        return str(error)


def _compare(
    item: Reconstructed,
    truth: Reconstructed,
    calibrated: Calibrated,
    edges: dict[int, Floats | str],
    *,
    paired: bool,
    seed: int,
    draws: Draws,
) -> Reconstruction:
    particles, missing = [], {}
    for code, bins in edges.items():
        try:
            particles.append(_particle(code, item, truth, bins, paired=paired, seed=seed, draws=draws))
        except RequestError as error:
            missing[f"particle {code}"] = str(error)
    calibration = calibrated.calibration
    return Reconstruction(
        calibrated_with=calibrated.with_particles,
        calibration_events=len(calibrated.fitted),
        factors=list(calibration.factors),
        scale=calibration.scale,
        depths=list(calibration.depths),
        particles=particles,
        separations=[separate(name, item, truth, paired=paired, seed=seed) for name in SEPARATIONS],
        not_computable=missing,
    )


def _particle(
    code: int,
    sample: Reconstructed,
    reference: Reconstructed,
    edges: Floats | str,
    *,
    paired: bool,
    seed: int,
    draws: Draws,
) -> ReconstructedParticle:
    """Figures of one kind of particle.

    Raises:
        RequestError: too few of them, or no energies in common.
    """
    ours, theirs = sample.of((code,)), reference.of((code,))
    for item in (ours, theirs):
        size = effective_size(item.weights)
        if size < MIN_EVENTS:
            raise RequestError(f"{size:.0f} showers of {item.label}; it takes {MIN_EVENTS}")
    if isinstance(edges, str):
        raise RequestError(edges)
    seen, truth = performance(ours, edges), performance(theirs, edges)
    rows = deviation_rows(ours, theirs, edges, paired=paired, seed=seed, draws=draws)
    return ReconstructedParticle(code, seen, truth, ratios(seen, truth), rows)
