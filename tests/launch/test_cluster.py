"""A Ray of our own around a command, with a process in Ray's place: where its files lie, and that signals end it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.launch import cluster
from lgc.launch.cluster import local_cluster
from lgc.launch.interrupts import on_signals

ENDING = [signal.SIGTERM, signal.SIGHUP]


def send(number: int) -> None:
    """To this process; not where that would end the tests."""
    assert signal.getsignal(number) != signal.SIG_DFL
    os.kill(os.getpid(), number)


class Head:
    """Starts a process that does nothing, and keeps it."""

    command: list[str]
    process: subprocess.Popen[bytes]
    then: int | None = None
    """A signal that comes while it starts."""

    def __call__(self, command: list[str], **kwargs: Any) -> subprocess.Popen[bytes]:
        self.command = command
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], **kwargs)
        if self.then is not None:
            send(self.then)
        return self.process


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    started = Head()
    monkeypatch.setattr(cluster, "_wait_until_up", lambda *_: None)
    monkeypatch.setattr(cluster, "subprocess", FakeSubprocess(started))
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}  # `nohup` ignores one of them
    yield started
    after = [signal.signal(number, handler) for number, handler in before.items()]
    ended = started.process.poll() is not None
    started.process.kill()
    assert ended
    assert after == [signal.SIG_DFL] * len(ENDING)


class FakeSubprocess:
    STDOUT, TimeoutExpired = subprocess.STDOUT, subprocess.TimeoutExpired

    def __init__(self, head: Head) -> None:
        self.Popen = head


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_ray_with_the_command(head: Head, number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as left, local_cluster():
        send(number)
    assert left.value.code == 128 + number


def test_a_signal_while_ray_starts_ends_it_too(head: Head) -> None:
    head.then = signal.SIGTERM
    with pytest.raises(SystemExit), local_cluster():
        raise AssertionError("went on")


def test_a_signal_while_ray_ends_waits_for_that(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    end = cluster._end

    def slow(process: subprocess.Popen[bytes]) -> None:
        send(signal.SIGTERM)
        end(process)

    monkeypatch.setattr(cluster, "_end", slow)
    with pytest.raises(SystemExit), local_cluster():
        pass


def test_handlers_of_what_runs_inside_win(head: Head) -> None:
    heard: list[int] = []
    with local_cluster(), on_signals([signal.SIGTERM], heard.append):
        send(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_another_thread_leaves_signals_alone(head: Head) -> None:
    inside: list[Any] = []

    def run() -> None:
        with local_cluster():
            inside.extend(map(signal.getsignal, ENDING))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [signal.SIG_DFL] * len(ENDING)


@pytest.mark.parametrize("name", ["l", "long" * 10])
def test_rays_sockets_have_short_paths(head: Head, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix=name, dir="/tmp") as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        with local_cluster():
            around = rays_folder(head).parent
            assert stat.S_IMODE(around.stat().st_mode) == 0o700  # Ray lets every user into its own
        assert str(around.parent) == ("/tmp" if len(name) > 1 else temporary)
        assert not around.exists()


def rays_folder(head: Head) -> Path:
    (folder,) = [word.removeprefix("--temp-dir=") for word in head.command if word.startswith("--temp-dir=")]
    return Path(folder)
