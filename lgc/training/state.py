"""Everything that changes while a stage trains, and its form on disk.

A checkpoint is a folder:

==========================  ==============================================================
``weights.safetensors``     every trained module, as ``<name>.<parameter>``
``averaged.safetensors``    their moving averages, the ones that are evaluated and released
``optimizers.pt``           optimiser moments; read with ``weights_only=True``
``state.json``              position, controllers, identity, SHA-256 of the files above
==========================  ==============================================================

Random numbers need no place here: they are a function of (seed, samples seen, rank).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lgc import digest
from lgc.atomic import replacing_file
from lgc.errors import TrainingError
from lgc.training.identity import Identity
from lgc.training.objectives import Objective

WEIGHTS: Final = "weights.safetensors"
AVERAGED: Final = "averaged.safetensors"
OPTIMIZERS: Final = "optimizers.pt"
STATE: Final = "state.json"
FORMAT: Final = 2
"""Of these files; another one is refused."""

Place = TypeVar("Place")
"""Where a checkpoint lies; its text is shown."""


class Stateful(Protocol):
    """Small extra state that follows the training, e.g. the rate controllers; must fit into JSON."""

    def observe(self, values: Mapping[str, float]) -> None: ...
    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: Mapping) -> None: ...


@dataclass
class Player:
    """One side of a game with its own optimiser. A stage without a game has one player."""

    name: str
    objective: Objective
    modules: Mapping[str, nn.Module]
    """What it trains, by the names used in checkpoints."""
    optimizer: torch.optim.Optimizer
    clip_norm: float = 1.0
    follows: bool = False
    """Plays only when an earlier player of the step left something for it."""
    alone: bool = False
    """No other player needs it: where it fails it stops, and the others go on as if nothing had been."""
    stopped: bool = False

    @property
    def clipped_parameters(self) -> list[nn.Parameter]:
        """Parameters whose common gradient norm is limited."""
        groups = self.optimizer.param_groups
        return [p for group in groups if group.get("clip", True) for p in group["params"]]


class MovingAverage:
    """Exponential moving average of modules, quick at first: decay ``min(d, (1 + n) / (10 + n))``."""

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self._decay, self._updates = decay, 0

        def blend(averages: Sequence[torch.Tensor], values: Sequence[torch.Tensor], _: Any) -> None:
            n = self._updates  # our own count: theirs is on the device, and asking for it would wait for the device
            torch._foreach_lerp_(list(averages), list(values), 1 - min(self._decay, (1 + n) / (10 + n)))

        self._models = {name: AveragedModel(module, multi_avg_fn=blend).eval() for name, module in modules.items()}

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The averaged modules, in evaluation mode."""
        return {name: model.module for name, model in self._models.items()}

    def update(self, modules: Mapping[str, nn.Module]) -> None:
        """Take the weights after one more step."""
        for name, model in self._models.items():
            model.update_parameters(modules[name])
        self._updates += 1

    def restart_from(self, count: int) -> None:
        """Continue as after ``count`` updates."""
        self._updates = count
        for model in self._models.values():
            model.n_averaged.fill_(count)


@dataclass
class TrainState:
    """What a checkpoint holds."""

    players: Sequence[Player]
    averages: MovingAverage
    extra: Mapping[str, Stateful] = field(default_factory=dict)
    samples: int = 0
    steps: int = 0
    seconds: float = 0.0
    """Time trained so far, over all attempts."""
    rollbacks: int = 0
    """How often a guard stopped training and it went on from a checkpoint, each time with a lower learning rate."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Every trained module by name."""
        return {name: module for player in self.players for name, module in player.modules.items()}

    def save(
        self,
        folder: Path,
        identity: Identity,
        finished: bool,
        metrics: Mapping[str, float],
        world_size: int,
        precision: str,
    ) -> None:
        """Write a checkpoint into the empty ``folder``; ``metrics`` are those of the last validation."""
        for name, modules in ((WEIGHTS, self.modules), (AVERAGED, self.averages.modules)):
            with replacing_file(folder / name) as partial:
                save_file(_flatten(modules), partial)
        torch.save({player.name: player.optimizer.state_dict() for player in self.players}, folder / OPTIMIZERS)
        state = {
            "format": FORMAT,
            "fingerprint": identity.fingerprint,
            "identity": identity.facts,
            "world_size": world_size,
            "precision": precision,
            "finished": finished,
            "samples": self.samples,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "rollbacks": self.rollbacks,
            "stopped": [player.name for player in self.players if player.stopped],
            "metrics": dict(metrics),
            "extra": {name: part.state_dict() for name, part in self.extra.items()},
            "sha256": {name: digest.of_file(folder / name) for name in (WEIGHTS, AVERAGED, OPTIMIZERS)},
        }
        (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path, identity: Identity) -> Restored:
        """Restore a checkpoint.

        Raises:
            TrainingError: the checkpoint is damaged, or settings, data or code differ; says where.
        """
        state = read_state(folder)
        if state["fingerprint"] != identity.fingerprint:
            raise TrainingError(
                f"{folder}: checkpoint of another configuration, data set or code version: "
                f"{identity.differences(state['identity'])}; remove it or change it back"
            )
        try:
            _unflatten(load_file(folder / WEIGHTS), self.modules)
            _unflatten(load_file(folder / AVERAGED), self.averages.modules)
            optimizers = torch.load(folder / OPTIMIZERS, map_location="cpu", weights_only=True)
            for player in self.players:
                player.optimizer.load_state_dict(optimizers[player.name])
                player.stopped = player.name in state.get("stopped", ())
            for name, part in self.extra.items():
                part.load_state_dict(state["extra"][name])
        except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(f"{folder}: checkpoint does not fit this model ({error}); remove it") from error
        self.samples, self.steps, self.seconds = state["samples"], state["steps"], state["seconds"]
        self.rollbacks = state["rollbacks"]
        self.averages.restart_from(self.steps)
        return Restored(bool(state["finished"]), state["world_size"], state.get("precision"))


@dataclass(frozen=True)
class Restored:
    """What the loop must know of a checkpoint besides its content."""

    finished: bool
    world_size: int
    """Workers that wrote it."""
    precision: str | None
    """Type that their convolutions ran in; None where that is not known."""


def read_state(folder: Path) -> dict[str, Any]:
    """``state.json`` of a checkpoint whose files are all whole; :class:`TrainingError` otherwise."""
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if (written := state.get("format", 1)) != FORMAT:
            raise TrainingError(
                f"{folder}: checkpoint of format {written}, this version of lgc has format {FORMAT}; "
                "remove the folder or use the version that wrote it"
            )
        for name, expected in state["sha256"].items():
            if (found := digest.of_file(folder / name)) != expected:
                raise TrainingError(
                    f"{folder / name}: damaged checkpoint file "
                    f"(SHA-256 {found[:12]}, written as {expected[:12]}); remove the folder"
                )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise TrainingError(f"{folder}: not a usable checkpoint ({error}); remove the folder") from error
    return state


def newest_whole(
    found: Sequence[Place], copy: Callable[[Place], Path], say: Callable[[str], None]
) -> tuple[Place, Path] | None:
    """Of checkpoints, oldest first, the newest whose files are whole, and its local copy; None where there is none.

    A power cut can damage the newest: systems write to the disk when they like, in any order.

    Args:
        found: where they lie.
        copy: brings one to this machine.
        say: told of each that is passed over.

    Raises:
        TrainingError: none is whole; says what is wrong with the newest.
    """
    complaints: list[str] = []
    for place in reversed(found):
        local = copy(place)
        try:
            read_state(local)
        except TrainingError as error:
            complaints.append(str(error).replace(str(local), str(place)))
            continue
        for complaint in complaints:
            say(f"{complaint}; training goes on from {place}")
        return place, local
    if complaints:
        raise TrainingError(complaints[0])
    return None


def release(checkpoint: Path, path: Path, only: Mapping[str, str] | None = None) -> None:
    """Write what later stages start from: averaged modules, the modules that have no average, extra state.

    With ``only``, modules' names -> what they shall be called, nothing but those.
    """
    weights, averaged = load_file(checkpoint / WEIGHTS), load_file(checkpoint / AVERAGED)
    has_average = {name.split(".")[0] for name in averaged}
    rest = {name: value for name, value in weights.items() if name.split(".")[0] not in has_average}
    extra = json.dumps(read_state(checkpoint)["extra"], sort_keys=True)
    kept = averaged | rest
    if only is not None:
        kept = {f"{new}.{key}": value for old, new in only.items() for key, value in _of(kept, old).items()}
    with replacing_file(path) as partial:
        save_file(kept, partial, metadata={"extra": extra})


def load_modules(
    path: Path, modules: Mapping[str, nn.Module], extra: Mapping[str, Stateful] | None = None, whole: bool = True
) -> None:
    """Load what :func:`release` wrote into ``modules`` and ``extra``; :class:`TrainingError` if it does not fit.

    Unless ``whole``, the file may hold parts that a module lacks.
    """
    try:
        _unflatten(load_file(path), modules, whole)
        if extra:
            with safe_open(path, framework="pt") as file:
                stored = json.loads((file.metadata() or {})["extra"])
            for name, part in extra.items():
                part.load_state_dict(stored[name])
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise TrainingError(f"{path}: weights that do not fit this model ({error})") from error


def _flatten(modules: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def _unflatten(tensors: Mapping[str, torch.Tensor], modules: Mapping[str, nn.Module], whole: bool = True) -> None:
    for name, module in modules.items():
        part, own = _of(tensors, name), module.state_dict()
        module.load_state_dict(part if whole else {key: value for key, value in part.items() if key in own})


def _of(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """What belongs to one module; its name may have dots itself."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
