"""Signals while something long runs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from lgc.launch.interrupts import first_asks, in_thread


def test_the_first_asks_and_the_second_ends(capfd: pytest.CaptureFixture[str]) -> None:
    asked: list[int] = []
    with first_asks(lambda: asked.append(1)):
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert asked == [1]
    assert capfd.readouterr().err.strip() == "stops after a checkpoint; a second Ctrl-C ends at once"


def test_it_asks_also_where_nobody_reads_what_it_says() -> None:
    asked: list[int] = []
    errors = os.dup(2)
    read, write = os.pipe()
    os.close(read)  # as when Ctrl-C has ended `tee` too
    os.dup2(write, 2)
    try:
        with first_asks(lambda: asked.append(1)):
            os.kill(os.getpid(), signal.SIGINT)
            os.write(2, b"what a progress bar prints on the way to the checkpoint")
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        os.dup2(errors, 2)
        os.close(errors)
        os.close(write)
    assert asked == [1]


def fails() -> None:
    raise OSError("no such bucket")


def test_a_thread_returns_and_raises_for_its_caller() -> None:
    assert in_thread(threading.current_thread, "lgc-test") is not threading.current_thread()
    with pytest.raises(OSError, match="no such bucket"):
        in_thread(fails, "lgc-test")


def test_what_is_seen_meanwhile_ends_the_wait() -> None:
    never = threading.Event()

    def look() -> None:
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            in_thread(never.wait, "lgc-test", look)
    finally:
        never.set()
