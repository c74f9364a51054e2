"""The figures again for parts of the conditions: bins of energy and of the angle to the normal, and each particle."""

from __future__ import annotations

from collections.abc import Mapping

from caloforge.errors import RequestError
from caloforge.evaluation.classifier import LEAST_SCORED, Scored, part_auc
from caloforge.evaluation.collect import MIN_EVENTS, Sample
from caloforge.evaluation.distances import compare, why_not
from caloforge.evaluation.events import Rows
from caloforge.evaluation.parts import Mask, Part, part_response, parts_of
from caloforge.evaluation.resampling import Floats, Plan
from caloforge.evaluation.results import Measured, Region

AUC, RESPONSE = "classifier_auc", "E_vis/E"
FEW_SCORED = f"fewer than {LEAST_SCORED} showers of each kind were scored in this part"


class PartClassifier:
    """AUCs of parts of the conditions, by a classifier that all showers trained.

    Args:
        test: with the scores of single events.
        rows: the showers of sample and reference that it was given.
    """

    def __init__(self, test: Scored, rows: tuple[Rows, Rows]) -> None:
        self._test = test
        self._rows = rows

    def auc(self, masks: tuple[Mask, Mask]) -> Measured | None:
        """Of the part that masks over the showers of sample and reference choose; None where few were scored."""
        chosen, reference = (mask[rows] for mask, rows in zip(masks, self._rows, strict=True))
        return part_auc(self._test.turns, reference, chosen)

    def floor(self, reference: Mask) -> Measured | None:
        """The same of the reference against itself."""
        own = reference[self._rows[1]]
        return part_auc(self._test.floor, own, own)


def compare_regions(
    sample: Sample, reference: Sample, edges: Mapping[str, Floats], classifier: PartClassifier, plan: Plan
) -> list[Region]:
    """The figures in thirds of the reference's energies (MeV) and angles to the normal (rad), and for each particle.

    A part says where it has too few events of either sample (100), or where an observable cannot be compared; a
    variable that is the same for all has no parts. The bins of the observables (`edges`) are those of the whole
    comparison.
    """
    return [_region(part, sample, reference, edges, classifier, plan) for part in parts_of(reference)]


def _region(
    part: Part, sample: Sample, reference: Sample, edges: Mapping[str, Floats], classifier: PartClassifier, whole: Plan
) -> Region:
    masks = part.masks(sample, reference, whole.paired)
    plan = whole.part(*masks)
    place = (part.variable, part.low, part.high, plan.n, plan.m)
    few = few_events(sample, plan)
    if few is not None:
        return Region(*place, [], None, None, None, None, dict.fromkeys([*edges, RESPONSE, AUC], few))
    seen, truth = (
        {name: item.observables[name][mask] for name in edges}
        for item, mask in zip((sample, reference), masks, strict=True)
    )
    found = {name: why_not({sample.info.label: seen[name]}, truth[name]) for name in edges}
    reasons = {name: reason for name, reason in found.items() if reason is not None}
    kept = {name: bins for name, bins in edges.items() if name not in reasons}
    distances = compare(seen, truth, kept, plan) if kept else []
    auc = classifier.auc(masks)
    if auc is None:
        reasons[AUC] = FEW_SCORED
    response = resolution = None
    try:
        response, resolution = part_response(sample, reference, masks)
    except RequestError as error:
        reasons[RESPONSE] = str(error)
    return Region(*place, distances, auc, classifier.floor(masks[1]), response, resolution, reasons)


def few_events(sample: Sample, plan: Plan) -> str | None:
    """Why a part has too few (effective) showers for a comparison, or None where it has enough."""
    n, m = (int(size) for size in plan.sizes)
    if min(n, m) >= MIN_EVENTS:
        return None
    sizes = f"{n} showers of {sample.info.label} and {m} of the reference"
    return f"{sizes} are too few: a comparison needs {MIN_EVENTS} of each"
