"""`lgc services up` again, with other ports and after failures; listeners stand in for the services."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lgc.cli import services
from lgc.errors import ServiceError
from lgc.launch.ports import free_ports, port_taken
from lgc.launch.services import manage, postgres, s3, tracking_server
from lgc.launch.services.layout import Layout, Ports, last_ports
from lgc.launch.services.manage import down, status, up
from lgc.launch.services.process import Service, running, stop

LISTEN = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), None).serve_forever()"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where `up` starts a listener for each service."""
    for name, module in (("postgres", postgres), ("s3", s3), ("mlflow", tracking_server)):

        def service(layout: Layout, name: str = name) -> Service:
            port = getattr(layout.ports, name)
            return Service(name, [sys.executable, "-c", LISTEN, str(port)], port, lambda: port_taken(port))

        monkeypatch.setattr(module, "service", service)
        monkeypatch.setattr(module, "answers", lambda layout, name=name: port_taken(getattr(layout.ports, name)))
    monkeypatch.setattr(postgres, "create_database", lambda _: None)
    monkeypatch.setattr(s3, "create_bucket", lambda _: None)
    yield tmp_path / "services"
    for name in manage.NAMES:
        stop(name, tmp_path / "services")


@pytest.fixture
def ports() -> Ports:
    return Ports(*free_ports(3))


def lgc_up(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(services.app, ["up", "--folder", str(folder), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def words_of(ports: Ports) -> list[str]:
    return [f"--{name}-port={getattr(ports, name)}" for name in manage.NAMES]


def healthy(folder: Path) -> list[bool]:
    return [one.healthy for one in status(folder)]


def test_ports_are_those_of_the_last_start(folder: Path, ports: Ports) -> None:
    lgc_up(folder, *words_of(ports))
    for words in ([], words_of(ports)[:1]):
        said = lgc_up(folder, *words)
        assert said.count("runs already") == 3
        assert f"tracking.uri=http://127.0.0.1:{ports.mlflow} storage.endpoint=http://127.0.0.1:{ports.s3} " in said
        assert last_ports(folder) == ports
    assert healthy(folder) == [True] * 3
    (free,) = free_ports(1)
    down(folder)
    assert f"s3: started on 127.0.0.1:{free}" in lgc_up(folder, f"--s3-port={free}")
    assert last_ports(folder) == replace(ports, s3=free)


def test_a_service_that_runs_keeps_its_port(folder: Path, ports: Ports) -> None:
    up(folder, ports, print)
    (free,) = free_ports(1)
    for name in manage.NAMES:
        told = f"{name}: its port is {getattr(ports, name)} while {name} runs; run `lgc services down` first"
        with pytest.raises(ServiceError, match=told):
            up(folder, replace(ports, **{name: free}), print)
    for name in ("postgres", "s3"):
        stop(name, folder)
    with pytest.raises(ServiceError, match=f"postgres: its port is {ports.postgres} while mlflow runs"):
        up(folder, replace(ports, postgres=free), print)
    assert last_ports(folder) == ports


def test_what_fails_leaves_the_ports_as_they_were(
    folder: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Layout) -> None:
        raise ServiceError("s3: no bucket")

    with monkeypatch.context() as patched:
        patched.setattr(s3, "create_bucket", refuse)
        with pytest.raises(ServiceError, match="no bucket"):
            up(folder, ports, print)
        assert last_ports(folder) == Ports()
    up(folder, ports, print)
    down(folder)
    monkeypatch.setattr(s3, "create_bucket", refuse)
    with pytest.raises(ServiceError, match="no bucket"):
        up(folder, Ports(*free_ports(3)), print)
    assert last_ports(folder) == ports
    assert [running(name, folder) for name in manage.NAMES] == [None] * 3


def test_a_service_that_runs_elsewhere_is_no_success(folder: Path, ports: Ports) -> None:
    """Its state was removed, and with it where it is."""
    up(folder, ports, print)
    (folder / "services.json").unlink()
    with pytest.raises(ServiceError, match=r"postgres: runs, but does not answer on 127\.0\.0\.1:"):
        up(folder, Ports(*free_ports(3)), print)
    assert down(folder) == ["mlflow", "s3", "postgres"]


def test_only_changed_ports_are_overrides(tmp_path: Path, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manage, "up", lambda folder, ports, say: Layout(folder, ports))
    plain = "lgc compose tracking=server storage=services && lgc repro"
    assert plain in lgc_up(tmp_path)
    assert plain in lgc_up(tmp_path, "--postgres-port=5533")
    assert "services tracking.uri=http://127.0.0.1:5050 && lgc" in lgc_up(tmp_path, "--mlflow-port=5050")
    assert "services storage.endpoint=http://127.0.0.1:8334 && lgc" in lgc_up(tmp_path, "--s3-port=8334")


def test_a_server_that_is_gone_is_one_line(tmp_path: Path, ports: Ports) -> None:
    for prepare, told in ((postgres.create_database, "postgres: no database"), (s3.create_bucket, "s3: no bucket")):
        with pytest.raises(ServiceError, match=rf"{told} on 127\.0\.0\.1:\d+ \(.+\)") as error:
            prepare(Layout(tmp_path, ports))
        assert len(str(error.value).splitlines()) == 1
