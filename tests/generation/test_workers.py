"""Worker processes: in order, never far ahead, and gone when the caller is."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from caloforge.errors import WorkError
from caloforge.generation.workers import ordered
from caloforge.showers import load

PATIENCE = 60.0
on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")


def test_results_come_in_order_and_tasks_are_not_taken_far_ahead() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield -number

    for expected, result in enumerate(ordered(abs, tasks(), 2, gc.collect, ())):
        assert result == expected
        assert taken - expected <= 4
    assert taken == 50


def test_a_worker_that_dies_is_an_error_and_not_a_silence() -> None:
    with pytest.raises(WorkError, match="a worker process died"):
        list(ordered(os._exit, [3], 1, gc.collect, ()))


@pytest.fixture
def start_long_run(tiny_model: Path) -> Iterator[Callable[[Path, int], subprocess.Popen[bytes]]]:
    """``start(output, workers)``: a generation under way, killed at the end of the test whatever happens."""
    started = []

    def start(output: Path, workers: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "caloforge", "generate", "lhcb-ecal", "-n", "2000000", "--json"]
        command += ["--model", str(tiny_model), "-o", str(output), "--workers", str(workers)]
        process = subprocess.Popen(
            command,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
            # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        wait_for(lambda: any(output.parent.glob(f".{output.name}.partial-*")) or process.poll() is not None)
        assert process.poll() is None
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"still waiting after {PATIENCE} s"
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [below for child in children for below in descendants(child)]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@on_linux
def test_kill_9_leaves_no_file_and_no_worker(
    start_long_run: Callable[[Path, int], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    output = tmp_path / "fast.h5"
    process = start_long_run(output, 2)
    wait_for(lambda: len(descendants(process.pid)) >= 2)
    workers = descendants(process.pid)
    process.kill()
    process.wait()
    assert not output.exists()
    wait_for(lambda: all(is_gone(pid) for pid in workers))
    assert not output.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_nothing_at_all(
    start_long_run: Callable[[Path, int], subprocess.Popen[bytes]], tmp_path: Path, workers: int
) -> None:
    process = start_long_run(tmp_path / "fast.h5", workers)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert not list(tmp_path.iterdir())


def test_a_later_run_succeeds_after_a_killed_one(
    start_long_run: Callable[[Path, int], subprocess.Popen[bytes]], tiny_model: Path, tmp_path: Path
) -> None:
    from caloforge.generation import generate

    output = tmp_path / "fast.h5"
    process = start_long_run(output, 1)
    process.kill()
    process.wait()
    generate(n=30, model=tiny_model, output=output)
    assert len(load(output)) == 30
