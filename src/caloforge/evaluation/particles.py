"""Separation of particles by their clusters: electrons from photons, electrons from pions."""

from __future__ import annotations

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.boosting import QUARTERS, Labels, boosted, is_scored, quarters
from caloforge.evaluation.collect import MIN_EVENTS
from caloforge.evaluation.reconstructed import Reconstructed, unweighted_pair
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import Measured, ParticleSeparation
from caloforge.evaluation.roc import auc_with_error, mean_auc

ELECTRONS = (11, -11)
SEPARATIONS = {"e/gamma": (ELECTRONS, (22,)), "e/pi": (ELECTRONS, (211, -211))}
"""PDG codes of the two kinds by the name of the separation."""

WITH_MOMENTUM = ("e/pi",)  # a tracker knows it of charged particles


def separate(
    name: str, sample: Reconstructed, reference: Reconstructed, *, paired: bool, seed: int
) -> ParticleSeparation:
    """AUC of a discriminant of two kinds of particles, on reference showers and on those of the sample.

    Gradient boosting is trained on reference showers alone: half train, a quarter chooses the number of trees, the last
    quarter is scored together with a quarter of the sample; four times with changed roles, so that every shower of both
    is scored once, none by trees that it trained. Errors: DeLong, of the scored showers; that of the difference adds
    them in quadrature, which is too large where the conditions are equal.

    Args:
        name: one of `SEPARATIONS`.
        sample: showers to judge.
        reference: showers to train on and to compare with. Of weighted showers a part is taken, at random.
        paired: event i of both has the same conditions; it is scored in the same turn.
        seed: of the quarters and of the trees.
    """
    from scipy.stats import norm

    sample, reference, paired = unweighted_pair(sample, reference, paired=paired, seed=seed)
    try:
        first, second = ([item.of(kind) for kind in SEPARATIONS[name]] for item in (reference, sample))
        counts = [len(item) for item in (*first, *second)]
        _check(name, sample, reference, counts)
    except RequestError as error:
        return ParticleSeparation(name, None, None, None, None, [0] * 4, str(error))
    momentum = name in WITH_MOMENTUM
    sides = [np.concatenate([features(item, momentum=momentum) for item in kinds]) for kinds in (first, second)]
    labels: list[Labels] = [np.repeat([1, 0], sizes) for sizes in (counts[:2], counts[2:])]
    own = quarters(len(sides[0]), seed, "particles/reference")
    parts = [own, own if paired else quarters(len(sides[1]), seed, "particles/sample")]
    found: list[list[Measured]] = [[], []]
    for turn in range(QUARTERS):
        score = boosted(sides[0], labels[0], own, turn, seed)
        for number, (x, y, quarter) in enumerate(zip(sides, labels, parts, strict=True)):
            rows = is_scored(quarter, turn)
            found[number].append(auc_with_error(score(x[rows]), y[rows]))
    truth, ours = (mean_auc(item) for item in found)
    difference = Measured(ours.value - truth.value, float(np.hypot(ours.error, truth.error)))
    certain = float(difference.value == 0)  # two perfect separations have no error
    p_value = 2 * float(norm.sf(abs(difference.value) / difference.error)) if difference.error > 0 else certain
    return ParticleSeparation(name, truth, ours, difference, p_value, counts, ", ".join(names(first[0], momentum)))


def _check(name: str, sample: Reconstructed, reference: Reconstructed, counts: list[int]) -> None:
    for item, sizes in ((reference, counts[:2]), (sample, counts[2:])):
        label = item.label
        if len(set(item.pdg.tolist())) == 1:
            raise RequestError(f"one particle only in {label} ({item.pdg[0]})")
        for kind, size in zip(name.split("/"), sizes, strict=True):
            if size < MIN_EVENTS:
                raise RequestError(f"{size} showers of {kind} in {label}; it takes {MIN_EVENTS}")


def names(item: Reconstructed, momentum: bool) -> list[str]:
    """What the features are, in words."""
    layers = item.clusters.layers.shape[1]
    return [
        "ln E_rec",
        "E_1/E_3x3",
        "E_3x3/E_5x5",
        "E_5x5/E_all",
        "width in x",
        "width in y",
        *(f"share of layer {number}" for number in range(layers if layers > 1 else 0)),
        *(["E_rec/E"] if momentum else []),
    ]


def features(item: Reconstructed, *, momentum: bool) -> Floats:
    """(N, F) features of the clusters, as `names` has them; the incident energy stands for a measured momentum."""
    clusters = item.clusters

    def over(part: Floats, whole: Floats) -> Floats:
        return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)

    columns = [
        np.log(np.maximum(item.energy, 1e-3)),  # MeV
        over(clusters.seed, clusters.square3),
        over(clusters.square3, clusters.energy),
        over(clusters.energy, item.visible),
        *clusters.width.T,
    ]
    if clusters.layers.shape[1] > 1:
        columns += list(clusters.layers.T)
    if momentum:
        columns.append(item.energy / item.incident)
    return np.column_stack(columns)
