"""Compare files of showers with a reference file; models are never asked, only what they wrote."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge._version import __version__
from caloforge.errors import FormatError, RequestError, require, unknown_name
from caloforge.evaluation.binned import binned_response, energy_edges, response_ratio
from caloforge.evaluation.classifier import scored
from caloforge.evaluation.collect import (
    GROUPS,
    HEAD_EVENTS,
    Progress,
    Sample,
    check_comparable,
    collect,
    copied_events,
    same_conditions,
)
from caloforge.evaluation.correlations import compare_correlations, compare_images
from caloforge.evaluation.displays import nearest_events, read_displays, reference_events
from caloforge.evaluation.distances import compare, histogram_edges, why_not
from caloforge.evaluation.grid import compare_grids, grids
from caloforge.evaluation.histograms import histograms
from caloforge.evaluation.network_inputs import NetworkPlan
from caloforge.evaluation.network_rows import NETWORKS
from caloforge.evaluation.network_scores import KeptScores
from caloforge.evaluation.ranking import ranking
from caloforge.evaluation.reconstruction import compare_reconstruction
from caloforge.evaluation.regions import PartClassifier, compare_regions
from caloforge.evaluation.resampling import Plan
from caloforge.evaluation.results import (
    Evaluation,
    Grid,
    ObservableDistances,
    Reconstruction,
    ReferenceResult,
    SampleResult,
)
from caloforge.evaluation.rows import Draws
from caloforge.evaluation.unweight import unweighted
from caloforge.evaluation.whole import compare_whole
from caloforge.observables import observables_for
from caloforge.random import check_seed


@dataclass(frozen=True)
class Effort:
    """Numbers of random draws: bootstraps, splits for the floors, the same in parts, and turns of the classifier.

    Of the many observables in a cell of a grid only the worst is kept: few splits would make it one whose floor came
    out too narrow, so `cells` has more.
    """

    bootstraps: int
    floors: int
    regional: int
    cells: int
    matrices: int
    rotations: int


QUICK = Effort(bootstraps=40, floors=40, regional=20, cells=40, matrices=6, rotations=1)
FULL = Effort(bootstraps=200, floors=100, regional=40, cells=40, matrices=20, rotations=4)
QUICK_DRAWS = Draws(errors=20, floors=20, permutations=100)
PLAN = NetworkPlan()


def evaluate(
    files: Sequence[str | Path] | str | Path,
    reference: str | Path,
    *,
    quick: bool = False,
    networks: Sequence[str] = (),
    keep: str | Path | None = None,
    training: str | Path | None = None,
    seed: int = 0,
    max_events: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare one or several files of showers with a reference (Geant4) file.

    Showers are read in blocks; what stays in memory is a few dozen numbers an event. The classifier and the figures of
    whole showers use at most 100,000 showers of each file, correlations 50,000, everything else all. Where a file has
    the reference's conditions event by event (`generate --like`), the floor is that of equal conditions, and lower.

    Args:
        files: files to judge.
        reference: file to judge them by.
        quick: fewer random draws: errors and floors are rougher, values are the same (the classifier's apart); and no
            figures of whole showers.
        networks: neural networks to train as well, of `dnn_low_level`, `dnn_normalised`, `dnn_high_level` and
            `resnet18` (extra `train`; hours on a CPU).
        keep: folder for what the networks found: an evaluation that was interrupted goes on with the next network.
        training: the file that the model was trained on, for the test whether it copies it.
        seed: of all random draws.
        max_events: at most so many showers are used, from the start of each file; all by default.
        progress: called with (stage, steps done, steps in all).

    Raises:
        FormatError: a file is missing, damaged or of another format.
        RequestError: too few showers, different detectors or units, no common range of energy, or a file given as its
            own reference.
    """
    started = time.perf_counter()
    check_seed(seed)
    report = progress or (lambda stage, done, total: None)
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(item) for item in files]
    reference_path = Path(reference)
    training_path = None if training is None else Path(training)
    _check_paths(paths, reference_path, training_path)
    if quick and (networks or training is not None):
        raise RequestError(
            "quick leaves out the figures of whole showers; it goes neither with networks nor with training"
        )
    for name in networks:
        if name not in NETWORKS:
            raise unknown_name("network", name, NETWORKS)
    if networks:
        require("torch", "train")
    scores = KeptScores(None if keep is None else Path(keep))
    effort = QUICK if quick else FULL
    truth = collect(reference_path, max_events=max_events, progress=report)
    samples = []
    for path, label in zip(paths, _labels(paths), strict=True):
        samples.append(collect(path, label, max_events=max_events, progress=report))
        check_comparable(samples[-1], truth)
    known = (
        None if training_path is None else collect(training_path, "training", max_events=max_events, progress=report)
    )
    if known is not None:
        check_comparable(known, truth)
    edges, skipped = _histogram_edges(truth, samples)
    spec = truth.detector.conditions[truth.detector.column("energy")]
    limits = energy_edges(spec.low, spec.high, [truth.incident, *(sample.incident for sample in samples)])
    shown = reference_events(truth.conditions, truth.detector)
    cells = grids(truth, int(min(item.info.effective_events for item in (truth, *samples))))
    reconstructions = compare_reconstruction(
        samples, truth, seed=seed, draws=QUICK_DRAWS if quick else Draws(), report=report
    )
    results = []
    own: ReferenceResult | None = None
    for sample, path, reconstruction in zip(samples, paths, reconstructions, strict=True):
        result, own = _compare(
            sample, truth, path, reference_path, edges, limits, cells, shown, reconstruction, effort, seed, report
        )
        if not quick:
            whole = compare_whole(
                sample,
                truth,
                known,
                (path, reference_path),
                list(edges),
                paired=result.same_conditions,
                networks=networks,
                plan=PLAN,
                seed=seed,
                report=report,
                scores=scores,
            )
            result = dataclasses.replace(result, whole=whole)
        results.append(result)
    assert own is not None
    ranks, floor = ranking(own, results)
    labels = {name: item.label for name, item in observables_for(truth.detector).items()}
    return Evaluation(
        detector=truth.detector.name,
        detector_title=truth.detector.title,
        detector_toml=truth.detector.toml,
        condition_names=list(truth.detector.condition_names),
        condition_units=[item.unit for item in truth.detector.conditions],
        quick=quick,
        seed=seed,
        version=__version__,
        seconds=time.perf_counter() - started,
        reference=own,
        samples=results,
        ranking=ranks,
        floor=floor,
        histograms=histograms(edges, labels, truth, samples, [result.same_conditions for result in results]),
        skipped=skipped | _cells_left_out(results),
    )


def _compare(
    sample: Sample,
    truth: Sample,
    path: Path,
    reference_path: Path,
    edges: dict[str, NDArray[np.float64]],
    limits: NDArray[np.float64],
    cells: list[Grid],
    shown: list[int],
    reconstruction: Reconstruction,
    effort: Effort,
    seed: int,
    report: Progress,
) -> tuple[SampleResult, ReferenceResult]:
    stage = f"comparing {sample.info.label}"
    paired = same_conditions(sample, truth)
    n, m = len(sample), len(truth)
    weights = _weights(sample, truth, n, m)
    plan = Plan(n, m, paired, effort.bootstraps, effort.floors, seed, weights)
    distances = compare(sample.observables, truth.observables, edges, plan)
    report(stage, 1, 5)
    names = [*edges, *truth.detector.condition_names]
    kept, kept_reference = (unweighted(item, seed)[:HEAD_EVENTS] for item in (sample, truth))
    test = scored(
        _features(sample, list(edges), kept),
        _features(truth, list(edges), kept_reference),
        names,
        paired=paired and np.array_equal(kept, kept_reference),
        seed=seed,
        rotations=effort.rotations,
    )
    report(stage, 2, 5)
    parts = PartClassifier(test, (kept, kept_reference))
    regional = Plan(n, m, paired, effort.regional, effort.regional, seed, weights)
    regions = compare_regions(sample, truth, edges, parts, regional)
    cells = compare_grids(cells, sample, truth, edges, parts, dataclasses.replace(regional, floors=effort.cells))
    report(stage, 3, 5)
    shares = (sample.shares, truth.shares)
    n, m = (len(item) for item in shares)
    correlations, own_correlations = compare_correlations(
        *shares,
        truth.detector,
        Plan(n, m, paired, effort.matrices, effort.matrices, seed, _weights(sample, truth, n, m)),
    )
    report(stage, 4, 5)
    image, own_image, image_distance = compare_images(
        (sample.image_sums, truth.image_sums),
        (sample.image_counts, truth.image_counts),
        Plan(GROUPS, GROUPS, paired, effort.bootstraps, effort.floors, seed),
        plan.sizes,
    )
    response = binned_response(sample.visible, sample.incident, limits, sample.weights)
    own_response = binned_response(truth.visible, truth.incident, limits, truth.weights)
    conditions = _compare_conditions(sample, truth, effort, seed) if not paired else []
    indices = shown if paired else nearest_events(sample.conditions, truth.conditions[shown], truth.detector)
    result = SampleResult(
        info=sample.info,
        same_conditions=paired,
        distances=distances,
        conditions=conditions,
        regions=regions,
        grids=cells,
        classifier=test.result,
        response=response,
        ratio=response_ratio(response, own_response),
        mean_image=image.tolist(),
        image_distance=image_distance,
        correlations=correlations,
        displays=read_displays(path, indices),
        whole=[],
        reconstruction=reconstruction,
        warnings=_warnings(sample, truth, conditions),
    )
    report(stage, 5, 5)
    return result, ReferenceResult(
        truth.info, own_response, own_image.tolist(), own_correlations, read_displays(reference_path, shown)
    )


def _check_paths(paths: list[Path], reference: Path, training: Path | None) -> None:
    if not paths:
        raise RequestError("no file to evaluate; give at least one")
    for path in (*paths, reference, *([] if training is None else [training])):
        if not path.is_file():
            raise FormatError(f"{path}: no such file")
    for path in paths:
        if path.samefile(reference):
            raise RequestError(f"{path} is the reference itself; a file compared with itself shows nothing")


def _labels(paths: list[Path]) -> list[str]:
    """The file names without suffix; with the folder, then a number, where that is not unique."""
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        stems = [f"{path.resolve().parent.name}/{path.stem}" for path in paths]
    return [stem if stems.count(stem) == 1 else f"{stem} ({number})" for number, stem in enumerate(stems, start=1)]


def _histogram_edges(truth: Sample, samples: list[Sample]) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    """Bins of each observable, and the observables that cannot be compared with the reason."""
    edges, skipped = {}, {}
    table = observables_for(truth.detector)
    for name, values in truth.observables.items():
        reason = why_not({sample.info.label: sample.observables[name] for sample in samples}, values)
        if reason is not None:
            skipped[name] = reason
            continue
        edges[name] = histogram_edges(values, lattice=table[name].lattice)
    if not edges:
        raise RequestError(f"{truth.info.file}: no observable varies from event to event; nothing can be compared")
    return edges, skipped


def _cells_left_out(results: list[SampleResult]) -> dict[str, str]:
    """The cells or layers whose correlations could not be compared, a sample at a time."""
    return {
        f"correlation of {len(cells)} of {result.correlations.what} ({result.info.label})": (
            f"the same energy share in every event of the sample or the reference: {', '.join(map(str, cells))}"
        )
        for result in results
        if (cells := result.correlations.left_out)
    }


def _weights(sample: Sample, truth: Sample, n: int, m: int) -> NDArray[np.float64] | None:
    """Weights of the first n and m events, where either has weights."""
    if sample.weights is None and truth.weights is None:
        return None
    sides = [np.ones(len(item)) if item.weights is None else item.weights for item in (sample, truth)]
    return np.concatenate([sides[0][:n], sides[1][:m]])


def _features(sample: Sample, names: list[str], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.column_stack([*(sample.observables[name][rows] for name in names), sample.conditions[rows]])


def _compare_conditions(sample: Sample, truth: Sample, effort: Effort, seed: int) -> list[ObservableDistances]:
    """Distances of the conditions themselves: where they differ, so must every observable."""
    columns = {
        spec.name: (sample.conditions[:, i], truth.conditions[:, i])
        for i, spec in enumerate(truth.detector.conditions)
        if np.ptp(truth.conditions[:, i]) > 0
    }
    return compare(
        {name: pair[0] for name, pair in columns.items()},
        {name: pair[1] for name, pair in columns.items()},
        {name: histogram_edges(pair[1]) for name, pair in columns.items()},
        Plan(
            len(sample),
            len(truth),
            False,
            effort.regional,
            effort.floors,
            seed,
            _weights(sample, truth, len(sample), len(truth)),
        ),
    )


def _warnings(sample: Sample, truth: Sample, conditions: list[ObservableDistances]) -> list[str]:
    found = []
    different = [item.name for item in conditions if item.wasserstein.spreads_above_floor > 4]
    if different:
        found.append(
            f"The conditions differ from the reference's by more than chance ({', '.join(different)}): the distances "
            "below compare conditions too. Generate with --like the reference to compare showers only."
        )
    copies = copied_events(sample, truth)
    if copies:
        found.append(
            f"{copies} of {len(sample)} showers are the very showers of the reference: the two are not independent, "
            "and every distance is too small."
        )
    if not np.isin(sample.pdg, np.unique(truth.pdg)).all():
        found.append("The sample holds particles that the reference does not have.")
    if len(sample) < sample.info.events_in_file or len(truth) < truth.info.events_in_file:
        found.append("Not all showers of the files were used; only those from their start, see the sizes.")
    return found
