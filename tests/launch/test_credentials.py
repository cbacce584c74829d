"""What Ray, which writes it to its logs, is told of this process's credentials."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from lgc.config.schema import StorageConfig
from lgc.launch import ray_train
from lgc.launch.credentials import INHERITED, seal
from lgc.launch.storage import worker_environment

STORAGE = StorageConfig("http://s3.test:9", "eu-west-1", "bucket", True)
SECRETS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "MLFLOW_TRACKING_PASSWORD": "password"}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", INHERITED, "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**SECRETS, "LGC_WEIGHTS": "/weights"}.items():
        monkeypatch.setenv(name, value)


def told(address: str | None) -> dict[str, str]:
    """The secrets among what workers are told; the rest they are told always."""
    every = worker_environment(STORAGE, address)
    assert every["LGC_WEIGHTS"] == "/weights"
    assert every["AWS_ENDPOINT_URL"] == "http://s3.test:9"
    return {name: value for name, value in every.items() if name in SECRETS}


def test_a_ray_of_our_own_is_told_no_secret_that_its_workers_inherit(
    given: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:7")
    monkeypatch.setenv(INHERITED, seal("127.0.0.1:7"))  # as in the commands of `lgc repro`
    assert told(None) == {}
    assert told("127.0.0.1:7") == {}
    assert told("10.0.0.1:6379") == SECRETS  # a cluster that others started
    assert told("http://10.0.0.1:8265") == SECRETS
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of this command alone")
    assert told(None) == SECRETS | {"AWS_SECRET_ACCESS_KEY": "of this command alone"}


@pytest.mark.parametrize(("address", "shown"), [(None, {}), ("10.0.0.1:6379", SECRETS)])
def test_ray_is_told_secrets_only_where_it_is_joined(
    given: None, address: str | None, shown: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", lambda **options: asked.append(options))
    monkeypatch.setenv(INHERITED, "of another time")
    monkeypatch.setattr(ray_train, "set_environment", lambda _: None)
    ray_train.connect(address, STORAGE)
    (options,) = asked
    if address is None:  # Ray lets every user into its own folder
        assert stat.S_IMODE(Path(options["_temp_dir"]).parent.stat().st_mode) == 0o700
    assert ("_temp_dir" in options) == (address is None)
    variables = options["runtime_env"]["env_vars"]
    assert {name: value for name, value in variables.items() if name in SECRETS} == shown
    assert told(address) == shown
