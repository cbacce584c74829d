"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lgc.errors import without_secrets

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one look found."""

    name: str
    state: State
    detail: str
    remedy: str = ""
    """What to do, unless the state is ok."""

    def __post_init__(self) -> None:
        """Take secrets out of addresses in ``detail``: of a server that was asked, and of what its client says."""
        object.__setattr__(self, "detail", without_secrets(self.detail))
