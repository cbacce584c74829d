"""Runs a training stage as a Ray Train job, on one machine or a cluster."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from tqdm import tqdm

from lgc.config.schema import Config, StorageConfig
from lgc.errors import EngineFailure, TrainingError
from lgc.launch.board import BoardBar, Display, open_board
from lgc.launch.checkpoints import copied, mend_account, name_of, newest
from lgc.launch.cluster import QUIET, new_access, short_folder
from lgc.launch.cores import cores
from lgc.launch.credentials import INHERITED, seal
from lgc.launch.inputs import Store
from lgc.launch.interrupts import first_asks, in_thread
from lgc.launch.restarts import watch_progress
from lgc.launch.storage import open_store, ray_storage, reaching, worker_environment
from lgc.launch.worker import NOBODY, Audience, Job, fetched, train
from lgc.repeat import repeatedly
from lgc.training.context import Bar
from lgc.training.state import read_state
from lgc.training.trainer import Interrupted

_ERROR: Final = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")
_RESIZE_SECONDS: Final = 60.0
"""How often Ray looks whether more workers could train."""
_STEPS_BETWEEN_LOOKS: Final = 8
"""Of several workers, who have to agree each time, whether somebody asked to stop."""
_SECONDS_BETWEEN_LOOKS: Final = 0.5
_SECONDS_BETWEEN_SIGNS: Final = 2.0
"""How often a worker says that it is there."""
_DESERTED_SECONDS: Final = 30.0
"""Of silence: a worker is lost by then, or none has begun, so a wish to stop would be heard by nobody."""
_WORDLESS_SECONDS: Final = 60.0
"""Of silence, before it is said what Ray may be waiting for."""

_TRAIN_SETTINGS: Final[Mapping[str, str]] = {
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def run_ray(
    job: Job, config: Config, where: str, name: str, address: str | None, audience: Audience = NOBODY
) -> tuple[str, Path]:
    """Train to the end; returns where the final checkpoint lies, and a local copy of it (the caller's to delete).

    Args:
        job: what to train.
        config: for workers, device, failures and access to the storage. Where fewest and most workers differ,
            training goes on with those that are left when a node is lost, and with more when nodes come.
        where: URI or folder of the storage for checkpoints.
        name: of the run within the storage; the same name continues.
        address: of a running cluster; None uses ``RAY_ADDRESS`` or starts Ray on this machine.
        audience: who else looks on; with a board of its own nothing is drawn here.

    Raises:
        EngineFailure: Ray gave up, as after trouble of its nodes; the message is the last error. Or the final
            checkpoint is not whole in the storage.
        TrainingError: the training cannot go on, as all its workers agree.
        Interrupted: Ctrl-C; a checkpoint was written first, unless no worker was there to write one.
    """
    runtime = config.runtime
    # before Ray is imported here: it reads its environment then; the controller, too, writes to the storage
    connect(address, config.storage if config.storage.bucket else None)
    # Ray sets one OpenMP thread a worker, and raising the number later in the process is slower than this
    environment = {**worker_environment(config.storage, address), "OMP_NUM_THREADS": str(job.threads)}
    import ray
    from ray import train as ray_train
    from ray.train.torch import TorchTrainer

    from lgc.launch.process_group import NodeTorchConfig

    fewest, most = runtime.min_workers or runtime.workers, runtime.workers
    use_gpu = runtime.device == "cuda" or (
        runtime.device == "auto" and ray.cluster_resources().get("GPU", 0) >= fewest
    )
    board = audience.board or open_board()
    store = open_store(config.storage, where)
    with reaching(where):
        in_thread(lambda: mend_account(store, name), "lgc-mend")
    # Ray's own type hints name the older classes
    scaling: dict[str, Any] = {
        "num_workers": most if fewest == most else (fewest, most),
        "elastic_resize_monitor_interval_s": _RESIZE_SECONDS,
        "use_gpu": use_gpu,
        "resources_per_worker": {"CPU": 1, **({"GPU": 1} if use_gpu else {})},
    }
    trainer: Any = TorchTrainer(
        _worker,  # type: ignore[arg-type]
        train_loop_config={"job": job, "board": board, "store": store, "run": name},
        scaling_config=ray_train.ScalingConfig(**scaling),
        run_config=ray_train.RunConfig(  # type: ignore[call-arg]
            name=name,
            **ray_storage(store, where),
            worker_runtime_env={"env_vars": environment},
            failure_config=ray_train.FailureConfig(max_failures=runtime.max_failures),
            checkpoint_config=ray_train.CheckpointConfig(num_to_keep=2),
            callbacks=[*audience.callbacks, *([watch_progress()] if runtime.max_failures < 0 else [])],
        ),
        torch_config=NodeTorchConfig(backend="nccl" if use_gpu else "gloo"),
    )
    try:
        with contextlib.nullcontext() if audience.board else Display(board).drawing():
            result = _interruptible(trainer.fit, board, f"{job.label}{job.stage}")
    except ray_train.TrainingFailedError as error:
        raise EngineFailure(_innermost(error)) from error
    if result.return_value is not None:
        raise result.return_value
    with reaching(where):
        # training is over: what is passed over here is no news of where it goes on
        found = in_thread(lambda: newest(store, name, lambda _: None), "lgc-fetch")
    if found is None:
        raise TrainingError(f"{where}/{name}: training ended and left no checkpoint there")
    if not read_state(found[1])["finished"]:
        shutil.rmtree(found[1], ignore_errors=True)
        raise EngineFailure(
            f"{where}/{name}: training ended, but its last checkpoint is damaged or gone; run the same command again "
            "to go on from the one before"
        )
    return found


def _interruptible(fit: Callable[[], Any], board: Any, name: str) -> Any:
    """Run Ray's ``fit``; the first Ctrl-C or SIGTERM asks the workers to stop, a second one ends at once.

    In the main thread Ray would abort the run on Ctrl-C, and what was trained since the last checkpoint would be
    lost; in another thread it leaves signals alone. Where no worker is left to ask, as while Ray waits for a node in
    the place of a lost one, nothing is lost by ending without them.
    """
    if threading.current_thread() is not threading.main_thread():
        return fit()
    asked, told = threading.Event(), False

    def look() -> None:
        nonlocal told
        if asked.is_set():
            board.stop.remote()
        silence = _silence(board)
        if asked.is_set() and silence > _DESERTED_SECONDS:
            raise Interrupted(f"{name}: stopped while no worker was there")
        if silence > _WORDLESS_SECONDS and not told:
            tqdm.write(f"{name}: no worker has been heard of for {silence:.0f} s; {_room()}")
        told = silence > _WORDLESS_SECONDS

    with first_asks(asked.set):
        return in_thread(fit, "lgc-ray-train", look)


def _silence(board: Any) -> float:
    """Seconds since a worker was heard of; 0 where the board does not answer in time, as on a busy machine."""
    import ray

    try:
        return float(ray.get(board.silence.remote(), timeout=5))
    except ray.exceptions.RayError:
        return 0.0


def _room() -> str:
    """What Ray has, for somebody who waits for it."""
    import ray

    free, whole = ray.available_resources(), ray.cluster_resources()
    kinds = [kind for kind in ("CPU", "GPU") if whole.get(kind)]
    found = " and ".join(f"{free.get(kind, 0):.0f} of {whole[kind]:.0f} {kind}" for kind in kinds) or "nothing"
    return f"Ray starts them, or waits for room: {found} free (`ray status` says more)"


def connect(address: str | None, storage: StorageConfig | None = None, dashboard: bool = False) -> None:
    """Join a running cluster, or start Ray on this machine for as long as this process lives.

    Whatever this process starts there finds ``storage``. A Ray of our own goes without its ``dashboard``, ten
    processes that nobody looks at; but without it, trials of Tune that were stopped kept their place.
    """
    set_environment(address)
    import ray

    if ray.is_initialized():
        return
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {}
    if where == "local":
        os.environ[INHERITED] = seal("")
        own = {"num_cpus": cores(), "include_dashboard": dashboard, "_temp_dir": _private_folder()}
    environment = worker_environment(storage, address) if storage else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            address=where,
            **own,
            runtime_env={"env_vars": environment} if environment else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


def _private_folder() -> str:
    """Where a Ray of this process keeps its files: it lets every user into its own folder, but not into that around.

    Removed when the process ends, after Ray.
    """
    import ray

    around = tempfile.mkdtemp(prefix="lgc-ray-", dir=short_folder())

    def remove() -> None:
        ray.shutdown()
        shutil.rmtree(around, ignore_errors=True)

    atexit.register(remove)
    return f"{around}/ray"


def set_environment(address: str | None) -> None:
    """What Ray reads when it is first imported; what the user set wins."""
    for key, value in {**QUIET, **_TRAIN_SETTINGS}.items():
        os.environ.setdefault(key, value)
    if not (address or os.environ.get("RAY_ADDRESS")) and "RAY_AUTH_MODE" not in os.environ:
        os.environ.update(new_access())


class RayContext:
    """One Ray Train worker's :class:`~lgc.training.context.Context`."""

    def __init__(self, board: Any, store: Store, run: str) -> None:
        """``board`` is the handle of a :class:`~lgc.launch.board.Board` actor, ``run`` a folder of the store."""
        from ray import train as ray_train
        from ray.train.torch import get_device

        self._train, self._board, self._store, self._run = ray_train, board, store, run
        context = ray_train.get_context()
        self.rank: int = context.get_world_rank()
        self.world_size: int = context.get_world_size()
        self.device: torch.device = get_device()
        self.node: int | None = None if context.get_local_rank() else context.get_node_rank()
        self._restored: Path | None = None
        self._steps = 0
        self._asked = 0.0
        self._answer: Any = None

    def wrap(self, module: nn.Module, skips_parameters: bool) -> nn.Module:
        """Data-parallel when there is more than one worker."""
        if self.world_size == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            module, devices, broadcast_buffers=False, find_unused_parameters=skips_parameters
        )

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """An all-reduce, where there are several workers."""
        if self.world_size == 1:
            return values
        torch.distributed.all_reduce(values)
        return values / self.world_size

    def gather(self, value: Any) -> list[Any]:
        """An all-gather, where there are several workers."""
        if self.world_size == 1:
            return [value]
        values = [None] * self.world_size
        torch.distributed.all_gather_object(values, value)
        return values

    def latest_checkpoint(self) -> Path | None:
        """A local copy of the last whole checkpoint in the storage; rank 0 chooses it."""
        self.forget()
        found: list[Any] = [None]
        if self.rank == 0:
            try:
                if (whole := newest(self._store, self._run, self.say)) is not None:
                    found[0], self._restored = whole
            except TrainingError as error:
                found[0] = error
        if self.world_size > 1:
            torch.distributed.broadcast_object_list(found, device=self.device)
        (place,) = found
        if isinstance(place, TrainingError):
            raise place
        if place is not None and self.rank:
            self._restored = copied(self._store, place)
        return self._restored

    def forget(self) -> None:
        """Remove the local copy of a checkpoint."""
        if self._restored is not None:
            shutil.rmtree(self._restored, ignore_errors=True)
            self._restored = None

    def located(self, error: TrainingError) -> TrainingError:
        """What is wrong with a checkpoint, and where its run lies: the local copy is gone when somebody reads it."""
        copy = str(self._restored)
        if copy not in str(error):
            return error
        return TrainingError(str(error).replace(copy, f"{self._store.folder}/{self._run}"))

    def new_checkpoint(self, samples: int) -> Path:
        """A folder of its own."""
        return Path(tempfile.mkdtemp(prefix=f"lgc-checkpoint-{samples}-"))

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None) -> None:
        """A barrier for all workers; Ray uploads the folder before this returns."""
        given = None if checkpoint is None else self._train.Checkpoint.from_directory(str(checkpoint))
        try:
            self._train.report(dict(metrics), checkpoint=given, checkpoint_dir_name=name_of(int(metrics["samples"])))
        finally:
            if checkpoint is not None:
                shutil.rmtree(checkpoint, ignore_errors=True)

    def bar(self, total: int, done: int, name: str) -> Bar | None:
        """A bar that the driver draws."""
        return BoardBar(self._board, total, done, name) if self.rank == 0 else None

    def say(self, line: str) -> None:
        """A line in the driver's terminal."""
        self._board.say.remote(line)

    def heard(self) -> contextlib.AbstractContextManager[None]:
        """For as long as it lasts the board hears that this worker is there."""
        return repeatedly(self._board.alive.remote, _SECONDS_BETWEEN_SIGNS, "lgc-sign-of-life")

    def stop_requested(self) -> bool:
        """Whether the driver asked to; all workers learn it in the same step, some steps later."""
        if self.world_size == 1:
            return self._stopping()
        self._steps += 1
        if self._steps % _STEPS_BETWEEN_LOOKS:
            return False
        asked = torch.tensor([float(self.rank == 0 and self._stopping())], device=self.device)
        return bool(self.mean(asked).item() > 0)

    def _stopping(self) -> bool:
        """The board's answer to the last question, if it has come; asks twice a second at most, never waits."""
        import ray

        try:
            if self._answer is None:
                if time.monotonic() - self._asked < _SECONDS_BETWEEN_LOOKS:
                    return False
                self._asked, self._answer = time.monotonic(), self._board.stopping.remote()
            if not ray.wait([self._answer], timeout=0)[0]:
                return False
            answer, self._answer = ray.get(self._answer), None
        except ray.exceptions.RayError:  # the board's node is gone; training is not
            return False
        return bool(answer)


def _worker(config: Mapping[str, Any]) -> Exception | None:
    """Train; returns what all workers came to alike, so that Ray does not start them again.

    What one cannot copy is its own trouble: it is raised, so that Ray ends the others, who wait, and tries again.
    """
    context = RayContext(config["board"], config["store"], config["run"])
    with context.heard():
        job = fetched(config["job"], context.say)
        try:
            train(job, context)
        except TrainingError as error:
            return context.located(error)
        except Interrupted as error:
            return error
        finally:
            context.forget()
    return None


def _innermost(error: BaseException) -> str:
    """The last line that says what went wrong, without Ray's layers around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    last = (errors or lines or [type(error).__name__])[-1]
    return re.sub(r"^lgc\.errors\.\w+: ", "", last)
