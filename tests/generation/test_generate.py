"""Generation: an event is itself in any batch and on any worker; a wrong request changes nothing on disk."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from caloforge.detector import Detector, detector_from_toml, draw_conditions
from caloforge.errors import CaloForgeError, DomainError, FormatError, RequestError, WorkError
from caloforge.generation import generate, load_sampler
from caloforge.generation.choice import choose_engine
from caloforge.generation.request import Request, make_request
from caloforge.generation.rows import Made
from caloforge.generation.run import Run
from caloforge.models.bundle import read_bundle
from caloforge.models.neighbour import fit_neighbour
from caloforge.random import normals
from caloforge.showers import ShowerFile, Showers, load, save

module: Any = importlib.import_module("caloforge.generation.generate")  # the package has a function of this name


def make(**options: Any) -> Showers:
    showers = generate("lhcb-ecal", **options)
    assert isinstance(showers, Showers)
    return showers


def request_for(model: Path, **changes: Any) -> Request:
    options: dict[str, Any] = {"n": 1, "seed": 0, "like": None, "energy": None, "particle": None, "batch": 1000}
    return make_request("lhcb-ecal", model=model, allow_extrapolation=False, **(options | changes))


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_the_threads_do_not_change_a_bit(tiny_model: Path, threads: int) -> None:
    expected = make(n=150, model=tiny_model, seed=3, threads=5)
    assert np.array_equal(make(n=150, model=tiny_model, seed=3, threads=threads).energies, expected.energies)


@pytest.mark.parametrize("batch", [1, 10, 64, 999, 10_000])
def test_the_batch_does_not_change_a_bit(tiny_model: Path, batch: int) -> None:
    expected = make(n=1100, model=tiny_model, seed=3, batch=300)
    made = make(n=1100, model=tiny_model, seed=3, batch=batch)
    np.testing.assert_array_equal(made.energies, expected.energies)
    np.testing.assert_array_equal(made.conditions.matrix, expected.conditions.matrix)


def test_workers_do_not_change_a_bit(tiny_model: Path, tmp_path: Path) -> None:
    one = generate("lhcb-ecal", 2500, model=tiny_model, seed=3, output=tmp_path / "one.h5", threads=1)
    two = generate("lhcb-ecal", 2500, model=tiny_model, seed=3, output=tmp_path / "two.h5", workers=2, batch=10)
    assert isinstance(one, Path)
    assert isinstance(two, Path)
    np.testing.assert_array_equal(load(one).energies, load(two).energies)
    np.testing.assert_array_equal(load(one).conditions.matrix, load(two).conditions.matrix)


def test_an_event_is_the_sampler_at_its_own_conditions_and_noise(tiny_model: Path, lhcb: Detector) -> None:
    made = make(n=50, model=tiny_model, seed=11)
    sampler = load_sampler(read_bundle(tiny_model), threads=1)
    conditions = draw_conditions(lhcb, 11, 42, 1)
    alone = sampler.sample(conditions.inputs, normals(11, "noise", 42, 1, sampler.noise_width))
    np.testing.assert_array_equal(made.energies[42], alone[0])


def test_another_seed_gives_other_showers(tiny_model: Path) -> None:
    first, second = (make(n=20, model=tiny_model, seed=seed) for seed in (1, 2))
    assert not np.array_equal(first.energies, second.energies)
    assert not np.isclose(first.conditions.matrix, second.conditions.matrix).any()


def test_h5py_alone_reads_the_file_as_calochallenge_does(tiny_model: Path, tmp_path: Path) -> None:
    path = generate(n=1500, model=tiny_model, output=tmp_path / "fast.h5")
    assert isinstance(path, Path)
    with h5py.File(path) as file:
        assert file["incident_energies"].shape == (1500, 1)
        assert file["showers"].shape == (1500, 900)
        assert file["showers"].dtype == np.float32
        assert (file["showers"][:] >= 0).all()
        assert np.isfinite(file["showers"][:]).all()
        assert "extrapolated" not in file["conditions"]
        assert file.attrs["source"] == "model"


def test_the_file_says_how_it_was_made(tiny_model: Path, tmp_path: Path) -> None:
    generate(n=10, model=tiny_model, output=tmp_path / "fast.h5", seed=5)
    with ShowerFile(tmp_path / "fast.h5") as file:
        facts = file.provenance
    assert facts["model"]["digest"] == read_bundle(tiny_model).digest
    engine = facts["engine"]
    assert (facts["seed"], engine, facts["conditions"]) == (5, choose_engine(read_bundle(tiny_model)), "drawn")
    assert 0 < facts["model_seconds_per_shower_core"] < facts["seconds_per_shower_core"]
    assert set(facts["step_seconds_per_shower"]) == {"conditions", "noise", "model", "writing"}
    assert {"python", "numpy", engine} <= set(facts["versions"])


@pytest.mark.parametrize(("threads", "workers", "seconds"), [(1, 1, 0.06), (4, 1, 0.24), (1, 3, 0.18)])
def test_times_are_those_of_one_core(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    workers: int,
    seconds: float,
) -> None:
    """0.6 s of wall-clock time in all for 10 showers; 0.4 s inside the model and 0.1 s for noise, sums over threads."""
    clock = iter([100.0, 100.6])
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))

    def make(run: Run, tasks: Iterator[object]) -> Iterator[Made]:
        for _ in tasks:
            yield Made(np.ones((10, 900), dtype=np.float32), 0.1, 0.4)

    monkeypatch.setattr(Run, "_made", make)
    generate(n=10, model=tiny_model, output=tmp_path / "fast.h5", threads=threads, workers=workers)
    with ShowerFile(tmp_path / "fast.h5") as file:
        facts = file.provenance
    assert facts["model_seconds_per_shower_core"] == pytest.approx(0.04)
    assert facts["step_seconds_per_shower"]["noise"] == pytest.approx(0.01)
    assert facts["seconds_per_shower_core"] == pytest.approx(seconds)


def test_like_takes_the_conditions_of_a_file(tiny_model: Path, tmp_path: Path, showers: Showers) -> None:
    save(tmp_path / "full.h5", showers, source="import", provenance={})
    made = make(model=tiny_model, like=tmp_path / "full.h5", seed=1)
    np.testing.assert_array_equal(made.conditions.matrix, load(tmp_path / "full.h5").conditions.matrix)
    first = make(n=7, model=tiny_model, like=tmp_path / "full.h5", seed=1)
    np.testing.assert_array_equal(first.energies, made.energies[:7])


def test_the_energy_is_fixed_or_narrowed(tiny_model: Path) -> None:
    fixed = make(n=50, model=tiny_model, energy=(5e3, 5e3)).conditions.column("energy")
    assert (fixed == 5e3).all()
    narrow = make(n=50, model=tiny_model, energy=(5e3, 6e3)).conditions.column("energy")
    assert 5e3 <= narrow.min() < narrow.max() <= 6e3


def test_outside_the_domain_is_refused_or_flagged(write_tiny: Callable[..., Path], tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "half.caloforge", high=(2e4, 5.0, 5.0, 0.35, 0.18))
    output = tmp_path / "fast.h5"
    with pytest.raises(DomainError, match=r"energy.*20 GeV.*--allow-extrapolation"):
        generate(n=200, model=model, output=output)
    assert not output.exists()
    generate(n=200, model=model, output=output, allow_extrapolation=True)
    showers = load(output)
    outside = showers.conditions.column("energy") > 2e4
    assert 0 < outside.sum() < 200
    np.testing.assert_array_equal(showers.extrapolated, outside)


def test_a_model_that_gives_no_showers_leaves_no_file(
    write_tiny: Callable[..., Path], broken_graph: bytes, tmp_path: Path
) -> None:
    model = write_tiny(tmp_path / "broken.caloforge", graph=broken_graph)
    with pytest.raises(WorkError, match=r"broken\.caloforge gave something that is no shower.*not negative"):
        generate(n=5, model=model, output=tmp_path / "fast.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.caloforge"]


def test_a_graph_that_is_none_is_refused(write_tiny: Callable[..., Path], tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "text.caloforge", graph=b"no graph at all")
    with pytest.raises(FormatError, match=r"sampler\.onnx"):
        generate(n=5, model=model)


def test_the_neighbour_is_the_same_in_any_batch_and_on_any_worker(tmp_path: Path, showers: Showers) -> None:
    save(tmp_path / "full.h5", showers, source="import", provenance={})
    model = fit_neighbour(tmp_path / "full.h5", tmp_path / "a.caloforge")
    one = make(n=1200, model=model, seed=2, batch=7, allow_extrapolation=True)
    two = make(n=1200, model=model, seed=2, workers=2, allow_extrapolation=True)
    np.testing.assert_array_equal(one.energies, two.energies)


def test_an_existing_output_is_kept(tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "fast.h5"
    output.write_bytes(b"precious")
    with pytest.raises(RequestError, match="--overwrite"):
        generate(n=5, model=tiny_model, output=output)
    assert output.read_bytes() == b"precious"
    generate(n=5, model=tiny_model, output=output, overwrite=True)
    assert len(load(output)) == 5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"detector": "lhcb-ecl"}, RequestError, "did you mean 'lhcb-ecal'"),
        ({"model": "wgan-pg"}, RequestError, "unknown model"),
        ({"model": "missing.caloforge"}, FormatError, "no such file"),
        ({"n": 0}, RequestError, "at least 1"),
        ({"n": None}, RequestError, "how many"),
        ({"seed": -1}, RequestError, "seed"),
        ({"batch": 0}, RequestError, "batch"),
        ({"workers": 0}, RequestError, "workers"),
        ({"threads": 0}, RequestError, "threads"),
        ({"workers": 2, "threads": 2}, RequestError, "one thread each"),
        ({"engine": "tensorflow"}, RequestError, "auto, onnxruntime, onnxruntime-cuda, openvino, openvino-bf16, torch"),
        ({"energy": (5e3, 4e3)}, RequestError, "ascending"),
        ({"energy": (5e4, 5e5)}, DomainError, "100 GeV"),
        ({"particle": 22}, DomainError, "22"),
        ({"particle": {11: 1, 211: 1}}, DomainError, "PDG code 211 is not among the particles of the model"),
        ({"particle": {}}, RequestError, "mixture of particles is empty"),
        ({"particle": {11: -1}}, RequestError, "weight of the particle 11 in a mixture must be positive; got -1"),
        ({"like": "missing.h5"}, FormatError, "no such file"),
        ({"like": "missing.h5", "energy": 5e3}, RequestError, "leave out"),
        ({"n": 10**9, "output": None}, RequestError, "give an output file"),
        ({"output": "no/such/folder/fast.h5"}, RequestError, "does not exist"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(
    tiny_model: Path, tmp_path: Path, options: dict[str, Any], error: type[CaloForgeError], message: str
) -> None:
    request: dict[str, Any] = {"detector": "lhcb-ecal", "n": 20, "model": tiny_model, "output": tmp_path / "fast.h5"}
    with pytest.raises(error, match=message):
        generate(**(request | options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("thickness = 2.0", "thickness = 3.0", "layer 1: 3.0 mm G4_Pb.* and 2.0 mm G4_Pb"),
        ("G4_Pb", "G4_W", "layer 1: 2.0 mm G4_W"),
        ("repeat = 66", "repeat = 60", "number of layers: 60 and 66"),
        ("size = [20.0, 20.0]", "size = [20.0, 30.0]", r"cells: Rectang.*size=\(20.0, 30.0\)\) in layers 0 to 65"),
        ("value = 124.0", "value = 100.0", "reference depth: 100.0 mm and 124.0 mm"),
        ('["mirror_x", "mirror_y"]', '["mirror_x"]', "symmetries: mirror_x and mirror_x, mirror_y"),
        ('name = "lhcb-ecal"', 'name = "other-ecal"', "name: other-ecal and lhcb-ecal"),
    ],
)
def test_another_detector_than_the_models_is_refused(
    tiny_model: Path,
    tmp_path: Path,
    lhcb: Detector,
    make_showers: Callable[..., Showers],
    old: str,
    new: str,
    message: str,
) -> None:
    assert old in lhcb.toml
    other = detector_from_toml(lhcb.toml.replace(old, new))
    with pytest.raises(RequestError, match=rf"the detector {other.name} and the model tiny.* differ in {message}"):
        generate(other, 5, model=tiny_model, output=tmp_path / "fast.h5")
    save(tmp_path / "full.h5", make_showers(3, detector=other), source="import", provenance={})
    with pytest.raises(RequestError, match=rf"full\.h5 and the model tiny.* differ in {message}"):
        generate("lhcb-ecal", model=tiny_model, like=tmp_path / "full.h5", output=tmp_path / "fast.h5")
    assert not (tmp_path / "fast.h5").exists()


def test_a_detector_that_takes_no_particle_of_the_model_is_refused(tiny_model: Path, lhcb: Detector) -> None:
    photons = detector_from_toml(lhcb.toml.replace("particles = [11, -11, 22,", "particles = [22,"))
    with pytest.raises(DomainError, match="PDG code 22"):
        generate(photons, 5, model=tiny_model)


def test_conditions_are_drawn_from_the_ranges_of_the_detector_asked_for(
    tiny_model: Path, tmp_path: Path, lhcb: Detector
) -> None:
    text = lhcb.toml.replace("particles = [11, -11, 22,", "particles = [22, 11,").replace("title = ", "title = 'T' #")
    narrow = detector_from_toml(text.replace("low = 1000.0", "low = 90000.0"))
    output = generate(narrow, 200, model=tiny_model, output=tmp_path / "fast.h5")
    assert isinstance(output, Path)
    made = load(output)
    assert made.detector == narrow
    energy = made.conditions.column("energy")
    np.testing.assert_allclose(energy, draw_conditions(narrow, 0, 0, 200).column("energy"), rtol=1e-6)
    assert energy.min() >= 9e4 * (1 - 1e-6)
    assert set(made.conditions.pdg.tolist()) == {11}
    wide = detector_from_toml(text.replace("high = 100000.0", "high = 500000.0"))
    with pytest.raises(DomainError, match=r"energy.*100 GeV"):
        generate(wide, 200, model=tiny_model)
    flagged = generate(wide, 200, model=tiny_model, allow_extrapolation=True)
    assert isinstance(flagged, Showers)
    np.testing.assert_array_equal(flagged.extrapolated, flagged.conditions.column("energy") > 1e5)


def test_a_file_without_showers_has_no_conditions(tiny_model: Path, tmp_path: Path, showers: Showers) -> None:
    save(tmp_path / "none.h5", showers[:0], source="import", provenance={})
    for n in (None, 3):
        with pytest.raises(RequestError, match=r"none\.h5 has no showers"):
            generate(n=n, model=tiny_model, like=tmp_path / "none.h5", output=tmp_path / "fast.h5")
    assert not (tmp_path / "fast.h5").exists()


def test_more_conditions_than_the_file_has_are_refused(tiny_model: Path, tmp_path: Path, showers: Showers) -> None:
    save(tmp_path / "full.h5", showers, source="import", provenance={})
    with pytest.raises(RequestError, match="40 showers; 41"):
        generate(n=41, model=tiny_model, like=tmp_path / "full.h5")


def test_a_billion_showers_are_refused_or_begun_at_once(tiny_model: Path) -> None:
    request = request_for(tiny_model, n=10**9, energy=(2e3, 3e3))
    request.check_domain()
    assert next(request.blocks()).start == 0
    with pytest.raises(DomainError):
        request_for(tiny_model, n=10**9, energy=(2e3, 3e5)).check_domain()


@pytest.mark.parametrize("batch", [1, 300, 10_000, 10**9])
def test_a_block_stays_small_whatever_the_batch(tiny_model: Path, batch: int) -> None:
    request = request_for(tiny_model, n=60_000, batch=batch)
    blocks = [(block.start, len(block.conditions)) for block in request.blocks()]
    assert max(rows for _, rows in blocks) * 900 * 4 <= 2**26
    assert [start for start, _ in blocks] == np.cumsum([0, *(rows for _, rows in blocks[:-1])]).tolist()
    assert sum(rows for _, rows in blocks) == 60_000


def test_conditions_of_a_table(tiny_model: Path, tmp_path: Path, lhcb: Detector) -> None:
    table = tmp_path / "beam.csv"
    drawn = draw_conditions(lhcb, 4, 0, 20)
    rows = "\n".join(",".join(map(repr, row)) for row in drawn.matrix.tolist())
    table.write_text(f"{','.join(lhcb.condition_names)}\n{rows}\n")
    made = generate("lhcb-ecal", model=tiny_model, like=table)
    assert isinstance(made, Showers)
    np.testing.assert_array_equal(made.conditions.matrix, drawn.matrix)
    table.write_text(f"{','.join(lhcb.condition_names)},pdg\n5000,0,0,0,0,11\n5000,0,0,0,0,211\n")
    with pytest.raises(DomainError, match="PDG code 211 is not among the particles of the domain"):
        generate("lhcb-ecal", model=tiny_model, like=table)
