"""The verbs generate, bench and export: output, exit codes, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.cli import main
from caloforge.cli.particles import mixture, particle_code
from caloforge.deployment import export
from caloforge.deployment import onnx as deployment
from caloforge.detector import Detector
from caloforge.errors import RequestError, WorkError
from caloforge.generation.bench import bench, own_process
from caloforge.models.bundle import read_bundle
from caloforge.models.neighbour import fit_neighbour
from caloforge.showers import Showers, load, save


def test_generate_prints_what_it_wrote(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "fast.h5"
    options = [
        "-n",
        "120",
        "--model",
        str(tiny_model),
        "-o",
        str(output),
        "--energy",
        "5000",
        "5000",
        "--particle",
        "e-",
    ]
    assert main(["generate", "lhcb-ecal", *options, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["showers"] == len(load(output)) == 120
    assert printed["showers_per_second"] == pytest.approx(120 / printed["seconds"])
    assert (load(output).conditions.column("energy") == 5000).all()
    assert main(["generate", "lhcb-ecal", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "--overwrite" in captured.err
    assert main(["generate", "lhcb-ecal", *options, "--overwrite"]) == 0
    assert "120 showers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (11, ("11", "e-", "electron")),
        (-11, ("-11", "e+", "positron")),
        (22, ("gamma", "photon")),
        (211, ("pi+",)),
        (-211, ("pi-",)),
        (2212, ("p", "p+", "proton")),
        (-2212, ("p~", "anti-p-", "antiproton")),
        (2112, ("n", "n0", "neutron")),
        (13, ("mu-",)),
        (-13, ("mu+",)),
        (321, ("K+",)),
        (130, ("K_L0",)),
    ],
)
def test_particles_have_names(code: int, names: tuple[str, ...]) -> None:
    assert {particle_code(name) for name in names} == {code}


def test_a_mixture_in_words() -> None:
    assert mixture("gamma") == {22: 1.0}
    assert mixture("e-,pi+, proton") == {11: 1.0, 211: 1.0, 2212: 1.0}
    assert mixture("e-:3,-211:0.5") == {11: 3.0, -211: 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ghost", "unknown particle 'ghost'.*PDG code"),
        ("porton", "unknown particle 'porton'; did you mean 'proton'"),
        ("Gamma", "did you mean 'gamma'"),
        ("", "an entry of the particles '' is empty"),
        ("e-,", "an entry of the particles 'e-,' is empty"),
        ("e-:3;pi+:1", "weight '3;pi\\+:1' of e- is not a number"),
        ("e-:", "weight '' of e- is not a number"),
        ("e-,electron", "name the PDG code 11 twice"),
    ],
)
def test_a_wrong_mixture_in_words(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        mixture(text)


def test_bench_measures_every_batch_and_thread(tiny_model: Path) -> None:
    result = bench(
        model=tiny_model, engine="onnxruntime", batches=(1, 30), threads=(1, 2), file_showers=50, geant4_showers=2
    )
    measured = [(timing.threads, timing.batch) for timing in result.timings if timing.what == "model"]
    assert measured == [(1, 1), (1, 30), (2, 1), (2, 30)]
    assert {timing.workers for timing in result.timings if timing.what == "to file"} >= {1}
    assert list(result.steps) == ["conditions", "noise", "model", "writing"]
    assert min(result.steps.values()) > 0
    for timing in result.timings:
        assert 0 < timing.low_ms <= timing.median_ms <= timing.high_ms
        assert timing.repeats >= 3
    cold, warm = result.own_processes
    assert (cold.showers, warm.showers) == (1, 50)
    assert min(cold.seconds, cold.peak_resident_mb, cold.file_mb) > 0
    assert result.rooflines == ()  # this bundle has no weights to count operations by
    assert result.geant4 is not None
    assert result.speed_up is not None
    assert result.geant4["seconds_per_shower_and_core"] > 1e-3
    assert json.loads(json.dumps(result.to_json()))["detector"] == "lhcb-ecal"


def test_a_process_of_its_own_that_fails_says_why(lhcb: Detector, tiny_model: Path) -> None:
    with pytest.raises(WorkError, match="a process of its own: error: unknown engine .* 'abacus'"):
        own_process(lhcb, read_bundle(tiny_model), 1, "abacus")


def test_the_arithmetic_of_the_shipped_model_is_below_the_roof() -> None:
    found = bench(engine="onnxruntime", batches=(64,), threads=(1,), file_showers=0, geant4_showers=0)
    (roof,) = found.rooflines
    assert (roof.engine, roof.precision, roof.threads) == ("onnxruntime", "float32", 1)
    assert roof.bytes_per_shower > 2 * 4 * 900
    assert 0 < roof.gflops < roof.product_gflops
    assert 0 < roof.gigabytes < roof.copy_gigabytes


@pytest.mark.parametrize(
    "wrong",
    [
        {"file_showers": -5},
        {"geant4_showers": -1},
        {"batches": (10, 0)},
        {"threads": (1, -1)},
        {"engine": "tensorflow"},
    ],
)
def test_a_wrong_bench_is_refused_before_anything_is_measured(tiny_model: Path, wrong: dict[str, Any]) -> None:
    measured: list[str] = []
    with pytest.raises(RequestError):
        bench(model=tiny_model, report=measured.append, **wrong)
    assert not measured


def test_bench_prints_a_table_and_draws_a_picture(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--engine", "onnxruntime", "--batch", "20", "--threads", "1", "--geant4-showers", "0"]
    options += ["--plot", str(tmp_path / "speed.png")]
    line = ["bench", "lhcb-ecal", "--model", str(tiny_model), *options]
    assert main([*line, "--file-showers", "20"]) == 0
    assert "onnxruntime" in capsys.readouterr().out
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    assert main([*line, "--file-showers", "0"]) == 2
    assert "speed.png exists" in capsys.readouterr().err
    assert main([*line, "--file-showers", "0", "--overwrite"]) == 0
    assert main(["bench", "lhcb-ecal", "--model", str(tiny_model), "--threads", "0"]) == 2


def test_the_exported_graph_gives_the_bundles_showers(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    from caloforge.generation import generate

    monkeypatch.setattr(deployment, "_parity", lambda bundle: None)  # the test's graph has no torch twin
    result = export(tiny_model, tmp_path / "model.onnx")
    assert result.parity is None
    made = generate(n=10, model=tiny_model, seed=1, engine="onnxruntime")
    assert isinstance(made, Showers)
    from caloforge.random import normals

    feed = {"conditions": made.conditions.inputs, "noise": normals(1, "noise", 0, 10, 6)}
    session = onnxruntime.InferenceSession(str(result.output), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["showers"], feed)[0], made.energies, rtol=1e-5)
    assert {item.name: tuple(item.shape) for item in session.get_inputs()} == result.inputs


def test_engines_that_disagree_are_not_exported(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment, "_parity", lambda bundle: 0.5)
    with pytest.raises(WorkError, match="differ by 5"):
        export(tiny_model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_without_a_graph_is_not_exported(tmp_path: Path, showers: Showers) -> None:
    save(tmp_path / "full.h5", showers, source="import", provenance={})
    model = fit_neighbour(tmp_path / "full.h5", tmp_path / "a.caloforge")
    assert read_bundle(model).family == "neighbour"
    assert main(["export", str(model), "-o", str(tmp_path / "model.onnx")]) == 2
    assert not (tmp_path / "model.onnx").exists()
