"""Releasing a model and getting one: export, import, pull, list, remove."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import numpy as np
import pytest
from moto import mock_aws
from typer.testing import CliRunner

import lgc
from lgc.bitstream import store
from lgc.bitstream.model_file import read_info, read_sha256
from lgc.cli.main import app
from lgc.config.load import compose, parse, write_params
from lgc.errors import ModelError
from lgc.launch import storage
from lgc.models.layered import Architecture
from lgc.tracking.mlflow import PipelineRuns
from lgc.tracking.registry import Registry
from tests.project import ROOT


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store and an empty project folder."""
    monkeypatch.setenv("LGC_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path / "home"


@pytest.fixture
def web(model_file: Path) -> Iterator[str]:
    """Address of a server with the model."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(model_file.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{model_file.name}"
    server.shutdown()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["model", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_evaluation(model: str, **facts: object) -> None:
    folder = Path("outputs/evaluate")
    folder.mkdir(parents=True)
    codecs = {"joint": {"bpp": {"value": 0.1}}, "joint base": {"bpp": {"value": 0.05}}}
    summary = {"codecs": codecs, "accounts": {"joint": {"file_bytes": 9}}, "bit_saving": {"joint": {"x": 99.0}}}
    data = {"name": "faces", "hash": "h", "split": "test", "measured": 3, "else": 1}
    (folder / "metrics.json").write_text(json.dumps(summary))
    (folder / "details.json").write_text(json.dumps({"run": {"models": {"joint": model}, "data": data, **facts}}))


def test_an_export_is_the_same_model_with_licence_and_measurements_inside(
    model_file: Path, pictures: list[np.ndarray]
) -> None:
    info, model_id = read_info(model_file)
    write_evaluation(model_id.hex())
    said = run("export", "out/face.safetensors", "-m", str(model_file), "--licence", "CC0-1.0")
    assert sha256(Path("out/face.safetensors")) in said
    released, released_id = read_info("out/face.safetensors")
    assert released_id == model_id
    assert released.architecture == info.architecture
    assert released.about["licence"] == "CC0-1.0"
    assert released.about["note"] == info.about["note"]
    assert released.about["evaluation"]["both_layers"] == {"bpp": {"value": 0.1}}
    assert released.about["evaluation"]["data"] == {"name": "faces", "hash": "h", "split": "test", "measured": 3}
    assert lgc.load("out/face.safetensors").compress(pictures[0]) == lgc.load(model_file).compress(pictures[0])


def test_measurements_of_another_model_are_not_passed_on(model_file: Path) -> None:
    write_evaluation("00000000")
    said = run("export", "face.safetensors", "-m", str(model_file), "--licence", "CC0-1.0")
    assert "no measurements inside" in said
    assert "evaluation" not in read_info("face.safetensors")[0].about


def test_measurements_of_a_model_with_other_analyzers_are_not_passed_on(
    model_file: Path, tmp_path: Path, write_model: Callable[..., Path], small_architecture: Architecture
) -> None:
    """They share the decoder, and with it the id."""
    other = write_model(tmp_path / "other.safetensors", small_architecture, analyzer_seed=1)
    id_ = read_info(model_file)[1]
    assert read_info(other)[1] == id_
    write_evaluation(id_.hex(), models_sha256={"joint": read_sha256(model_file)})
    assert "no measurements inside" in run("export", "other.safetensors", "-m", str(other), "--licence", "x")
    run("export", "same.safetensors", "-m", str(model_file), "--licence", "x")
    assert "evaluation" in read_info("same.safetensors")[0].about


def test_an_export_needs_a_licence_and_does_not_replace_a_file(model_file: Path) -> None:
    with pytest.raises(ModelError, match="pass --licence"):
        run("export", "face.safetensors", "-m", str(model_file))
    Path("face.safetensors").write_text("mine")
    with pytest.raises(lgc.LgcError, match="--force"):
        run("export", "face.safetensors", "-m", str(model_file), "--licence", "x")
    assert Path("face.safetensors").read_text() == "mine"


def test_an_imported_model_is_found_by_its_name(model_file: Path, home: Path, pictures: list[np.ndarray]) -> None:
    assert "no models" in run("list")
    run("import", str(model_file), "--name", "faces-1")
    assert (home / "models/faces-1.safetensors").read_bytes() == model_file.read_bytes()
    assert run("list").startswith(f"faces-1: model {read_info(model_file)[1].hex()}")
    assert lgc.load("faces-1").compress(pictures[0]) == lgc.load(model_file).compress(pictures[0])
    released = run("export", "again.safetensors", "-m", "faces-1", "--licence", "x")
    assert read_info(model_file)[1].hex() in released


def test_a_kept_model_is_removed_by_its_name(model_file: Path, home: Path) -> None:
    for name in ("faces.v1", "faces"):
        run("import", str(model_file), "--name", name)
    assert run("remove", "faces.v1") == f"{home / 'models/faces.v1.safetensors'} removed\n"
    assert [path.name for path in (home / "models").iterdir()] == ["faces.safetensors"]
    for name in ("faces.v1", "../models/faces", "*"):
        with pytest.raises(ModelError, match=r"no model is kept under this name in .*; see `lgc model list`"):
            run("remove", name)
    (home / "models/folder.safetensors").mkdir()
    with pytest.raises(ModelError, match=r"folder\.safetensors: cannot be removed \(Is a directory\)"):
        run("remove", "folder")
    assert store.find("faces").is_file()


def test_one_bad_file_does_not_hide_the_other_models(model_file: Path, home: Path) -> None:
    for name in ("a", "z"):
        run("import", str(model_file), "--name", name)
    (home / "models/bad.safetensors").write_text("no model")
    result = CliRunner().invoke(app, ["model", "list"])
    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["a", "z"]
    assert "bad.safetensors: not a model file" in result.stderr


def test_an_export_that_cannot_be_written_is_one_line(model_file: Path) -> None:
    Path("taken").write_text("mine")
    for out, told in (("taken/face.safetensors", "taken is a file, not a folder"), ("..", "exists; pass --force")):
        with pytest.raises(lgc.LgcError, match=told):
            run("export", out, "-m", str(model_file), "--licence", "x")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/", "http://[x/a", "s3://bucket", "http://127.0.0.1:9x/a"])
def test_pull_from_no_address_is_one_line(address: str) -> None:
    with pytest.raises(lgc.LgcError) as error:
        run("pull", address, "--sha256", "0" * 64)
    assert str(error.value).startswith(address)
    assert len(str(error.value).splitlines()) == 1


def test_pull_outside_a_project_makes_no_store(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelError, match=r"models:/x@champion: no MLflow store mlflow\.db; pass --tracking"):
        run("pull", "models:/x@champion")
    assert list(Path().iterdir()) == []
    assert not caplog.records


def test_a_damaged_model_or_a_taken_name_is_refused(
    model_file: Path, tmp_path: Path, write_model: object, small_architecture: object
) -> None:
    damaged = bytearray(model_file.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(damaged)
    with pytest.raises(ModelError, match="damaged"):
        run("import", str(tmp_path / "bad.safetensors"))
    other = write_model(tmp_path / "other.safetensors", small_architecture, seed=5)  # type: ignore[operator]
    run("import", str(model_file), "--name", "faces")
    run("import", str(model_file), "--name", "faces")
    with pytest.raises(ModelError, match="another model has this name"):
        run("import", str(other), "--name", "faces")
    run("import", str(other), "--name", "faces", "--force")
    assert store.find("faces").read_bytes() == Path(other).read_bytes()
    with pytest.raises(ModelError, match="no name for a model"):
        run("import", str(model_file), "--name", "../faces")


def test_pull_from_the_web_wants_the_digest_and_checks_it(model_file: Path, web: str, home: Path) -> None:
    with pytest.raises(ModelError, match="pass --sha256"):
        run("pull", web)
    with pytest.raises(ModelError, match="nothing was kept"):
        run("pull", web, "--sha256", "0" * 64)
    assert not (home / "models").exists()
    run("pull", web, "--sha256", sha256(model_file).upper(), "--name", "pulled")
    assert store.find("pulled").read_bytes() == model_file.read_bytes()
    with pytest.raises(lgc.LgcError, match="cannot be fetched"):
        run("pull", web + ".missing", "--sha256", "0" * 64)


def test_pull_from_a_file_and_from_s3(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("pull", str(model_file))
    assert store.find(model_file.stem).is_file()
    (tmp_path / "text.safetensors").write_text("no model")
    with pytest.raises(ModelError, match=r"text\.safetensors: not a model file"):
        run("pull", str(tmp_path / "text.safetensors"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        client.put_object(Bucket="models", Key="a/face.safetensors", Body=model_file.read_bytes())
        run("pull", "s3://models/a/face.safetensors", "--sha256", sha256(model_file))
    assert store.find("face").read_bytes() == model_file.read_bytes()


def test_pull_from_the_registry_by_alias_and_by_version(model_file: Path, empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run_id = PipelineRuns(uri, "test", (tmp_path / "artifacts").as_uri()).parent("key", "pipeline", {})
    released = tmp_path / "model.safetensors"
    released.write_bytes(model_file.read_bytes())
    registry = Registry(uri, "faces")
    registry.crown(registry.add("aa", "a" * 64, run_id, [released], {}).version)
    for address in ("models:/faces@champion", "models:/faces/1"):
        run("pull", address, "--tracking", uri, "--sha256", sha256(model_file))
        assert store.find("faces").read_bytes() == model_file.read_bytes()
    with pytest.raises(ModelError, match="cannot be had"):
        run("pull", "models:/faces/7", "--tracking", uri)
    with pytest.raises(ModelError, match="neither models:/NAME/VERSION"):
        run("pull", "models:/faces", "--tracking", uri)


def test_pull_from_the_registry_uses_the_projects_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    class Away:
        def __init__(self, *_: str) -> None:
            asked.append(os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
            raise ConnectionError("away")

    monkeypatch.setattr("lgc.tracking.registry.Registry", Away)
    project = compose(["storage=s3", "storage.endpoint=http://s3.test"], ROOT / "conf")
    for name in storage.environment(parse(project).storage):
        monkeypatch.setenv(name, "")  # so that what is set here ends with this test
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"cannot be had from http://mlflow\.test"):
            run("pull", "models:/faces/1", "--tracking", "http://mlflow.test")
        write_params(project)
    assert asked == [None, "http://s3.test"]
