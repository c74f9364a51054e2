"""On a Dask cluster a run gives the same file as here, whoever is killed on the way, and stops as cleanly."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caloforge import clusters
from caloforge.detector import Detector, detector_from_toml
from caloforge.errors import CaloForgeError, MissingExtraError, RequestError, WorkError
from caloforge.generation import generate, remote
from caloforge.generation.request import SHARD
from caloforge.models.neighbour import fit_neighbour
from caloforge.runs.work import Work, work_folder
from caloforge.showers import Showers, load, save
from dask_helpers import PATIENCE, Start, StartDask, client_of, hidden_on_workers, wait_for

N = 60 * SHARD + 100
MEASURED = ("threads", "workers", "seconds_per_shower_core", "model_seconds_per_shower_core")
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")


def shards(output: Path) -> dict[str, int]:
    """The shards that are done, and when."""
    return {path.name: path.stat().st_mtime_ns for path in work_folder(output).glob("shard-*.h5")}


def contents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every array of a file, and its attributes without times and who worked."""
    arrays: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item[:]} if isinstance(item, h5py.Dataset) else {}))
        attributes = dict(file.attrs)
    provenance = json.loads(attributes.pop("provenance"))
    for name in MEASURED:
        assert provenance.pop(name) > 0
    provenance.pop("step_seconds_per_shower", None)
    return arrays, {**attributes, "provenance": provenance}


def assert_same(path: Path, other: Path) -> None:
    (arrays, attributes), (others, other_attributes) = contents(path), contents(other)
    assert attributes == other_attributes
    assert arrays.keys() == others.keys()
    for name, values in arrays.items():
        assert values.dtype == others[name].dtype
        np.testing.assert_array_equal(values, others[name], err_msg=name)


@pytest.fixture(scope="module")
def address(start_dask: StartDask) -> str:
    """A scheduler with two workers, each with one thread."""
    return start_dask(workers=2)[1]


@pytest.fixture(scope="module")
def few_cells(lhcb: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of 25 cells, whose showers take microseconds."""
    path = tmp_path_factory.mktemp("detector") / "few-cells.toml"
    path.write_text(lhcb.toml.replace("shape = [30, 30]", "shape = [5, 5]"), encoding="utf-8")
    assert detector_from_toml(path.read_text(encoding="utf-8")).n_cells == 25
    return path


@pytest.fixture(scope="module")
def quick_model(few_cells: Path, write_tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    detector = detector_from_toml(few_cells.read_text(encoding="utf-8"))
    return write_tiny(tmp_path_factory.mktemp("quick") / "quick.caloforge", detector=detector)


@on_linux
def test_the_same_file_with_a_worker_and_the_parent_killed(
    start: Start, address: str, few_cells: Path, quick_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "fast.h5"
    line = ["generate", few_cells, "-n", N, "--seed", 3, "--model", quick_model, "--json"]
    process = start("caloforge", *line, "-o", output, "--cluster", address)
    wait_for(lambda: shards(output) or process.poll() is not None)
    process.kill()
    process.communicate()
    done = shards(output)
    assert 0 < len(done) < N // SHARD
    assert not output.exists()

    with client_of(address) as client:
        pids = client.run(os.getpid)
        process = start("caloforge", *line, "-o", output, "--cluster", address)
        wait_for(lambda: len(shards(output)) > len(done) or process.poll() is not None)
        victim = next(pids[worker] for worker, tasks in client.processing().items() if tasks)
    again = shards(output)
    os.kill(victim, signal.SIGKILL)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    assert {name: again[name] for name in done} == done

    here = generate(few_cells, N, seed=3, model=quick_model, output=tmp_path / "here.h5")
    assert isinstance(here, Path)
    assert_same(output, here)
    assert sorted(tmp_path.iterdir()) == [output, here]


def test_the_conditions_of_a_file_outside_the_domain(
    address: str, showers: Showers, make_showers: Callable[..., Showers], tmp_path: Path
) -> None:
    """Of a model without a network, which takes no noise and comes from no extra."""
    save(tmp_path / "full.h5", make_showers(SHARD + 300, seed=2), source="import", provenance={})
    save(tmp_path / "training.h5", showers, source="import", provenance={})
    model = fit_neighbour(tmp_path / "training.h5", tmp_path / "a.caloforge")
    options: dict[str, Any] = {"model": model, "like": tmp_path / "full.h5", "allow_extrapolation": True}
    there = generate(output=tmp_path / "there.h5", cluster=address, **options)
    here = generate(output=tmp_path / "here.h5", **options)
    assert isinstance(there, Path)
    assert isinstance(here, Path)
    assert_same(there, here)
    flags = load(there).extrapolated
    assert flags is not None
    assert 0 < flags.sum() < len(flags)


@pytest.fixture
def unfinished(address: str, tiny_model: Path, tmp_path: Path) -> Path:
    """The output of a run that was stopped when its two shards were done but not joined."""
    output = tmp_path / "fast.h5"

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "whole", interrupt)
        with pytest.raises(KeyboardInterrupt):
            generate(n=SHARD + 10, model=tiny_model, output=output, cluster=address)
    assert len(shards(output)) == 2
    return output


def test_other_settings_do_not_mix(unfinished: Path, tiny_model: Path, address: str) -> None:
    before = shards(unfinished)
    with pytest.raises(RequestError, match="holds an unfinished run with another energy and seed; give the same"):
        generate(n=SHARD + 10, model=tiny_model, output=unfinished, cluster=address, seed=1, energy=5000.0)
    assert shards(unfinished) == before
    generate(n=20, model=tiny_model, output=unfinished, cluster=address, seed=1, energy=5000.0, overwrite=True)
    assert load(unfinished).conditions.column("energy").tolist() == [5000.0] * 20
    assert list(unfinished.parent.iterdir()) == [unfinished]


def test_a_damaged_shard_is_made_again(unfinished: Path, tiny_model: Path, address: str, tmp_path: Path) -> None:
    first = min(work_folder(unfinished).glob("shard-*.h5"))
    content = bytearray(first.read_bytes())
    with h5py.File(first) as file:
        content[file["showers"].id.get_chunk_info(3).byte_offset + 200] ^= 4
    first.write_bytes(content)
    generate(n=SHARD + 10, model=tiny_model, output=unfinished, cluster=address)
    here = generate(n=SHARD + 10, model=tiny_model, output=tmp_path / "here.h5")
    assert isinstance(here, Path)
    assert_same(unfinished, here)


@on_linux
@pytest.mark.parametrize("shards_done", [0, 1])
def test_a_full_disk_keeps_what_is_done(
    unfinished: Path, tiny_model: Path, address: str, tmp_path: Path, shards_done: int
) -> None:
    """A limit on the size of files stands for the disk: too little for a shard, then for the shards joined."""
    sizes = sorted(path.stat().st_size for path in work_folder(unfinished).glob("shard-*.h5"))
    large, small = sorted(work_folder(unfinished).glob("shard-*.h5"))
    (small if shards_done else large).unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[1] - 1000 if not shards_done else sizes[1] + 100, before[1]))
    try:
        name = "whole" if shards_done else "shard-000000000-000004096"
        with pytest.raises(WorkError, match=rf"cannot write .*{name}\.h5 \(.*\); make room .* showers are kept in"):
            generate(n=SHARD + 10, model=tiny_model, output=unfinished, cluster=address)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(shards(unfinished)) == 1 + shards_done
    assert not unfinished.exists()
    generate(n=SHARD + 10, model=tiny_model, output=unfinished, cluster=address)
    assert len(load(unfinished)) == SHARD + 10


def test_a_worker_that_differs_is_refused(
    address: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "fast.h5"
    for package in ("caloforge", "onnxruntime"):
        with monkeypatch.context() as patch:
            mine = {**remote.versions("onnxruntime"), package: "9.9"}
            patch.setattr(remote, "versions", lambda engine, mine=mine: mine)
            with pytest.raises(RequestError, match=rf"the worker on \S+ has {package} \S+, and not 9\.9 as here"):
                generate(n=5, model=tiny_model, output=output, cluster=address, engine="onnxruntime")

    missing = pytest.raises(RequestError, match=r"cannot import CaloForge \(.+\); install caloforge\[cluster\] there")
    with hidden_on_workers(address, "caloforge.generation.remote"), missing:
        generate(n=5, model=tiny_model, output=output, cluster=address)
    assert not list(tmp_path.iterdir())


def test_a_model_that_gives_no_showers_leaves_no_file(
    address: str, write_tiny: Callable[..., Path], broken_graph: bytes, tmp_path: Path
) -> None:
    model = write_tiny(tmp_path / "broken.caloforge", graph=broken_graph)
    with pytest.raises(WorkError, match=r"on \S+: the model broken\.caloforge gave something that is no shower"):
        generate(n=5, model=model, output=tmp_path / "fast.h5", cluster=address)
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 1}, RequestError, "leave out one of them"),
        ({"threads": 2}, RequestError, "leave out one of them"),
        ({"output": None}, RequestError, "a cluster writes to a file; give an output"),
        ({}, RequestError, "no Dask scheduler answers at tcp://127.0.0.1:1 within 0.5 s"),
        ({"cluster": "jobs.yaml"}, RequestError, "cannot read the description of a cluster jobs.yaml"),
        ({"output": "/proc/fast.h5"}, WorkError, "cannot write into the folder /proc"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[CaloForgeError],
    message: str,
) -> None:
    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    request: dict[str, Any] = {"n": 5, "model": tiny_model, "output": tmp_path / "fast.h5"}
    with pytest.raises(error, match=message):
        generate(**(request | {"cluster": "tcp://127.0.0.1:1"} | options))
    assert not list(tmp_path.iterdir())


def test_without_the_extra(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'caloforge\[cluster\]'"):
        generate(n=5, model=tiny_model, output=tmp_path / "fast.h5", cluster="tcp://127.0.0.1:1")
    assert not list(tmp_path.iterdir())
