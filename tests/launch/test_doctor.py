"""Each finding of the doctor, good and bad; the cluster's are in ``test_ray_train.py``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import types
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lgc.cli.doctor import is_healthy
from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import Config, StorageConfig
from lgc.errors import TrainingError
from lgc.launch import doctor, doctor_project, doctor_ray
from lgc.launch.doctor_ray import _backbones, _look
from lgc.launch.ports import free_ports
from lgc.launch.room import check_room

Usage = namedtuple("Usage", "total used free")
S3 = StorageConfig(None, "us-east-1", "bucket", True)


@pytest.fixture(scope="module")
def config(project: Path) -> Config:
    return parse(compose(["profile=smoke", "tracking=off"], project / "conf"))


@pytest.mark.parametrize(("gib", "state"), [(0.5, "failed"), (50, "ok")])
def test_disk(gib: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100 << 30, 0, int(gib * (1 << 30))))
    finding = doctor.disk(tmp_path / "not" / "made" / "yet")
    assert finding.state == state
    assert str(tmp_path) in finding.detail
    assert bool(finding.remedy) == (state != "ok")


@pytest.mark.parametrize(("mib", "state"), [(64, "warning"), (4096, "ok")])
def test_shared_memory(mib: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(mib << 20, 0, 0))
    assert doctor.shared_memory(tmp_path).state == state
    assert doctor.shared_memory(tmp_path / "none").state == "ok"


@pytest.mark.parametrize(
    ("runtime", "state"),
    [
        ({"device": "auto"}, "ok"),
        ({"device": "cpu"}, "ok"),
        ({"device": "cuda"}, "failed"),
        ({"device": "cuda", "engine": "local"}, "failed"),
        ({"device": "cuda", "address": "auto"}, "ok"),  # nodes may have one
    ],
)
def test_device_without_a_gpu(
    runtime: dict[str, Any], state: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert doctor.device(replace(config.runtime, **runtime)).state == state


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outputs").mkdir()
    good = doctor_project.writable(tmp_path, tmp_path / "outputs", tmp_path / "not made yet")
    assert (good.state, list(tmp_path.iterdir())) == ("ok", [tmp_path / "outputs"])
    make = tempfile.TemporaryFile

    def refuse(dir: Path, **options: Any) -> Any:
        if dir.name == "outputs":
            raise PermissionError(13, "Permission denied")
        return make(dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    bad = doctor_project.writable(tmp_path, tmp_path / "outputs")
    assert (bad.state, bad.detail) == ("failed", f"{tmp_path / 'outputs'}: Permission denied")


def test_a_project_outside_a_git_repository(project: Path, tmp_path: Path) -> None:
    """What `lgc repro` would end with in an archive that was unpacked."""
    for name in ("dvc.yaml", "params.yaml", ".dvc/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(project / name, tmp_path / name)
    config = parse(compose(["profile=smoke", "tracking=off"], project / "conf"))

    def found() -> list[doctor_project.Finding]:
        return [finding for finding in doctor_project.project(config, Paths(tmp_path)) if finding.name == "DVC"]

    (bad,) = found()
    assert (bad.state, bad.detail) == ("failed", f"{tmp_path} is not a git repository")
    assert bad.remedy.startswith("run `git init` there, or work in a clone")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (good,) = found()
    assert good.state == "ok"
    shutil.rmtree(tmp_path / ".git")
    with (tmp_path / ".dvc" / "config").open("a") as file:
        file.write("[core]\n    no_scm = True\n")
    assert [one.state for one in found()] == ["ok"]


def test_workers_of_others_are_not_waited_for(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.available_resources", lambda: {"CPU": 1.0})
    monkeypatch.setattr("ray.train.torch.TorchTrainer.fit", lambda _: pytest.fail("waits in Ray's queue"))
    found = doctor_ray._all_reduce(config, "CPU", 2)
    assert (found.state, found.detail) == ("warning", "not tried: 1 CPU free for 2 workers")


@pytest.mark.parametrize("grows", [True, False])
def test_gpus_that_start_from_zero_are_waited_for(
    grows: bool, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the clusters of infra/k8s and infra/aws before a stage asks for any."""
    head = {"Alive": True, "Resources": {"CPU": 0.0}}
    monkeypatch.setattr(doctor_ray, "connect", lambda _: None)
    monkeypatch.setattr(doctor_ray, "may_grow", lambda: grows)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"memory": 1.0})
    monkeypatch.setattr("ray.available_resources", lambda: {"memory": 1.0})
    monkeypatch.setattr("ray.nodes", lambda: [head])
    monkeypatch.setattr("ray.train.torch.TorchTrainer.fit", lambda _: pytest.fail("waits in Ray's queue"))
    joined = replace(config, runtime=replace(config.runtime, address="auto", workers=4, device="cuda"))
    found = list(doctor_ray.cluster(joined, tmp_path))
    seen = "auto: 1 nodes, 0 CPU, 0 GPU"
    if grows:
        told = [("Ray", f"{seen}; 0 of 4 GPUs now"), ("nccl", "not tried: 0 GPU free for 4 workers")]
        assert [(one.state, (one.name, one.detail)) for one in found] == [("warning", line) for line in told]
        assert found[0].remedy.startswith("an autoscaler may bring them")
    else:
        assert [(one.state, one.detail) for one in found] == [("failed", f"{seen}; runtime.workers is 4")]


@pytest.mark.parametrize("gpus", [1, 3])
def test_fewer_workers_may_begin_where_that_is_allowed(
    gpus: int, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster that nobody but people enlarge."""
    monkeypatch.setattr(doctor_ray, "connect", lambda _: None)
    monkeypatch.setattr(doctor_ray, "may_grow", lambda: False)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"GPU": float(gpus)})
    monkeypatch.setattr("ray.available_resources", lambda: {"GPU": 0.0})  # others have them
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 0.0}}])
    runtime = replace(config.runtime, address="auto", workers=4, min_workers=2, device="cuda")
    found = list(doctor_ray.cluster(replace(config, runtime=runtime), tmp_path))
    seen = f"auto: 1 nodes, 0 CPU, {gpus} GPU"
    if gpus < 2:
        assert [(one.state, one.detail) for one in found] == [("failed", f"{seen}; runtime.min_workers is 2")]
    else:
        told = [("Ray", f"{seen}; 3 of 4 GPUs now"), ("nccl", "not tried: 0 GPU free for 3 workers")]
        assert [(one.state, (one.name, one.detail)) for one in found] == [("warning", line) for line in told]
        assert found[0].remedy == "stages begin with 3 workers, and more join as nodes do"


@pytest.mark.parametrize("named", ["RAY_ADDRESS", "runtime.address"])
def test_the_cluster_that_training_joins_is_looked_at(
    named: str, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recipes for nodes of this machine and for Slurm name it in the environment alone."""
    asked: list[str | None] = []

    def refuse(address: str | None) -> None:
        asked.append(address)
        raise ConnectionError("nobody there")

    monkeypatch.setattr(doctor_ray, "connect", refuse)
    if named == "RAY_ADDRESS":
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    else:
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")  # what is composed wins
        config = replace(config, runtime=replace(config.runtime, address="10.0.0.1:6379"))
    (found,) = [finding for finding in doctor.examine(config, Paths(tmp_path)) if finding.name == "Ray"]
    assert (asked, found.state, found.detail) == (["10.0.0.1:6379"], "failed", "10.0.0.1:6379: nobody there")
    assert found.remedy.startswith(f"check {named}, ")


def test_no_cluster_is_looked_at_without_ray(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    local = replace(config, runtime=replace(config.runtime, engine="local"))
    assert "Ray" not in [finding.name for finding in doctor.examine(local, Paths(tmp_path))]


@pytest.mark.parametrize(
    ("address", "storage", "needed"),
    [(None, "runs", True), (None, "s3://b/runs", True), ("auto", "runs", True), ("auto", "s3://b/runs", False)],
)
def test_a_node_needs_the_projects_folder_where_nothing_is_published_for_it(
    address: str | None, storage: str, needed: bool, config: Config, tmp_path: Path
) -> None:
    changed = replace(config, runtime=replace(config.runtime, address=address, storage=storage))
    found = [finding.detail for finding in _look(changed, tmp_path / "none", [])["findings"]]
    assert (f"no {tmp_path / 'none'} there" in found) == needed


@pytest.mark.parametrize(
    ("runtime", "lacks"),
    [
        ({"workers": 1}, None),
        ({"workers": 1000}, "runtime.workers needs 1000 CPUs, 4 may be used here"),
        ({"workers": 1000, "min_workers": 2}, None),
        ({"workers": 1000, "engine": "local"}, None),
        ({"workers": 1000, "address": "auto"}, None),
        ({"workers": 2, "device": "cuda"}, "runtime.device=cuda needs a GPU a worker, 2 in all"),
    ],
)
def test_room_for_workers(
    runtime: dict[str, Any], lacks: str | None, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lgc.launch.room.cores", lambda: 4)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    changed = replace(config, runtime=replace(config.runtime, **runtime))
    finding = doctor_project.workers(changed)
    assert finding.state == ("ok" if lacks is None else "failed")
    if lacks is None:
        check_room(changed.runtime)
        return
    assert lacks in finding.detail
    with pytest.raises(TrainingError, match=lacks):
        check_room(changed.runtime)


def test_models_to_measure(config: Config, model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no model")
    paths = {"good": str(model_file), "gone": "/nonexistent.safetensors", "text": "text.safetensors"}
    changed = replace(config, evaluate=replace(config.evaluate, models=paths))
    good, gone, text = doctor_project.models(changed, Paths(tmp_path))
    assert (good.state, gone.state, text.state) == ("ok", "failed", "failed")
    assert gone.detail == "/nonexistent.safetensors: no such file"
    assert "evaluate.models.gone" in gone.remedy
    assert "not a model file" in text.detail


def test_an_embedding_network_that_is_not_there(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    wanted = replace(config.evaluate.identity, model="/nonexistent.onnx")
    changed = replace(config, evaluate=replace(config.evaluate, identity=wanted, metrics=["psnr", "identity"]))
    (found,) = [finding for finding in doctor_project.project(changed, Paths(tmp_path)) if finding.name == "identity"]
    assert found.state == "warning"
    assert "no file /nonexistent.onnx" in found.detail
    unmeasured = replace(changed, evaluate=replace(changed.evaluate, metrics=["psnr"]))
    assert "identity" not in [finding.name for finding in doctor_project.project(unmeasured, Paths(tmp_path))]


def test_data(config: Config, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "project" / "outputs").mkdir(parents=True)
    (tmp_path / "project" / "outputs" / "data").symlink_to(shards)
    made = doctor.data(config, Paths(tmp_path / "project"))
    assert (made.state, "train" in made.detail) == ("ok", True)
    assert "generated faces" in doctor.data(config, Paths(tmp_path)).detail
    missing = doctor.data(replace(config, data=replace(config.data, source=str(tmp_path / "none"))), Paths(tmp_path))
    assert missing.state == "failed"
    assert "no such folder" in missing.detail


def test_weights(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
    (absent,) = doctor.weights(config)
    assert absent.state == "warning"
    path = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir(parents=True)
    path.touch()
    (present,) = doctor.weights(config)
    assert (present.state, present.detail) == ("ok", str(path))


def test_every_stage_with_a_perceptual_term_is_looked_at(project: Path) -> None:
    def nets(*overrides: str) -> set[str]:
        return doctor.perceptual_nets(parse(compose(["profile=smoke", *overrides], project / "conf")))

    off = ("train_codec.weights.perceptual=0", "train_codec.weights.base_perceptual=0")
    joint = "finetune_joint.codec.perceptual.net=alex"
    baseline = (
        "train_baseline.perceptual={net: vgg, scale: mixed, jitter: true}",
        "train_baseline.perceptual_ratio=100",
    )
    assert nets(joint) == {"squeeze", "alex"}
    assert nets(joint, *off) == {"alex"}
    assert nets(joint, *off, "finetune_joint.codec.weights.perceptual=0") == {"alex"}  # of files cut short
    everywhere = ("finetune_joint.codec.weights.perceptual=0", "finetune_joint.codec.weights.base_perceptual=0")
    assert nets(joint, *off, *everywhere) == set()
    assert nets(*baseline) == {"squeeze"}  # no network is trained
    assert nets(*baseline, "train_baseline.networks=[bmshj2018_hyperprior]") == {"squeeze", "vgg"}


def test_backbones_of_all_stages_are_looked_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
    overrides = ["profile=smoke", "tracking=off", "finetune_joint.codec.perceptual.net=vgg"]
    config = parse(compose(overrides, project / "conf"))
    assert {finding.name for finding in doctor.weights(config)} == {"LPIPS squeeze", "LPIPS vgg"}
    assert len(_backbones(config)) == 2


def test_a_tracking_file_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    finding = doctor.tracking(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert finding.state == "ok"
    assert not (tmp_path / "mlflow.db").exists()


def test_a_tracking_server_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (port,) = free_ports(1)
    finding = doctor.tracking(f"http://127.0.0.1:{port}")
    assert finding.state == "failed"
    assert "\n" not in finding.detail
    assert "tracking.uri" in finding.remedy


def test_a_store_that_is_gone() -> None:
    (port,) = free_ports(1)
    finding = doctor.store("S3", replace(S3, endpoint=f"http://127.0.0.1:{port}"))
    assert finding.state == "failed"
    assert "storage.endpoint" in finding.remedy


def test_no_finding_has_the_secrets_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (port,) = free_ports(1)
    where = f"http://user:PASSWORD@127.0.0.1:{port}"
    for finding in (doctor.tracking(where), doctor.store("S3", replace(S3, endpoint=where))):
        assert finding.state == "failed"
        assert f"http://127.0.0.1:{port}: " in finding.detail
        assert "PASSWORD" not in finding.detail


def test_the_verdict_and_what_is_printed(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert is_healthy(config, Paths(tmp_path))
    assert "failed" not in capsys.readouterr().out
    broken = replace(config, data=replace(config.data, source=str(tmp_path / "none")))
    assert not is_healthy(broken, Paths(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.split()[:2] == ["failed", "data"])
    assert lines[place + 1].strip().startswith("-> set data.source")
