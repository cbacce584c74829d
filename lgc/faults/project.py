"""A folder in which a checkout's stages run, and what can be read from it about a run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from safetensors.torch import load_file

from lgc.config.load import compose, write_params
from lgc.config.paths import WEIGHTS, Paths
from lgc.errors import LgcError, last_line

STAGE: Final = "train_codec"
_WATCHED: Final = "train/distortion"


@dataclass(frozen=True)
class Step:
    """One step as a worker wrote it down."""

    sample: int
    seconds: float
    """Since the epoch."""


@dataclass(frozen=True)
class Account:
    """What the steps that were written down say of a run."""

    lost: int
    """Samples trained more than once."""
    standstill: float
    """Longest time in seconds without a new sample; 0 with fewer than two steps."""

    @classmethod
    def of(cls, steps: Sequence[Step], batch: int) -> Account:
        """``steps`` in the order in which they were trained, over all attempts."""
        lost = sum(max(0, one.sample + batch - after.sample) for one, after in pairwise(steps))
        news: list[Step] = []
        for step in steps:
            if not news or step.sample > news[-1].sample:
                news.append(step)
        return cls(lost, max((b.seconds - a.seconds for a, b in pairwise(news)), default=0.0))


class Project:
    """Where one case happens."""

    def __init__(self, checkout: Path, folder: Path, overrides: Sequence[str], variables: Mapping[str, str]) -> None:
        """Compose ``overrides`` on the checkout's ``conf/``; ``variables`` are added to every command's own."""
        self._checkout, self.paths = checkout, Paths(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_params(compose(overrides, checkout / "conf"), folder / "params.yaml")
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")]),
            "LGC_WEIGHTS": str(folder / "no-weights"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **variables,
        }

    def prepare(self) -> None:
        """Write the data set."""
        self.paths.data.parent.mkdir(exist_ok=True)
        self._run("pipelines/prepare.py")

    def use_data_of(self, other: Project) -> None:
        """Read the data set of another project."""
        self.paths.data.parent.mkdir(exist_ok=True)
        self.paths.data.symlink_to(other.paths.data)

    def start(self, variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """The stage as a process of its own; what it says goes to ``stage.log``."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(self._checkout / "pipelines/train.py"), STAGE],
                cwd=self.paths.root,
                env={**self._environment, **(variables or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> Path:
        """What the stage said, all attempts."""
        return self.paths.root / "stage.log"

    def last_line(self) -> str:
        """Of the log."""
        return last_line(self.log.read_text(encoding="utf-8", errors="replace"), "no output")

    def steps(self) -> list[Step]:
        """Every training step that was written down, repeated ones too."""
        found = []
        for journal in self.paths.root.glob(f"**/journal/{STAGE}-*/records.jsonl"):
            for line in journal.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except ValueError:  # cut short by a kill
                    continue
                if record["kind"] == "metrics" and _WATCHED in record["values"]:
                    found.append(Step(record["step"], record["time"] / 1000))
        return found

    def recorded(self) -> list[tuple[int, float]]:
        """Step and distortion of every point that the tracking store has, in order."""
        store = self.paths.root / "mlflow.db"
        if not store.exists():
            return []
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            query = "select step, value from metrics where key = ? order by step"
            return connection.execute(query, (_WATCHED,)).fetchall()

    def artifacts(self) -> set[str]:
        """Names of the files kept with the run."""
        return {path.name for path in self.paths.root.glob("mlruns/**/*") if path.is_file()}

    def distance(self, other: Project) -> float:
        """Largest difference between two results' weights; 0 means equal to the last bit."""
        mine, theirs = (load_file(project.paths.stage(STAGE) / WEIGHTS) for project in (self, other))
        apart = [(mine[name].double() - theirs[name].double()).abs() for name in mine if mine[name].numel()]
        return max(float(one.max()) for one in apart)

    def measured(self) -> Mapping[str, float]:
        """The finished stage's validation metrics."""
        text = (self.paths.stage(STAGE) / "metrics.json").read_text(encoding="utf-8")
        values: Mapping[str, float] = json.loads(text)["metrics"]
        return values

    def _run(self, script: str) -> None:
        done = subprocess.run(
            [sys.executable, str(self._checkout / script)],
            cwd=self.paths.root, env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise LgcError(f"{script}: {last_line(done.stderr, 'failed')}")
