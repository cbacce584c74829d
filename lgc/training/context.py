"""What a training loop must know about where it runs. Ray has its own form (:mod:`lgc.launch.ray_train`)."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from torch import nn

from lgc.progress import make_bar
from lgc.training.state import newest_whole


class Bar(Protocol):
    """A progress bar over samples; tqdm and Ray's own tqdm both fit."""

    def update(self, n: int) -> object: ...
    def set_description(self, desc: str) -> object: ...
    def close(self) -> object: ...


class Context(Protocol):
    """One worker's view of its job."""

    rank: int
    world_size: int
    device: torch.device
    node: int | None
    """This worker's node, on one worker of each node; None on the others."""

    def wrap(self, module: nn.Module, skips_parameters: bool) -> nn.Module:
        """Prepare a module for data-parallel training; its ``forward`` is then the only way to train it."""
        ...

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Mean of a small tensor over all workers; every worker calls it equally often."""
        ...

    def gather(self, value: Any) -> list[Any]:
        """Every worker's small ``value``, by rank; every worker calls it equally often."""
        ...

    def latest_checkpoint(self) -> Path | None:
        """Folder of the last whole checkpoint of this run, on this machine.

        Raises:
            TrainingError: there are some, but none is whole; on all workers alike.
        """
        ...

    def new_checkpoint(self, samples: int) -> Path:
        """An empty folder to write a checkpoint into."""
        ...

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None) -> None:
        """Hand over metrics and, on rank 0, a finished checkpoint folder; every worker calls it equally often."""
        ...

    def bar(self, total: int, done: int, name: str) -> Bar | None:
        """A progress bar, on the worker that should show one."""
        ...

    def say(self, line: str) -> None:
        """Show a line to the person who started the job."""
        ...

    def stop_requested(self) -> bool:
        """Whether somebody asked to stop after this step."""
        ...


class LocalContext:
    """One process, no engine: checkpoints are folders beneath ``folder``, the last two are kept."""

    rank = 0
    world_size = 1
    node: int | None = 0

    def __init__(self, folder: Path | str, device: torch.device | str = "cpu", show_bar: bool = True) -> None:
        self._folder = Path(folder)
        self._clear()
        self._damaged: list[Path] = []
        self.device = torch.device(device)
        self._show_bar = show_bar
        self.stop = False

    def wrap(self, module: nn.Module, skips_parameters: bool) -> nn.Module:
        """Nothing to wrap."""
        return module

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """There is one worker."""
        return values

    def gather(self, value: Any) -> list[Any]:
        """There is one worker."""
        return [value]

    def latest_checkpoint(self) -> Path | None:
        """The newest whole checkpoint."""
        found = sorted(self._checkpoints())
        whole = newest_whole(found, Path, self.say)
        if whole is None:
            return None
        self._damaged = found[found.index(whole[0]) + 1 :]
        return whole[0]

    def new_checkpoint(self, samples: int) -> Path:
        """A folder that becomes a checkpoint in :meth:`report`."""
        path = self._folder / f"{_partial()}{os.getpid()}-{samples:012d}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def report(self, metrics: Mapping[str, float], checkpoint: Path | None) -> None:
        """Rename the folder into place, then drop what is damaged, and what is older than the one before it."""
        if checkpoint is None:
            return
        final = self._folder / f"checkpoint-{checkpoint.name.rsplit('-', 1)[1]}"
        shutil.rmtree(final, ignore_errors=True)
        checkpoint.replace(final)
        damaged, self._damaged = set(self._damaged) - {final}, []  # it may lie where a damaged one did
        for old in [*damaged, *sorted(set(self._checkpoints()) - damaged)[:-2]]:
            shutil.rmtree(old, ignore_errors=True)

    def bar(self, total: int, done: int, name: str) -> Bar | None:
        """tqdm on standard error."""
        return make_bar(total, done, name) if self._show_bar else None

    def say(self, line: str) -> None:
        """Print it."""
        print(line, flush=True)

    def stop_requested(self) -> bool:
        """Set by a signal handler, or by a test."""
        return self.stop

    def _clear(self) -> None:
        """Remove what processes of this machine left half written when they were killed.

        An id of our own is one too: they repeat in containers, and nothing was written here yet.
        """
        for path in self._folder.glob(f"{_partial()}*"):
            pid = path.name.removeprefix(_partial()).partition("-")[0]
            if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
                shutil.rmtree(path, ignore_errors=True)

    def _checkpoints(self) -> list[Path]:
        return list(self._folder.glob("checkpoint-*"))


def _partial() -> str:
    """How names of unfinished checkpoints of this machine begin; the process's id follows."""
    return f".partial-{platform.node()}-"
