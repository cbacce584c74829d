"""What infra/README.md composes fits the manifests and Terraform files that it names; SECURITY.md's recipe runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from lgc import BitstreamError
from lgc.config.load import compose, parse
from lgc.config.schema import Config
from tests.infra.conftest import INFRA
from tests.infra.test_k8s import Manifest, built, groups

README = (INFRA / "README.md").read_text(encoding="utf-8")
TERRAFORM = INFRA / "aws" / "terraform"


def section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## )", README, re.M | re.S)
    assert found is not None, title
    return found[1]


def composed_by(title: str, word: str) -> Config:
    """What the one `lgc compose` of a section that has ``word`` composes to."""
    lines = re.findall(r"^lgc compose (.*)$", section(title), re.M)
    (line,) = [line for line in lines if word in line]
    return parse(compose(shlex.split(line, comments=True), INFRA.parent / "conf"))


def settings(overlay: str) -> dict[str, str]:
    (found,) = [m for m in built(f"{overlay}/services") if m["kind"] == "ConfigMap"]
    return found["data"]


def ports(overlay: str) -> dict[str, list[int]]:
    """Names of services and the ports that they serve."""
    services = [m for m in built(f"{overlay}/services") if m["kind"] == "Service"]
    return {m["metadata"]["name"]: [port["port"] for port in m["spec"]["ports"]] for m in services}


def is_served(uri: str, overlay: str) -> bool:
    where = urlsplit(uri)
    return where.port in ports(overlay).get(str(where.hostname), [])


def limit(group: Manifest, what: str) -> int:
    """Of one worker; KubeRay tells Ray the limits."""
    (container,) = group["template"]["spec"]["containers"]
    return int(container["resources"]["limits"][what])


def check_storage(config: Config, overlay: str) -> None:
    here = settings(overlay)
    assert config.storage.bucket == here["LGC_BUCKET"]
    assert config.storage.region == here["AWS_REGION"]
    assert config.storage.endpoint == here.get("AWS_ENDPOINT_URL")
    assert config.runtime.storage.startswith(f"s3://{config.storage.bucket}/")
    assert config.tracking.enabled
    assert config.tracking.uri == here["MLFLOW_TRACKING_URI"]
    assert is_served(config.tracking.uri, overlay)
    assert config.runtime.address == "auto"  # the job runs inside; workers get their inputs from S3


def test_what_is_composed_for_dev_fits_the_overlay() -> None:
    config = composed_by("Kubernetes", "profile=smoke")
    check_storage(config, "dev")
    assert config.storage.endpoint is not None
    assert is_served(config.storage.endpoint, "dev")
    cpu = groups("dev/cluster")["cpu"]
    assert "gpu" not in groups("dev/cluster")
    assert config.runtime.device == "cpu"
    assert config.runtime.workers <= cpu["maxReplicas"] * limit(cpu, "cpu")
    jobs = [m for m in built("dev/stages") if m["kind"] == "RayJob"]
    assert jobs
    assert all(job["spec"].get("entrypointNumCpus", 0) <= limit(cpu, "cpu") for job in jobs)
    assert all(job["spec"]["ttlSecondsAfterFinished"] <= 60 for job in jobs)  # no room for two clusters


def test_images_that_are_loaded_for_dev_are_those_of_the_overlay() -> None:
    loaded = re.search(r"^kind load docker-image ([^#]*)#", section("Kubernetes"), re.M)
    assert loaded is not None
    text = yaml.safe_dump_all([m for part in ("services", "cluster", "stages") for m in built(f"dev/{part}")])
    assert set(loaded[1].split()) == set(re.findall(r"image: (lgc\S*)", text))


def test_what_is_composed_for_gpus_fits_the_overlay() -> None:
    config = composed_by("Kubernetes", "profile=cluster")
    for overlay in ("gpu", "spot"):
        check_storage(config, overlay)
        gpu = groups(f"{overlay}/cluster")["gpu"]
        assert config.runtime.device == "cuda"
        assert config.runtime.workers <= gpu["maxReplicas"] * limit(gpu, "nvidia.com/gpu")
        jobs = {m["metadata"]["labels"]["lgc/stage"]: m["spec"] for m in built(f"{overlay}/stages")}
        assert config.runtime.prepare_workers <= jobs["prepare"]["entrypointNumCpus"]
        assert config.runtime.evaluate_workers <= jobs["evaluate"]["entrypointNumCpus"]


def test_a_cluster_of_spot_machines_may_lose_any_number_of_them() -> None:
    """To Ray a machine that is gone without notice is a failure; a stage's own errors end it by restarts.py."""
    for title in ("Kubernetes", "AWS"):
        assert composed_by(title, "profile=cluster").runtime.max_failures == -1


def test_images_that_are_pushed_are_named_by_their_commit() -> None:
    """A node that has a tag does not ask for it again, and AWS' registry takes none twice."""
    named = re.findall(r"(?:LGC_REGISTRY|registry\.example\.org/team)/(lgc\S*:[\w.-]+)", README)
    assert set(named) == {"lgc:0.1.0-cuda-COMMIT", "lgc-mlflow:0.1.0-COMMIT"}


def variables() -> dict[str, Any]:
    """Name -> default, as text; None where Terraform asks."""
    text = (TERRAFORM / "variables.tf").read_text(encoding="utf-8")
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S)
    defaults = {name: re.search(r"^  default\s*= (.*)$", block, re.M) for name, block in blocks}
    return {name: None if found is None else found[1] for name, found in defaults.items()}


def test_what_is_composed_for_aws_fits_the_launcher() -> None:
    config = composed_by("AWS", "profile=cluster")
    assert (config.storage.bucket, config.storage.region) == ("BUCKET", "REGION")
    assert config.runtime.storage.startswith("s3://BUCKET/")
    assert config.runtime.workers <= int(variables()["max_workers"])
    launcher = (INFRA / "aws" / "cluster.yaml").read_text(encoding="utf-8")
    shared = [line.rpartition(":")[2] for line in launcher.splitlines() if "--volume=" in line]
    assert any(str(config.data.source).startswith(f"{folder}/") for folder in shared)
    assert f" {config.data.source}/ " in section("AWS")  # where step 7 puts it


def test_everything_that_terraform_asks_for_and_gives_is_named() -> None:
    text = section("AWS")
    assert [name for name, default in variables().items() if default is None and f"`{name}`" not in text] == []
    outputs = set(re.findall(r'^output "(\w+)"', (TERRAFORM / "outputs.tf").read_text(encoding="utf-8"), re.M))
    asked = set(re.findall(r"output -raw (\w+)", text))
    assert asked
    assert asked <= outputs


def test_the_recipe_against_large_pictures_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python$(.*?)^```$", (INFRA.parent / "SECURITY.md").read_text(), re.M | re.S)
    golden = INFRA.parent / "tests" / "golden"
    shutil.copy2(golden / "v1.safetensors", tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    data = (golden / "v1-0.lgc").read_bytes()
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["codec"].decompress(data).shape == (64, 64, 3)
    exec(code.replace("1 << 20", "64 * 64 - 1"), names)
    with pytest.raises(BitstreamError, match="64 x 64 pixels, more than the limit of 4095 set here"):
        names["codec"].decompress(data)
