"""This process's credentials, and whether workers of Ray have them without being told."""

from __future__ import annotations

import os
from typing import Final

from lgc import digest

CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
)  # fmt: skip
INHERITED: Final = "LGC_RAY_INHERITED"
"""Variable beside the address of a Ray of our own: :func:`seal` of what its workers inherit."""


def seal(address: str) -> str:
    """A digest of the credentials, for the Ray at ``address``; empty for one of this process alone."""
    given = [os.environ.get(name) for name in CREDENTIALS]
    return digest.of_value([address, *given], digits=64)


def to_tell(address: str | None) -> dict[str, str]:
    """Credentials that workers of the Ray at ``address``, or else at ``RAY_ADDRESS``, do not inherit.

    Ray writes what it is told to its logs. Workers of a Ray of our own have what its starter had.
    """
    if os.environ.get(INHERITED) == seal(address or os.environ.get("RAY_ADDRESS", "")):
        return {}
    return {name: os.environ[name] for name in CREDENTIALS if name in os.environ}
