"""A stage as a job of a real Ray cluster: the command that submitted it dies, the job does not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem
from ray.job_submission import JobStatus

from lgc.config.load import compose, parse
from lgc.errors import ConfigError, TrainingError
from lgc.launch import jobs as jobs_module
from lgc.launch.cluster import local_cluster
from lgc.launch.inputs import Store
from lgc.launch.jobs import FINISHED, PLAN, Detached, is_job_server
from lgc.launch.ports import free_ports
from lgc.launch.worker import Job
from lgc.training.identity import Identity
from lgc.training.state import FORMAT, read_state
from tests.project import Run, copy_project, runner

SECONDS = 1500
CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize(
    ("address", "is_one"),
    [("http://10.0.0.1:8265", True), ("https://ray.example.org", True), ("auto", False), ("10.0.0.1:6379", False),
     (None, False)],
)  # fmt: skip
def test_a_job_server_is_told_by_its_scheme(address: str | None, is_one: bool) -> None:
    assert is_job_server(address) == is_one


def test_a_cluster_elsewhere_cannot_record_into_a_file_here() -> None:
    with pytest.raises(ConfigError, match=r"tracking\.uri"):
        parse(compose(["runtime.address=http://10.0.0.1:8265"], CONF))


def test_a_server_that_takes_questions_and_never_answers_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "_REQUEST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TrainingError, match=rf"^runtime\.address {address}: no Ray .*timed out"):
            jobs_module.connect_jobs(address)


class Jobs:
    """A job server's client that follows a script: each poll takes the next status, or raises it."""

    def __init__(self, *script: Any, message: str = "", logs: tuple[tuple[str, ...], ...] = ()) -> None:
        self.script, self.message, self.logs = list(script), message, list(logs)
        self.submitted: list[str] = []
        self.deleted: list[str] = []

    def get_job_status(self, job_id: str) -> Any:
        status = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(status, BaseException):
            raise status
        return status

    def get_job_info(self, job_id: str) -> Any:
        return SimpleNamespace(message=self.message)

    def submit_job(self, entrypoint: str, submission_id: str, runtime_env: Mapping[str, Any]) -> None:
        folder = Path(runtime_env["working_dir"])
        assert (folder / "lgc" / "launch" / "job_main.py").is_file()
        self.submitted.append((folder / PLAN).read_text())

    def delete_job(self, job_id: str) -> None:
        self.deleted.append(job_id)

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """Each connection starts at the beginning; all but the last break off."""
        connection = self.logs.pop(0) if self.logs else ()
        for text in connection:
            yield text
        if self.logs:
            raise RuntimeError("connection closed")


UNKNOWN = RuntimeError("Request failed with status code 404: Job lgc-x does not exist.")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "POLL_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("status", "submitted", "deleted", "says"),
    [
        (UNKNOWN, 1, 0, "submitted job lgc-x"),
        (JobStatus.RUNNING, 0, 0, "attached to job lgc-x, which is running"),
        (JobStatus.PENDING, 0, 0, "attached to job lgc-x, which is pending"),
        (JobStatus.STOPPED, 1, 1, "submitted job lgc-x again, it had stopped"),
        (JobStatus.FAILED, 1, 1, "submitted job lgc-x again, it had failed"),
    ],
)
def test_a_job_that_runs_is_joined_and_one_that_ended_badly_is_submitted_again(
    status: Any, submitted: int, deleted: int, says: str
) -> None:
    client, said = Jobs(status), list[str]()
    jobs_module._submit_or_attach(client, "lgc-x", {"action": "train"}, {}, said.append)
    assert (len(client.submitted), len(client.deleted), said) == (submitted, deleted, [says])


@pytest.mark.parametrize(("said", "shown"), [("no room\nat all", "no room"), ("", "RuntimeError")])
def test_a_job_that_is_refused_is_one_line(monkeypatch: pytest.MonkeyPatch, said: str, shown: str) -> None:
    def refuse(client: Jobs, **_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(Jobs, "submit_job", refuse)
    with pytest.raises(TrainingError, match=rf"^job lgc-x: refused \({shown}\)$"):
        jobs_module._submit_or_attach(Jobs(UNKNOWN), "lgc-x", {"action": "train"}, {}, print)


def test_a_server_that_is_away_for_a_while_is_waited_for(quick: None) -> None:
    away = ConnectionError("refused")
    jobs_module._wait(
        Jobs(JobStatus.RUNNING, away, away, JobStatus.RUNNING, JobStatus.SUCCEEDED), "lgc-x", "http://x"
    )


@pytest.mark.parametrize(
    ("end", "message", "says"),
    [
        (JobStatus.STOPPED, "", "was stopped; run the same command again"),
        (JobStatus.FAILED, "code 1, last available logs:\nload\nerror: no pictures\n", "lgc-x: no pictures"),
        (JobStatus.FAILED, "node died", "lgc-x: node died"),
        (UNKNOWN, "", "does not know it any more"),
    ],
)
def test_every_other_end_is_an_error_in_one_line(quick: None, end: Any, message: str, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught:
        jobs_module._wait(Jobs(JobStatus.RUNNING, end, message=message), "lgc-x", "http://x")
    assert "\n" not in str(caught.value)


def test_a_server_that_stays_away_is_given_up(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(TrainingError, match="run the same command again to attach"):
        jobs_module._wait(Jobs(JobStatus.RUNNING, ConnectionError("refused")), "lgc-x", "http://x")


def test_logs_go_on_where_a_lost_connection_left_them(quick: None, capsys: pytest.CaptureFixture) -> None:
    client = Jobs(
        JobStatus.RUNNING, logs=(("one\n", "two\n"), ("one\ntwo\nth",), ("one\n", "two\nthree\n", "four\n"))
    )
    with jobs_module._streamed_logs(client, "lgc-x"):
        while client.logs:
            time.sleep(0.01)
    assert capsys.readouterr().err == "one\ntwo\nthree\nfour\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """With a run that finished; what this process copies lies in ``here`` beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "here"))
    there = Store(LocalFileSystem(), str(tmp_path / "shared"))
    finish(there, "checkpoint_1")
    return there


def finish(store: Store, name: str, finished: bool = True) -> None:
    """What a job leaves."""
    folder = Path(store.folder) / "run" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.json").write_text(json.dumps({"format": FORMAT, "sha256": {}, "finished": finished}))
    (folder.parent / FINISHED).write_text(json.dumps({"checkpoint": str(folder)}))


def train(store: Store, client: Jobs, monkeypatch: pytest.MonkeyPatch) -> Path:
    job = Job("train_codec", {}, "/root", Identity({}), None, "/journal", 1)
    monkeypatch.setattr(jobs_module, "connect_jobs", lambda _: client)
    return jobs_module.train_as_job(job, "http://x", store.folder, store, "run", {})


def copies(store: Store) -> list[Path]:
    return list((Path(store.folder).parent / "here").iterdir())


class Finishes(Jobs):
    """Each of its jobs leaves a checkpoint."""

    def __init__(self, store: Store, whole: bool = True) -> None:
        super().__init__(UNKNOWN, JobStatus.SUCCEEDED)
        self.store, self.whole = store, whole

    def submit_job(self, entrypoint: str, submission_id: str, runtime_env: Mapping[str, Any]) -> None:
        super().submit_job(entrypoint, submission_id, runtime_env)
        finish(self.store, "checkpoint_2", self.whole)


def test_a_finished_run_needs_no_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Finishes(store)
    found = train(store, client, monkeypatch)
    assert copies(store) == [found]
    assert client.submitted == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda run: (run / "checkpoint_1/state.json").write_text("{"), "checkpoint_1: not a usable checkpoint"),
        (lambda run: shutil.rmtree(run / "checkpoint_1"), "checkpoint_1: checkpoint is gone"),
        (lambda run: (run / FINISHED).write_text(""), "finished.json: unreadable"),
        (lambda run: (run / FINISHED).write_bytes(bytes(64)), "finished.json: unreadable"),
        (
            lambda run: finish(Store(None, str(run.parent)), "checkpoint_1", finished=False),
            "checkpoint_1: training had not finished there",
        ),
    ],
    ids=["damaged", "gone", "cut off", "zeros", "unfinished"],
)
def test_a_result_that_is_none_is_trained_again(
    quick: None,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    says: str,
) -> None:
    damage(Path(store.folder) / "run")
    client = Finishes(store)
    found = train(store, client, monkeypatch)
    assert read_state(found)["finished"]
    assert (len(client.submitted), copies(store)) == (1, [found])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"train_codec: {store.folder}/run/{says}")
    assert first.endswith("; training goes on from the last whole checkpoint")
    assert second.startswith("train_codec: submitted job lgc-run-")


def test_a_jobs_result_that_is_none_is_told_as_it_lies_in_the_storage(
    quick: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(store.folder)
    with pytest.raises(TrainingError, match=rf"^{store.folder}/run/checkpoint_2: training had not finished there$"):
        train(store, Finishes(store, whole=False), monkeypatch)
    assert copies(store) == []


@pytest.mark.parametrize(
    ("afterwards", "fate"),
    [
        (UNKNOWN, None),
        (JobStatus.FAILED, None),
        (JobStatus.PENDING, "goes on"),
        (ConnectionError("refused"), "may go on"),
    ],
    ids=["unknown", "an earlier one", "submitted", "no answer"],
)
def test_ctrl_c_while_a_job_is_submitted_asks_what_became_of_it(
    quick: None, store: Store, monkeypatch: pytest.MonkeyPatch, afterwards: Any, fate: str | None
) -> None:
    class Interrupted(Jobs):
        def submit_job(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    shutil.rmtree(store.folder)
    if fate is None:
        with pytest.raises(KeyboardInterrupt):
            train(store, Interrupted(UNKNOWN, afterwards), monkeypatch)
    else:
        with pytest.raises(Detached, match=rf"^train_codec: job lgc-run-\w+ {fate} \(to end it: "):
            train(store, Interrupted(UNKNOWN, afterwards), monkeypatch)


def test_ctrl_c_while_a_job_runs_leaves_it_without_a_question(
    quick: None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(store.folder)
    client = Jobs(JobStatus.RUNNING, KeyboardInterrupt(), UNKNOWN)
    with pytest.raises(Detached, match=r"^train_codec: job lgc-run-\w+ goes on \(to end it: "):
        train(store, client, monkeypatch)
    assert client.script == [UNKNOWN]


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a cluster's job server, and what a command needs to be let in."""
    (port,) = free_ports(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))  # of the cluster's nodes
        # there, python is the one that has lgc, whether or not an environment is activated here
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        with local_cluster(job_server=port) as variables:
            yield f"http://127.0.0.1:{port}", {k: v for k, v in variables.items() if k.startswith("RAY_AUTH")}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, job_server: tuple[str, dict[str, str]]) -> tuple[Path, Run]:
    """A project whose stages go to that cluster, and whose storage is a folder that both see."""
    folder = tmp_path_factory.mktemp("jobs")
    root = copy_project(folder / "project")
    run = runner(root)
    run(["dvc", "config", "core.analytics", "false"])
    run(["lgc", "compose", "profile=smoke", "tracking=off", f"runtime.address={job_server[0]}",
         f"runtime.storage={folder / 'shared'}", "train_codec.settings.samples=320",
         "train_codec.settings.checkpoint_every=64"])  # fmt: skip
    run(["dvc", "repro", "prepare"])
    return root, run


def jobs(job_server: tuple[str, dict[str, str]]) -> list[Any]:
    """What the cluster knows of jobs with ids of ours."""
    script = (
        "import json, sys; from ray.job_submission import JobSubmissionClient as C; "
        "print(json.dumps([[j.submission_id, j.status.value, j.start_time] for j in C(sys.argv[1]).list_jobs() "
        "if (j.submission_id or '').startswith('lgc-')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, job_server[0]],
        env={**os.environ, **job_server[1]}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_a_killed_repro_run_again_attaches_and_trains_once(
    prepared: tuple[Path, Run], job_server: tuple[str, dict[str, str]]
) -> None:
    root, run = prepared
    environment = {
        **os.environ, **job_server[1], "PYTHONPATH": str(root), "LGC_WEIGHTS": str(root / "none"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    log = root.parent / "first.log"
    with log.open("w") as output:
        first = subprocess.Popen(
            ["dvc", "repro", "train_codec"], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + SECONDS
    while "submitted job lgc-train_codec-" not in log.read_text():
        assert first.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    ((job_id, status, started),) = jobs(job_server)
    assert status in ("PENDING", "RUNNING")

    done = run(["dvc", "repro", "train_codec"], **job_server[1])
    assert f"attached to job {job_id}" in done.stdout
    assert "submitted" not in done.stdout
    ((again, status, started_then),) = jobs(job_server)
    assert (again, status) == (job_id, "SUCCEEDED")
    assert started_then == started or started is None
    metrics = json.loads((root / "outputs/train_codec/metrics.json").read_text())
    assert metrics["samples"] == 320
    assert (root / "outputs/train_codec/model.safetensors").stat().st_size > 0
    assert "train_codec" in (root / "dvc.lock").read_text()


@pytest.mark.slow
def test_what_is_finished_is_fetched_without_a_job(
    prepared: tuple[Path, Run], job_server: tuple[str, dict[str, str]]
) -> None:
    root, run = prepared
    run(["dvc", "repro", "train_codec"], **job_server[1])  # nothing to do after the test above
    before = (root / "outputs/train_codec/weights.safetensors").read_bytes()
    (root / "outputs/train_codec/weights.safetensors").unlink()
    done = run(["python", "pipelines/train.py", "train_codec"], **job_server[1])
    assert "job" not in done.stdout
    assert (root / "outputs/train_codec/weights.safetensors").read_bytes() == before


@pytest.mark.slow
def test_a_stopped_job_is_a_failure_and_its_error_is_one_line(
    prepared: tuple[Path, Run], job_server: tuple[str, dict[str, str]]
) -> None:
    root, run = prepared
    params = (root / "params.yaml").read_text()
    run(["lgc", "compose", "profile=smoke", "tracking=off", f"runtime.address={job_server[0]}",
         f"runtime.storage={root.parent / 'shared'}", "train_codec.settings.samples=1000000"])  # fmt: skip
    try:
        stage = subprocess.Popen(
            [sys.executable, "pipelines/train.py", "train_codec"], cwd=root, text=True,
            env={**os.environ, **job_server[1], "PYTHONPATH": str(root), "LGC_WEIGHTS": str(root / "none")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while not (running := [job_id for job_id, status, _ in jobs(job_server) if status == "RUNNING"]):
            assert stage.poll() is None, stage.stderr.read() if stage.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(1)
        stop = "import sys, ray.job_submission as jobs; jobs.JobSubmissionClient(sys.argv[1]).stop_job(sys.argv[2])"
        subprocess.run(
            [sys.executable, "-c", stop, job_server[0], running[0]], env={**os.environ, **job_server[1]}, check=True
        )
        _, errors = stage.communicate(timeout=SECONDS)
    finally:
        (root / "params.yaml").write_text(params)
    assert stage.returncode == 1
    assert errors.strip().splitlines()[-1] == (
        f"error: job {running[0]} was stopped; run the same command again to go on"
    )


@pytest.mark.slow
def test_the_doctor_looks_from_inside_the_cluster(
    prepared: tuple[Path, Run], job_server: tuple[str, dict[str, str]]
) -> None:
    _, run = prepared
    said = run(["lgc", "doctor"], check=False, **job_server[1]).stdout
    assert [line for line in said.splitlines() if line.startswith("ok") and " node " in line], said


@pytest.mark.slow
def test_no_job_server_is_one_line(prepared: tuple[Path, Run]) -> None:
    root, run = prepared
    params = (root / "params.yaml").read_text()
    (port,) = free_ports(1)
    try:
        run(["lgc", "compose", "profile=smoke", "tracking=off", f"runtime.address=http://127.0.0.1:{port}",
             "train_codec.lr=0.002"])  # fmt: skip
        done = run(["python", "pipelines/train.py", "train_codec"], check=False)
    finally:
        (root / "params.yaml").write_text(params)
    assert done.returncode == 1
    assert f"runtime.address http://127.0.0.1:{port}: no Ray job server answers" in done.stderr.splitlines()[-1]
