"""Ctrl-C while HDF5 works: later by a moment, but never lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block, then let it act.

    Python raises KeyboardInterrupt at the first bytecode after a long call into C. In h5py that is the callback of a
    weak reference, where exceptions are dropped, and the Ctrl-C with them.

    >>> with ctrl_c_waits():
    ...     print("whole")
    whole
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # only the main thread is interrupted, and only where somebody listens
        return
    arrived: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if arrived:
            before(*arrived[0])
