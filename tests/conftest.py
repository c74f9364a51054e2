"""Fixtures that every test may use."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from caloforge.detector import Detector, draw_conditions, load_detector
from caloforge.random import uniforms
from caloforge.showers import Showers

# A machine that does other work at the same time is slow, not wrong.
settings.register_profile("caloforge", deadline=None)
settings.load_profile("caloforge")


@pytest.fixture(scope="session")
def lhcb() -> Detector:
    return load_detector("lhcb-ecal")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with full simulation, which is not part of the repository."""
    folder = Path(os.environ.get("CALOFORGE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "lhcb-ecal-electron-test.h5").is_file():
        pytest.skip(f"no full simulation in {folder}; set CALOFORGE_DATA to the folder that has it")
    return folder


def synthetic_showers(detector: Detector, n: int, seed: int = 1) -> Showers:
    """Showers with about the right mean energy and width, fluctuating cells and many zeros."""
    conditions = draw_conditions(detector, seed, 0, n)
    column = conditions.column
    axis = np.stack(
        [
            column("x") + detector.reference_depth * np.tan(column("angle_xz")),
            column("y") + detector.reference_depth * np.tan(column("angle_yz")),
        ],
        axis=1,
    )
    distance = np.linalg.norm(detector.cell_centres[None] - axis[:, None], axis=2)
    noise = -np.log(uniforms(seed, "test", 0, n, detector.n_cells))
    energies = 0.05 * column("energy")[:, None] * np.exp(-distance / 15.0) * noise
    energies[energies < 0.1] = 0.0
    profile = np.exp(-0.5 * ((np.arange(detector.n_layers) - 20) / 10) ** 2)
    layers = energies.sum(axis=1)[:, None] * profile / profile.sum()
    return Showers(detector, conditions, energies.astype(np.float32), layers, 5 * layers)


@pytest.fixture(scope="session")
def make_showers(lhcb: Detector) -> Callable[..., Showers]:
    """``make_showers(n, seed=1, detector=None)``: synthetic showers of lhcb-ecal, or of a detector like it."""

    def make(n: int, seed: int = 1, detector: Detector | None = None) -> Showers:
        return synthetic_showers(detector or lhcb, n, seed)

    return make


@pytest.fixture(scope="session")
def showers(make_showers: Callable[..., Showers]) -> Showers:
    """40 synthetic showers of lhcb-ecal."""
    return make_showers(40)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own: of Geant4's tables, and of the engines that were fastest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def geant4() -> None:
    """Skips where Geant4's bindings are not installed."""
    if importlib.util.find_spec("geant4_pybind") is None:
        pytest.skip("geant4_pybind is not installed: pip install 'caloforge[fullsim]'")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``start(module, *arguments)``: a program of Python, which does not outlive the tests."""
    folder = tmp_path_factory.mktemp("programs")
    started: list[subprocess.Popen[str]] = []

    def program(module: str, *arguments: object) -> subprocess.Popen[str]:
        with (folder / f"{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
                stdout=log,
                stderr=subprocess.PIPE if module == "caloforge" else log,
                text=True,
                # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        started.append(process)
        return process

    yield program
    for process in reversed(started):
        process.terminate()
        process.communicate(timeout=120)


@pytest.fixture(scope="module")
def start_dask(
    start: Callable[..., subprocess.Popen[str]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[subprocess.Popen[str], str]]:
    """``start_dask(workers)``: the process of a scheduler and its address; each worker has one thread."""

    def cluster(workers: int) -> tuple[subprocess.Popen[str], str]:
        folder = tmp_path_factory.mktemp("dask")
        file = folder / "scheduler.json"
        arguments = ("--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", file)
        process = start("distributed.cli.dask_scheduler", *arguments)
        while not (file.exists() and file.read_text().endswith("}")):
            assert process.poll() is None
            time.sleep(0.02)
        address = str(json.loads(file.read_text())["address"])
        for _ in range(workers):
            start(
                "distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard", "--local-directory", folder
            )
        return process, address

    return cluster
