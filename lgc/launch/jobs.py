"""Submits work to a Ray cluster's job server, and stays with it: attach, stream, poll, fetch.

``runtime.address`` is a job server when it starts with ``http://`` or ``https://`` (Ray's dashboard, port 8265);
anything else (``auto``, ``host:6379``) is a cluster that this process joins. A job outlives the command that
submitted it. Its id follows from what it computes, so the same command finds it again.

The dashboard shows a job's variables to whoever holds the cluster's token. Nodes with a role of their own need no
keys from here: unset AWS_* before submitting.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import lgc
from lgc.errors import EngineFailure, TrainingError, first_line
from lgc.launch.checkpoints import finished_copy
from lgc.launch.inputs import Store
from lgc.launch.interrupts import in_thread
from lgc.launch.ray_train import set_environment
from lgc.launch.storage import reaching
from lgc.launch.worker import Job
from lgc.training.trainer import Interrupted

POLL_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 600.0
"""Without any answer of the job server; the job itself goes on."""
_REQUEST_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 120
"""That `ray job stop` leaves a job for its last checkpoint; Ray's own are 3."""
PLAN: Final = "plan.json"
"""In the job's working folder: what to do."""
FINISHED: Final = "finished.json"
"""In the run's folder of the storage, once training is finished: where its checkpoint is."""


class Detached(Interrupted):
    """This command ended, the job did not."""


def is_job_server(address: str | None) -> bool:
    """Whether ``runtime.address`` names a job server rather than a cluster to join."""
    return address is not None and address.startswith(("http://", "https://"))


def train_as_job(job: Job, address: str, where: str, store: Store, name: str, environment: Mapping[str, str]) -> Path:
    """Train a stage as a job; returns a local copy of the final checkpoint (the caller's to delete).

    A stage that finished before is fetched, one that runs is joined, one that failed or was stopped is submitted
    again and goes on from its last whole checkpoint; so is one whose final checkpoint has been damaged since.

    Args:
        job: what to train, with its inputs in the storage.
        address: of the job server.
        where: URI or folder of the storage, as the cluster sees it.
        store: the same, as this machine sees it.
        name: of the run within the storage.
        environment: variables for the job.

    Raises:
        TrainingError: the job failed or was stopped, or its server does not answer.
        Detached: Ctrl-C; the job goes on.
        KeyboardInterrupt: Ctrl-C; there is no job yet.
    """

    def say(line: str) -> None:
        print(f"{job.stage}: {line}", flush=True)

    def fetch() -> Path:
        return in_thread(lambda: _fetch_checkpoint(store, finished), "lgc-fetch")

    finished = f"{store.folder}/{name}/{FINISHED}"
    with reaching(where):
        there = in_thread(lambda: store.filesystem.get_file_info(finished), "lgc-look").is_file
    if there:
        try:
            return fetch()
        except EngineFailure:
            raise
        except TrainingError as error:  # as after a power cut; the job writes it anew at its end
            say(f"{error}; training goes on from the last whole checkpoint")
    job_id = f"lgc-{name}-{hashlib.sha256(where.encode()).hexdigest()[:6]}"
    plan = {"action": "train", "job": asdict(job), "where": where, "name": name}
    client, submitted = connect_jobs(address), False
    try:
        _submit_or_attach(client, job_id, plan, environment, say)
        submitted = True
        with _streamed_logs(client, job_id):
            _wait(client, job_id, address)
    except KeyboardInterrupt:
        fate = "goes on" if submitted else _fate(client, job_id)
        if fate is None:
            raise
        raise Detached(
            f"{job.stage}: job {job_id} {fate} (to end it: ray job stop --address {address} {job_id})"
        ) from None
    return fetch()


def ask_job(address: str, plan: Mapping[str, Any], environment: Mapping[str, str], job_id: str) -> str:
    """Run a short job to its end; returns what it printed."""
    client = connect_jobs(address)
    _submit_or_attach(client, job_id, plan, environment, lambda _: None)
    _wait(client, job_id, address)
    return str(client.get_job_logs(job_id))


def connect_jobs(address: str) -> Any:
    """A client of the job server; :class:`TrainingError` when there is none."""
    set_environment(address)
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        """Ray's, whose own requests wait for ever, e.g. through a tunnel whose far end is gone."""

        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, **{"timeout": _REQUEST_SECONDS, **options})

    try:
        return Client(address)
    except Exception as error:  # ConnectionError, RuntimeError, requests' timeout, Ray's own for a wrong token
        raise TrainingError(
            f"runtime.address {address}: no Ray job server answers ({first_line(error)}); check it and RAY_AUTH_TOKEN"
        ) from error


def _submit_or_attach(
    client: Any, job_id: str, plan: Mapping[str, Any], environment: Mapping[str, str], say: Callable[[str], None]
) -> None:
    status = _status(client, job_id)
    if status is not None and not status.is_terminal():
        say(f"attached to job {job_id}, which is {status.value.lower()}")
        return
    if status is not None:
        client.delete_job(job_id)
    with tempfile.TemporaryDirectory(prefix="lgc-job-") as folder:
        shutil.copytree(Path(lgc.__file__).parent, Path(folder) / "lgc", ignore=shutil.ignore_patterns("__pycache__"))
        (Path(folder) / PLAN).write_text(json.dumps(plan), encoding="utf-8")
        try:
            client.submit_job(
                entrypoint="python -m lgc.launch.job_main",
                submission_id=job_id,
                runtime_env={
                    "working_dir": folder,
                    "env_vars": {**environment, "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS)},
                },
            )
        except (RuntimeError, OSError) as error:  # requests' own are the latter
            if _status(client, job_id) is None:  # else somebody submitted the same job a moment before
                raise TrainingError(f"job {job_id}: refused ({first_line(error)})") from error
    say(f"submitted job {job_id}{'' if status is None else f' again, it had {status.value.lower()}'}")


def _status(client: Any, job_id: str) -> Any:
    """None when the server does not know the job."""
    try:
        return client.get_job_status(job_id)
    except RuntimeError as error:
        if "404" in str(error):
            return None
        raise


def _fate(client: Any, job_id: str) -> str | None:
    """What becomes of a job whose submission was interrupted; None where nothing runs."""
    time.sleep(POLL_SECONDS)  # the server may have the request, and know no job yet
    try:
        status = _status(client, job_id)
    except Exception:  # as in _wait
        return "may go on"
    return None if status is None or status.is_terminal() else "goes on"


def _wait(client: Any, job_id: str, address: str) -> None:
    """Return when the job succeeded; any other end is an error, STOPPED too."""
    from ray.job_submission import JobStatus

    answered = time.monotonic()
    while True:
        try:
            status = _status(client, job_id)
        except Exception as error:  # requests' exceptions, and RuntimeError for a server that has trouble
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise TrainingError(
                    f"job {job_id}: {address} has not answered for {PATIENCE_SECONDS / 60:.0f} minutes "
                    f"({type(error).__name__}); run the same command again to attach"
                ) from error
            time.sleep(POLL_SECONDS)
            continue
        answered = time.monotonic()
        if status is None:
            raise TrainingError(
                f"job {job_id}: {address} does not know it any more; run the same command again, "
                "training goes on from the last checkpoint"
            )
        if status == JobStatus.SUCCEEDED:
            return
        if status == JobStatus.STOPPED:
            raise TrainingError(f"job {job_id} was stopped; run the same command again to go on")
        if status == JobStatus.FAILED:
            raise TrainingError(f"job {job_id}: {_reason(client, job_id)}")
        time.sleep(POLL_SECONDS)


def _reason(client: Any, job_id: str) -> str:
    """The job's own error line, or what Ray says."""
    lines = [line.strip() for line in str(client.get_job_info(job_id).message).splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["failed without a message"])[-1]


@contextmanager
def _streamed_logs(client: Any, job_id: str) -> Iterator[None]:
    """Show what the job prints while the context lasts, through any number of lost connections."""
    done, shown = threading.Event(), 0

    async def tail() -> None:
        nonlocal shown
        seen = 0
        async for text in client.tail_job_logs(job_id):  # from the beginning, each time
            sys.stderr.write(text[max(0, shown - seen) :])
            sys.stderr.flush()
            seen += len(text)
            shown = max(shown, seen)

    def stream() -> None:
        while not done.is_set():
            with contextlib.suppress(Exception):  # whatever the network does; the status is polled elsewhere
                asyncio.run(tail())
            done.wait(POLL_SECONDS)

    thread = threading.Thread(target=stream, name="lgc-job-logs", daemon=True)
    thread.start()
    last_lines = 10.0
    try:
        yield
    except KeyboardInterrupt:
        last_lines = 0.0
        raise
    finally:
        done.set()
        thread.join(last_lines)


def _fetch_checkpoint(store: Store, finished: str) -> Path:
    """A local copy of what is finished.

    Raises:
        EngineFailure: the storage cannot be used here.
        TrainingError: it can, but what lies there is damaged, gone, or no end of a training.
    """
    try:
        with store.filesystem.open_input_stream(finished) as file:
            text = file.read()
        return finished_copy(store, json.loads(text)["checkpoint"])
    except (ValueError, KeyError) as error:  # cut off, or written as zeros
        raise TrainingError(f"{finished}: unreadable ({first_line(error)})") from error
    except OSError as error:
        raise EngineFailure(
            f"{finished}: the job's result cannot be read here ({error}); runtime.storage must be one that this "
            "machine and the cluster share"
        ) from error
