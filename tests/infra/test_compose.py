"""The compose file: the specification's schema, loopback only, secrets in files, and its scripts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "infra" / "compose"


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text())


def problems(value: Any) -> list[str]:
    schema = json.loads((ROOT / "tests/infra/schemas/compose.json").read_text())
    return [
        f"{'.'.join(map(str, error.path))}: {error.message}" for error in Draft7Validator(schema).iter_errors(value)
    ]


def test_it_follows_the_specification(file: dict[str, Any]) -> None:
    assert problems(file) == []


@pytest.mark.parametrize("place", ["", "services.mlflow", "services.postgres.healthcheck", "secrets.s3_access"])
def test_an_unknown_key_fails(place: str) -> None:
    broken = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    inner = broken
    for key in place.split(".") if place else []:
        inner = inner[key]
    inner["nonsense"] = 1
    assert problems(broken)


def test_ports_are_on_loopback_only(file: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in file["services"].items()}
    assert all(port.startswith("127.0.0.1:") for found in ports.values() for port in found)
    assert ports["mlflow"]
    assert not ports["postgres"]
    assert file["networks"]["inside"] == {"internal": True}
    assert file["services"]["postgres"]["networks"] == ["inside"]


def test_secrets_are_files_that_the_script_makes(file: dict[str, Any], tmp_path: Path) -> None:
    subprocess.run([str(COMPOSE / "secrets.sh"), str(tmp_path / "secrets")], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {Path(secret["file"]).name for secret in file["secrets"].values()} <= set(made)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert len(made["postgres_password"]) == 48
    assert made["s3_access"] in made["s3_config"]
    assert json.loads(made["s3_config"])["identities"][0]["credentials"][0]["secretKey"] == made["s3_secret"]
    assert made["mlflow_password"] in made["mlflow_auth"]
    subprocess.run([str(COMPOSE / "secrets.sh"), str(tmp_path / "secrets")], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_no_password_is_in_the_file(file: dict[str, Any]) -> None:
    for service in file["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY", name):
                assert name.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert not re.search(r"://\w+:[^@{$/]+@", (COMPOSE / "compose.yaml").read_text())


def test_images_are_pinned_and_limited(file: dict[str, Any]) -> None:
    for service in file["services"].values():
        assert service["image"].rpartition(":")[2] not in ("", "latest", service["image"])
        assert "mem_limit" in service
        assert "no-new-privileges:true" in service["security_opt"]


def test_our_image_is_made_by_build_sh_alone(file: dict[str, Any]) -> None:
    """A build of compose's own would have another base than the digest that build.sh resolves."""
    ours = [service for service in file["services"].values() if service["image"].startswith("lgc-")]
    assert len(ours) == 2
    assert all(service["pull_policy"] == "never" for service in ours)
    assert not [service for service in file["services"].values() if "build" in service]
    assert "infra/docker/build.sh mlflow" in (ROOT / "infra/README.md").read_text()


def test_mlflow_waits_for_a_healthy_database_and_its_bucket(file: dict[str, Any]) -> None:
    conditions = {name: one["condition"] for name, one in file["services"]["mlflow"]["depends_on"].items()}
    assert conditions == {"postgres": "service_healthy", "bucket": "service_completed_successfully"}
    for name in ("postgres", "s3"):
        assert "healthcheck" in file["services"][name]
    command = " ".join(file["services"]["mlflow"]["command"])
    assert "--allowed-hosts=" in command
    assert "--app-name=basic-auth" in command
    assert "*" not in command


def test_kubernetes_runs_the_same_services(file: dict[str, Any]) -> None:
    dev = yaml.safe_load((ROOT / "infra/k8s/overlays/dev/services/kustomization.yaml").read_text())
    tags = {image["name"]: image["newTag"] for image in dev["images"]}
    for service in file["services"].values():
        name, _, tag = service["image"].rpartition(":")
        assert tags[name] == tag


def test_the_entrypoint_reads_secrets_from_files(tmp_path: Path) -> None:
    fake = tmp_path / "mlflow"
    fake.write_text('#!/bin/sh\necho "$PGPASSWORD $AWS_SECRET_ACCESS_KEY ${AWS_ACCESS_KEY_ID:-none} $*"\n')
    fake.chmod(0o755)
    (tmp_path / "one").write_text("first")
    done = subprocess.run(
        [str(ROOT / "infra/docker/mlflow-entrypoint.sh"), "--port=1"],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "PGPASSWORD_FILE": str(tmp_path / "one"),
            "AWS_SECRET_ACCESS_KEY": "given",
        },
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "first given none server --port=1\n"


def test_a_missing_secret_stops_the_entrypoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ROOT / "infra/docker/mlflow-entrypoint.sh")],
        env={"PATH": "/usr/bin:/bin", "PGPASSWORD_FILE": str(tmp_path / "none")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
