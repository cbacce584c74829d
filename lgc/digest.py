"""SHA-256 of files and of plain values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def of_file(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_value(value: Any, digits: int = 16) -> str:
    """The first hex digits for anything that JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:digits]
