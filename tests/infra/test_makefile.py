"""What the Makefile refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("Makefile", "infra/local/cluster.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ("outputs", "runs/services/postgres", "runs/cluster"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def daemon() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is still there."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def clean(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "clean"], cwd=root, capture_output=True, text=True, check=False)


def test_clean_leaves_services_that_run_their_files(project: Path, daemon: subprocess.Popen[bytes]) -> None:
    record = {"pid": daemon.pid, "created": 1.0, "stop_signal": 15}
    (project / "runs/services/mlflow.pid").write_text(json.dumps(record))
    done = clean(project)
    assert done.returncode != 0
    assert done.stderr.startswith("error: services run in runs/services; end them first: make services-down\n")
    assert (project / "runs/services/postgres").is_dir()
    assert (project / "outputs").is_dir()
    daemon.kill()
    daemon.wait()
    assert clean(project).returncode == 0
    assert not (project / "runs").exists()


def test_clean_leaves_a_cluster_that_runs_its_files(project: Path, daemon: subprocess.Popen[bytes]) -> None:
    began = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[19]
    (project / "runs/cluster/address").write_text("127.0.0.1:1\n")
    (project / "runs/cluster/head.pid").write_text(f"{daemon.pid} {began}\n")
    done = clean(project)
    assert done.returncode != 0
    assert done.stderr.startswith(
        "error: a Ray cluster runs in runs/cluster; end it first: infra/local/cluster.sh down\n"
    )
    assert (project / "runs/cluster/head.pid").is_file()
    daemon.kill()
    daemon.wait()
    assert clean(project).returncode == 0
    assert not (project / "runs").exists()


def test_clean_removes_results(project: Path) -> None:
    """From DVC's cache of runs `make repro` would bring them back, without their runs in MLflow."""
    for name in (".dvc/cache/runs", ".dvc/tmp", ".dvc/plots"):
        (project / name).mkdir(parents=True)
    assert clean(project).returncode == 0
    assert not (project / "outputs").exists()
    assert [path.name for path in (project / ".dvc").iterdir()] == ["plots"]
    assert clean(project).returncode == 0
