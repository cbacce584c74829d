from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

import pytest
import torch

from lgc.data.loader import Batch, read_batch
from lgc.data.shards import Split
from lgc.losses.rate import RateController
from lgc.models.analysis import AnalyzerConfig
from lgc.models.discriminator import PatchDiscriminator
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.models.transforms import Widths
from lgc.training.codec import TrainableCodec
from lgc.training.context import LocalContext
from lgc.training.objectives import (
    CodecObjective,
    CodecSchedule,
    CodecWeights,
    Controllers,
    DiscriminatorObjective,
    Objective,
    Outcome,
    make_analyzers,
)
from lgc.training.state import Player
from lgc.training.turn import DirectTurn, RecordedTurn, make_turn

ARCHITECTURE = Architecture(
    Widths((8, 8, 8), 1), LayerConfig(4, 2, hidden=8), LayerConfig(4, hidden=8, context_channels=4)
)
WEIGHTS = CodecWeights(base_distortion=0.001, adversarial=0.1, tasks=1.0)


def player(device: str, adversarial: bool) -> Player:
    torch.manual_seed(0)
    codec = TrainableCodec(ARCHITECTURE)
    objective = CodecObjective(
        codec,
        WEIGHTS,
        CodecSchedule(adversarial_from=0.0 if adversarial else 1.0, quantise_from=0.5),
        Controllers(RateController(0.05), RateController(0.05)),
        discriminator=PatchDiscriminator(8, 4).to(device),
        analyzers=make_analyzers(codec, AnalyzerConfig(8, 1)),
    ).to(device)
    modules = {"codec": codec, "analyzers": objective.analyzers}
    groups = [*codec.parameter_groups(1e-3), {"params": list(objective.analyzers.parameters()), "clip": True}]  # type: ignore[union-attr]
    return Player("codec", objective, modules, torch.optim.Adam(groups, 1e-3))  # type: ignore[arg-type]


def batches(shards: Path, device: str) -> list[Batch]:
    split = Split(shards, "train")
    made = [read_batch(split, torch.arange(start, start + 4)) for start in (0, 3, 6)]
    made[2] = replace(made[2], masks=torch.full_like(made[2].masks, 255))
    return [batch.to(torch.device(device)) for batch in made]


def gradients(of: Player) -> list[torch.Tensor | None]:
    parameters = [p for group in of.optimizer.param_groups for p in group["params"]]
    return [None if p.grad is None else p.grad.clone() for p in parameters]


def test_a_cpu_and_several_workers_record_nothing(tmp_path: Path) -> None:
    context = LocalContext(tmp_path)
    assert isinstance(make_turn(player("cpu", False), context, torch.float32, record=True), DirectTurn)


def test_what_costs_nothing_is_not_planned(shards: Path) -> None:
    """A term of weight 0 makes no kind of step of its own."""
    objective: Any = player("cpu", True).objective
    objective._perceptual[0] = Mock(draw=lambda x: True)
    (batch, *_) = batches(shards, "cpu")
    assert objective.plan(batch, 0.9).enlarged is None  # WEIGHTS have no perceptual term
    assert objective.plan(batch, 0.9).adversarial
    objective.weights = replace(WEIGHTS, base_perceptual=1.0, adversarial=0.0)
    assert objective.plan(batch, 0.9).enlarged is True
    assert not objective.plan(batch, 0.9).adversarial


def test_what_a_step_moves_by_itself_is_known(shards: Path, tmp_path: Path) -> None:
    """Recording runs a step several times first, and then puts back what is said to drift."""
    one = player("cpu", True)
    critic: Any = one.objective._discriminator[0]  # type: ignore[index]
    known = {id(buffer) for buffer in one.objective.drifting()}  # type: ignore[operator]
    state = {**dict(critic.named_buffers()), **dict(one.objective.named_buffers())}
    before = {name: buffer.clone() for name, buffer in state.items()}
    (batch, *_) = batches(shards, "cpu")
    make_turn(one, LocalContext(tmp_path), torch.float32, record=False)(batch, 0.1, {})
    moved = [name for name, buffer in state.items() if not torch.equal(buffer, before[name])]
    assert moved
    assert all(id(state[name]) in known for name in moved)


@pytest.mark.gpu
def test_recording_leaves_no_trace_in_the_critic(shards: Path, tmp_path: Path) -> None:
    context = LocalContext(tmp_path, "cuda")
    done, played = player("cuda", True), player("cuda", True)
    (batch, *_) = batches(shards, "cuda")
    for one, record in ((done, False), (played, True)):
        make_turn(one, context, torch.float32, record=record)(batch, 0.1, {})
    theirs, ours = (dict(one.objective._discriminator[0].named_buffers()) for one in (done, played))  # type: ignore[index, union-attr]
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)


@pytest.mark.gpu
def test_who_records(tmp_path: Path) -> None:
    context: Any = LocalContext(tmp_path, "cuda")
    assert isinstance(make_turn(player("cuda", False), context, torch.float32, record=True), RecordedTurn)
    assert isinstance(make_turn(player("cuda", False), context, torch.float32, record=False), DirectTurn)
    context.world_size = 2
    context.wrap = lambda module, skips_parameters: module
    assert isinstance(make_turn(player("cuda", False), context, torch.float32, record=True), DirectTurn)


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.bfloat16, 0.1)])
def test_played_back_is_as_done(shards: Path, tmp_path: Path, dtype: torch.dtype, tolerance: float) -> None:
    """Batches with and without masks, before and after a change of phase, at the rates' price of the moment."""
    context = LocalContext(tmp_path, "cuda")
    done, played = player("cuda", False), player("cuda", False)
    direct = make_turn(done, context, dtype, record=False)
    recorded = make_turn(played, context, dtype, record=True)
    parts = batches(shards, "cuda")
    for step, progress in enumerate((0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8)):
        batch = parts[step % 3]
        outcomes = []
        for turn, who in ((direct, done), (recorded, played)):
            torch.manual_seed(step)
            who.objective.controllers.observe({"coded_bpp.semantic": 0.2, "coded_bpp.reconstruction": 0.01})  # type: ignore[operator, union-attr]
            outcomes.append(turn(batch, progress, {}))
        assert outcomes[0].terms.keys() == outcomes[1].terms.keys()
        assert ("tasks.both.parsing" in outcomes[1].terms) is (step % 3 != 2)
        for name, value in outcomes[0].terms.items():
            torch.testing.assert_close(outcomes[1].terms[name], value.float(), rtol=tolerance, atol=tolerance)
        for ours, theirs in zip(gradients(played), gradients(done), strict=True):
            assert (ours is None) is (theirs is None)
            if ours is not None and theirs is not None:
                assert float((ours - theirs).norm()) <= tolerance * (float(theirs.norm()) + 1e-3)
    kept: Any = recorded
    assert len(kept._recordings) == 4  # with masks or without, quantised or not
    assert kept._works


@pytest.mark.gpu
def test_a_game_of_two(shards: Path, tmp_path: Path) -> None:
    """What the decoder leaves for the critic is this step's, and both learn."""
    context = LocalContext(tmp_path, "cuda")
    codec = player("cuda", True)
    discriminator: Any = codec.objective._discriminator[0]  # type: ignore[index]
    critic = Player(
        "discriminator",
        DiscriminatorObjective(discriminator, "hinge"),
        {"discriminator": discriminator},
        torch.optim.Adam(discriminator.parameters(), 1e-3),
        follows=True,
    )
    turns = [make_turn(one, context, torch.float32, record=True) for one in (codec, critic)]
    seen = []
    for batch in batches(shards, "cuda")[:2]:
        left = turns[0](batch, 0.1, {}).shared
        seen.append(left["x_hat"].clone())
        assert torch.equal(left["x"], batch.x)
        outcome = turns[1](batch, 0.1, left)
        assert torch.isfinite(outcome.total)
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in discriminator.parameters())
        critic.optimizer.step()
    assert not torch.equal(seen[0], seen[1])


class Asks(Objective):
    """Waits for the device in the middle, which cannot be recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones((), device="cuda"))

    def plan(self, batch: Batch, progress: float) -> None:
        """Nothing."""

    def forward(self, batch: Batch, plan: None, shared: Mapping[str, torch.Tensor]) -> Outcome:
        noise = torch.rand_like(batch.x)
        total = self.weight * float(batch.x.mean()) + 0 * noise.sum()
        return Outcome(total, {"total": total.detach()})


@pytest.mark.gpu
def test_what_cannot_be_recorded_is_done(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objective = Asks()
    asking = Player("asker", objective, {"asker": objective}, torch.optim.Adam([objective.weight]))
    turn = make_turn(asking, LocalContext(tmp_path, "cuda"), torch.float32, record=True)
    for batch in batches(shards, "cuda"):
        assert turn(batch, 0.1, {}).total.item() == pytest.approx(float(batch.x.mean()), rel=1e-5)
    said = capsys.readouterr().out
    assert said.count("asker: steps cannot be recorded (") == 1
    assert said.strip().endswith("); going on without")


class Tape:
    """Stands for a recording, which needs a GPU: notes who was made and played."""

    made: list[Any]

    def __init__(self, direct: DirectTurn, batch: Batch, plan: Any, shared: Mapping[str, torch.Tensor]) -> None:
        if plan == "broken":
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        self.made.append(plan)

    def play(self, batch: Batch, shared: Mapping[str, torch.Tensor]) -> Outcome:
        return Outcome(torch.zeros(()), {})


class Plans(Objective):
    """Does what it is told to."""

    def __init__(self, plans: str) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self._plans = iter(plans.split())

    def plan(self, batch: Batch, progress: float) -> str:
        """The next one."""
        return next(self._plans)

    def forward(self, batch: Batch, plan: str, shared: Mapping[str, torch.Tensor]) -> Outcome:
        return Outcome(self.weight * 2, {"total": torch.tensor(2.0)})


@pytest.mark.parametrize(
    ("plans", "made"),
    [
        ("a b a b a", "a b"),
        ("a b c d a e a b", "a b c d e b"),  # with e, the four kept are c d a e
        ("a broken a b", "a"),  # from then on directly
    ],
)
def test_which_steps_are_recorded(
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plans: str,
    made: str,
) -> None:
    monkeypatch.setattr(Tape, "made", [], raising=False)
    monkeypatch.setattr("lgc.training.turn._Recording", Tape)
    generator = Mock(clone_state=lambda: "before")
    monkeypatch.setattr(torch.cuda, "default_generators", {None: generator})
    objective, context = Plans(plans), LocalContext(tmp_path)
    who = Player("planner", objective, {"planner": objective}, torch.optim.Adam([objective.weight]))
    turn = RecordedTurn(DirectTurn(who, context, torch.float32), context)
    batch = batches(shards, "cpu")[0]
    totals = [turn(batch, 0.1, {}).total.item() for _ in plans.split()]
    assert made.split() == Tape.made
    assert totals == ([0, 2, 2, 2] if "broken" in plans else [0] * len(totals))
    assert generator.graphsafe_set_state.call_args_list == ([call("before")] if "broken" in plans else [])
    said = capsys.readouterr().out
    assert said == (
        "planner: steps cannot be recorded (operation not permitted); going on without\n" if "broken" in plans else ""
    )
