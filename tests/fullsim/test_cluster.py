"""On a Dask cluster a run gives the same file as here, also with a worker killed on the way, and stops as cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import RequestError, WorkError
from caloforge.fullsim import remote, simulate
from caloforge.fullsim.physics_data import PhysicsData
from caloforge.runs.work import work_folder
from caloforge.showers import load
from dask_helpers import PATIENCE, Start, StartDask, client_of, hidden_on_workers, wait_for

dask = pytest.importorskip("dask", reason="needs pip install 'caloforge[cluster]'")
SameFiles = Callable[[Path, Path], None]

# A batch system of one machine: a job is a group of processes, and its id the number of that group.
SBATCH = (
    '#!/bin/sh\nsetsid sh -c "$(cat "$1")" > "$0.log" 2>&1 &\necho $! >> "$0.jobs"\necho "Submitted batch job $!"\n'
)
SCANCEL = '#!/bin/sh\nkill -9 -- "-$1"\n'


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def shards(output: Path) -> list[Path]:
    return sorted(work_folder(output).glob("shard-*.h5"))


@pytest.fixture(scope="module")
def address(geant4: None, start_dask: StartDask) -> str:
    """A scheduler with two workers, each with one thread."""
    return start_dask(workers=2)[1]


def start_run(start: Start, small: Path, output: Path, address: str, n: int) -> subprocess.Popen[str]:
    line = [
        "simulate",
        small,
        "-n",
        n,
        "--seed",
        3,
        "-o",
        output,
        "--cluster",
        address,
        "--json",
        "--energy",
        1000,
        1000,
    ]
    return start("caloforge", *line)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")
def test_the_same_file_after_ctrl_c_and_with_a_worker_killed(
    start: Start, address: str, small: Path, tmp_path: Path, assert_same: SameFiles
) -> None:
    n = 200
    output = tmp_path / "full.h5"
    process = start_run(start, small, output, address, n)
    wait_for(lambda: shards(output) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 130
    assert not output.exists()
    done = len(shards(output))
    assert done

    with client_of(address) as client:
        pids = client.run(os.getpid)
        process = start_run(start, small, output, address, n)
        wait_for(lambda: len(shards(output)) > done or process.poll() is not None)
        victim = next(pids[worker] for worker, tasks in client.processing().items() if tasks)
    geant4 = [int(child) for child in Path(f"/proc/{victim}/task/{victim}/children").read_text().split()]
    os.kill(victim, signal.SIGKILL)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    wait_for(lambda: all(is_gone(pid) for pid in geant4))
    here = simulate(small, n, output=tmp_path / "here.h5", seed=3, energy=(1000.0, 1000.0))
    assert_same(output, here)
    assert sorted(tmp_path.iterdir()) == [output, here]


def test_batch_jobs_from_a_description(
    geant4: None, small: Path, tmp_path: Path, assert_same: SameFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a job that the batch system kills, as at its time limit, and that is replaced."""
    pytest.importorskip("dask_jobqueue", reason="needs pip install 'caloforge[cluster]'")
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    description = tmp_path / "jobs.yaml"
    description.write_text(
        f"system: slurm\njobs: 1\ncores: 1\nmemory: 2 GB\ninterface: lo\nlocal_directory: {tmp_path}\n"
        "scheduler_options: {host: 127.0.0.1}\n"
    )
    output = tmp_path / "full.h5"

    def jobs() -> list[int]:
        return [int(job) for job in (tmp_path / "sbatch.jobs").read_text().split()]

    def kill_the_first() -> None:
        wait_for(lambda: shards(output))
        os.killpg(jobs()[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    energy = (1000.0, 1000.0)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}):
        simulate(small, 150, output=output, seed=3, energy=energy, cluster=description)
    killer.join()
    assert len(jobs()) == 2
    wait_for(lambda: all(is_gone(job) for job in jobs()))
    assert_same(output, simulate(small, 150, output=tmp_path / "here.h5", seed=3, energy=energy))


def test_a_worker_that_differs_is_refused(
    address: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "full.h5"
    with monkeypatch.context() as patch:
        patch.setattr(remote, "versions", lambda: {"caloforge": "9.9"})
        with pytest.raises(RequestError, match=r"the worker on \S+ has caloforge \S+, and not 9\.9 as here"):
            simulate(small, 5, output=output, cluster=address)
    with monkeypatch.context() as patch:
        other = PhysicsData({}, description="other tables", approximate=False)
        patch.setattr(sys.modules["caloforge.fullsim.simulate"], "prepare_physics_data", lambda *arguments: other)
        with pytest.raises(RequestError, match=r"has other tables for Geant4 \(.+\) than here \(other tables\)"):
            simulate(small, 5, output=output, cluster=address, overwrite=True)

    missing = pytest.raises(RequestError, match=r"cannot import CaloForge \(.+\); install caloforge\[fullsim,cluster\]")
    with hidden_on_workers(address, "caloforge.fullsim.remote"), missing:
        simulate(small, 5, output=output, cluster=address, overwrite=True)
    assert not output.exists()


def test_an_error_of_geant4_comes_back_and_keeps_the_shards(
    address: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that are there but hold nothing Geant4 can read."""
    broken = tmp_path / "G4EMLOW8.8"
    names = [f"brem_SB/br{z}" for z in range(1, 93)]
    kinds = ("cs", "high", "low", "le-cs", "ss-cs")
    names += [f"epics2017/phot/pe-{kind}-{z}.dat" for z in range(1, 93) for kind in kinds]
    for name in names:
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_text("nothing\n")
    monkeypatch.setenv("G4LEDATA", str(broken))
    other = tmp_path / "other.toml"
    other.write_text(small.read_text().replace('name = "small"', 'name = "other"'))
    output = tmp_path / "full.h5"
    with client_of(address) as client:
        client.run(lambda folder: os.environ.update(G4LEDATA=folder), str(broken))
        try:
            with pytest.raises(WorkError, match=r"on \S+: Geant4 ended its process .*; the finished showers are kept"):
                simulate(other, 5, output=output, cluster=address)
        finally:
            client.run(lambda: os.environ.pop("G4LEDATA"))
    assert "G4Exception" in (work_folder(output) / "geant4-cluster.log").read_text()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")
def test_an_idle_geant4_ends(address: str, small: Path, tmp_path: Path) -> None:
    def set_linger(seconds: float) -> None:
        from caloforge.fullsim import remote

        remote.LINGER = seconds

    def look(dask_worker: Any) -> tuple[set[str], int]:
        tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
        children = {child for task in tasks for child in (task / "children").read_text().split()}
        geant4 = {pid for pid in children if "fullsim.worker" in Path(f"/proc/{pid}/cmdline").read_text()}
        return geant4, len(list(Path(dask_worker.local_directory).glob("caloforge-*")))

    with client_of(address) as client:
        before = client.run(look)  # of other tests, which stay for longer
        client.run(set_linger, 0.5)
        other = tmp_path / "other.toml"
        other.write_text(small.read_text().replace('name = "small"', 'name = "idle"'))
        assert len(load(simulate(other, 30, output=tmp_path / "full.h5", cluster=address))) == 30

        def gone() -> bool:  # the process first, then its folder
            now = client.run(look)
            return all(pids <= before[worker][0] and folders == len(pids) for worker, (pids, folders) in now.items())

        wait_for(gone)


def test_a_scheduler_that_dies(geant4: None, start: Start, start_dask: StartDask, small: Path, tmp_path: Path) -> None:
    process, address = start_dask(workers=0)  # so that the run waits
    output = tmp_path / "full.h5"
    run = start_run(start, small, output, address, 60)
    wait_for(lambda: (work_folder(output) / "geant4-cluster.log").exists() or run.poll() is not None)
    process.kill()
    error = run.communicate(timeout=PATIENCE)[1]
    assert run.returncode == 1
    assert error.startswith("error: the connection to the Dask scheduler is lost; the finished showers are kept")


def test_workers_and_a_cluster_are_not_for_the_same_run(small: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="leave out one of them"):
        simulate(small, 5, output=tmp_path / "full.h5", workers=2, cluster="tcp://localhost:8786")
