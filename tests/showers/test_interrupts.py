"""Ctrl-C is held back, not lost."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from caloforge.showers.interrupts import ctrl_c_waits


def test_ctrl_c_acts_at_the_end_of_the_block() -> None:
    handler = signal.getsignal(signal.SIGINT)
    done = []

    def interrupted_work() -> None:
        with ctrl_c_waits():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        interrupted_work()
    assert done == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_in_the_block_keeps_its_way_out() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="disk"), ctrl_c_waits():
        raise ValueError("disk")
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_are_left_alone() -> None:
    handlers = []

    def work() -> None:
        with ctrl_c_waits():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
