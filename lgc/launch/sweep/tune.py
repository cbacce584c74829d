"""Ray Tune around the trials: it starts them, Ray Train trains, the ledger remembers.

With ``runtime.engine=local`` a trial trains in the process that Tune gives it, and that process is used again: trials
of seconds then take seconds, not the half minute in which Ray Train starts three stages.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from lgc.config.load import parse
from lgc.config.schema import Config
from lgc.config.sweep import SweepConfig
from lgc.errors import TrainingError
from lgc.launch import storage
from lgc.launch.board import open_board
from lgc.launch.cluster import DRIVER_ENVIRONMENT
from lgc.launch.growth import may_grow
from lgc.launch.jobs import is_job_server
from lgc.launch.ray_train import connect
from lgc.launch.room import joins_cluster
from lgc.launch.sweep.display import SweepDisplay
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.launch.sweep.objectives import SCORE, measured
from lgc.launch.sweep.proposals import make_scheduler, make_searcher
from lgc.launch.sweep.trial import MEASURED, Search, report, run_trial, stage_samples, tidy
from lgc.launch.worker import Audience, threads_for

_TUNE_SETTINGS: Final[Mapping[str, str]] = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the command; the ledger knows where it was
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def search_with_ray(
    search: Search, first: Sequence[Mapping[str, float]], address: str | None, ended: Callable[[Record], str]
) -> None:
    """Run the trials that the sweep still lacks.

    Args:
        search: what to search.
        first: values of trials to run before Optuna proposes any.
        address: of a Ray cluster; None starts one on this machine.
        ended: called here after each trial; returns a line to show.

    Raises:
        TrainingError: trials broke off for reasons that are not in their values, e.g. a full disk; running the
            sweep again goes on.
    """
    sweep, ledger = search.sweep, Ledger(search.folder)
    done = ledger.records()
    missing = sweep.trials - len(done)
    if missing <= 0:
        return
    if is_job_server(address):
        raise TrainingError(
            f"runtime.address {address}: a sweep cannot be sent to a job server; "
            "start it on a machine of the cluster with runtime.address=auto"
        )
    config = parse(search.raw)
    in_process = config.runtime.engine == "local"
    if in_process and sweep.mode == "target_rate":
        raise TrainingError(
            f"sweep {sweep.name}: with runtime.engine=local nobody sees how a trial stands before it ends, "
            "so none can be ended early; use runtime.engine=ray"
        )
    for name, value in {**DRIVER_ENVIRONMENT, **_TUNE_SETTINGS}.items():
        os.environ.setdefault(name, value)
    connect(address, dashboard=True)
    import ray
    from ray import tune

    device, most = concurrency(sweep, config, ray.cluster_resources(), joins_cluster(config.runtime) and may_grow())
    at_once = min(missing, most)
    threads = threads_for(config.runtime.threads, at_once * (1 if in_process else config.runtime.workers))
    raw = {**search.raw, "runtime": {**search.raw["runtime"], "threads": threads}}
    search = replace(search, raw=raw)
    board = open_board()
    scratch = search.folder / "tune"
    shutil.rmtree(scratch, ignore_errors=True)  # the ledger, not Tune's snapshot, says what is left to do
    display = SweepDisplay(board, sweep.trials, len(done))

    def tell(record: Record) -> None:
        display.ended(ended(record), len(ledger.records()))

    tuner = tune.Tuner(
        # a trial's own process needs no CPU unless it trains itself; it stays here, where the sweep's folder is
        tune.with_resources(
            _bound(search, board, storage.worker_environment(config.storage, address)),
            {_this_node(): 0.001, **({device: 1} if in_process else {})},
        ),
        tune_config=tune.TuneConfig(
            search_alg=make_searcher(search, first, done),
            scheduler=make_scheduler(search, config, [ledger.course(record.trial) for record in done]),
            num_samples=missing,
            max_concurrent_trials=at_once,
            trial_name_creator=partial(_trial_name, ledger),
            trial_dirname_creator=partial(_trial_name, ledger),
            reuse_actors=in_process,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(scratch),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            callbacks=[_make_callback(search, tell)],
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with warnings.catch_warnings(), display.drawing():
        warnings.simplefilter("ignore")
        results = tuner.fit()
    shutil.rmtree(scratch, ignore_errors=True)
    if broken := results.errors:
        raise TrainingError(
            f"sweep {sweep.name}: {len(broken)} trials broke off ({_last_line(broken[0])}); "
            "run the same command again to go on"
        )


def concurrency(
    sweep: SweepConfig, config: Config, resources: Mapping[str, float], grows: bool = False
) -> tuple[str, int]:
    """What trials run on, ``CPU`` or ``GPU``, and how many at once.

    More than the devices allow would wait for one another while they hold their workers. Where not even one has room
    in a cluster that ``grows``, as one whose GPUs start from zero, they are as many as the sweep asks for, or one.
    """
    runtime = config.runtime
    workers = 1 if runtime.engine == "local" else runtime.workers
    on_gpu = runtime.device == "cuda" or (runtime.device == "auto" and resources.get("GPU", 0) >= workers)
    device = "GPU" if on_gpu else "CPU"
    there = resources.get(device, 0)
    fit = int(there // workers)
    if not fit and grows:
        return device, sweep.concurrent or 1
    if not fit:
        raise TrainingError(
            f"sweep {sweep.name}: a trial needs {workers} {device}s, Ray has {there:g}; lower runtime.workers"
        )
    return device, min(fit, sweep.concurrent or fit)


def _this_node() -> str:
    """The resource that only the node of this process has."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    resources = next(found["Resources"] for found in ray.nodes() if found["NodeID"] == node)
    return next(name for name in resources if name.startswith("node:") and "__" not in name)


def _trial_name(ledger: Ledger, trial: Any) -> str:
    return ledger.number(trial.config)


def _bound(search: Search, board: Any, environment: Mapping[str, str]) -> Callable:
    from ray import tune

    return tune.with_parameters(_trainable, search=search, board=board, environment=environment)


def _trainable(config: Mapping[str, float], search: Search, board: Any, environment: Mapping[str, str]) -> None:
    """What Tune runs for each trial; the training itself runs in Ray Train's workers."""
    from ray import tune

    os.environ.update(environment)
    trial = tune.get_context().get_trial_name()
    samples = stage_samples(parse(search.raw))

    def watch(stage: int, known: Mapping[str, float]) -> Audience:
        callbacks: tuple[Any, ...] = ()
        if search.sweep.mode == "target_rate":
            callbacks = (_make_reporter(search, known, sum(samples[:stage])),)
        return Audience(f"trial {trial} ", board, callbacks)

    record = run_trial(search, trial, config, watch)
    tune.report(report(search, record.objectives, sum(samples)))


def _make_reporter(search: Search, known: Mapping[str, float], before: int) -> Any:
    """Tells Tune how a trial stands whenever its training reports: ``known`` from earlier stages, and what is new."""
    from ray.tune.integration.ray_train import TuneReportCallback

    class Reporter(TuneReportCallback):
        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            with contextlib.suppress(Exception):  # an error here would end the training
                found = {**known, **measured(search.axes, metrics[0])}
                told = report(search, found, before + int(metrics[0]["samples"]))
                super().after_report(run_context, [told], None)

    return Reporter()


def _make_callback(search: Search, ended: Callable[[Record], None]) -> Any:
    from ray.tune import Callback

    ledger = Ledger(search.folder)

    class Ended(Callback):
        """After each trial; a scheduler that stopped one has ended its process, so the record is made here."""

        def __reduce__(self) -> tuple:
            return Callback, ()  # Tune keeps a copy of all its settings, and needs this one only here

        def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
            ledger.add_to_course(str(trial), int(result["samples"]), float(result[SCORE]))

        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            number = str(trial)
            record = ledger.record(number)
            if record is None:
                last = trial.last_result or {}
                found = {name: last[name] for name in last.get(MEASURED, ())}
                seconds = round(last.get("time_total_s", 0.0), 1)
                record = Record(number, ledger.values()[number], "stopped", found, seconds, "stopped early by ASHA")
                ledger.write(record)
                tidy(search, number)
            ended(record)

    return Ended()


def _last_line(error: BaseException) -> str:
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()
