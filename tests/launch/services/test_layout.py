"""Folders, ports and secrets of the local services."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lgc.config.load import compose, parse
from lgc.errors import ServiceError
from lgc.launch.services import s3, tracking_server
from lgc.launch.services.layout import Layout, Ports, create, read

ROOT = Path(__file__).parents[3]


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    one, other = create(tmp_path / "one", Ports()), create(tmp_path / "other", Ports())
    secret = one.secret("a")
    assert len(secret) >= 32
    assert len({secret, one.secret("b"), other.secret("a")}) == 3
    assert read(tmp_path / "one").secret("a") == secret
    for file in (tmp_path / "one" / "secrets").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "one" / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_generated_file_is_replaced_and_stays_private(tmp_path: Path) -> None:
    layout = create(tmp_path, Ports())
    before = os.umask(0)  # which takes no right away
    try:
        path = layout.file("x", "1")
        assert layout.file("x", "2").read_text() == "2"
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_store_keeps_its_inner_ports(tmp_path: Path) -> None:
    first = create(tmp_path, Ports())
    again = create(tmp_path, Ports(mlflow=5555))
    assert again.inner == first.inner
    assert read(tmp_path).ports == Ports(mlflow=5555)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ports": 3}', '{"ports": {"s3": "x"}, "inner": []}'])
def test_a_damaged_state_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "services.json").write_text(text)
    with pytest.raises(ServiceError, match=r"services\.json: unreadable .*; remove it and run `lgc services up`"):
        read(tmp_path)


def test_no_services_says_how_to_start_them(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no services here; start them with `lgc services up`"):
        read(tmp_path / "none")


def test_the_configuration_points_at_the_default_ports() -> None:
    config = parse(compose(["tracking=server", "storage=services"], ROOT / "conf"))
    layout = Layout(Path("/x"), Ports())
    assert (config.tracking.uri, config.storage.endpoint) == (layout.tracking_uri, layout.endpoint)
    assert config.storage.bucket == "lgc"


def test_no_secret_is_an_argument_or_world_readable(tmp_path: Path) -> None:
    layout = create(tmp_path, Ports())
    commands = [*s3.service(layout).command, *tracking_server.service(layout).command]
    secrets = [path.read_text() for path in (tmp_path / "secrets").iterdir() if "." not in path.name]
    assert len(secrets) >= 4
    assert not [secret for secret in secrets if secret in " ".join(commands)]
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "secrets").iterdir()} == {0}


def test_everything_listens_on_loopback_and_mlflow_knows_its_hosts(tmp_path: Path) -> None:
    layout = create(tmp_path, Ports())
    mlflow = list(tracking_server.service(layout).command)
    assert mlflow[mlflow.index("--host") + 1] == "127.0.0.1"
    assert mlflow[mlflow.index("--allowed-hosts") + 1] == "127.0.0.1:5000,localhost:5000"
    assert mlflow[mlflow.index("--app-name") + 1] == "basic-auth"
    store = list(s3.service(layout).command)
    assert "127.0.0.1" in store or "-ip.bind=127.0.0.1" in store


def test_every_mlflow_has_more_connections_than_threads_that_wait_for_two() -> None:
    threads, pools = 40, {}  # threads: of anyio, which runs MLflow's handlers
    for name in (
        "lgc/launch/services/tracking_server.py",
        "infra/compose/compose.yaml",
        "infra/k8s/base/mlflow.yaml",
    ):
        found = re.search(r'MLFLOW_SQLALCHEMYSTORE_POOL_SIZE\W+(?:value: )?"(\d+)"', (ROOT / name).read_text())
        assert found is not None, name
        pools[name] = int(found[1])
    assert min(pools.values()) > threads, pools
    for name in ("lgc/launch/services/postgres.py", "infra/compose/compose.yaml",
                 "infra/k8s/components/dev-services/postgres.yaml"):  # fmt: skip
        found = re.search(r"max_connections=(\d+)", (ROOT / name).read_text())
        assert found is not None, name
        assert int(found[1]) >= 4 * (max(pools.values()) + 10), name
