"""Labels of axes as plain text: no mathematics of matplotlib is left, whatever the detector."""

from __future__ import annotations

import pytest

from caloforge.detector import load_detector
from caloforge.detector.load import detector_names
from caloforge.observables import observables_for
from caloforge.reports.labels import runs


@pytest.mark.parametrize("name", detector_names())
def test_nothing_is_left_of_the_mathematics(name: str) -> None:
    for observable in observables_for(load_detector(name)).values():
        text = "".join(piece for piece, _ in runs(observable.label))
        assert text
        assert not set("$\\{}_^") & set(text), text


def test_indices_are_below_and_powers_above() -> None:
    assert runs(r"$x_i^2$") == [("x", 0), ("i", -1), ("2", 1)]
    assert runs("width [mm]") == [("width [mm]", 0)]
    assert runs(r"$\langle E_\mathrm{vis}\rangle$") == [("⟨E", 0), ("vis", -1), ("⟩", 0)]
