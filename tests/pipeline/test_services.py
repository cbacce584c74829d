"""The whole pipeline against real services: records in PostgreSQL, checkpoints on S3, no secret in either."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.launch.ports import free_ports
from lgc.launch.services import layout as layouts
from lgc.launch.services import postgres, s3
from lgc.launch.services.layout import BUCKET, Layout
from lgc.launch.services.manage import environment
from tests.project import Run, copy_project, runner

pytestmark = pytest.mark.slow
STAGES = {"train_codec", "train_reference", "train_analysis", "finetune_joint", "finetune_separate"}
Finished = tuple[Layout, Path]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """For the services; not tmp_path, which is closed to the account that PostgreSQL runs as under root."""
    made = Path(tempfile.mkdtemp(prefix="lgc-pipeline-"))
    made.chmod(0o755)
    yield made / "services"
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Services and project after `lgc services up` and one `lgc repro` of the smoke profile."""
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("no PostgreSQL server programs (initdb); CI must install them")
        pytest.skip("no PostgreSQL server programs (initdb)")
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    mlflow, store, database = (str(port) for port in free_ports(3))
    ports = ["--mlflow-port", mlflow, "--s3-port", store, "--postgres-port", database]
    try:
        run(["lgc", "services", "up", "--folder", str(folder), *ports])
        layout = layouts.read(folder)
        _repro(run, layout)
        yield layout, root
    finally:
        run(["lgc", "services", "down", "--folder", str(folder)])


def _repro(run: Run, layout: Layout) -> None:
    """As the README of infra/ says."""
    servers = ["tracking=server", f"tracking.uri={layout.tracking_uri}", "storage=services"]
    store = [f"storage.endpoint={layout.endpoint}", "runtime.storage=s3://lgc/runs"]
    run(["lgc", "compose", "profile=smoke", *servers, *store])
    done = run(["lgc", "repro"], **environment(layout))
    assert "tracking:" not in done.stdout + done.stderr


def query(layout: Layout, text: str) -> list[tuple[Any, ...]]:
    connection = postgres.connect(layout, postgres.DATABASE, postgres.ROLE)
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())
    finally:
        connection.close()


def keys(layout: Layout, prefix: str) -> list[str]:
    pages = s3.client(layout).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def test_the_pipeline_ran_to_its_end(finished: Finished) -> None:
    _, root = finished
    assert (root / "outputs/evaluate/metrics.json").is_file()
    assert (root / "report/index.html").is_file()
    assert not (root / "mlflow.db").exists()


def test_records_are_in_postgresql(finished: Finished) -> None:
    layout, _ = finished
    states = dict(
        query(layout, "select t.value, r.status from runs r join tags t using (run_uuid) where t.key = 'lgc.stage'")
    )
    assert states == dict.fromkeys({"pipeline", "evaluate", *STAGES}, "FINISHED")
    recorded = "select distinct t.value from metrics m join tags t using (run_uuid) where t.key = 'lgc.stage'"
    assert {stage for (stage,) in query(layout, recorded)} >= STAGES


def test_checkpoints_and_artifacts_are_on_s3(finished: Finished) -> None:
    layout, root = finished
    checkpoints = [key for key in keys(layout, "runs/") if key.endswith("weights.safetensors")]
    assert {key.split("/")[1].rsplit("-", 1)[0] for key in checkpoints} == STAGES
    assert not list((root / "runs").rglob("weights.safetensors"))
    assert [key for key in keys(layout, "mlflow/") if key.endswith("artifacts/model.safetensors")]


def test_no_secret_was_recorded(finished: Finished) -> None:
    layout, root = finished
    secrets = [path.read_text() for path in (layout.folder / "secrets").iterdir() if "." not in path.name]
    secrets = [secret for secret in secrets if len(secret) == 48]
    assert len(secrets) >= 6
    texts = [
        str(value)
        for table, columns in {"params": "key, value", "tags": "key, value", "runs": "name, artifact_uri"}.items()
        for row in query(layout, f"select {columns} from {table}")
        for value in row
    ]
    assert len(texts) > 100
    texts += [path.read_text() for path in (root / "params.yaml", root / "dvc.lock", root / "report/index.html")]
    for key in keys(layout, "mlflow/"):
        if key.endswith((".yaml", ".json", ".txt", ".csv")):
            texts.append(s3.client(layout).get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())
    assert not [secret for secret in secrets for text in texts if secret in text]
