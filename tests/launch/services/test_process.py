"""Background processes: pid files, idempotence, and that only our own processes are ever ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lgc.errors import ServiceError
from lgc.launch.ports import free_ports, port_taken
from lgc.launch.services.process import Service, running, start, stop

LISTEN = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), None).serve_forever()"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (port,) = free_ports(1)
    made = Service(
        name="web",
        command=[sys.executable, "-c", LISTEN, str(port)],
        port=port,
        ready=lambda: port_taken(port),
    )
    yield made
    stop(made.name, tmp_path)


def test_start_twice_is_one_process_and_stop_ends_it(service: Service, tmp_path: Path) -> None:
    assert running("web", tmp_path) is None
    assert start(service, tmp_path)
    pid = running("web", tmp_path)
    assert pid is not None
    assert not start(service, tmp_path)
    assert running("web", tmp_path) == pid
    assert stop("web", tmp_path)
    assert running("web", tmp_path) is None
    assert not port_taken(service.port)
    assert not stop("web", tmp_path)
    assert start(service, tmp_path)


@pytest.mark.parametrize("recorded", [True, False])
def test_stop_ends_it_by_its_own_signal(service: Service, tmp_path: Path, recorded: bool) -> None:
    quits = "signal.signal(signal.SIGINT, lambda *_: pathlib.Path('asked').touch() or exit())"
    program = [sys.executable, "-c", f"import pathlib, signal; {quits}; {LISTEN}", str(service.port)]
    start(replace(service, command=program, stop_signal=signal.SIGINT), tmp_path)
    if not recorded:  # as earlier versions left it
        record = json.loads((tmp_path / "web.pid").read_text())
        created = psutil.Process(record["pid"]).create_time()
        (tmp_path / "web.pid").write_text(json.dumps({"pid": record["pid"], "created": created}))
    assert stop("web", tmp_path)
    assert (tmp_path / "asked").exists() == recorded


def test_a_clock_that_was_set_keeps_it_ours(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system moves the boot time with the clock."""
    start(service, tmp_path)
    boot = psutil.boot_time()
    for place in (psutil, psutil._psplatform):
        monkeypatch.setattr(place, "boot_time", lambda: boot + 3600)
    assert running("web", tmp_path) is not None
    assert stop("web", tmp_path)
    assert not port_taken(service.port)


@pytest.mark.parametrize("began", [{"created": time.time() - 3600}, {"after_boot": -3600.0}])
def test_a_process_that_took_the_number_is_not_ours(tmp_path: Path, began: dict[str, float]) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "web.pid").write_text(json.dumps({"pid": stranger.pid, **began}))
        assert running("web", tmp_path) is None
        assert not stop("web", tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("text", ["", "{}", "[]", "12", '{"pid": "x"}', '{"pid": -1, "created": 0}', "\0"])
def test_a_damaged_pid_file_is_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "web.pid").write_text(text)
    assert running("web", tmp_path) is None
    assert not stop("web", tmp_path)


def test_a_process_that_ends_shows_its_last_line(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    broken = Service("web", [sys.executable, "-c", "import sys; sys.exit('no such thing')"], port, lambda: False)
    with pytest.raises(ServiceError, match=r"web: ended: no such thing \(all of it: .*web\.log\)"):
        start(broken, tmp_path)
    assert not (tmp_path / "web.pid").exists()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_a_start_that_is_interrupted_leaves_no_process(
    service: Service, tmp_path: Path, kind: type[BaseException]
) -> None:
    pids: list[int | None] = []

    def interrupted() -> bool:
        pids.append(running("web", tmp_path))
        raise kind

    with pytest.raises(kind):
        start(replace(service, ready=interrupted), tmp_path)
    (pid,) = pids
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not (tmp_path / "web.pid").exists()


def test_a_port_in_use_is_said_before_anything_starts(service: Service, tmp_path: Path) -> None:
    start(service, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ServiceError, match=f"port {service.port} is taken by another program"):
        start(service, other)
    assert not list(other.iterdir())
