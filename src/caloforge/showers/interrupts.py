"""Ctrl-C and SIGTERM while HDF5 works: later by a moment, but never lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the end of the block, then let the first that came act.

    Python calls the handler of a signal at the first bytecode after a long call into C. In h5py that is the callback of
    a weak reference, where exceptions are dropped, and KeyboardInterrupt or SystemExit with them.

    >>> with ctrl_c_waits():
    ...     print("whole")
    whole
    """
    # Only the main thread is interrupted, and only where a function listens.
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: handler for number in _HELD if main and callable(handler := signal.getsignal(number))}
    arrived: list[tuple[int, FrameType | None]] = []
    try:
        with ExitStack() as stack:
            for number, handler in handlers.items():
                stack.callback(signal.signal, number, handler)
                signal.signal(number, lambda *signalled: arrived.append(signalled))
            yield
    finally:
        if arrived:
            handlers[signal.Signals(arrived[0][0])](*arrived[0])
