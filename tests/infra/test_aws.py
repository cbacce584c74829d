"""AWS: the launcher's file against Ray's own checks, costs, scripts without AWS, Terraform's form."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

AWS = Path(__file__).parents[2] / "infra" / "aws"
TERRAFORM = AWS / "terraform"
TODAY = datetime.date.today()
SETTINGS: dict[str, Any] = {
    "name": "lgc", "region": "eu-test-1",
    "registry": "registry.example.org", "registry_prefix": "registry.example.org/lgc",
    "subnet": "subnet-1", "security_group": "sg-1", "bucket": "b",
    "head_profile": "arn:aws:iam::0:instance-profile/lgc-head", "efs_address": "fs-1.example.org",
    "worker_profile": "arn:aws:iam::0:instance-profile/lgc-worker", "machine_image": "ami-1", "key_name": "me",
    "ssh_private_key": "~/.ssh/me.pem", "head_type": "head.type", "worker_type": "gpu.type", "worker_cpus": 8,
    "max_workers": 4, "use_internal_ips": False,
}  # fmt: skip
IMAGE = "registry.example.org/lgc/lgc:0.1.0-cuda-0123abc"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"infra_aws_{name}", AWS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cost, render = load("cost"), load("render")


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "token").write_text("t")
    (tmp_path / "credentials").write_text("")
    return yaml.safe_load(render.render(SETTINGS, tmp_path / "token", tmp_path / "credentials", IMAGE))


def prices(**changes: Any) -> dict[str, Any]:
    given = {
        "date": TODAY,
        "region": "eu-test-1",
        "hourly": {"head.type": {"on_demand": 2.0}, "gpu.type": {"spot": 3.0, "on_demand": 9.0}},
    }
    return {**given, **changes}


def test_ray_accepts_the_launcher_file(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


def test_ray_refuses_a_stray_key(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster["min_worker"] = 1
    with pytest.raises(Exception, match="min_worker"):
        validate_config(prepare_config(cluster))


def test_the_head_is_on_demand_and_workers_are_spot_and_come_from_zero(cluster: dict[str, Any]) -> None:
    head, worker = cluster["available_node_types"]["head"], cluster["available_node_types"]["gpu_worker"]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]
    assert worker["min_workers"] == 0
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    for node in (head, worker):
        config = node["node_config"]
        assert config["IamInstanceProfile"]["Arn"].startswith("arn:")
        assert config["MetadataOptions"]["HttpTokens"] == "required"
        assert config["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert "--env=RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert not re.search(r"--dashboard-host=0|AWS_SECRET|AWS_ACCESS", yaml.safe_dump(cluster))


def test_the_file_in_git_names_nobody() -> None:
    text = (AWS / "cluster.yaml").read_text() + "".join(path.read_text() for path in TERRAFORM.glob("*.tf"))
    assert not re.search(r"AKIA|\b\d{12}\b|ami-[0-9a-f]{8}|sg-[0-9a-f]{8}|sha256:", text)


def test_every_name_is_a_terraform_output() -> None:
    names = set(re.findall(r"\$\{(\w+)\}", (AWS / "cluster.yaml").read_text())) - {
        "NAMES",
        "token_file",
        "credentials_file",
        "image",
    }
    outputs = set(re.findall(r'^output "(\w+)"', (TERRAFORM / "outputs.tf").read_text(), re.M))
    assert names <= outputs
    assert outputs == set(SETTINGS)


def test_terraforms_wrapping_is_taken_off(tmp_path: Path) -> None:
    wrapped = {name: {"sensitive": False, "type": "x", "value": value} for name, value in SETTINGS.items()}
    (tmp_path / "s.json").write_text(json.dumps(wrapped))
    assert render.settings(tmp_path / "s.json") == SETTINGS


def test_the_estimate(cluster: dict[str, Any]) -> None:
    found = dict(cost.estimate(cluster, prices(fixed_hourly={"nat_gateway": 0.5}), TODAY))
    assert found["idle, no workers"] == pytest.approx(2.5)
    assert found["all workers running"] == pytest.approx(2.0 + 4 * 3.0 + 0.5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"date": None}, "date: missing"),
        ({"date": TODAY - datetime.timedelta(days=31)}, "look the prices up again"),
        ({"date": TODAY + datetime.timedelta(days=1)}, "look the prices up again"),
        ({"region": "elsewhere"}, "region: the prices are for elsewhere"),
        ({"hourly": {"head.type": {"on_demand": 2.0}}}, r"hourly\.gpu\.type\.spot: needs a price above 0"),
        ({"hourly": {"head.type": {"on_demand": 0.0}}}, r"hourly\.head\.type\.on_demand: needs a price above 0"),
    ],
)
def test_prices_that_cannot_be_trusted(cluster: dict[str, Any], changes: dict[str, Any], says: str) -> None:
    with pytest.raises(cost.PriceError, match=says):
        cost.estimate(cluster, prices(**changes), TODAY)


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def script(tmp_path: Path, composed: Callable[..., str]) -> Script:
    """Runs a script of infra/aws with a ray and an aws that note what they are given."""
    for name in ("ray", "aws"):
        fake = tmp_path / "bin" / name
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f'#!/bin/sh\necho "{name} $*" >> "$LOG"\n[ {name} = ray ] || printf "%s" "$LEFT"\n')
        fake.chmod(0o755)
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump(prices()))
    (tmp_path / "params.yaml").write_text(composed())
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"),
        "LGC_AWS": str(tmp_path / "state"), "PYTHON": sys.executable, "LGC_POLL_SECONDS": "0", "LGC_DOWN_TRIES": "2",
        "LGC_IMAGE": IMAGE,
    }  # fmt: skip

    def run(
        name: str, *words: str, answer: str = "", left: str = "", **extra: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AWS / name), *words], cwd=tmp_path, env={**environment, "LEFT": left, **extra}, input=answer,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def calls(tmp_path: Path) -> list[str]:
    log = tmp_path / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_dry_run_prints_the_cost_and_starts_nothing(script: Script, tmp_path: Path) -> None:
    done = script("up.sh", "settings.json", "prices.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "14.0000  all workers running" in done.stdout
    assert "would run: ray up" in done.stdout
    assert calls(tmp_path) == []


def test_nothing_starts_without_a_yes_or_without_prices(script: Script, tmp_path: Path) -> None:
    assert script("up.sh", "settings.json", "prices.yaml", answer="n\n").stderr.endswith("error: not started\n")
    (tmp_path / "prices.yaml").write_text("region: eu-test-1\n")
    done = script("up.sh", "settings.json", "prices.yaml", "--yes")
    assert done.returncode == 1
    assert "date: missing" in done.stderr
    assert calls(tmp_path) == []


def test_machines_run_the_image_that_was_built(script: Script, tmp_path: Path) -> None:
    done = script("up.sh", "settings.json", "prices.yaml", "--yes", LGC_IMAGE="")
    assert (done.returncode, done.stderr) == (
        1, "error: set LGC_IMAGE to the image that infra/docker/build.sh --push cuda named\n",
    )  # fmt: skip
    assert calls(tmp_path) == []
    assert script("up.sh", "settings.json", "prices.yaml", "--yes").returncode == 0
    assert yaml.safe_load((tmp_path / "state/cluster.yaml").read_text())["docker"]["image"] == IMAGE


def test_up_submit_status_down(script: Script, tmp_path: Path) -> None:
    assert script("up.sh", "settings.json", "prices.yaml", "--yes").returncode == 0
    assert (tmp_path / "state/token").stat().st_mode & 0o777 == 0o600
    assert script("submit.sh", "train_codec").returncode == 0
    assert script("status.sh").returncode == 0
    done = script("down.sh")
    assert done.stdout.endswith("nothing of the cluster is left\n")
    made = calls(tmp_path)
    assert [line.split()[1] for line in made] == ["up", "rsync-up", "exec", "exec", "down", "ec2"]
    assert "python pipelines/train.py train_codec; }" in made[2]
    assert script("submit.sh").returncode != 0  # the cluster is gone
    assert "Values=lgc" in made[-1]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["submit.sh", "status.sh", "down.sh"])
def test_a_dry_run_only_says_what_it_would_do(script: Script, tmp_path: Path, name: str) -> None:
    script("up.sh", "settings.json", "prices.yaml", "--yes")
    before = calls(tmp_path)
    done = script(name, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "would run: ray " in done.stdout
    assert calls(tmp_path) == before
    assert (tmp_path / "state/cluster.yaml").exists()


def test_machines_that_stay_are_said(script: Script, tmp_path: Path) -> None:
    script("up.sh", "settings.json", "prices.yaml", "--yes")
    done = script("down.sh", left="i-1 i-2")
    assert done.returncode == 1
    assert done.stderr == "error: these machines are still there: i-1 i-2\n"
    assert (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["submit.sh", "status.sh", "down.sh"])
def test_without_a_cluster_they_say_what_to_run(script: Script, name: str) -> None:
    done = script(name)
    assert done.returncode == 1
    assert done.stderr.endswith("run infra/aws/up.sh first\n")


def test_a_stage_is_a_name_and_no_command(script: Script) -> None:
    script("up.sh", "settings.json", "prices.yaml", "--yes")
    assert script("submit.sh", "x; rm -rf /").stderr.startswith("error: no stage")


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("rates=three", "rates"),
        ("train_baseline.networks=[mbt2018_mean]", "train_baseline.networks"),
    ],
)
def test_variants_are_refused_before_anything_is_submitted(
    script: Script, tmp_path: Path, composed: Callable[..., str], override: str, names: str
) -> None:
    script("up.sh", "settings.json", "prices.yaml", "--yes")
    before = calls(tmp_path)
    (tmp_path / "params.yaml").write_text(composed(override))
    done = script("submit.sh")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: params.yaml: {names} must be empty here, this script trains no variants; ")
    assert done.stderr.count("\n") == 1
    assert calls(tmp_path) == before


def test_terraform_is_formatted_and_refuses_the_open_internet() -> None:
    everything = "".join(path.read_text() for path in TERRAFORM.glob("*.tf"))
    assert 'sse_algorithm = "aws:kms"' in everything
    assert '!contains(var.ssh_from, "0.0.0.0/0")' in everything
    assert 'actions   = ["*"]' not in everything
    assert "aws_db_" not in everything  # nothing here starts an MLflow server that would use one
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: its form was not checked")
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", str(TERRAFORM)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_terraform_validates(tmp_path: Path) -> None:
    """Needs the AWS provider: LGC_TERRAFORM_PLUGINS names a folder with it (a provider mirror)."""
    plugins = os.environ.get("LGC_TERRAFORM_PLUGINS")
    if plugins is None or shutil.which("terraform") is None:
        pytest.skip("terraform is not installed, or LGC_TERRAFORM_PLUGINS does not name its providers")
    for path in TERRAFORM.glob("*.tf"):
        shutil.copy2(path, tmp_path)
    for words in (["init", "-backend=false", "-input=false", f"-plugin-dir={plugins}"], ["validate"]):
        environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(
            ["terraform", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
