from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lgc
from lgc.bench.networks import WORK, _networks, _record, _time, network_rates
from lgc.bitstream.codec import LayeredCodec
from lgc.entropy.exact import IntegerNetwork


@pytest.fixture(scope="module")
def golden(project: Path) -> LayeredCodec:
    """Both layers in several steps, a hyper-latent, analyzers."""
    return lgc.load(project / "tests" / "golden" / "v1.safetensors", "cpu")


def test_every_task_has_a_rate(golden: LayeredCodec) -> None:
    rates = network_rates(golden, 32, 48, batch=2, rounds=2)
    assert set(rates) == set(WORK) == {"encode", "decode", "analyze"}
    assert all(0 < rate.low <= rate.median <= rate.high for rate in rates.values())


def test_every_batch_is_recorded_and_timed(golden: LayeredCodec, pictures: list[np.ndarray]) -> None:
    files = golden.compress(pictures)
    calls, results = _record(golden.decompress, [files[:4], files[4:]], _networks(golden)["decode"])
    assert [len(pictures) for pictures in results] == [4, 4]
    # one step of the semantic layer is predicted; the other layer has a prediction and refines it twice
    assert [len(batch) for batch in calls] == [4 + 1, 4 + 1]
    assert len(_time(calls, 3, torch.device("cpu"))) >= 3


def test_calls_made_again_give_what_the_codec_gave(golden: LayeredCodec, pictures: list[np.ndarray]) -> None:
    files = golden.compress(pictures[:2])
    (calls,), (painted,) = _record(golden.decompress, [files], _networks(golden)["decode"])
    again = calls[-1]()
    assert isinstance(again, torch.Tensor)
    assert np.array_equal(again.permute(0, 2, 3, 1).numpy(), np.stack(painted))


def test_each_task_runs_its_own_networks(golden: LayeredCodec, pictures: list[np.ndarray]) -> None:
    original = IntegerNetwork.__call__
    (encode,), (files,) = _record(golden.compress, [pictures[:2]], _networks(golden)["encode"])
    (analyze,), _ = _record(golden.analyze, [files], _networks(golden)["analyze"])
    assert [call.func.__name__ for call in encode] == [  # type: ignore[attr-defined]
        "forward", "__call__", "hyper_latent", *["__call__"] * 3,
    ]  # fmt: skip
    assert [call.func.__name__ for call in analyze] == [  # type: ignore[attr-defined]
        "__call__", "features", "predict", "before_last", "logits",
    ]  # fmt: skip
    assert IntegerNetwork.__call__ is original


@pytest.mark.gpu
def test_on_a_gpu(project: Path) -> None:
    gpu = lgc.load(project / "tests" / "golden" / "v1.safetensors", "cuda")
    rates = network_rates(gpu, 64, 64, batch=2, rounds=2)
    assert all(0 < rate.low <= rate.high for rate in rates.values())
