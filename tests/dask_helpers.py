"""What the tests of both kinds of runs on a Dask cluster share."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

distributed = pytest.importorskip("distributed", reason="needs pip install 'caloforge[cluster]'")

PATIENCE = 120.0
Start = Callable[..., subprocess.Popen[str]]
StartDask = Callable[..., tuple[subprocess.Popen[str], str]]


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"still waiting after {PATIENCE} s"
        time.sleep(0.01)


@contextmanager
def client_of(address: str) -> Iterator[Any]:
    """A client of the scheduler there, when both workers have come."""
    with distributed.Client(address) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


@contextmanager
def hidden_on_workers(address: str, name: str) -> Iterator[None]:
    """The workers cannot import the module."""

    def hide() -> None:
        modules: dict[str, Any] = sys.modules
        modules["hidden"] = importlib.import_module(name)
        modules[name] = None

    def show() -> None:
        sys.modules[name] = sys.modules.pop("hidden")

    with client_of(address) as client:
        client.run(hide)
        try:
            yield
        finally:
            client.run(show)
