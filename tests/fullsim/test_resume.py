"""Whatever stops a run, the same command finishes it, and nobody can tell from the file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from caloforge.errors import RequestError
from caloforge.fullsim import simulate
from caloforge.runs.work import Work, work_folder
from caloforge.showers import load

PATIENCE = 120.0
SameFiles = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def unfinished(full: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run like that of ``full``, stopped when all shards were done but not merged."""
    folder = tmp_path_factory.mktemp("unfinished")

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "whole", interrupt)
        with pytest.raises(KeyboardInterrupt):
            simulate(small, 60, output=folder / "full.h5", seed=3, workers=1)
    return folder


def shards(output: Path) -> list[Path]:
    return sorted(work_folder(output).glob("shard-*.h5"))


def test_only_what_is_missing_is_simulated_again(
    unfinished: Path, small: Path, full: Path, tmp_path: Path, assert_same: SameFiles
) -> None:
    shutil.copytree(unfinished, tmp_path, dirs_exist_ok=True)
    output = tmp_path / "full.h5"
    first, second, third = shards(output)
    first.write_bytes(first.read_bytes()[:-500])  # as after a crash of the machine
    second.unlink()
    before = third.stat().st_mtime_ns
    leftover = work_folder(output) / ".shard-000000025-000000050.h5.partial-1"
    leftover.write_text("of a killed worker")
    kept: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        whole = Work.whole

        def look(work: Work, *, overwrite: bool) -> AbstractContextManager[Path]:
            kept.append(third.stat().st_mtime_ns)
            return whole(work, overwrite=overwrite)

        patch.setattr(Work, "whole", look)
        simulate(small, 60, output=output, seed=3, workers=1)
    assert kept == [before]
    assert_same(output, full)
    assert list(tmp_path.iterdir()) == [output]


def test_a_run_may_become_longer_or_shorter(unfinished: Path, small: Path, full: Path, tmp_path: Path) -> None:
    shutil.copytree(unfinished, tmp_path, dirs_exist_ok=True)
    output = tmp_path / "full.h5"
    simulate(small, 50, output=output, seed=3, workers=1)
    assert (load(output).energies == load(full, 0, 50).energies).all()
    assert list(tmp_path.iterdir()) == [output]


def test_other_settings_do_not_mix(unfinished: Path, small: Path, tmp_path: Path) -> None:
    shutil.copytree(unfinished, tmp_path, dirs_exist_ok=True)
    output = tmp_path / "full.h5"
    before = [path.stat().st_mtime_ns for path in shards(output)]
    with pytest.raises(RequestError, match="holds an unfinished run with another energy and seed; give the same"):
        simulate(small, 60, output=output, seed=4, energy=500.0, workers=1)
    assert [path.stat().st_mtime_ns for path in shards(output)] == before
    simulate(small, 3, output=output, seed=4, energy=500.0, workers=1, overwrite=True)
    assert load(output).conditions.column("energy").tolist() == [500.0] * 3
    assert list(tmp_path.iterdir()) == [output]


def start(small: Path, output: Path, n: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "caloforge", "simulate", str(small), "-n", str(n), "--seed", "3", "--json"]
    command += ["-o", str(output), "--workers", "2"]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_shards(process: subprocess.Popen[str], output: Path, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(shards(output)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"still waiting after {PATIENCE} s"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """Its worker processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")
def test_kill_9_of_a_worker_and_of_the_parent(
    geant4: None, small: Path, tmp_path: Path, assert_same: SameFiles
) -> None:
    n = 250
    output = tmp_path / "full.h5"
    process = start(small, output, n)
    wait_for_shards(process, output, 1)
    with pytest.raises(RequestError, match="another process is making"):
        simulate(small, n, output=output, seed=3, workers=1)
    os.kill(children(process.pid)[-1], signal.SIGKILL)
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    assert error.startswith("error: a worker process was killed (SIGKILL")
    assert "the same command goes on" in error
    done = len(shards(output))
    assert not output.exists()

    process = start(small, output, n)
    wait_for_shards(process, output, done + 2)
    orphans = children(process.pid)
    process.kill()
    process.communicate()
    assert not output.exists()
    end = time.monotonic() + PATIENCE
    while not all(is_gone(pid) for pid in orphans):
        assert time.monotonic() < end, "a worker outlives its parent"
        time.sleep(0.05)

    simulate(small, n, output=output, seed=3, workers=1)
    undisturbed = simulate(small, n, output=tmp_path / "undisturbed.h5", seed=3, workers=2)
    assert_same(output, undisturbed)
    assert sorted(tmp_path.iterdir()) == [output, undisturbed]
