"""Weight decay of what reads pictures and latents; nothing else of the codec decays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lgc.build.adam import adam
from lgc.build.stages import make_stage
from lgc.config.load import compose, parse
from lgc.config.paths import TrainStage
from lgc.errors import ConfigError
from lgc.training.context import LocalContext
from tests.stages import project_of

CONF = Path(__file__).parents[2] / "conf"


def test_takes_its_share_of_the_learning_rate_off_every_weight() -> None:
    decaying, other = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = adam([{"params": [decaying], "lr": 0.1, "weight_decay": 0.5}, {"params": [other], "lr": 0.1}])
    for parameter in (decaying, other):
        parameter.grad = torch.zeros(3)
    for _ in range(2):
        optimizer.step()
    torch.testing.assert_close(decaying.detach(), torch.full((3,), 0.95**2))
    assert torch.equal(other.detach(), torch.ones(3))


@pytest.mark.parametrize("name", ["train_reference", "train_analysis", "finetune_joint", "finetune_separate"])
def test_readers_decay_and_nothing_else(
    name: TrainStage, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One override says it of the heads' own stage and of those that train them on."""
    for where in ("analysis", "codec"):  # decay does not depend on what stages before have learnt
        monkeypatch.setattr(f"lgc.build.{where}.load_modules", lambda *_, **__: None)
    decays = [f"{stage}.weight_decay=0.3" for stage in ("train_reference", "train_analysis")]
    config = parse(compose(["profile=smoke", *decays], CONF))
    paths = project_of(tmp_path, shards)
    stage = make_stage(name, config, paths, LocalContext(tmp_path / "runs", show_bar=False))
    modules = [item for player in stage.state.players for item in player.modules.items()]
    reading = [module for key, module in modules if key not in ("codec", "discriminator")]
    readers = {parameter for module in reading for parameter in module.parameters()}
    assert readers
    for player in stage.state.players:
        for group in player.optimizer.param_groups:
            assert {group["weight_decay"]} == {0.3 if p in readers else 0.0 for p in group["params"]}


def test_less_than_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train_analysis.weight_decay = -1.0; it must be at least 0"):
        parse(compose(["profile=smoke", "train_analysis.weight_decay=-1"], CONF))
