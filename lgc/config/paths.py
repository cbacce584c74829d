"""Where the stages leave their results, relative to the project's root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

TrainStage = Literal["train_codec", "train_reference", "train_analysis", "finetune_joint", "finetune_separate"]
TRAIN_STAGES: Final[tuple[TrainStage, ...]] = (
    "train_codec",
    "train_reference",
    "train_analysis",
    "finetune_joint",
    "finetune_separate",
)
WEIGHTS: Final = "weights.safetensors"
MODEL: Final = "model.safetensors"
METRICS: Final = "metrics.json"


@dataclass(frozen=True)
class Paths:
    """Output folders of one project; absolute, because engines change the working directory."""

    root: Path

    @classmethod
    def here(cls) -> Paths:
        """Of the project in the working directory."""
        return cls(Path.cwd().resolve())

    @property
    def data(self) -> Path:
        """Shards and manifest."""
        return self.root / "outputs" / "data"

    @property
    def raw(self) -> Path:
        """Generated faces in the official layout; kept for the next run."""
        return self.root / "outputs" / "synthetic"

    def stage(self, name: str) -> Path:
        """Folder of a stage's outputs."""
        return self.root / "outputs" / name

    def sweep(self, name: str) -> Path:
        """Folder of a sweep: its trials and results."""
        return self.root / "sweeps" / name

    def weights(self, name: TrainStage) -> Path:
        """Averaged weights of a training stage."""
        return self.stage(name) / WEIGHTS

    def model(self, name: TrainStage) -> Path:
        """Model file of a training stage."""
        return self.stage(name) / MODEL
