"""A stage under Ray Train with checkpoints and MLflow artifacts on a real S3 endpoint."""

from __future__ import annotations

import http.server
import json
import os
import pickle
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import StorageConfig
from lgc.data.shards import Split
from lgc.errors import EngineFailure
from lgc.launch.checkpoints import copied
from lgc.launch.cluster import local_cluster
from lgc.launch.inputs import materialise, publish, stage_inputs
from lgc.launch.patient_s3 import PatientS3
from lgc.launch.ports import free_ports
from lgc.launch.storage import environment, open_store, ray_storage, reaching
from tests.project import copy_project, runner

ROOT = Path(__file__).parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": secrets.token_hex(24)}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """moto's S3 server in a process of its own, with a bucket."""
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(url, timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        bucket(url).create()
        yield url
    finally:
        server.terminate()
        server.wait(10)


def bucket(url: str) -> Any:
    import boto3

    s3 = boto3.resource(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return s3.Bucket("lgc")


def test_nothing_is_set_without_a_bucket() -> None:
    assert environment(StorageConfig(None, None, None, True)) == {}


def test_one_group_configures_every_client() -> None:
    values = environment(StorageConfig("http://s3.test:9", "eu-west-1", "lgc", True))
    assert values["AWS_ENDPOINT_URL"] == values["MLFLOW_S3_ENDPOINT_URL"] == "http://s3.test:9"
    assert values["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert values["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
    for uri, path in {"s3://lgc/runs": "lgc/runs", "/here": "/here"}.items():
        store = open_store(StorageConfig("http://s3.test:9", "eu-west-1", "lgc", True), uri)
        assert ray_storage(store, uri)["storage_path"] == path


class RefusesParts(http.server.BaseHTTPRequestHandler):
    """An S3 store that begins and completes every upload and takes no part of one, as when a disk is full."""

    protocol_version = "HTTP/1.1"

    def answer(self, code: int, body: str = "") -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_HEAD(self) -> None:
        self.answer(404)

    def do_POST(self) -> None:
        name = "InitiateMultipartUploadResult" if "uploads" in self.path else "CompleteMultipartUploadResult"
        self.answer(200, f"<{name}><UploadId>u</UploadId></{name}>")

    def do_PUT(self) -> None:
        self.answer(403 if "partNumber" in self.path else 200, "<Error><Code>AccessDenied</Code></Error>")

    def do_DELETE(self) -> None:
        self.answer(204)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_checkpoint_that_the_store_does_not_take_whole_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow.fs import LocalFileSystem, copy_files

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "weights.safetensors").write_bytes(bytes(11_000_000))  # more than one part
    store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RefusesParts)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    try:
        config = StorageConfig(f"http://127.0.0.1:{store.server_port}", "us-east-1", "lgc", True)
        filesystem = open_store(config, "s3://lgc/runs").filesystem
        with pytest.raises(OSError, match="When uploading part"):
            copy_files(str(tmp_path), "lgc/c", source_filesystem=LocalFileSystem(), destination_filesystem=filesystem)
    finally:
        store.shutdown()
        store.server_close()


def test_a_storage_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    store = open_store(StorageConfig(None, None, None, True), str(tmp_path))
    said = rf"^{tmp_path}: cannot be used \(.*\); see `lgc doctor`"
    with pytest.raises(EngineFailure, match=said) as raised, reaching(store.folder):
        copied(store, f"{tmp_path}/none")
    assert "\n" not in str(raised.value)


def test_the_patient_client_is_the_same_after_ray_sent_it() -> None:
    client = open_store(StorageConfig("http://s3.test:9", "eu-west-1", "lgc", True), "s3://lgc/runs").filesystem
    sent = pickle.loads(pickle.dumps(client))
    assert type(sent) is PatientS3
    assert sent == client


def test_inputs_travel_over_s3(endpoint: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/data").symlink_to(shards)
    store = open_store(StorageConfig(endpoint, "us-east-1", "lgc", True), "s3://lgc/inputs-test")
    inputs = stage_inputs("train_codec", parse(compose([], ROOT / "conf")), Paths(tmp_path))
    assert publish(inputs, Paths(tmp_path), store) == sum(item.bytes for item in inputs)
    assert publish(inputs, Paths(tmp_path), store) == 0
    root = materialise(inputs, store, cache=tmp_path / "cache")
    assert len(Split(Paths(root).data, "train")) == len(Split(shards, "train"))
    assert os.environ == before  # a place and its keys are a store's, not the process's
    bucket(endpoint).objects.all().delete()  # the next test looks at all there is


@pytest.mark.slow
def test_data_comes_from_s3_and_checkpoints_and_artifacts_go_there(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_project(tmp_path / "project")
    run = runner(root)
    overrides = ["profile=smoke", "storage=s3", f"storage.endpoint={endpoint}", "tracking=s3"]
    run(["lgc", "compose", *overrides, "runtime.storage=s3://lgc/runs"], **KEYS)
    assert (
        f"{'ok':9}{'S3 from here':26}s3://lgc at {endpoint}: wrote, read, deleted"
        in run(["lgc", "doctor"], **KEYS).stdout
    )
    assert list(bucket(endpoint).objects.all()) == []
    run(["python", "pipelines/prepare.py"], **KEYS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # of the cluster's nodes
    with local_cluster() as cluster:
        run(["lgc", "compose", *overrides, "runtime.storage=s3://lgc/runs",
             f"runtime.address={cluster['RAY_ADDRESS']}"])  # fmt: skip
        said = run(["python", "pipelines/train.py", "train_codec"], **KEYS, **cluster).stdout
    assert "MB, to the storage" in said
    assert list((tmp_path / "cache/lgc/inputs").glob("project-*/outputs/data/manifest.json"))

    keys = [item.key for item in bucket(endpoint).objects.all()]
    assert [key for key in keys if key.startswith("runs/train_codec-") and key.endswith("weights.safetensors")]
    assert [key for key in keys if key.startswith("mlflow/") and key.endswith("model.safetensors")]
    assert [key for key in keys if key.startswith("mlflow/") and "reconstructions" in key]
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in (root / "params.yaml").read_text()
    metrics = json.loads((root / "outputs/train_codec/metrics.json").read_text())
    assert metrics["samples"] == 64
