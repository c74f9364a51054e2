"""What an evaluation found: a tree of frozen dataclasses that turns into JSON and back into plots."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from caloforge.errors import WorkError

FORMAT = "caloforge-evaluation"
VERSION = 3

SIGNIFICANT = 0.01
"""Figures of whole showers tell two samples apart where their p value is below this."""

ROUNDING = 1e-6
"""Distances below this are rounding of energies."""


@dataclass(frozen=True)
class Measured:
    """A value and its standard error (for a floor: the mean and the spread over the random draws)."""

    value: float
    error: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.error)):
            raise WorkError(
                f"a figure of the evaluation is not finite ({self.value} +- {self.error}); please report it"
            )


@dataclass(frozen=True)
class SampleInfo:
    """Where a sample comes from. `events` were used of the `events_in_file` there are.

    `effective_events` is (sum w)^2 / sum w^2 of their weights w: as many events of weight 1 know as much. Without
    weights it is `events`.
    """

    label: str
    file: str
    source: str
    events: int
    events_in_file: int
    effective_events: float
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Distance:
    """One metric of one observable.

    Attributes:
        value: the distance and its bootstrap error.
        floor: Geant4 against Geant4, two random halves of the reference, scaled to the sizes compared.
        floor_paired: for equal conditions, the distance after random exchanges within the pairs of a sample's shower
            and its partner in the reference (a permutation test); None when the conditions differ. Sample and
            reference are mixed in it, so it is the floor of a perfect sample only where the sample is perfect: a wrong
            sample raises it a little.
        band: it counts as within the floor up to so many spreads of the floor above its mean; see
            `caloforge.evaluation.distances.joint_band`.
    """

    value: Measured
    floor: Measured
    floor_paired: Measured | None
    band: float

    @property
    def strictest_floor(self) -> Measured:
        """The floor that `within_floor` uses: for equal conditions the paired one."""
        return self.floor if self.floor_paired is None else self.floor_paired

    @property
    def spreads_above_floor(self) -> float:
        """How many spreads of the floor the value lies above the floor's mean."""
        floor = self.strictest_floor
        return (self.value.value - floor.value - ROUNDING) / max(floor.error, ROUNDING)

    @property
    def within_floor(self) -> bool:
        """Whether samples of this size cannot tell the two apart by this metric, over all that is judged with it."""
        return self.spreads_above_floor <= self.band


@dataclass(frozen=True)
class ObservableDistances:
    """All distances of one observable.

    Attributes:
        name: of the observable.
        sigma: standard deviation of the reference, in the observable's unit.
        figures: the distances by their names in `caloforge.evaluation.metrics.METRICS`.
        p_value: of the Kolmogorov-Smirnov statistic, for independent samples.
        not_computable: distances that have no value, with the reason.
    """

    name: str
    sigma: float
    figures: dict[str, Distance]
    p_value: float
    not_computable: dict[str, str]

    @property
    def wasserstein(self) -> Distance:
        """Wasserstein-1 in units of `sigma`: the distance by which the report judges."""
        return self.figures["wasserstein"]


@dataclass(frozen=True)
class Region:
    """A part of the conditions: a range of the variable, or one particle (then low = high = code).

    Attributes:
        variable: "energy" (MeV), "angle" to the normal (rad) or "particle" (PDG code).
        low: lower end.
        high: upper end; both belong to the part.
        events: showers of the sample in it.
        events_reference: those of the reference.
        distances: as for all showers, within the part.
        auc: of the classifier that all showers trained, on the scored showers of this part; None where they are few.
        auc_floor: the same of the classifier of the floor, which has half as many showers.
        response: mean of E_vis/E over that of the reference.
        resolution: standard deviation over mean of E_vis/E, over that of the reference; all energies of the part count.
        not_computable: why what is missing is missing, by the name of the observable or figure.
    """

    variable: str
    low: float
    high: float
    events: int
    events_reference: int
    distances: list[ObservableDistances]
    auc: Measured | None
    auc_floor: Measured | None
    response: Measured | None
    resolution: Measured | None
    not_computable: dict[str, str]

    @property
    def wasserstein(self) -> dict[str, Distance]:
        """Wasserstein-1 over sigma of each observable."""
        return {item.name: item.wasserstein for item in self.distances}


@dataclass(frozen=True)
class GridAxis:
    """One condition cut in bins: "energy", "angle" to the normal, or another by its name; unit MeV, rad or mm."""

    variable: str
    unit: str
    edges: list[float]


@dataclass(frozen=True)
class GridCell:
    """One cell of a grid of conditions.

    Attributes:
        column: bin of the first axis.
        row: bin of the second; 0 where there is none.
        events: showers of the sample in it.
        events_reference: those of the reference.
        auc: of the classifier that all showers trained, on the scored showers of the cell.
        worst: the observable whose Wasserstein-1 lies furthest above its floor, in spreads of the floor.
        distance: its Wasserstein-1 over sigma.
        excess: those spreads.
        response: mean of E_vis/E over that of the reference.
        note: why something is missing.
    """

    column: int
    row: int
    events: int
    events_reference: int
    auc: Measured | None
    worst: str | None
    distance: Distance | None
    excess: float | None
    response: Measured | None
    note: str


@dataclass(frozen=True)
class Grid:
    """Where in the conditions a sample is good and where not: cells of one or two axes, of all showers or a particle.

    `across` is None where only one condition varies, `particle` where there is one only.
    """

    particle: int | None
    along: GridAxis
    across: GridAxis | None
    cells: list[GridCell]


@dataclass(frozen=True)
class Rank:
    """One line of the table that puts generators in order, or that of the floor.

    Attributes:
        label: of the sample.
        figures: by their names in `caloforge.evaluation.ranking.COLUMNS`; what a sample does not have is missing.
        notes: such as the observable that is worst, by the name of the figure.
    """

    label: str
    figures: dict[str, Measured]
    notes: dict[str, str]


@dataclass(frozen=True)
class PartCounts:
    """A histogram again for one part of the conditions, in the same bins.

    Attributes:
        variable: as of a `Region`.
        low: lower end of the part.
        high: upper end.
        reference: (B,) counts.
        samples: (B,) counts of each sample.
        errors: of reference and samples, where events have weights; None where they are square roots of the counts.
    """

    variable: str
    low: float
    high: float
    reference: list[float]
    samples: list[list[float]]
    errors: list[list[float]] | None


@dataclass(frozen=True)
class Histogram:
    """Counts of one observable in shared bins; the first and last bin hold what lies beyond.

    With weighted events they are sums of weights w, and the errors sqrt(sum w^2).
    """

    name: str
    label: str
    edges: list[float]
    reference: list[float]
    reference_errors: list[float]
    samples: list[list[float]]
    sample_errors: list[list[float]]
    parts: list[PartCounts]


@dataclass(frozen=True)
class ResponseBins:
    """Response and resolution of one sample in bins of incident energy (MeV); see `binned_response`."""

    edges: list[float]
    events: list[int]
    energy: list[float]
    response: list[float]
    response_error: list[float]
    resolution: list[float]
    resolution_error: list[float]


@dataclass(frozen=True)
class ResponseRatio:
    """A sample's response and resolution over the reference's, bin by bin, with errors."""

    response: list[float]
    response_error: list[float]
    resolution: list[float]
    resolution_error: list[float]


@dataclass(frozen=True)
class Classifier:
    """A classifier told to tell sample from reference: AUC 0.5 means it cannot.

    Attributes:
        auc: area under the ROC curve on events seen neither in training nor in the choice of its length.
        error_rate: balanced error rate at probability 1/2; 0.5 means it cannot tell.
        events: events of each class, of which half train, a quarter stop and a quarter test.
        rotations: how many times the parts changed roles; the figures are means over them.
        floor: the same for two random halves of the reference, `floor_events` of each.
        importance: loss of AUC when a feature is shuffled, largest first.
    """

    features: str
    auc: Measured
    error_rate: float
    events: int
    rotations: int
    floor: Measured
    floor_events: int
    importance: dict[str, float]


@dataclass(frozen=True)
class WholeShower:
    """One figure of whole showers.

    Attributes:
        name: identifier; the report has the words for it.
        value: the figure and its error; None where it could not be computed, and then `note` says why.
        perfect: what equal distributions give with endless samples.
        floor: reference against reference.
        floor_paired: for equal conditions, after random exchanges within pairs, as in `Distance`.
        p_value: how often equal distributions look as different as these; None without a value.
        events: showers of each kind, at least.
        note: what it was computed of, and how.
        details: further numbers by name, such as the error rate of a classifier.
    """

    name: str
    value: Measured | None
    perfect: float
    floor: Measured | None
    floor_paired: Measured | None
    p_value: float | None
    events: int
    note: str
    details: dict[str, float]

    @property
    def differs(self) -> bool:
        """Whether the figure tells the two samples apart."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class ResolutionTerms:
    """sigma/E = stochastic / sqrt(E / GeV) (+) constant, fitted to the energy resolution in so many `bins`."""

    stochastic: Measured
    constant: Measured
    chi2: float
    bins: int


@dataclass(frozen=True)
class Performance:
    """What the reconstruction makes of one kind of particle, in bins of the incident energy (MeV).

    Attributes:
        edges, events, energy: of the bins; `energy` is the mean.
        figures: of each bin by name: "response" is the mean of E_rec/E and "energy_resolution" its standard deviation
            over the mean; "bias_x" and "position_resolution_x" are mean and standard deviation of the position (mm)
            relative to the particle's line, and so for y.
        terms: None where there are fewer than three bins.
    """

    edges: list[float]
    events: list[int]
    energy: list[float]
    figures: dict[str, list[Measured]]
    terms: ResolutionTerms | None


@dataclass(frozen=True)
class ReconstructedParticle:
    """One kind of particle (its PDG code), reconstructed from a sample and from the reference alike.

    Attributes:
        ratio: sample over reference, bin by bin, of all figures but the biases.
        rows: for each figure the root mean square over the bins of (ratio - 1), or of the difference of the biases in
            units of the reference's resolution.
    """

    particle: int
    sample: Performance
    reference: Performance
    ratio: dict[str, list[Measured]]
    rows: list[WholeShower]


@dataclass(frozen=True)
class ParticleSeparation:
    """How well a discriminant trained on reference showers tells two kinds of particles apart.

    Attributes:
        name: such as "e/gamma".
        reference: AUC on reference showers that did not train it.
        sample: AUC on those of the sample.
        difference: sample minus reference.
        p_value: of the difference, two-sided; None where nothing could be computed, and then `note` says why.
        events: showers scored: of the first and second kind in the reference, then in the sample.
        note: the features.
    """

    name: str
    reference: Measured | None
    sample: Measured | None
    difference: Measured | None
    p_value: float | None
    events: list[int]
    note: str

    @property
    def differs(self) -> bool:
        """Whether the discriminant works on the sample as it does on the reference."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Reconstruction:
    """A sample after reconstruction.

    Attributes:
        calibrated_with: PDG codes of the reference showers that the calibration was fitted to.
        calibration_events: how many they were; they enter no figure.
        factors, scale, depths: of `caloforge.reconstruction.Calibration`.
        particles: figures of each kind of particle.
        separations: of kinds of particles.
        not_computable: what has no figures, with the reason.
    """

    calibrated_with: list[int]
    calibration_events: int
    factors: list[float]
    scale: float
    depths: list[float]
    particles: list[ReconstructedParticle]
    separations: list[ParticleSeparation]
    not_computable: dict[str, str]


@dataclass(frozen=True)
class Correlations:
    """Correlation coefficients of log(e / E + offset) between cells, or layers of cells: `what` says which.

    `members` are their numbers. One that is the same in every event has coefficients of 0. `left_out` are those that do
    not enter the distance, because they are so in this sample or in the reference.
    """

    what: str
    members: list[int]
    offset: float
    events: int
    matrix: list[list[float]]
    left_out: list[int]
    distance: Distance | None


@dataclass(frozen=True)
class Display:
    """One shower: its conditions in the detector's order and its energies (MeV)."""

    index: int
    conditions: list[float]
    energies: list[float]


@dataclass(frozen=True)
class SampleResult:
    """Everything found about one file against the reference."""

    info: SampleInfo
    same_conditions: bool
    distances: list[ObservableDistances]
    conditions: list[ObservableDistances]
    regions: list[Region]
    grids: list[Grid]
    classifier: Classifier
    response: ResponseBins
    ratio: ResponseRatio
    mean_image: list[float]
    image_distance: Distance
    correlations: Correlations
    displays: list[Display]
    whole: list[WholeShower]
    reconstruction: Reconstruction
    warnings: list[str]


@dataclass(frozen=True)
class ReferenceResult:
    """What the plots need of the reference itself."""

    info: SampleInfo
    response: ResponseBins
    mean_image: list[float]
    correlations: Correlations
    displays: list[Display]


@dataclass(frozen=True)
class Evaluation:
    """Files against a reference. `skipped` says what could not be compared, and why.

    `ranking` has the samples from the best classifier AUC to the worst, `floor` what a perfect one would have there.
    """

    detector: str
    detector_title: str
    detector_toml: str
    condition_names: list[str]
    condition_units: list[str]
    quick: bool
    seed: int
    version: str
    seconds: float
    reference: ReferenceResult
    samples: list[SampleResult]
    ranking: list[Rank]
    floor: Rank
    histograms: list[Histogram]
    skipped: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The whole tree as plain dicts, lists and numbers (6 significant digits); never NaN or infinity.

        Raises:
            WorkError: a figure is not finite.
        """
        return {"format": FORMAT, "format_version": VERSION, **_plain(self)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Distance):
            plain["within_floor"] = value.within_floor
        return plain
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise WorkError("a figure of the evaluation is not finite; please report it")
        return float(f"{value:.6g}")
    return value
