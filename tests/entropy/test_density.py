from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from lgc.entropy.density import LayerDensity
from lgc.entropy.tables import gaussian_tables

TABLES_OF_64_CHANNELS = """
import hashlib
import torch
from lgc.entropy.density import LayerDensity
torch.manual_seed(0)
made = LayerDensity(64)
with torch.no_grad():
    for parameter in made.bottleneck.parameters():
        parameter.add_(0.05 * torch.randn(parameter.shape, dtype=torch.float64).float())
digest = hashlib.sha256(made.factorised_tables()[0].frequencies.tobytes()).hexdigest()
"""


@pytest.fixture
def density() -> LayerDensity:
    torch.manual_seed(0)
    made = LayerDensity(5)
    assert made.bottleneck is not None
    with torch.no_grad():
        made.bottleneck.quantiles[:, 0, 1] = torch.tensor([-2.3, -0.4, 0.0, 0.001, 7.77])
        for name, parameter in made.bottleneck.named_parameters():
            if name != "quantiles":
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


class TestFactorised:
    def test_medians_lie_on_the_grid(self, density: LayerDensity) -> None:
        assert (density.medians() * 256).tolist() == [-589, -102, 0, 0, 1989]

    def test_tables_say_what_the_density_says(self, density: LayerDensity) -> None:
        tables, medians = density.factorised_tables()
        assert medians.tolist() == [-589, -102, 0, 0, 1989]
        assert len(tables) == 5
        for channel in range(5):
            for symbol in (-2, 0, 1, 4):
                values = torch.zeros(1, 5, 1, 1)
                values[0, channel] = medians[channel] / 256 + symbol
                likelihood = density.factorised(values)[0, channel].item()
                bits = tables.bits(np.array([symbol]), np.array([channel]))
                assert bits == pytest.approx(-np.log2(likelihood), rel=0.01)

    def test_tables_do_not_depend_on_the_processor(self) -> None:
        here: dict[str, Any] = {}
        exec(TABLES_OF_64_CHANNELS, here)
        nothing_vectorised = {**os.environ, "ATEN_CPU_CAPABILITY": "default"}
        command = [sys.executable, "-c", TABLES_OF_64_CHANNELS + "print(digest)"]
        done = subprocess.run(command, env=nothing_vectorised, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == here["digest"]

    def test_likelihoods_of_all_bins_sum_to_one(self, density: LayerDensity) -> None:
        values = torch.arange(-200, 201).float()[None, None, :, None].expand(1, 5, 401, 1) + 0.3
        sums = density.factorised(values).sum(dim=(0, 2, 3))
        assert sums.tolist() == pytest.approx([1] * 5, abs=1e-3)

    def test_channels_are_independent(self, density: LayerDensity) -> None:
        values = torch.randn(3, 5, 4, 2)
        whole = density.factorised(values)
        assert whole.shape == values.shape
        changed = values.clone()
        changed[:, 2] += 1
        assert torch.equal(density.factorised(changed)[:, [0, 1, 3, 4]], whole[:, [0, 1, 3, 4]])

    def test_auxiliary_loss_moves_the_medians_only(self, density: LayerDensity) -> None:
        density.aux_loss().backward()
        assert density.bottleneck is not None
        moved = {name for name, p in density.bottleneck.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved == {"quantiles"}


class TestGaussian:
    @pytest.mark.parametrize("index", [0, 10, 20, 40, 63])
    def test_tables_say_what_the_density_says(self, index: int) -> None:
        tables, density = gaussian_tables(), LayerDensity(0)
        scale = torch.full((1, 1, 1, 1), 0.11 * (64 / 0.11) ** (index / 63))
        mean = torch.full((1, 1, 1, 1), 12.34)
        for symbol in (0, 1, -2):
            likelihood = density.gaussian(mean + symbol, scale, mean).item()
            bits = tables.bits(np.array([symbol]), np.array([index]))
            if likelihood > 1e-5:
                assert bits == pytest.approx(-np.log2(likelihood), rel=0.01, abs=1e-3)
            else:
                assert bits > 14

    def test_likelihood_never_reaches_zero(self) -> None:
        far = LayerDensity(0).gaussian(torch.full((1, 1, 1, 1), 1e4), torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
        assert far.item() > 0

    def test_float32_under_autocast(self) -> None:
        density, values = LayerDensity(3), torch.randn(2, 3, 2, 2)
        plain = density.gaussian(values, torch.ones_like(values), torch.zeros_like(values))
        with torch.autocast("cpu", torch.bfloat16):
            reduced = density.gaussian(values, torch.ones_like(values), torch.zeros_like(values))
            assert density.factorised(values).dtype == torch.float32
        assert torch.equal(reduced, plain)


def test_without_factorised_part() -> None:
    density = LayerDensity(0)
    assert density.bottleneck is None
    assert density.aux_loss().item() == 0
