"""The services, started for real: an MLflow run whose artifact lies on S3 and whose record is in PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lgc.errors import ServiceError
from lgc.launch.ports import free_ports
from lgc.launch.services import postgres, s3
from lgc.launch.services.layout import BUCKET, Layout, Ports
from lgc.launch.services.manage import down, environment, status, up
from lgc.tracking.mlflow import PipelineRuns, RunAddress
from tests.project import copy_project, runner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres.binaries() is None, reason="no PostgreSQL server programs (initdb)"),
]


@pytest.fixture(scope="module")
def layout() -> Iterator[Layout]:
    pytest.importorskip("psycopg2")
    pytest.importorskip("flask_wtf")
    # not tmp_path: PostgreSQL runs as another user when root runs the tests, and pytest's folders are closed to it
    folder = Path(tempfile.mkdtemp(prefix="lgc-services-"))
    folder.chmod(0o755)
    try:
        yield up(folder / "services", Ports(*free_ports(3)), print)
    finally:
        down(folder / "services")
        shutil.rmtree(folder)


@pytest.fixture
def credentials(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Layout:
    for name, value in environment(layout).items():
        monkeypatch.setenv(name, value)
    return layout


def query(layout: Layout, text: str) -> list[tuple]:
    connection = postgres.connect(layout, "mlflow", postgres.ROLE)
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()
    finally:
        connection.close()


def code(layout: Layout, path: str, host: str | None = None) -> int:
    request = urllib.request.Request(layout.tracking_uri + path, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_all_are_healthy_and_up_again_starts_nothing(layout: Layout) -> None:
    before = status(layout.folder)
    assert [one.healthy for one in before] == [True, True, True]
    lines: list[str] = []
    up(layout.folder, layout.ports, lines.append)
    assert [line.split(": ")[1] for line in lines] == ["runs already"] * 3
    assert status(layout.folder) == before


def test_a_run_is_in_postgresql_and_its_artifact_on_s3(credentials: Layout, tmp_path: Path) -> None:
    from lgc.tracking.mlflow import MlflowTracker

    runs = PipelineRuns(credentials.tracking_uri, "lgc", None)
    parent = runs.parent("key", "parent", {})
    run = runs.stage(parent, "train_codec", "k", {"lr": 0.5}, {})
    file = tmp_path / "model.txt"
    file.write_text("weights")
    tracker = MlflowTracker(RunAddress(credentials.tracking_uri, run), tmp_path / "journal")
    tracker.metrics({"train/loss": 1.5}, 3)
    tracker.artifact(file)
    assert tracker.close() is None
    runs.end(run, "FINISHED")

    assert query(credentials, f"select value, step from metrics where run_uuid = '{run}' and key = 'train/loss'") == [
        (1.5, 3)
    ]
    assert query(credentials, f"select status from runs where run_uuid = '{run}'") == [("FINISHED",)]
    listed = s3.client(credentials).list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")
    (key,) = [item["Key"] for item in listed["Contents"] if item["Key"].endswith(f"{run}/artifacts/model.txt")]
    assert s3.client(credentials).get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"weights"


def test_strangers_are_turned_away(layout: Layout) -> None:
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert code(layout, path) == 401
    assert code(layout, "/", host="attacker.example") == 403
    import psycopg2

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(
            host="127.0.0.1", port=layout.ports.postgres, user="postgres", password="x", dbname="postgres"
        )


def test_nothing_listens_beyond_loopback(layout: Layout) -> None:
    addresses = {}
    for one in status(layout.folder):
        assert one.pid is not None
        root = psutil.Process(one.pid)
        for process in (root, *root.children(recursive=True)):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    addresses[one.name, connection.laddr.port] = connection.laddr.ip
    assert {name for name, _ in addresses} == {"postgres", "s3", "mlflow"}
    assert set(addresses.values()) <= {"127.0.0.1", "::1"}


@pytest.mark.skipif(s3.seaweedfs() is None, reason="SeaweedFS is not installed; moto checks no keys")
def test_the_store_refuses_wrong_keys_and_lists_nothing_without(layout: Layout) -> None:
    import boto3
    from botocore.exceptions import ClientError

    wrong = boto3.client("s3", endpoint_url=layout.endpoint, region_name=s3.REGION, aws_access_key_id="x",
                         aws_secret_access_key="y")  # fmt: skip
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        wrong.list_buckets()
    for port in (layout.ports.s3, *layout.inner):
        done = subprocess.run(["curl", "-s", "-m", "3", f"http://127.0.0.1:{port}/buckets/{BUCKET}/?pretty=y"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert "FullPath" not in done.stdout


def test_a_stage_uses_them(layout: Layout, tmp_path: Path) -> None:
    root = copy_project(tmp_path / "project")
    run = runner(root)
    extra = {**environment(layout), "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"}
    run(["lgc", "compose", "profile=smoke", "tracking=server", f"tracking.uri={layout.tracking_uri}",
         "storage=services", f"storage.endpoint={layout.endpoint}", "runtime.engine=local"])  # fmt: skip
    run(["python", "pipelines/prepare.py"], **extra)
    done = run(["python", "pipelines/train.py", "train_codec"], **extra)
    assert "tracking:" not in done.stderr
    assert query(layout, "select count(*) from metrics where key = 'train/rate.semantic'")[0][0] > 0
    listed = s3.client(layout).list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")
    assert [item for item in listed["Contents"] if item["Key"].endswith("model.safetensors")]


def test_data_outlives_a_restart(layout: Layout) -> None:
    before = query(layout, "select count(*) from runs")
    assert down(layout.folder) == ["mlflow", "s3", "postgres"]
    assert [one.pid for one in status(layout.folder)] == [None] * 3
    assert down(layout.folder) == []
    up(layout.folder, layout.ports, print)
    assert query(layout, "select count(*) from runs") == before
    if s3.seaweedfs():
        assert s3.client(layout).list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")["KeyCount"] > 0


def test_a_taken_port_ends_what_was_started(layout: Layout, tmp_path: Path) -> None:
    folder = layout.folder.parent / "second"
    (free,) = free_ports(1)
    with pytest.raises(ServiceError, match=r"s3: port .* is taken"):
        up(folder, Ports(free_ports(1)[0], layout.ports.s3, free), print)
    assert [one.pid for one in status(folder)] == [None] * 3
