"""Stages side by side: what runs, when, and what stops it. A stage here is a line of Python that leaves a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lgc.cli.project import dvc_environment, program
from lgc.config.load import compose, parse
from lgc.launch import pipeline, room, worker
from lgc.launch.pipeline import SIDE_BY_SIDE, run_stages, with_dependents
from lgc.launch.room import stages_at_once
from lgc.launch.worker import threads_for
from lgc.progress import ROW

CONF = Path(__file__).parents[2] / "conf"
NEEDS = {"codec": {"data"}, "data": set(), "heads": {"codec", "rgb"}, "rgb": {"data"}, "rate": {"data"}}
Trace = Callable[[str], Sequence[str]]
CATCHES = (
    "def caught(*_): say(sys.argv[1], 'asked', '.'); sys.exit(130)\n"
    "signal.signal(signal.SIGINT, caught)\nsay(sys.argv[1], 'waits', '.')\ntime.sleep(60)"
)
FINISHES = "signal.signal(signal.SIGINT, signal.SIG_IGN)\nsay(sys.argv[1], 'waits', '.')\ntime.sleep(1)"
"""As a stage whose last validation runs."""
LISTENS_NOT = "say(sys.argv[1], 'waits', '.')\ntime.sleep(10)"


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "trace"


def stage(body: str = "time.sleep(0.3)") -> Trace:
    """Writes its name, companions and row when it begins and its name when it has ended."""
    begins = f"say(sys.argv[1], os.environ['{SIDE_BY_SIDE}'], os.environ['{ROW}'])"
    lines = (
        "import os, signal, sys, time",
        "def say(*words): open('trace', 'a').write(' '.join(words) + '\\n')",
        begins,
        body,
        "say(sys.argv[1])",
    )
    return lambda name: [sys.executable, "-c", "\n".join(lines), name]


def run(needs: dict[str, set[str]], command: Trace, at_once: int = 2) -> int:
    return run_stages(needs, command, at_once, dict(os.environ))


def test_what_needs_a_changed_stage_runs_too() -> None:
    assert with_dependents(NEEDS, ["rgb"]) == {"rgb": set(), "heads": {"rgb"}}
    assert with_dependents(NEEDS, ["data"]) == NEEDS
    assert with_dependents(NEEDS, []) == {}
    assert with_dependents(NEEDS, ["of another project"]) == {}


def test_a_stage_begins_when_what_it_needs_is_there_and_there_is_room(trace: Path) -> None:
    assert run(NEEDS, stage()) == 0
    lines = trace.read_text().splitlines()
    at = {line.split()[0] + " " * (" " in line): place for place, line in enumerate(lines)}
    assert all(at[f"{name} "] > at[needed] for name, these in NEEDS.items() for needed in these)
    open_now, most = 0, 0
    for line in lines:
        open_now += 1 if " " in line else -1
        most = max(most, open_now)
    assert most == 2
    told = {line.split()[0]: line.split()[1:] for line in lines if " " in line}
    assert told["data"] == ["1", "0"]  # alone: all cores
    assert sorted([told["codec"], told["rgb"]]) == [["2", "0"], ["2", "1"]]


def test_one_at_a_time_where_one_is_asked_for(trace: Path) -> None:
    assert run({"a": set(), "b": set()}, stage("pass"), at_once=1) == 0
    assert trace.read_text().splitlines() == ["a 1 0", "a", "b 1 0", "b"]


def test_after_a_failure_none_begins_and_those_under_way_end(trace: Path) -> None:
    fails = (
        "if sys.argv[1] == 'codec': sys.exit(3)\n"
        "while sys.argv[1] == 'rgb' and 'codec' not in open('trace').read(): time.sleep(0.05)\ntime.sleep(3)"
    )
    assert run(NEEDS, stage(fails)) == 3
    assert sorted(trace.read_text().splitlines()) == ["codec 2 0", "data", "data 1 0", "rgb", "rgb 2 1"]


@contextmanager
def handler(number: int, what: Any) -> Iterator[None]:
    before = signal.signal(number, what)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def interrupted(trace: Path, number: int, waiting: int = 1) -> Iterator[None]:
    """This process gets the signal as soon as so many stages wait for it."""

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not trace.exists() or trace.read_text().count("waits") < waiting:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    with handler(number, signal.default_int_handler):  # in a job in the background Ctrl-C is ignored
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_passed_on_to_all_once(trace: Path, number: int) -> None:
    with interrupted(trace, number, waiting=2):
        code = run({"a": set(), "b": set(), "c": set()}, stage(CATCHES))
    assert code == 128 + number
    assert sorted(line for line in trace.read_text().splitlines() if "asked" in line) == ["a asked .", "b asked ."]
    assert "c" not in trace.read_text()


@pytest.mark.parametrize(("needs", "code"), [({"a": set(), "b": {"a"}}, 130), ({"a": set()}, 0)])
def test_a_stage_that_ends_well_hides_no_interrupt_but_the_last(
    trace: Path, needs: dict[str, set[str]], code: int
) -> None:
    with interrupted(trace, signal.SIGINT):
        assert run(needs, stage(FINISHES)) == code
    assert trace.read_text().splitlines() == ["a 1 0", "a waits .", "a"]


def test_a_stage_that_begins_as_the_signal_comes_is_told_and_is_the_last(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def begin(command: list[str], **kwargs: Any) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(command, **kwargs)
        begun.append(command[-1])
        while not trace.exists() or "waits" not in trace.read_text():  # Python may lose a signal while it starts
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        return child

    monkeypatch.setattr(pipeline, "subprocess", FakeSubprocess(begin))
    with handler(signal.SIGINT, signal.default_int_handler):
        assert run({"a": set(), "b": set()}, stage(LISTENS_NOT)) == 130
    assert begun == ["a"]
    assert trace.read_text().splitlines() == ["a 2 0", "a waits ."]


class FakeSubprocess:
    def __init__(self, begin: Callable[..., subprocess.Popen[bytes]]) -> None:
        self.Popen = begin


def test_every_ctrl_c_is_passed_on(trace: Path) -> None:
    """As to training, which ends at once on the second."""
    twice = (
        "def caught(*_): signal.signal(signal.SIGINT, signal.default_int_handler); say(sys.argv[1], 'waits', '.')\n"
        "signal.signal(signal.SIGINT, caught)\nsay(sys.argv[1], 'waits', '.')\ntime.sleep(10)"
    )
    with interrupted(trace, signal.SIGINT), interrupted(trace, signal.SIGINT, waiting=2):
        assert run({"a": set()}, stage(twice)) == 130
    assert trace.read_text().splitlines() == ["a 1 0", "a waits .", "a waits ."]


def test_where_ctrl_c_is_ignored_stages_hear_what_is_passed_on(trace: Path) -> None:
    """As in the background of a script; a stage that has no handler of its own hears it too."""
    with handler(signal.SIGINT, signal.SIG_IGN), interrupted(trace, signal.SIGTERM):
        assert run({"a": set()}, stage(LISTENS_NOT)) == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert trace.read_text().splitlines() == ["a 1 0", "a waits ."]


def test_a_dvc_that_runs_all_stages_begins_no_other_that_comes_to_an_end(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = {
        "a": {"cmd": "python a.py a", "outs": ["made"]},
        "b": {"cmd": "python b.py b", "deps": ["made"]},
        "c": {"cmd": "python b.py c", "deps": ["made"]},
    }
    for name, body in {"a": f"{FINISHES}\nopen('made', 'w').close()", "b": LISTENS_NOT}.items():
        Path(f"{name}.py").write_text(stage(body)(name)[2])
    Path("dvc.yaml").write_text(json.dumps({"stages": stages}))
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n    site_cache_dir = .dvc/site\n")
    monkeypatch.delenv("SHELL", raising=False)  # as in a container or under systemd
    command = [program("dvc"), "repro", "--keep-going"]
    with interrupted(trace, signal.SIGINT):
        assert run_stages({"all": set()}, lambda _: command, 1, dvc_environment()) == 130
    ended = [line for line in trace.read_text().splitlines() if " " not in line]
    assert ended == ["a"]
    assert "a:" in Path("dvc.lock").read_text()  # what came to its end need not run again


@pytest.mark.parametrize(
    ("overrides", "cores", "gpus", "expected"),
    [
        ([], 2, 0, 2),
        ([], 1, 0, 1),
        (["runtime.stages=4"], 16, 0, 4),
        (["runtime.workers=2"], 2, 0, 1),
        ([], 16, 1, 1),
        ([], 16, 2, 2),
        (["runtime.device=cpu"], 16, 1, 2),
        (["runtime.engine=local"], 2, 0, 2),
        (["runtime.engine=local"], 16, 2, 1),
        (["runtime.stages=3", "runtime.address=10.0.0.1:6379"], 1, 0, 3),
    ],
)
def test_stages_share_what_the_machine_has(
    overrides: list[str], cores: int, gpus: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(room, "cores", lambda: cores)
    monkeypatch.setattr(room, "gpus_here", lambda: gpus)
    config = parse(compose(overrides, CONF))
    assert stages_at_once(config.runtime) == expected


def test_stages_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "cores", lambda: 8)
    assert [threads_for(None, workers) for workers in (1, 2)] == [8, 4]
    monkeypatch.setenv(SIDE_BY_SIDE, "2")
    assert [threads_for(None, workers) for workers in (1, 2, 16)] == [4, 2, 1]
    assert threads_for(3, 1) == 3
