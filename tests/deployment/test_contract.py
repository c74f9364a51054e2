"""An exported file by itself: programs that know only docs/deployment.md make the showers of generate."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from caloforge import __version__
from caloforge.deployment import export
from caloforge.deployment.metadata import metadata, with_metadata
from caloforge.detector import load_detector
from caloforge.generation import generate, load_sampler
from caloforge.models.bundle import Bundle, Domain, read_bundle, shipped_bundle
from caloforge.showers import Showers

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cpp" / "showers.cpp"

# Fails where CaloForge or torch would be imported.
ALONE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("caloforge", "torch", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(shipped_bundle("lhcb-ecal"))


@pytest.fixture(scope="module")
def exported(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(bundle.path, tmp_path_factory.mktemp("exported") / "model.onnx").output


def entries_of(graph: bytes) -> dict[str, str]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)


def test_the_file_says_what_goes_in_and_comes_out(exported: Path, bundle: Bundle) -> None:
    says = entries_of(exported.read_bytes())
    assert says == metadata(bundle)
    assert says["caloforge.format_version"] == "1"
    assert says["caloforge.version"] == __version__
    assert says["caloforge.conditions"] == "energy x y angle_xz angle_yz pdg"
    assert says["caloforge.units"] == "MeV mm mm rad rad 1"
    assert tuple(map(float, says["caloforge.low"].split())) == bundle.domain.low
    assert tuple(map(float, says["caloforge.high"].split())) == bundle.domain.high
    assert (says["caloforge.particles"], says["caloforge.noise_width"]) == ("11", "933")
    assert (says["caloforge.detector"], says["caloforge.cells"]) == ("lhcb-ecal", "30 30")


def test_every_entry_is_documented(bundle: Bundle) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    table = "".join(re.findall(r"^\| `caloforge\..*$", page, flags=re.MULTILINE))
    assert set(re.findall(r"`(caloforge\.\w+)`", table)) == set(metadata(bundle))


@pytest.mark.parametrize("name", ["calochallenge-2", "atlas-barrel"])
def test_the_cells_of_several_layers(bundle: Bundle, name: str) -> None:
    detector = load_detector(name)
    says = metadata(dataclasses.replace(bundle, detector=detector, domain=Domain.of(detector)))
    layers = [tuple(map(int, line.split())) for line in says["caloforge.cells"].splitlines()]
    assert sum(first * second for first, second in layers) == detector.n_cells
    centres = detector.cell_centres
    for (_, second), layer in zip(layers, detector.cell_layers, strict=True):
        of_layer = centres[layer.index]
        if name == "calochallenge-2":  # along the second index the ring, in one direction from the centre
            radius, angle = np.hypot(*of_layer[:second].T), np.arctan2(of_layer[:second, 1], of_layer[:second, 0])
            assert (np.diff(radius) > 0).all()
            np.testing.assert_allclose(angle, angle[0])
        else:
            np.testing.assert_allclose(of_layer[:second, 0], of_layer[0, 0])
            assert (np.diff(of_layer[:second, 1]) > 0).all()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 300_000])
def test_entries_of_any_length_are_read_and_leave_the_graph_as_it_is(bundle: Bundle, length: int) -> None:
    graph, entries = bundle.part("sampler.onnx"), {"key": "ä" * (length // 2) + "x" * (length % 2), "other": "\n"}
    written = with_metadata(graph, entries)
    assert written.startswith(graph)
    assert entries_of(written) == entries


def test_onnx_finds_the_entries_and_the_same_graph(exported: Path, bundle: Bundle) -> None:
    onnx = pytest.importorskip("onnx", reason="the package that defines the format (extra 'train')")
    model = onnx.load_model_from_string(exported.read_bytes())
    onnx.checker.check_model(model)
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata(bundle)
    del model.metadata_props[:]
    assert model == onnx.load_model_from_string(bundle.part("sampler.onnx"))


def test_a_program_without_caloforge_makes_the_showers_of_generate(
    exported: Path, bundle: Bundle, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    program = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[0]
    program = f'{ALONE}{program}\nnp.savez("made.npz", conditions=conditions, noise=numbers, showers=showers)\n'
    shutil.copy(exported, tmp_path / "model.onnx")
    subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, check=True)

    with np.load(tmp_path / "made.npz") as made:
        conditions, noise, showers = made["conditions"], made["noise"], made["showers"]
    sampler = load_sampler(bundle, "onnxruntime", 1)
    np.testing.assert_array_equal(showers, sampler.sample(conditions, noise))
    with (tmp_path / "conditions.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["energy", "x", "y", "angle_xz", "angle_yz", "pdg"])
        rows.writerows([*map(float, row[:-1]), int(row[-1])] for row in conditions)
    expected = generate(like=tmp_path / "conditions.csv", seed=1, engine="onnxruntime", threads=1)
    assert isinstance(expected, Showers)
    np.testing.assert_array_equal(expected.conditions.inputs, conditions)
    hottest = expected.energies.max(axis=1, keepdims=True)
    assert (np.abs(showers - expected.energies) / hottest).max() < 1e-6


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in C++, built with the headers that are here and the library in the package onnxruntime.

    Both engines are then the same, whatever library the machine has.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ to build examples/cpp with")
    folders = [os.environ.get("ONNXRUNTIME_INCLUDE", ""), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime"]
    headers = [Path(folder) for folder in folders if folder and (Path(folder) / "onnxruntime_cxx_api.h").is_file()]
    if not headers:
        pytest.skip("no onnxruntime_cxx_api.h: install libonnxruntime-dev, or set ONNXRUNTIME_INCLUDE to its folder")
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("the package onnxruntime has no libonnxruntime.so here")
    api = re.search(r"define ORT_API_VERSION (\d+)", (headers[0] / "onnxruntime_c_api.h").read_text())
    assert api is not None
    if int(api[1]) > int(onnxruntime.__version__.split(".")[1]):
        pytest.skip(f"the headers of onnxruntime 1.{api[1]} are newer than the package, {onnxruntime.__version__}")
    folder = tmp_path_factory.mktemp("cpp")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(libraries[0])
    output = folder / "showers"
    options = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]
    link = [f"-I{headers[0]}", f"-L{folder}", f"-Wl,-rpath,{folder}", "-lonnxruntime"]
    subprocess.run([compiler, *options, str(EXAMPLE), *link, "-o", str(output)], check=True)
    return output


def run(program: Path, model: Path, lines: list[str]) -> subprocess.CompletedProcess[bytes]:
    given = "".join(f"{line}\n" for line in lines).encode()
    return subprocess.run([str(program), str(model)], input=given, capture_output=True, check=False)


def test_the_program_in_cpp_makes_the_showers_of_the_model(program: Path, exported: Path, bundle: Bundle) -> None:
    lines = ["20000 0 0 0.1 0 11", "1000 5 -5 -0.3490658503988659 0.1 11", "100000 -5 1.5 0 -0.17453292519943295 11"]
    done = run(program, exported, lines)
    assert done.returncode == 0, done.stderr
    made = np.frombuffer(done.stdout, dtype=np.float32).reshape(len(lines), -1)
    noise, energies = made[:, : bundle.noise_width], made[:, bundle.noise_width :]
    assert 0.9 < noise.std() < 1.1
    conditions = np.array([line.split() for line in lines], dtype=np.float32)
    sampler = load_sampler(bundle, "onnxruntime", 1)
    np.testing.assert_array_equal(energies, sampler.sample(conditions, noise))  # one at a time, and three together


@pytest.mark.parametrize("line", ["200000 0 0 0 0 11", "20000 0 0 0 0 22", "20000 0 0 0 0", "20000 0 0 x 0 11", ""])
def test_the_program_in_cpp_refuses_what_is_outside_the_domain(program: Path, exported: Path, line: str) -> None:
    done = run(program, exported, [line])
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"outside the domain of the model: energy x y angle_xz angle_yz pdg" in done.stderr


def test_the_program_in_cpp_refuses_another_contract(program: Path, bundle: Bundle, tmp_path: Path) -> None:
    later = tmp_path / "later.onnx"
    entries = metadata(bundle) | {"caloforge.format_version": "2"}
    later.write_bytes(with_metadata(bundle.part("sampler.onnx"), entries))
    done = run(program, later, ["20000 0 0 0 0 11"])
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"not of format version 1" in done.stderr
