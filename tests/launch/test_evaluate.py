from __future__ import annotations

from pathlib import Path

from lgc.config.load import compose, parse
from lgc.launch.evaluate import trained_on

CONF = Path(__file__).resolve().parents[2] / "conf"


def test_metrics_that_were_losses_are_named() -> None:
    assert sorted(trained_on(parse(compose([], CONF)))) == ["lpips_squeeze", "lpips_squeeze_moved", "psnr"]
    off = [
        f"{stage}.weights.{name}=0"
        for stage in ("train_codec", "finetune_joint.codec")
        for name in ("perceptual", "base_perceptual")
    ]
    assert sorted(trained_on(parse(compose(off, CONF)))) == ["psnr"]
