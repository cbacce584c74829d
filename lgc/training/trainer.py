"""The one training loop of every stage."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from lgc.data.loader import Batch
from lgc.errors import TrainingError
from lgc.models.blocks import channels_last
from lgc.tracking.base import ROLLBACKS_TAG, Tracker, flatten
from lgc.training.agree import agreed
from lgc.training.context import Bar, Context
from lgc.training.evidence import Evidence, Tripped, gradient_norms, write_evidence
from lgc.training.guards import GRADIENT, TOTAL, NotFinite
from lgc.training.identity import Identity
from lgc.training.objectives import Outcome
from lgc.training.stage import Precision, Settings, Stage
from lgc.training.state import Player
from lgc.training.turn import make_turn

ROLLBACK_FACTOR: Final = 0.5
"""On the learning rate, for each time that a guard stopped training."""


class Interrupted(Exception):
    """Training stopped on request, after writing a checkpoint if a worker was there to write one."""


@dataclass
class Every:
    """True each time another ``n`` has gone by; counts across resumes."""

    n: int
    last: int = 0

    def __call__(self, value: int) -> bool:
        """Whether a multiple of ``n`` lies between the last call and ``value``."""
        due = self.n > 0 and value // self.n > self.last // self.n
        self.last = value
        return due


def fit(
    stage: Stage, context: Context, tracker: Tracker, *, name: str, identity: Identity, record: bool = False
) -> None:
    """Train until the stage's ``settings.samples`` are seen, from the last checkpoint on if there is one.

    A run that was finished before returns at once. The last checkpoint holds the result. A run that goes on with
    another number of workers keeps its batch size, and says so. With ``record``, one GPU records its steps
    (:mod:`lgc.training.turn`).

    Raises:
        TrainingError: a guard stopped training again after all rollbacks or before the first checkpoint; or the
            checkpoint is not this run's.
        Interrupted: somebody asked to stop; a checkpoint was written first, unless a guard had its doubts.
    """
    state, settings = stage.state, stage.settings
    for module in state.modules.values():
        channels_last(module, context.device)
    for module in state.averages.modules.values():
        channels_last(module, context.device)
    if (checkpoint := context.latest_checkpoint()) is not None:
        restored = agreed(context, lambda: state.load(checkpoint, identity))
        if restored.finished:
            return
        if state.rollbacks and context.rank == 0:  # a tracker knows only what its own process told it
            tracker.tags({ROLLBACKS_TAG: str(state.rollbacks)})
        if restored.world_size != context.world_size and context.rank == 0:
            context.say(
                f"{name}: goes on at sample {state.samples} with {context.world_size} workers, {restored.world_size} "
                f"before; the batch stays {settings.batch_size}, {settings.batch_size // context.world_size} a worker"
            )
        precision = _precision(settings, context)
        if restored.precision not in (None, precision) and context.rank == 0:
            context.say(f"{name}: goes on at sample {state.samples} in {precision}, {restored.precision} before")
    _Loop(stage, context, tracker, name, identity, record).run()


class _Loop:
    def __init__(
        self, stage: Stage, context: Context, tracker: Tracker, name: str, identity: Identity, record: bool
    ) -> None:
        self.state, self.loader, self.settings = stage.state, stage.loader, stage.settings
        self.context, self.tracker, self.validator = context, tracker, stage.validator
        self.name, self.identity = name, identity
        self.guards = (NotFinite(), *stage.guards)
        dtype = autocast_dtype(stage.settings.precision, context.device)
        self.turns = [make_turn(player, context, dtype, record) for player in stage.state.players]
        self.terms: dict[str, list[torch.Tensor]] = defaultdict(list)
        self.clock = _Clock(stage.state.seconds)
        self.bar: Bar | None = None

    def run(self) -> None:
        state, settings = self.state, self.settings
        checkpoint_due = Every(settings.checkpoint_every, state.samples)
        validation_due = Every(settings.validate_every, state.samples)
        log_due = Every(settings.log_every, state.steps)
        self.bar = self.context.bar(settings.samples, state.samples, self.name)
        batches = self.loader.batches(state.samples)
        metrics: Mapping[str, float] = {}
        unsaved = False
        try:
            while state.samples < settings.samples:
                batch = next(batches).to(self.context.device)
                try:
                    self._step(batch)
                except Tripped as tripped:
                    self._roll_back(tripped, batch)
                    batches.close()  # type: ignore[attr-defined]
                    batches = self.loader.batches(state.samples)
                    unsaved = False
                    continue
                if log_due(state.steps):
                    self._log()
                finished = state.samples >= settings.samples
                if validation_due(state.samples) or finished:
                    metrics = self._validate()
                unsaved |= checkpoint_due(state.samples)
                calm = all(guard.calm for guard in self.guards)
                if save := finished or (unsaved and calm):
                    self._checkpoint(metrics, finished)
                    unsaved = False
                    if not calm and self.context.rank == 0:
                        self.context.say(f"{self.name}: ends while a guard has its doubts; look at its last losses")
                if self.context.stop_requested() and not finished:
                    if calm and not save:
                        self._checkpoint(metrics, finished=False)
                    raise Interrupted(f"{self.name}: stopped at {state.samples} of {settings.samples} samples")
        finally:
            batches.close()  # type: ignore[attr-defined]
            if self.bar is not None:
                self.bar.close()

    def _step(self, batch: Batch) -> None:
        state, settings = self.state, self.settings
        progress = state.samples / settings.samples
        torch.manual_seed(_mix(settings.seed, state.samples, self.context.rank))
        shared: dict[str, torch.Tensor] = {}
        pictures: dict[str, torch.Tensor] = {}
        agreed: dict[str, float] = {}
        for player, turn in zip(state.players, self.turns, strict=True):
            if player.stopped or (player.follows and not shared):
                continue
            factor = learning_rate_factor(state.samples, settings) * ROLLBACK_FACTOR**state.rollbacks
            for group in player.optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
            outcome = turn(batch, progress, shared)
            clipped = player.clipped_parameters
            norm = torch.nn.utils.get_total_norm([p.grad for p in clipped if p.grad is not None])
            pictures |= outcome.pictures
            try:
                agreed |= self._agree(player, replace(outcome, pictures=pictures), norm)
            except Tripped as tripped:
                if not self._stop(player, tripped, batch):
                    raise
                continue
            torch.nn.utils.clip_grads_with_norm_(clipped, player.clip_norm, norm)
            player.optimizer.step()
            shared.update(outcome.shared)
            if settings.log_every:  # or nobody would ever take them away
                for term, value in outcome.terms.items():
                    self.terms[term].append(value)
                self.terms[f"grad_norm.{player.name}"].append(norm.detach())
        for part in state.extra.values():
            part.observe(agreed)
        state.samples += settings.batch_size
        state.steps += 1
        state.averages.update(state.modules)
        state.seconds = self.clock.seconds
        if self.bar is not None:
            self.bar.update(settings.batch_size)

    def _agree(self, player: Player, outcome: Outcome, norm: torch.Tensor) -> dict[str, float]:
        """The values that decide how to go on, as means over all workers, after the guards have seen them.

        A value that is not finite on one worker is so on all: no worker goes back alone.
        """
        watched = player.objective.watched
        parts = [outcome.total.detach(), norm, *(outcome.terms[term] for term in watched)]
        means = self.context.mean(torch.stack([part.float() for part in parts])).tolist()
        values: dict[str, float] = dict(zip((TOTAL, GRADIENT, *watched), means, strict=True))
        for guard in self.guards:
            if complaint := guard.look(values):
                raise self._tripped(complaint, player, outcome, values)
        return values

    def _tripped(self, complaint: str, player: Player, outcome: Outcome, values: Mapping[str, float]) -> Tripped:
        terms = {term: float(value) for term, value in outcome.terms.items()}
        bad = [term for term, value in terms.items() if not math.isfinite(value)]
        if bad:
            complaint += f" ({', '.join(bad)})"
            if self.context.rank:  # the evidence is of rank 0, whose terms may all be well
                self.context.say(f"{self.name}: worker {self.context.rank}: not finite: {', '.join(bad)}")
        return Tripped(
            f"{self.name}: {complaint} at sample {self.state.samples}",
            Evidence(player.name, terms, values, gradient_norms(player.modules), outcome.pictures),
        )

    def _stop(self, player: Player, tripped: Tripped, batch: Batch) -> bool:
        """Go on without ``player``, if that is possible: it stands alone, and others are left."""
        others = [other.name for other in self.state.players if other is not player and not other.stopped]
        if not (player.alone and others):
            return False
        player.stopped = True
        complaint = self._kept(tripped, batch, player.name)
        if self.context.rank == 0:
            self.context.say(f"{complaint}; {player.name} stops there, {', '.join(others)} go on")
        return True

    def _kept(self, tripped: Tripped, batch: Batch, label: str) -> str:
        """Write the evidence; what the guard said, and where that is."""
        if self.context.rank:
            return str(tripped)
        evidence = write_evidence(tripped, batch, self.state.samples, self.identity.facts)
        for path in evidence:
            self.tracker.artifact(path, f"guard/{self.state.samples}-{label}")
        return f"{tripped} (evidence in {evidence[0].parent})"

    def _roll_back(self, tripped: Tripped, batch: Batch) -> None:
        """Go on from the last checkpoint, slower. All workers come here in the same step: guards see means."""
        state, done = self.state, self.state.rollbacks
        complaint = self._kept(tripped, batch, str(done))
        checkpoint = self.context.latest_checkpoint()
        if checkpoint is None:
            raise TrainingError(f"{complaint}; no checkpoint to go back to: lower the learning rate") from tripped
        if done >= self.settings.rollbacks:
            raise TrainingError(f"{complaint}; gave up after {done} rollbacks: lower the learning rate") from tripped
        reached = state.samples
        agreed(self.context, lambda: state.load(checkpoint, self.identity))
        state.rollbacks = done + 1
        for guard in self.guards:
            guard.reset()
        if self.bar is not None:
            self.bar.update(state.samples - reached)
        self.terms.clear()
        self.clock = _Clock(state.seconds)
        if self.context.rank == 0:
            self.tracker.tags({ROLLBACKS_TAG: str(state.rollbacks)})
            self.context.say(
                f"{complaint}; back to sample {state.samples} at {ROLLBACK_FACTOR**state.rollbacks:g} of the "
                f"learning rate ({state.rollbacks} of {self.settings.rollbacks})"
            )

    def _log(self) -> None:
        values = {f"train/{name}": float(torch.stack(v).mean()) for name, v in self.terms.items()}
        self.terms.clear()
        for player in self.state.players:
            if not player.stopped:
                values[f"train/lr.{player.name}"] = player.optimizer.param_groups[0]["lr"]
        for name, part in self.state.extra.items():
            values |= {f"train/{name}.{key}": float(value) for key, value in flatten(part.state_dict())}
        values["speed/images_per_second"] = self.clock.rate(self.state.samples)
        self.tracker.metrics(values, self.state.samples)
        if self.bar is not None:
            self.bar.set_description(f"{self.name} {_leading(values)}")

    def _validate(self) -> Mapping[str, float]:
        if self.context.rank:
            return {}
        with self.clock.paused(), torch.no_grad():
            stopped = {name for player in self.state.players if player.stopped for name in player.modules}
            averages = self.state.averages.modules
            result = self.validator({name: module for name, module in averages.items() if name not in stopped})
        metrics = {f"val/{name}": value for name, value in result.metrics.items()}
        self.tracker.metrics(metrics, self.state.samples)
        for name, pixels in result.images.items():
            self.tracker.image(name, pixels, self.state.samples)
        return metrics

    def _checkpoint(self, metrics: Mapping[str, float], finished: bool) -> None:
        folder = None
        if self.context.rank == 0:
            folder = self.context.new_checkpoint(self.state.samples)
            precision = _precision(self.settings, self.context)
            self.state.save(folder, self.identity, finished, metrics, self.context.world_size, precision)
        report = {**metrics, "samples": self.state.samples, "seconds": self.state.seconds}
        self.context.report(report, folder)


class _Clock:
    """Training time over all attempts, validation left out, and the rate since the last question."""

    def __init__(self, before: float) -> None:
        self._start = time.perf_counter() - before
        self._last: tuple[float, int] | None = None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    def rate(self, samples: int) -> float:
        now, (then, seen) = self.seconds, self._last or (self.seconds, samples)
        self._last = (now, samples)
        return (samples - seen) / (now - then) if now > then else float("nan")

    @contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._start += time.perf_counter() - began


def learning_rate_factor(samples: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine down to ``lr_floor``; 0 to 1."""
    if samples < settings.warmup:
        return (samples + settings.batch_size) / (settings.warmup + settings.batch_size)
    way = (samples - settings.warmup) / max(1, settings.samples - settings.warmup)
    return settings.lr_floor + (1 - settings.lr_floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, way)))


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type that convolutions run in."""
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        check: Callable[[], bool] = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        native = check()
    return torch.bfloat16 if native else torch.float32


def _precision(settings: Settings, context: Context) -> str:
    return str(autocast_dtype(settings.precision, context.device)).removeprefix("torch.")


def _mix(seed: int, samples: int, rank: int) -> int:
    """One 63-bit seed for this step on this worker."""
    return int(np.random.SeedSequence([seed, samples, rank]).generate_state(1, np.uint64)[0]) >> 1


def _leading(values: Mapping[str, float]) -> str:
    """The few terms a person watches, for the progress bar."""
    parts = []
    bpp = [v for name, v in values.items() if name.startswith("train/coded_bpp.")]
    if bpp:
        parts.append(f"bpp {sum(bpp):.3f}")
    if distortion := values.get("train/distortion"):
        parts.append(f"psnr {10 * math.log10(255**2 / distortion):.1f}")
    for name, label in (("perceptual", "lpips"), ("adversarial", "adv"), ("discriminator", "disc")):
        if (value := values.get(f"train/{name}")) is not None:
            parts.append(f"{label} {value:.3f}")
    tasks = [(name, v) for name, v in values.items() if name.startswith("train/tasks.")]
    parts += [f"{name.removeprefix('train/tasks.')} {v:.3f}" for name, v in tasks[:3]]
    return " ".join(parts)
