"""What is kept of the step in which a guard stopped training."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from lgc import images
from lgc.data.loader import Batch
from lgc.errors import TrainingError

BATCH = "batch.safetensors"
REPORT = "report.json"
SHOWN = 8
"""Pictures of the batch that are written as PNG."""


@dataclass(frozen=True)
class Evidence:
    """The step as this worker saw it."""

    player: str
    """Whose turn it was."""
    terms: Mapping[str, float]
    """Losses, unweighted."""
    shared: Mapping[str, float]
    """What the guards saw: means over all workers."""
    gradient_norms: Mapping[str, float]
    """Of each tensor, before clipping."""
    pictures: Mapping[str, torch.Tensor]
    """What the decoder made of the batch: (B, 3, H, W) in [0, 1]."""


class Tripped(TrainingError):
    """A guard stopped a step."""

    def __init__(self, message: str, evidence: Evidence) -> None:
        """``message`` names the run, the sample and what is wrong."""
        super().__init__(message)
        self.evidence = evidence


def gradient_norms(modules: Mapping[str, nn.Module]) -> dict[str, float]:
    """Norm of each tensor's gradient, by the names used in checkpoints."""
    return {
        f"{name}.{key}": float(parameter.grad.norm())
        for name, module in modules.items()
        for key, parameter in module.named_parameters()
        if parameter.grad is not None
    }


def write_evidence(tripped: Tripped, batch: Batch, samples: int, run: Mapping[str, Any]) -> list[Path]:
    """The batch as safetensors, numbers and ``run`` (its configuration) as JSON, pictures as PNG.

    The files are in a new temporary folder; numbers that are not finite are written as Python does (``NaN``).
    """
    folder, evidence = Path(tempfile.mkdtemp(prefix="lgc-guard-")), tripped.evidence
    save_file({name: value.cpu().contiguous() for name, value in vars(batch).items()}, folder / BATCH)
    report = {
        "message": str(tripped),
        "samples": samples,
        "player": evidence.player,
        "terms": dict(evidence.terms),
        "shared": dict(evidence.shared),
        "gradient_norms": dict(evidence.gradient_norms),
        "run": dict(run),
    }
    (folder / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name, pictures in {"x": batch.x, **evidence.pictures}.items():
        row = images.to_uint8(torch.nan_to_num(pictures[:SHOWN])).cpu().numpy()
        images.write(folder / f"{name}.png", row.transpose(1, 0, 2, 3).reshape(row.shape[1], -1, 3))
    return sorted(folder.iterdir())
