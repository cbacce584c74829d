"""What tests of infra/ share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from lgc.config.load import compose

INFRA = Path(__file__).parents[2] / "infra"


@pytest.fixture(scope="session")
def infra() -> Path:
    """The folder under test."""
    return INFRA


@pytest.fixture(scope="session")
def composed() -> Callable[..., str]:
    """A params.yaml with overrides, as text."""
    return cache(lambda *overrides: yaml.safe_dump(compose(overrides, INFRA.parent / "conf")))
