"""What is kept of the step in which training diverged."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file

from lgc.data.loader import Batch
from lgc.errors import TrainingError


class Diverged(TrainingError):
    """A loss or a gradient is not finite."""

    def __init__(self, message: str, terms: Mapping[str, float]) -> None:
        """``terms`` are the losses of that step, unweighted."""
        super().__init__(message)
        self.terms = terms


def write_evidence(batch: Batch, samples: int, error: Diverged) -> Path:
    """One safetensors file with the batch, and in its metadata the message and every term (JSON)."""
    path = Path(tempfile.mkdtemp(prefix="lgc-diverged-")) / f"diverged-{samples}.safetensors"
    about = {"message": str(error), "terms": json.dumps(dict(error.terms))}
    save_file({name: value.cpu().contiguous() for name, value in vars(batch).items()}, path, metadata=about)
    return path
