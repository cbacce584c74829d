from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lgc.config.load import compose, parse
from lgc.errors import TrainingError
from lgc.launch.evaluate import measuring_device, trained_on

CONF = Path(__file__).resolve().parents[2] / "conf"


def test_metrics_that_were_losses_are_named() -> None:
    assert sorted(trained_on(parse(compose([], CONF)))) == ["lpips_squeeze", "lpips_squeeze_moved", "psnr"]
    off = [
        f"{stage}.weights.{name}=0"
        for stage in ("train_codec", "finetune_joint.codec")
        for name in ("perceptual", "base_perceptual")
    ]
    assert sorted(trained_on(parse(compose(off, CONF)))) == ["psnr"]


@pytest.mark.parametrize("address", ["auto", "http://head:8265"])
def test_a_cluster_with_gpus_is_measured_from_a_machine_without(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    runtime = parse(compose(["runtime.device=cuda"], CONF)).runtime
    with pytest.raises(TrainingError, match="sees no GPU here"):
        measuring_device(runtime)
    assert measuring_device(replace(runtime, address=address)) == torch.device("cpu")
