"""One player's part of a step: forward and backward. One GPU records it and plays it back.

The networks here are small and many: a CPU needs several times longer to name a step's thousands of operations to a
GPU than the GPU needs for them. As a CUDA graph they are named once
(https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Final, Protocol

import torch
from torch import nn

from lgc.data.loader import Batch
from lgc.errors import first_line
from lgc.training.context import Context
from lgc.training.objectives import Outcome
from lgc.training.state import Player

_WARM_UP: Final = 3
"""Runs before recording, in which libraries choose their algorithms and take their memory."""
_KEPT: Final = 4
"""Recordings; each holds the memory of a step's activations. A phase has one or two, and more for rare batches."""


class Turn(Protocol):
    """Leaves gradients in the player's parameters."""

    def __call__(self, batch: Batch, progress: float, shared: Mapping[str, torch.Tensor]) -> Outcome: ...


def make_turn(player: Player, context: Context, dtype: torch.dtype, record: bool) -> Turn:
    """The turn of ``player``, with convolutions in ``dtype``; recorded where there is one worker and it is a GPU."""
    turn = DirectTurn(player, context, dtype)
    if record and context.device.type == "cuda" and context.world_size == 1:
        return RecordedTurn(turn, context)
    return turn


class DirectTurn:
    """Every operation as it comes."""

    def __init__(self, player: Player, context: Context, dtype: torch.dtype) -> None:
        self.player, self._device, self._dtype = player, context.device, dtype
        self._objective: nn.Module = context.wrap(player.objective, player.objective.skips_parameters)
        self._objective.train()

    def __call__(self, batch: Batch, progress: float, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Decide, then do."""
        return self.run(batch, self.player.objective.plan(batch, progress), shared)

    def run(self, batch: Batch, plan: Hashable, shared: Mapping[str, torch.Tensor], cache: bool = True) -> Outcome:
        """Do; with ``cache``, weights are converted to the convolutions' type once for all their uses."""
        reduced = self._dtype != torch.float32
        with torch.autocast(self._device.type, self._dtype, enabled=reduced, cache_enabled=cache):
            outcome: Outcome = self._objective(batch, plan, shared)
        self.player.optimizer.zero_grad(set_to_none=True)
        outcome.total.backward()
        return outcome


class RecordedTurn:
    """Records a step for each plan it meets. Where recording fails, it says so and goes on directly."""

    def __init__(self, direct: DirectTurn, context: Context) -> None:
        self._direct, self._context = direct, context
        self._recordings: dict[Hashable, _Recording] = {}
        self._works = True

    def __call__(self, batch: Batch, progress: float, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Decide, then play back."""
        plan = self._direct.player.objective.plan(batch, progress)
        if not self._works:
            return self._direct.run(batch, plan, shared)
        recording = self._recordings.pop(plan, None)
        if recording is None:
            if len(self._recordings) >= _KEPT:
                del self._recordings[next(iter(self._recordings))]  # the one not played for longest
            generator = torch.cuda.default_generators[batch.x.device.index]
            before = generator.clone_state()
            try:
                recording = _Recording(self._direct, batch, plan, shared)
            except RuntimeError as error:
                generator.graphsafe_set_state(before)  # the one that recording took hold of will not let go
                self._works = False
                self._recordings.clear()  # and their memory
                why = f"steps cannot be recorded ({first_line(error)})"
                self._context.say(f"{self._direct.player.name}: {why}; going on without")
                return self._direct.run(batch, plan, shared)
        self._recordings[plan] = recording  # as the last
        return recording.play(batch, shared)


class _Recording:
    """A step on tensors of its own."""

    def __init__(self, direct: DirectTurn, batch: Batch, plan: Hashable, shared: Mapping[str, torch.Tensor]) -> None:
        self._batch = Batch(**{name: value.clone() for name, value in vars(batch).items()})
        self._shared = {name: value.clone() for name, value in shared.items()}
        parameters = [p for group in direct.player.optimizer.param_groups for p in group["params"]]
        random = torch.cuda.get_rng_state(batch.x.device)
        drifting = direct.player.objective.drifting()
        before = [buffer.clone() for buffer in drifting]

        def run() -> Outcome:
            return direct.run(self._batch, plan, self._shared, cache=False)

        _beside(batch.x.device, run)
        for buffer, value in zip(drifting, before, strict=True):  # as if nothing had been run before
            buffer.copy_(value)
        self._graph = torch.cuda.CUDAGraph()
        # other threads may load data meanwhile
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            outcome = run()
            self._values = torch.stack([v.detach().float() for v in (outcome.total, *outcome.terms.values())])
        # without its history, which would tie the next recording to this one's stream
        self._outcome = replace(outcome, total=outcome.total.detach())
        self._gradients = [(parameter, parameter.grad) for parameter in parameters]
        torch.cuda.set_rng_state(random, batch.x.device)

    def play(self, batch: Batch, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """The same with other numbers. Pictures and what is shared are overwritten by the next playing."""
        for name, value in vars(batch).items():
            getattr(self._batch, name).copy_(value)
        for name, value in shared.items():
            self._shared[name].copy_(value)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        total, *terms = self._values.clone().unbind()
        return replace(self._outcome, total=total, terms=dict(zip(self._outcome.terms, terms, strict=True)))


def _beside(device: torch.device, run: Callable[[], object]) -> None:
    """Run on a stream of its own, as recording does."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            run()
    torch.cuda.current_stream(device).wait_stream(stream)
