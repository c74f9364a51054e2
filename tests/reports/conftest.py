"""One evaluation that the tests of reports share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from caloforge.evaluation import Evaluation, evaluate
from caloforge.showers import Showers, save


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory, make_showers: Callable[..., Showers]) -> Evaluation:
    folder = tmp_path_factory.mktemp("report")
    showers = make_showers(300, seed=1)
    save(folder / "full.h5", showers, source="geant4", provenance={"seconds_per_event_core": 0.15})
    scaled = dataclasses.replace(showers, energies=showers.energies * np.float32(1.05))
    facts = {"seconds_per_shower_core": 0.001, "model_seconds_per_shower_core": 0.0005, "note": "<b>bold</b>"}
    save(folder / "fast.h5", scaled, source="model", provenance=facts)
    save(folder / "other.h5", make_showers(200, seed=2), source="model", provenance={})
    return evaluate([folder / "fast.h5", folder / "other.h5"], folder / "full.h5", quick=True)
