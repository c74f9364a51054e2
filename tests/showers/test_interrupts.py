"""Ctrl-C and SIGTERM are held back, not lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from caloforge.showers.interrupts import ctrl_c_waits

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[object]]:
    """Both signals end the program by an exception, as in the command line."""
    before = [signal.signal(number, leave) for number in SIGNALS]
    yield [leave, leave]
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def current() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_acts_at_the_end_of_the_block(number: signal.Signals, handlers: list[object]) -> None:
    done = []

    def interrupted_work() -> None:
        with ctrl_c_waits():
            os.kill(os.getpid(), number)
            done.append("the rest of the block")

    with pytest.raises(SystemExit) as caught:
        interrupted_work()
    assert caught.value.code == 128 + number
    assert done == ["the rest of the block"]
    assert current() == handlers


def test_blocks_within_blocks_wait_for_the_outermost() -> None:
    done = []

    def interrupted_work() -> None:
        with ctrl_c_waits():
            with ctrl_c_waits():
                os.kill(os.getpid(), signal.SIGTERM)
            done.append("the rest of the outer block")

    with pytest.raises(SystemExit):
        interrupted_work()
    assert done == ["the rest of the outer block"]


def test_a_signal_nobody_listens_to_is_left_as_it_is() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with ctrl_c_waits():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is not leave
    assert current() == [leave, signal.SIG_IGN]


def test_an_error_in_the_block_keeps_its_way_out(handlers: list[object]) -> None:
    with pytest.raises(ValueError, match="disk"), ctrl_c_waits():
        raise ValueError("disk")
    assert current() == handlers


def test_other_threads_are_left_alone(handlers: list[object]) -> None:
    seen = []

    def work() -> None:
        with ctrl_c_waits():
            seen.extend(current())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == handlers
