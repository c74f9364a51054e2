"""Full simulation needs Geant4; where its bindings are not installed, the tests that run it are skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.fullsim import datasets, simulate
from caloforge.fullsim.physics_data import needed_datasets

HADRONS = "G4EmStandardPhysics_option1+FTFP_BERT"

# A short stack of lead and scintillator: enough for 1 GeV, and quick.
SMALL = """
name = "small"
title = "A small sampling calorimeter"
source = "test"
particles = [11, 22]
reference_depth = { value = 60.0, unit = "mm" }

[[layers]]
repeat = 30
slabs = [
  { material = "G4_Pb", thickness = 4.0, active = false },
  { material = "G4_POLYSTYRENE", thickness = 4.0, active = true },
]

[cells]
shape = [40, 30]
size = [8.0, 12.0]

[[conditions]]
name = "energy"
unit = "MeV"
low = 200.0
high = 1000.0
density = "1/E"

[[conditions]]
name = "x"
unit = "mm"
low = -5.0
high = 25.0
density = "uniform"

[[conditions]]
name = "angle_yz"
unit = "deg"
low = 0.0
high = 20.0
density = "uniform"
"""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TOML file of a small detector."""
    path = tmp_path_factory.mktemp("detector") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without Geant4 data and with an empty cache."""
    for name in (datasets.DATA_DIR, *(dataset.variable for dataset in needed_datasets(HADRONS))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def full(geant4: None, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 showers of the small detector, seed 3, made by one worker without a disturbance."""
    output = tmp_path_factory.mktemp("full") / "full.h5"
    return simulate(small, 60, output=output, seed=3, workers=1)


def _contents(path: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, object]]:
    """Every array of a file, and its attributes without the time that was measured."""
    arrays: dict[str, NDArray[np.generic]] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item[:]} if isinstance(item, h5py.Dataset) else {}))
        attributes = dict(file.attrs)
    provenance = json.loads(attributes.pop("provenance"))
    del provenance["seconds_per_event_core"]
    return arrays, {**attributes, "provenance": provenance}


def _assert_same(path: Path, other: Path) -> None:
    (arrays, attributes), (others, other_attributes) = _contents(path), _contents(other)
    assert attributes == other_attributes
    assert arrays.keys() == others.keys()
    assert path.stat().st_size == pytest.approx(other.stat().st_size, abs=64)
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Path, Path], None]:
    """``assert_same(path, other)``: the files are equal in all but the time that was measured."""
    return _assert_same
