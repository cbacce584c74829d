"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one look found."""

    name: str
    state: State
    detail: str
    remedy: str = ""
    """What to do, unless the state is ok."""
