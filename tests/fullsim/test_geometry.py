"""A pencil beam lights the cell it points at: every kind of grid stands where the detector says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caloforge.detector import PolarCells, RectangularCells, detector_from_toml
from caloforge.fullsim import simulate
from caloforge.showers import load

# Muons of 20 GeV go straight through; every kind of grid, in a material of its own.
BEAM = """
name = "beam"
particles = [13]
face = [100.0, 80.0]
materials = [{{ name = "heavy", density = 17.9, fractions = {{ G4_W = 0.93, G4_Ni = 0.05, G4_Cu = 0.02 }} }}]
layers = [
  {{ repeat = 6, slabs = [
    {{ material = "heavy", thickness = 1.0 }},
    {{ material = "G4_Si", thickness = 1.0, active = true }},
  ] }},
]
[[cells]]
layers = 2
shape = [5, 4]
size = [20.0, 20.0]
[[cells]]
layers = 1
shape = [3, 6]
size = [12.0, 10.0]
[[cells]]
layers = 1
repeat = 3
radii = [0.0, 10.0, 22.0, 38.0]
sectors = 7
[[conditions]]
name = "energy"
unit = "GeV"
low = 20.0
high = 20.1
density = "uniform"
[[conditions]]
name = "x"
unit = "mm"
low = {x}
high = {x_end}
density = "uniform"
[[conditions]]
name = "y"
unit = "mm"
low = {y}
high = {y_end}
density = "uniform"
[simulation]
physics_list = "G4EmStandardPhysics_option1+FTFP_BERT"
"""


def beam(x: float, y: float) -> str:
    return BEAM.format(x=x, x_end=x + 0.01, y=y, y_end=y + 0.01)


@pytest.mark.parametrize(("x", "y"), [(13.0, 8.0), (-15.0, 17.0), (-5.0, -31.0), (48.0, 2.0)])
def test_a_beam_lights_the_cells_it_points_at(geant4: None, tmp_path: Path, x: float, y: float) -> None:
    detector = detector_from_toml(beam(x, y))
    showers = load(simulate(detector, 8, output=tmp_path / "beam.h5", seed=1, workers=1))
    assert showers.layer_energies is not None
    energies = showers.energies.mean(axis=0)
    for layer in detector.cell_layers:
        cells, seen = layer.cells, energies[layer.index]
        slabs = showers.layer_energies[:, layer.first : layer.stop].mean(axis=0).sum()
        if isinstance(cells, RectangularCells):
            inside = bool((np.abs([x, y]) < np.array(cells.extent) / 2).all())
            near = np.abs(cells.centres() - [x, y]) <= np.array(cells.size) / 2
            expected = near.all(axis=1)
        else:
            assert isinstance(cells, PolarCells)
            radius, angle = np.hypot(x, y), np.arctan2(y, x) + np.pi
            inside = bool(radius < cells.radii[-1])
            ring = int(np.searchsorted(cells.radii, radius)) - 1
            expected = np.zeros(len(cells), dtype=np.bool_)
            if inside:
                expected[cells.n_rings * int(angle / (2 * np.pi) * cells.sectors) + ring] = True
        assert 0.3 * (layer.stop - layer.first) < slabs < 3.0 * (layer.stop - layer.first)  # MeV; 0.39 on the average
        if inside:
            assert seen[expected].sum() > 0.8 * slabs
        else:  # the rim is active, but not read out
            assert seen.sum() < 0.2 * slabs


def test_a_mixture_absorbs_like_what_it_is_made_of(geant4: None, tmp_path: Path) -> None:
    folder = tmp_path
    mixture = beam(0.0, 0.0).replace("particles = [13]", "particles = [22]")
    pure = mixture.replace('material = "heavy"', 'material = "G4_W"')
    light = mixture.replace("density = 17.9", "density = 1.79")
    absorbed = []
    for name, text in (("mixture", mixture), ("pure", pure), ("light", light)):
        showers = load(simulate(detector_from_toml(text), 40, output=folder / f"{name}.h5", seed=1, workers=1))
        assert showers.absorber_energies is not None
        absorbed.append(showers.absorber_energies.sum(axis=1).mean())
    assert absorbed[0] == pytest.approx(absorbed[1], rel=0.5)  # 17.9 of 19.3 g/cm3
    assert absorbed[2] < 0.2 * absorbed[0]
