"""Where the stages leave their results, relative to the project's root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

TrainStage = Literal[
    "train_codec",
    "train_reference",
    "train_analysis",
    "finetune_joint",
    "finetune_separate",
    "train_probe",
    "train_baseline",
]
TRAIN_STAGES: Final[tuple[TrainStage, ...]] = (
    "train_codec",
    "train_reference",
    "train_analysis",
    "finetune_joint",
    "finetune_separate",
)
"""Of the pipeline itself; the others belong to variants only."""
UPSTREAM: Final[Mapping[TrainStage, tuple[TrainStage, ...]]] = {
    "train_codec": (),
    "train_reference": (),
    "train_analysis": ("train_codec",),
    "finetune_joint": ("train_codec", "train_analysis"),
    "finetune_separate": ("train_codec", "train_analysis"),
    "train_probe": ("finetune_joint",),
    "train_baseline": (),
}
"""Stages whose weights a stage starts from, its teacher apart."""
_GROUPS: Final[Mapping[TrainStage, str]] = {"finetune_separate": "finetune_joint", "train_probe": "train_analysis"}
"""Stages that train by the settings of another one."""
Kind = Literal["rates", "leave_out", "baselines"]
VARIED: Final[Mapping[Kind, tuple[TrainStage, ...]]] = {
    "rates": ("train_codec", "train_analysis", "finetune_joint"),
    "leave_out": ("train_analysis", "finetune_joint", "train_probe"),
    "baselines": ("train_baseline",),
}
"""Stages that each kind of variant has of its own; see :mod:`lgc.config.variants`."""
WEIGHTS: Final = "weights.safetensors"
MODEL: Final = "model.safetensors"
METRICS: Final = "metrics.json"


def group_of(stage: TrainStage) -> str:
    """Group of the configuration that says how a stage trains."""
    return _GROUPS.get(stage, stage)


@dataclass(frozen=True)
class Paths:
    """Output folders of one project; absolute, because engines change the working directory."""

    root: Path
    variant: str = ""
    """``kind/name``: its own stages write below :attr:`variants`, everything else is the pipeline's."""

    @classmethod
    def here(cls) -> Paths:
        """Of the project in the working directory."""
        return cls(Path.cwd().resolve())

    @property
    def data(self) -> Path:
        """Shards and manifest."""
        return self.root / "outputs" / "data"

    @property
    def variants(self) -> Path:
        """Outputs of all variants."""
        return self.root / "outputs" / "variants"

    def stage(self, name: str) -> Path:
        """Folder of a stage's outputs."""
        kind = self.variant.partition("/")[0]
        if name in VARIED.get(kind, ()):  # type: ignore[call-overload]
            return self.variants / self.variant / name
        return self.root / "outputs" / name

    def of(self, variant: str) -> Paths:
        """The same project, as ``variant`` sees it."""
        return Paths(self.root, variant)

    def sweep(self, name: str) -> Path:
        """Folder of a sweep: its trials and results."""
        return self.root / "sweeps" / name

    def weights(self, name: TrainStage) -> Path:
        """Averaged weights of a training stage."""
        return self.stage(name) / WEIGHTS

    def model(self, name: TrainStage) -> Path:
        """Model file of a training stage."""
        return self.stage(name) / MODEL
