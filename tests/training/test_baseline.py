"""CompressAI's networks in our loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lgc.baselines import NETWORKS, networks
from lgc.data.augment import Augment
from lgc.data.loader import Batch, TrainingLoader, read_batch, training_order
from lgc.data.shards import Split
from lgc.tracking.base import NullTracker
from lgc.training.baseline import BaselineObjective, BaselineValidator
from lgc.training.context import LocalContext
from lgc.training.groups import codec_groups
from lgc.training.identity import Identity
from lgc.training.stage import Settings, Stage
from lgc.training.state import MovingAverage, Player, TrainState, release
from lgc.training.trainer import fit


@pytest.fixture
def batch(shards: Path) -> Batch:
    return read_batch(Split(shards, "train"), torch.arange(4))


class Constant(nn.Module):
    """Stands for LPIPS."""

    def draw(self, x: torch.Tensor) -> bool:
        return False

    def forward(self, x_hat: torch.Tensor, x: torch.Tensor, enlarge: bool) -> torch.Tensor:
        return (x_hat - x).abs().mean()


def test_the_objective_is_bits_plus_lambda_times_distortion(batch: Batch) -> None:
    torch.manual_seed(0)
    network = networks.make_network("mbt2018_mean", 4, 6)
    outcomes = []
    for lmbda in (0.0, 0.01):
        torch.manual_seed(1)
        objective = BaselineObjective(network, lmbda)
        outcomes.append(objective(batch, objective.plan(batch, 0.5), {}))
    without, found = outcomes
    terms = found.terms
    expected = terms["rate"] + 0.01 * terms["distortion"] + terms["aux"]
    assert torch.isclose(found.total, expected)
    assert torch.isclose(found.total - without.total, 0.01 * terms["distortion"], rtol=1e-3)
    assert "perceptual" not in terms
    # the padding to 64 x 64 is coded, and paid for by the picture's 32 x 32
    assert float(terms["rate"]) > 0
    found.total.backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(("progress", "there"), [(0.2, False), (0.6, True)])
def test_the_perceptual_term_begins_when_it_should(batch: Batch, progress: float, there: bool) -> None:
    network = networks.make_network("bmshj2018_hyperprior", 4, 6)
    objective = BaselineObjective(network, 0.01, 200.0, 0.5, Constant())  # type: ignore[arg-type]
    outcome = objective(batch, objective.plan(batch, progress), {})
    assert ("perceptual" in outcome.terms) is there
    rest = outcome.terms["rate"] + 0.01 * outcome.terms["distortion"] + outcome.terms["aux"]
    assert torch.isclose(outcome.total - rest, 2 * outcome.terms.get("perceptual", torch.tensor(0.0)), atol=1e-3)
    assert not [name for name, _ in objective.named_parameters() if "perceptual" in name]


def test_quantiles_and_densities_are_groups_of_their_own() -> None:
    network = networks.make_network("mbt2018_mean", 4, 6)
    nets, densities, quantiles = codec_groups(network, networks.DENSITY, 1e-3)
    assert [p.shape for p in quantiles["params"]] == [network.entropy_bottleneck.quantiles.shape]
    assert len(densities["params"]) == len(list(network.entropy_bottleneck.parameters())) - 1
    assert len(nets["params"]) + len(densities["params"]) + 1 == len(list(network.parameters()))
    assert (nets["clip"], densities["clip"]) == (True, False)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_of_the_one_loop_leave_a_network_that_codes(name: str, shards: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = Settings(samples=16, batch_size=4, warmup=4, precision="float32", checkpoint_every=8, validate_every=8)
    split = Split(shards, "train")
    loader = TrainingLoader(
        split, training_order(split, 0), batch_size=4, augment=Augment(), seed=0, rank=0, world_size=1
    )
    validator = BaselineValidator(Split(shards, "val"), 2, None)

    def stage() -> Stage:
        network = networks.make_network(name, 4, 6)
        optimizer = torch.optim.Adam(codec_groups(network, networks.DENSITY, 1e-3))
        player = Player("network", BaselineObjective(network, 0.01), {"network": network}, optimizer)
        state = TrainState([player], MovingAverage({"network": network}, 0.9))
        return Stage(state, loader, settings, validator)

    context = LocalContext(tmp_path, show_bar=False)
    done = stage()
    fit(done, context, NullTracker(), name="test", identity=Identity({"of": "a test"}))
    again = stage()  # validation must not have changed what a checkpoint holds
    fit(again, context, NullTracker(), name="test", identity=Identity({"of": "a test"}))
    assert again.state.samples == 16
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    release(checkpoint, tmp_path / "weights.safetensors")
    network = networks.load_network(name, tmp_path / "weights.safetensors")
    pixels = Split(shards, "val").images(torch.arange(2)).numpy()
    files = [networks.encode(network, picture) for picture in pixels]
    measured = validator(done.state.averages.modules)
    assert measured.metrics["bpp"] == pytest.approx(8 * sum(map(len, files)) / (2 * 32 * 32))
    assert measured.images["reconstructions"].shape[2] == 3
