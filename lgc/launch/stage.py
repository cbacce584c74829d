"""Runs one stage of the pipeline from ``params.yaml`` to its outputs, recorded in MLflow."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from lgc.build.analysis import best_reference
from lgc.build.export import export_stage
from lgc.config.load import PARAMS, load, read_raw
from lgc.config.paths import Paths, TrainStage
from lgc.config.schema import Config
from lgc.config.variants import vary
from lgc.errors import LgcError, TrainingError, first_line, without_secrets
from lgc.launch import storage
from lgc.launch.identity import identify, pipeline_key, provenance, stage_params
from lgc.launch.inputs import publish, stage_inputs
from lgc.launch.interrupts import in_thread
from lgc.launch.jobs import Detached, is_job_server, train_as_job
from lgc.launch.local import run_local
from lgc.launch.locks import locked
from lgc.launch.room import check_room, publishes
from lgc.launch.worker import NOBODY, Audience, Job, threads_for
from lgc.tracking.mlflow import MlflowTracker, Opening, RunAddress, family, open_run, replay, resume
from lgc.training.identity import TERMS_OFF, Identity
from lgc.training.state import STATE, read_state
from lgc.training.trainer import Interrupted

_PATIENCE: Final = 30.0
_PATIENCE_WITHOUT_SERVER: Final = 2.0
"""Seconds for delivering records; what is not delivered waits in the journal."""


@dataclass(frozen=True)
class StageRun:
    """A stage's MLflow run while the stage runs."""

    address: RunAddress | None
    journal: Path

    def images(self, *files: Path) -> None:
        """Show finished pictures among the run's images."""

        def show(tracker: MlflowTracker) -> None:
            for file in files:
                with Image.open(file) as picture:
                    tracker.image(file.stem, np.asarray(picture.convert("RGB")), step=0)

        self._record(show)

    def facts(self) -> dict[str, Any] | None:
        """Where this run and its pipeline's other runs are found, for files that others will have: without what opens
        the server. None when no server knows them."""
        if self.address is None or self.address.run_id is None:
            return None
        try:
            experiment, runs = family(self.address)
        except Exception as error:  # as when it was opened
            _say(_complaint(error))
            return None
        uri = without_secrets(self.address.uri)
        return {"uri": uri, "experiment": experiment, "run_id": self.address.run_id, "runs": runs}

    def artifacts(self, *files: Path) -> None:
        """Keep finished files with the run; a server that is away is reported, not raised."""

        def keep(tracker: MlflowTracker) -> None:
            for file in files:
                tracker.artifact(file)

        self._record(keep)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Final values of a stage that is no training."""
        self._record(lambda tracker: tracker.metrics(values, step))

    def end(self, status: str) -> None:
        """Close the run, and its pipeline's, as FINISHED, FAILED or KILLED."""
        self._record(lambda tracker: tracker.end(status))

    def _record(self, action: Callable[[MlflowTracker], object]) -> None:
        if self.address is not None:
            tracker = MlflowTracker(self.address, self.journal)
            action(tracker)
            _say(tracker.close(_PATIENCE if self.address.run_id else _PATIENCE_WITHOUT_SERVER))


def run_training(name: TrainStage, variant: str = "") -> None:
    """Train a stage of the project in the working directory, or of one of its variants, and write its outputs."""
    whole, raw = load(), read_raw()
    config, paths = vary(whole, variant, name), Paths.here().of(variant)
    storage.apply(config.storage)
    identity = identify(name, config, paths)
    shown = f"{name} {variant}".strip()
    with recorded(shown, identity.fingerprint, whole, paths, stage_params(name, config)) as run:
        metrics = train_stage(name, identity, config, raw, paths, run)
    print(f"{shown}: {paths.stage(name).relative_to(paths.root)} written ({_summary(metrics)})")


def train_stage(
    name: TrainStage,
    identity: Identity,
    config: Config,
    raw: dict[str, Any],
    paths: Paths,
    run: StageRun,
    audience: Audience = NOBODY,
) -> Mapping[str, Any]:
    """Train a stage below ``paths`` and write its outputs; returns the content of its ``metrics.json``.

    ``config`` is the stage's, in the variant of ``paths``; ``raw`` is the project's as plain mappings, from which a
    worker makes the same. A run of the same ``identity`` continues.
    """
    workers = 1 if config.runtime.engine == "local" else config.runtime.workers
    job = Job(
        stage=name,
        variant=paths.variant,
        raw_config=raw,
        root=str(paths.root),
        identity=identity,
        run=run.address,
        journal=str(run.journal),
        threads=threads_for(config.runtime.threads, workers),
        label=audience.label,
    )
    return _export(name, config, paths, _train(job, config, paths, audience), run)


def _train(job: Job, config: Config, paths: Paths, audience: Audience) -> Path:
    runtime = config.runtime
    name = f"{job.stage}-{job.identity.fingerprint}"
    if not job.variant:  # beside the runs of other variants, which are no earlier ones of this
        _say(why_anew(storage_folder(config, paths), name, job.stage, job.identity))
    if runtime.engine == "local":
        return run_local(job, storage_folder(config, paths) / name, runtime.device, audience)
    check_room(runtime)
    where = runtime.storage if "://" in runtime.storage else str(storage_folder(config, paths))
    as_job = is_job_server(runtime.address)
    if as_job or publishes(runtime):  # workers that share no folder with this process
        job = _with_inputs(job, config, paths, where)
    if as_job:
        assert runtime.address is not None
        job = replace(job, journal=f"~/.cache/lgc/journal/{name}")
        environment = storage.worker_environment(config.storage, runtime.address)
        store = storage.open_store(config.storage, where)
        return train_as_job(job, runtime.address, where, store, name, environment)
    from lgc.launch.ray_train import run_ray

    return run_ray(job, config, where, name, runtime.address, audience)[1]


def _with_inputs(job: Job, config: Config, paths: Paths, where: str) -> Job:
    """The job with what it reads in the storage."""
    store, inputs = storage.open_store(config.storage, where), stage_inputs(job.stage, config, paths)

    def say(line: str) -> None:
        print(f"{job.stage}: {line}", flush=True)

    with storage.reaching(where):
        in_thread(lambda: publish(inputs, paths, store, say), "lgc-publish")
    return replace(job, inputs=inputs, inputs_at=where)


def why_anew(folder: Path, name: str, stage: str, identity: Identity) -> str | None:
    """A line, when a stage without a checkpoint has one of an earlier run that it will not go on from.

    Only for checkpoints on this machine; ``folder`` holds a folder per run.
    """
    if (folder / name).exists():
        return None
    earlier = max(folder.glob(f"{stage}-*/*/{STATE}"), key=lambda path: path.stat().st_mtime, default=None)
    if earlier is None:
        return None
    try:
        state = read_state(earlier.parent)
    except TrainingError:
        return None  # nothing that could have been gone on from
    was = state["identity"]
    like = identity.without(was.get(TERMS_OFF, ()))  # which terms are off is seen where the stage trains, not here
    run, differences = earlier.parents[1].name, like.differences(was)
    return f"{stage}: starts anew, not from {run} ({state['samples']} samples): {differences}"


def storage_folder(config: Config, paths: Paths) -> Path:
    """Local folder for checkpoints and journals."""
    return paths.root / ("runs" if "://" in config.runtime.storage else config.runtime.storage)


def _export(name: TrainStage, config: Config, paths: Paths, checkpoint: Path, run: StageRun) -> Mapping[str, Any]:
    try:
        measured = read_state(checkpoint)["metrics"]
        facts: dict[str, Any] = {"metrics": measured}
        if name == "train_reference":
            facts["best"] = best_reference(measured)
        metrics = export_stage(name, config, paths, checkpoint, facts)
    finally:
        if config.runtime.engine == "ray":
            shutil.rmtree(checkpoint, ignore_errors=True)
    folder = paths.stage(name)
    run.artifacts(*(path for path in sorted(folder.iterdir()) if path.name != "weights.safetensors"))
    return metrics


@contextmanager
def recorded(name: str, key: str, config: Config, paths: Paths, params: Mapping[str, Any]) -> Iterator[StageRun]:
    """Open the stage's MLflow run below its pipeline's, and close it as it deserves.

    When the server is away, everything is journaled, and the run is opened when it is back.
    """
    journals = storage_folder(config, paths) / "journal"
    journal = journals / f"{name}-{key}".replace(" ", "-").replace("/", "-")
    if not config.tracking.enabled:
        yield StageRun(None, journal)
        return
    address = _open(name, key, config, paths, params)
    run = StageRun(address, journal)
    status: str | None = "FAILED"
    try:
        if address.run_id:
            _replay(journals, address)
        run.artifacts(paths.root / PARAMS)
        yield run
        status = "FINISHED"
    except Detached:
        status = None  # the job goes on
        raise
    except (KeyboardInterrupt, Interrupted):
        status = "KILLED"
        raise
    finally:
        if status is not None:
            run.end(status)


def _open(name: str, key: str, config: Config, paths: Paths, params: Mapping[str, Any]) -> RunAddress:
    tracking = config.tracking
    pipeline = pipeline_key(config, paths)
    uri = absolute_uri(tracking.uri, paths)
    opening = Opening(
        experiment=tracking.experiment,
        artifacts=tracking.artifacts,
        pipeline=pipeline,
        pipeline_name=f"{config.data.name} {pipeline[:6]}",
        stage=name,
        key=key,
        params=dict(params),
        tags={**provenance(paths), **environment_facts()},
    )
    try:
        # two stages that begin at once would both make the store, or the pipeline's run
        with locked(storage_folder(config, paths) / ".opening", wait=True):
            return RunAddress(uri, open_run(uri, opening))
    except Exception as error:  # whatever the client and its transport raise must not end training
        _say(f"{_complaint(error)}, records wait in the journal")
        return RunAddress(uri, None, opening)


def _replay(journals: Path, address: RunAddress) -> None:
    """Deliver what earlier runs left. One of them may have been an attempt at this one, and its end is among it."""
    for line in replay(journals):
        _say(line)
    try:
        resume(address)
    except Exception as error:  # as when it was opened
        _say(_complaint(error))


def environment_facts() -> dict[str, str]:
    """Versions and machine, for tags."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ray": importlib.metadata.version("ray"),
        "machine": platform.machine(),
        "gpu": gpu,
    }


def absolute_uri(uri: str, paths: Paths) -> str:
    """SQLite files relative to the project's root become absolute: engines change the working directory."""
    prefix = "sqlite:///"
    if uri.startswith(prefix) and not uri.startswith(prefix + "/"):
        return f"{prefix}/{(paths.root / uri.removeprefix(prefix)).as_posix().lstrip('/')}"
    return uri


def main(action: Callable[[], None]) -> None:
    """Run a stage's action as a script: errors a user can cause become one line and exit code 1."""
    try:
        action()
    except LgcError as error:
        sys.exit(f"error: {without_secrets(str(error))}")
    except (KeyboardInterrupt, Interrupted) as error:
        note = str(error) or "interrupted"
        print(f"{note}; run the same command again to continue", file=sys.stderr)
        # Python ends when its libraries let it; a storage that does not answer may keep them for minutes
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.exit(130)


def _complaint(error: Exception) -> str:
    return f"tracking: {type(error).__name__}: {first_line(error)}; going on"


def _say(line: str | None) -> None:
    if line:
        print(without_secrets(line), file=sys.stderr, flush=True)


def _summary(metrics: Mapping[str, Any]) -> str:
    shown = {key.removeprefix("val/"): value for key, value in metrics["metrics"].items()}
    wanted = ("bpp", "psnr", "base_psnr", "lpips_squeeze", "semantic.miou", "both.miou")
    parts = [f"{key} {shown[key]:.3f}" for key in wanted if key in shown]
    return ", ".join([*parts, f"{metrics['seconds']:.0f} s of training"])
