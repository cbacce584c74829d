from __future__ import annotations

import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch

from lgc import images
from lgc.backbones import Absent, checkpoint_folder, load_lpips
from lgc.errors import ModelError
from lgc.metrics.image import LPIPS, PSNR, make_lpips, psnr


class TestPSNR:
    @pytest.mark.parametrize(
        ("error", "decibels"), [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0), (1 / 255, 48.1308), (0.0, 100.0)]
    )
    def test_known_values(self, error: float, decibels: float) -> None:
        x_hat = torch.full((1, 3, 4, 4), error)
        assert psnr(x_hat, torch.zeros_like(x_hat)).item() == pytest.approx(decibels, abs=1e-3)

    def test_one_value_a_picture(self) -> None:
        x = torch.zeros(3, 3, 8, 8)
        x_hat = x.clone()
        x_hat[1] = 0.1
        x_hat[2, :, :4] = 0.1
        values = psnr(x_hat, x)
        assert values.shape == (3,)
        assert values.tolist() == pytest.approx([100.0, 20.0, 23.0103], abs=1e-3)

    def test_on_decoded_uint8_pictures(self) -> None:
        pixels = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
        x, x_hat = images.to_float(pixels), images.to_float(pixels + 5)
        assert psnr(x_hat, x).item() == pytest.approx(20 * np.log10(255 / 5), abs=1e-3)

    def test_says_what_it_is(self) -> None:
        assert (PSNR.name, PSNR.unit, PSNR.better, PSNR.averaging) == ("psnr", "dB", "higher", "mean over images")


class TestLPIPS:
    def test_real(self, lpips_weights: Path) -> None:
        metric = make_lpips("squeeze")
        assert isinstance(metric, LPIPS)
        assert (metric.info.name, metric.info.better) == ("lpips_squeeze", "lower")
        torch.manual_seed(0)
        x = torch.rand(3, 3, 64, 64)
        x_hat = x.clone()
        x_hat[1] = 1 - x[1]
        x_hat[2] = (x[2] + 0.05 * torch.randn_like(x[2])).clamp(0, 1)
        values = metric(x_hat, x)
        assert values.shape == (3,)
        assert values[0].item() == pytest.approx(0, abs=1e-6)
        assert 0 < values[2] < values[1]
        with torch.autocast("cpu", torch.bfloat16):
            assert metric(x_hat, x).dtype == torch.float32

    def test_moved_sees_what_pleases_one_alignment_only(self) -> None:
        class StepsByFour(torch.nn.Module):
            def forward(self, x_hat: torch.Tensor, x: torch.Tensor, normalize: bool) -> torch.Tensor:
                assert x.shape[-2:] in {(16, 16), (13, 13)}
                return (x_hat - x)[..., ::4, ::4].abs().mean(dim=(1, 2, 3), keepdim=True)

        x = torch.zeros(2, 3, 16, 16)
        x_hat = torch.ones_like(x)
        x_hat[..., ::4, ::4] = 0
        x_hat[1] = 0
        still, moved = LPIPS("squeeze", StepsByFour()), LPIPS("squeeze", StepsByFour(), moved=True)
        assert still(x_hat, x).tolist() == [0, 0]
        assert moved(x_hat, x).tolist() == pytest.approx([3 / 4, 0])
        assert moved.info.name == "lpips_squeeze_moved"

    def test_frozen(self, lpips_weights: Path) -> None:
        model = load_lpips("squeeze")
        assert isinstance(model, torch.nn.Module)
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())


class TestAbsent:
    @pytest.fixture(autouse=True)
    def offline(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        def refuse(*_: object, **__: object) -> None:
            raise urllib.error.URLError("no network in tests")

        monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
        monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
        return tmp_path

    @pytest.mark.parametrize(
        ("net", "file"),
        [("squeeze", "squeezenet1_1-b8a52dc0.pth"), ("alex", "alexnet-owt-7be5be79.pth")],
    )
    def test_without_weights(self, net: str, file: str, offline: Path) -> None:
        absent = load_lpips(net)
        assert isinstance(absent, Absent)
        assert absent.name == f"LPIPS-{net}"
        assert file in absent.reason
        assert str(offline / "hub" / "checkpoints") in absent.reason
        assert "LGC_WEIGHTS" in absent.reason
        assert make_lpips(net) == absent

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "lpips", None)
        absent = load_lpips("squeeze")
        assert isinstance(absent, Absent)
        assert "pip install" in absent.reason

    def test_the_folder_of_torch_is_left_as_it_was(self) -> None:
        before = torch.hub.get_dir()
        load_lpips("squeeze")
        assert torch.hub.get_dir() == before

    def test_unknown_net(self) -> None:
        with pytest.raises(ModelError, match="LPIPS net 'resnet' is unknown; choose squeeze, alex, vgg"):
            load_lpips("resnet")

    @pytest.mark.parametrize("content", [b"", b"PK\3\4 cut off"])
    def test_damaged_weights(self, offline: Path, content: bytes) -> None:
        path = offline / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        absent = load_lpips("squeeze")
        assert isinstance(absent, Absent)
        assert "no squeezenet" not in absent.reason  # it is there, but broken

    def test_folder_by_default_is_that_of_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LGC_WEIGHTS")
        assert checkpoint_folder() == Path(torch.hub.get_dir(), "checkpoints")
