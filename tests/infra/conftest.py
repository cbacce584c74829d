"""What tests of infra/ share."""

from __future__ import annotations

from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra"


@pytest.fixture(scope="session")
def infra() -> Path:
    """The folder under test."""
    return INFRA
