"""Every engine gives the same showers, and "auto" is the one that was fastest here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.cache import cache_folder
from caloforge.deployment import export
from caloforge.detector import Detector, draw_conditions
from caloforge.errors import FormatError, MissingExtraError, RequestError
from caloforge.generation import choice, engines, generate, load_sampler
from caloforge.generation.graphs import GRAPH, OnnxSampler
from caloforge.models.base import PARITY, Sampler
from caloforge.models.bundle import Bundle, read_bundle, resolve_bundle
from caloforge.models.neighbour import fit_neighbour
from caloforge.random import normals
from caloforge.showers import Showers, save

openvino = pytest.importorskip("openvino", reason="needs pip install 'caloforge[openvino]'")

N = 300


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return resolve_bundle(None, "lhcb-ecal")


@pytest.fixture(scope="module")
def asked(lhcb: Detector, shipped: Bundle) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return draw_conditions(lhcb, 1, 0, N).inputs, normals(1, "noise", 0, N, shipped.noise_width)


def test_openvino_gives_the_showers_of_onnxruntime(shipped: Bundle, asked: tuple[NDArray[np.float32], ...]) -> None:
    ours, theirs = (load_sampler(shipped, engine).sample(*asked) for engine in ("openvino", "onnxruntime"))
    assert (np.abs(ours - theirs).max(axis=1) <= PARITY * theirs.max(axis=1)).all()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "openvino-bf16"])
def test_a_shower_is_the_same_in_any_batch_and_thread(
    shipped: Bundle, asked: tuple[NDArray[np.float32], ...], engine: str
) -> None:
    conditions, noise = asked
    try:
        whole = load_sampler(shipped, engine, threads=1).sample(conditions, noise)
    except RequestError as error:
        pytest.skip(str(error))  # a processor without bfloat16
    np.testing.assert_array_equal(load_sampler(shipped, engine, threads=3).sample(conditions, noise), whole)
    for start, size in ((0, 1), (7, 2), (16, 13), (100, 33), (3, 127), (41, 200)):
        rows = slice(start, start + size)
        few = load_sampler(shipped, engine, threads=1, batch=size).sample(conditions[rows], noise[rows])
        np.testing.assert_array_equal(few, whole[rows])


def test_first_calls_at_once_do_not_wait_for_each_other() -> None:
    """Half of such processes never ended, before a sampler made its first call by itself."""
    program = """
import threading
import numpy as np
from caloforge.detector import draw_conditions
from caloforge.generation.graphs import OpenVinoSampler
from caloforge.models.bundle import resolve_bundle

bundle = resolve_bundle(None, "lhcb-ecal")
sampler = OpenVinoSampler(bundle, threads=8)
conditions = draw_conditions(bundle.detector, 0, 0, 1).inputs
noise = np.zeros((1, bundle.noise_width), dtype=np.float32)
together = threading.Barrier(8)
threads = [threading.Thread(target=lambda: (together.wait(), sampler.sample(conditions, noise))) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    for _ in range(3):
        assert run_alone(program) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_an_engine_has_gone_in_another_thread(number: signal.Signals) -> None:
    """OpenVINO freed the stack on which the main thread takes its signals: a segmentation fault."""
    program = f"""
import os, signal, sys, threading
from caloforge.generation.graphs import OpenVinoSampler
from caloforge.models.bundle import resolve_bundle

samplers = [OpenVinoSampler(resolve_bundle(None, "lhcb-ecal"))]
other = threading.Thread(target=samplers.clear)
other.start()
other.join()
signal.signal({int(number)}, lambda *_: sys.exit(7))
os.kill(os.getpid(), {int(number)})
"""
    assert run_alone(program) == 7


def run_alone(program: str) -> int:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    return subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=120).returncode


def test_bfloat16_keeps_energies_to_its_precision(shipped: Bundle, asked: tuple[NDArray[np.float32], ...]) -> None:
    try:
        rough = load_sampler(shipped, "openvino-bf16").sample(*asked)
    except RequestError as error:
        pytest.skip(str(error))
    exact = load_sampler(shipped, "openvino").sample(*asked)
    assert not np.array_equal(rough, exact)
    assert (np.abs(rough - exact).max(axis=1) <= 0.05 * exact.max(axis=1)).all()
    np.testing.assert_allclose(rough.sum(axis=1), exact.sum(axis=1), rtol=0.01)


def test_auto_is_measured_once_and_then_known(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked: list[list[str]] = []

    def measure(bundle: Bundle, names: list[str]) -> dict[str, float]:
        asked.append(names)
        return {"onnxruntime": 2e-4, "openvino": 1e-4}

    monkeypatch.setattr(choice, "_measure", measure)
    bundle = read_bundle(tiny_model)
    assert [choice.choose_engine(bundle) for _ in range(3)] == 3 * ["openvino"]
    assert asked == [["onnxruntime", "openvino"]]
    (note,) = (cache_folder() / "engines").iterdir()
    note.write_text('{"fastest": "abacus"}')
    assert choice.choose_engine(bundle) == "openvino"
    note.write_text("{")
    assert choice.choose_engine(bundle) == "openvino"
    assert len(asked) == 3


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "caloforge").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choice.choose_engine(read_bundle(tiny_model)) in ("onnxruntime", "openvino")


def test_the_slower_engine_is_not_chosen(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = read_bundle(tiny_model)
    seconds = choice._measure(bundle, ["onnxruntime", "openvino"])
    assert all(0 < value < 1 for value in seconds.values())
    start = engines.start_engine

    def slowly(name: str, bundle: Bundle, threads: int) -> Sampler | SimpleNamespace:
        if name == "onnxruntime":
            return start(name, bundle, threads)

        def sample(conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> None:
            for _ in range(1000):
                inner.sample(conditions[:1], noise[:1])

        inner = start(name, bundle, threads)
        return SimpleNamespace(sample=sample)

    monkeypatch.setattr(choice, "start_engine", slowly)
    assert choice.choose_engine(bundle) == "onnxruntime"


def test_a_library_of_showers_has_one_engine(
    make_showers: Callable[..., Showers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "full.h5", make_showers(30), source="import", provenance={})
    fit_neighbour(tmp_path / "full.h5", tmp_path / "library.caloforge")
    monkeypatch.setattr(choice, "_measure", lambda bundle, names: pytest.fail("nothing to measure"))
    assert choice.choose_engine(read_bundle(tmp_path / "library.caloforge")) == "numpy"


def test_without_openvino(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'caloforge\[openvino\]'"):
        generate(n=3, model=tiny_model, engine="openvino")


def test_a_processor_without_bfloat16(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = SimpleNamespace(get_property=lambda device, name: ["FP32", "INT8"])
    monkeypatch.setattr(openvino, "Core", lambda: core)
    with pytest.raises(RequestError, match="no instructions for bfloat16; use the engine openvino"):
        generate(n=3, model=tiny_model, engine="openvino-bf16")


def test_a_machine_without_a_gpu(tiny_model: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is the one for GPUs")
    with pytest.raises(RequestError, match="installed here is the one for CPUs; .*onnxruntime-gpu"):
        generate(n=3, model=tiny_model, engine="onnxruntime-cuda")


def test_calls_filled_up_for_a_gpu(shipped: Bundle, asked: tuple[NDArray[np.float32], ...]) -> None:
    """What is added goes away again; on the CPU here, where it changes no bit."""
    sampler = OnnxSampler(shipped)
    whole = sampler.sample(*asked)
    sampler._least = 64
    for count in (1, 63, 64, 65, N):
        np.testing.assert_array_equal(sampler.sample(*(item[:count] for item in asked)), whole[:count])


@pytest.mark.parametrize("what", ["ir_version", "opset"])
def test_a_graph_of_a_later_version(
    tiny_model: Path, write_tiny: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    onnx = pytest.importorskip("onnx", reason="needs pip install 'caloforge[train]'")
    graph = onnx.load_model_from_string(read_bundle(tiny_model).part(GRAPH))
    if what == "opset":
        graph.opset_import[0].version = 99
    else:
        graph.ir_version = 99
    later = write_tiny(tmp_path / "later.caloforge", graph=graph.SerializeToString())
    with pytest.raises(FormatError, match=r"99.*; it is damaged, or made for a later version") as error:
        load_sampler(read_bundle(later), "onnxruntime")
    assert "onnxruntime::" not in str(error.value)


def test_an_exported_graph_is_no_bundle(tmp_path: Path) -> None:
    export(resolve_bundle(None, "lhcb-ecal").path, tmp_path / "model.onnx")
    with pytest.raises(FormatError, match=r"an exported graph is for other programs; give the bundle, \*"):
        generate(n=3, model=tmp_path / "model.onnx")


def test_a_damaged_graph(write_tiny: Callable[..., Path], tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "broken.caloforge", graph=b"no graph")
    with pytest.raises(FormatError, match=r"OpenVINO cannot load the part sampler\.onnx"):
        load_sampler(read_bundle(model), "openvino")
