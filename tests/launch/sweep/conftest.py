"""A small sweep with made-up results."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgc.config.load import compose
from lgc.config.sweep import SweepConfig, compose_sweep
from lgc.evaluation.front import Axis
from tests.project import ROOT

AXES = [
    Axis("bpp", "bits per pixel", "min", 0.0, 0.5),
    Axis("lpips_squeeze", "LPIPS (squeeze)", "min", 0.0, 1.0),
    Axis("miou", "mIoU of the semantic layer", "max", 1.0, 0.0),
]


@pytest.fixture(scope="session")
def sweep() -> SweepConfig:
    return compose_sweep(["sweep=rdp"], compose([], ROOT / "conf"), ROOT / "conf")[0]


@pytest.fixture
def values(sweep: SweepConfig) -> dict[str, float]:
    """A point in every range, none of them at its default."""
    return {name: round(1.5 * found.low, 5) for name, found in sweep.ranges.items()}


@pytest.fixture
def axes() -> list[Axis]:
    return AXES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sweeps" / "rdp"
