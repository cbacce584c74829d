"""The table of what is broken. To add a case, write what strikes and one row."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from lgc.errors import LgcError
from lgc.faults.proxy import Mode
from lgc.faults.scene import Scene

BATCH: Final = 8
INTERVAL: Final = 64
SAMPLES: Final = 480
STRIKE: Final = 216
"""Sample at which faults come: in the middle between two checkpoints."""
AWAY_SECONDS: Final = 12.0

End = Literal["bitwise", "close", "slower", "refused"]
"""What is right in the end: equal to the last bit; equal within a tolerance, where the noise is other noise; finished
with a lower learning rate; one clear message after the allowed number of rollbacks."""
Need = Literal["s3", "mlflow", "disk"]


@dataclass(frozen=True)
class Case:
    """One row."""

    name: str
    end: End = "bitwise"
    strike: Callable[[Scene], None] | None = None
    """Comes from outside when the stage has trained :data:`STRIKE` samples."""
    inside: Literal["raise", "nan"] | None = None
    """Comes in the last worker at that sample."""
    heal: Callable[[Scene], None] | None = None
    """Before the stage is run again, or after it ended."""
    again: bool = False
    """The stage fails and is run again."""
    workers: int = 1
    needs: tuple[Need, ...] = ()
    overrides: tuple[str, ...] = ()
    says: str = ""
    """Regular expression that the stage's last words match: when it fails, or in its log."""
    recorded: bool = True
    """Every step is in the tracking store in the end; else in the journal."""


def kill_worker(scene: Scene) -> None:
    """SIGKILL to one training process."""
    next(iter(scene.cluster.workers().values()))[0].kill()


def lose_node(scene: Scene) -> None:
    """A raylet and all below it."""
    node = next(iter(scene.cluster.workers()))
    scene.cluster.call("kill", str(node))


def bring_nodes_back(scene: Scene) -> None:
    """So that the next case has them."""
    scene.cluster.complete()


def kill_driver(scene: Scene) -> None:
    """The process that a user or DVC started."""
    assert scene.stage is not None
    scene.stage.kill()


def interrupt(scene: Scene) -> None:
    """Ctrl-C."""
    assert scene.stage is not None
    scene.stage.send_signal(signal.SIGINT)


def cut_one_upload(scene: Scene) -> None:
    """In the middle of a file."""
    assert scene.s3 is not None
    scene.s3.cut_uploads(1)


def cut_many_uploads(scene: Scene) -> None:
    """More often than a client tries again."""
    assert scene.s3 is not None
    scene.s3.cut_uploads(12)


def s3_errors(scene: Scene) -> None:
    """503 to everything, for a while that contains a checkpoint."""
    _for_a_while(scene, "errors")


def s3_away(scene: Scene) -> None:
    """No answer, for a while that contains a checkpoint."""
    _for_a_while(scene, "away")


def _for_a_while(scene: Scene, mode: Mode) -> None:
    proxy = scene.s3
    assert proxy is not None
    proxy.set(mode)
    time.sleep(AWAY_SECONDS)
    scene.wait_for("request to S3", lambda: proxy.strikes > 0)  # where training is slow, the checkpoint comes later
    proxy.set("pass")


def mlflow_away(scene: Scene) -> None:
    """Killed, and started again."""
    assert scene.mlflow is not None
    scene.mlflow.kill()
    time.sleep(AWAY_SECONDS)
    scene.mlflow.start()


def mlflow_gone(scene: Scene) -> None:
    """Killed for good."""
    assert scene.mlflow is not None
    scene.mlflow.kill()


def fill_disk(scene: Scene) -> None:
    """To the last byte."""
    assert scene.disk is not None
    with (scene.disk / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 10, 1):
            try:
                while filler.write(b"\0" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise LgcError(f"{scene.disk}: {error}") from error


def free_disk(scene: Scene) -> None:
    """Make room again."""
    assert scene.disk is not None
    os.unlink(scene.disk / "filler")


_COLLAPSE: Final = (
    "train_codec.target_bpp.semantic=null", "train_codec.weights.rate_semantic=3000", "train_codec.lr=0.005",
    "train_codec.guards.collapse_bpp=0.02", "train_codec.guards.collapse_patience=6",
    "train_codec.settings.rollbacks=1", "train_codec.settings.samples=1920",
)  # fmt: skip
_WINNER: Final = (
    "train_codec.schedule.adversarial_from=0.1", "train_codec.discriminator_lr=0.002", "train_codec.lr=1e-6",
    "train_codec.guards.discriminator_share=0.1", "train_codec.guards.discriminator_patience=10",
    "train_codec.settings.rollbacks=1", "train_codec.settings.samples=960",
)  # fmt: skip
_ELASTIC: Final = ("runtime.min_workers=1",)

CASES: Final = (
    Case("a worker raises", inside="raise"),
    Case("a worker is killed", strike=kill_worker),
    Case("one of two workers is killed", strike=kill_worker, workers=2),
    Case("a node dies, another one takes over", strike=lose_node, heal=bring_nodes_back),
    Case("a node dies, the other worker goes on alone", "close", lose_node, heal=bring_nodes_back, workers=2,
         overrides=_ELASTIC, says=r"goes on at sample \d+ with 1 workers, 2 before; the batch stays 8, 8 a worker"),
    Case("the driver is killed, the stage is run again", strike=kill_driver, again=True),
    Case("Ctrl-C, the stage is run again", strike=interrupt, again=True,
         says="run the same command again to continue"),
    Case("an upload is cut", strike=cut_one_upload, needs=("s3",)),
    Case("uploads are cut again and again", strike=cut_many_uploads, needs=("s3",)),
    Case("S3 answers errors for a while", strike=s3_errors, needs=("s3",)),
    Case("S3 is away for a while", strike=s3_away, needs=("s3",)),
    Case("the MLflow server is away for a while", strike=mlflow_away, needs=("mlflow",)),
    Case("the MLflow server is gone for good", strike=mlflow_gone, needs=("mlflow",), recorded=False,
         says="kept in .*, the next run replays them"),
    Case("the disk is full, the stage is run again", strike=fill_disk, heal=free_disk, again=True, needs=("disk",),
         overrides=("runtime.max_failures=1",), says="No space left on device"),
    Case("a loss is NaN", "slower", inside="nan", says=r"back to sample 192 at 0.5 of the learning rate \(1 of 3\)"),
    Case("a loss is NaN on one of two workers", "slower", inside="nan", workers=2,
         says=r"back to sample 192 at 0.5 of the learning rate \(1 of 3\)"),
    Case("a layer's rate collapses", "refused", overrides=_COLLAPSE,
         says=r"^error: train_codec: rate collapse of the semantic layer .*; gave up after 1 rollbacks"),
    Case("the discriminator wins", "refused", overrides=_WINNER,
         says=r"^error: train_codec: the discriminator wins .*; gave up after 1 rollbacks"),
)  # fmt: skip
