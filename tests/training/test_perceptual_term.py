from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch

from lgc.build.perceptual import make_perceptual
from lgc.config.schema import PerceptualConfig

CONFIG = PerceptualConfig(net="squeeze", scale="native", jitter=False)


def test_without_weights_there_is_no_term_and_it_is_said_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    perceptual, metric, off = make_perceptual(CONFIG)
    assert perceptual is None
    assert metric is None
    assert off.startswith("perceptual term off: LPIPS-squeeze cannot be had: ")


def test_term_and_metric_are_of_one_network(lpips_weights: Path) -> None:
    perceptual, metric, off = make_perceptual(CONFIG)
    assert perceptual is not None
    assert metric is not None
    assert off == ""
    x, x_hat = torch.rand(2, 2, 3, 64, 64)
    assert perceptual(x_hat, x, perceptual.draw(x)).item() == pytest.approx(metric(x_hat, x).mean().item(), abs=1e-5)
    metric._model.to("meta")  # as for pictures elsewhere; the term's stays where a recorded step reads it
    assert {weight.device.type for weight in perceptual._lpips[0].parameters()} == {"cpu"}
