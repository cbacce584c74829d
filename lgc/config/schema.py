"""Every setting of the pipeline, as dataclasses. Defaults live in ``conf/``; here are names, types, meaning.

Leaves that belong to one class of the library (``Settings``, ``CodecWeights``, ``Augment``, ...) are defined
beside that class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lgc.data.augment import Augment
from lgc.evaluation.champion import Criterion
from lgc.losses.adversarial import AdversarialKind
from lgc.losses.perceptual import Scale
from lgc.metrics.identity import Embedding
from lgc.models.analysis import AnalyzerConfig
from lgc.models.blocks import MainLine, Norm
from lgc.models.fusion import FusionKind
from lgc.models.latents import Steps
from lgc.models.transforms import Widths
from lgc.training.guards import GuardSettings
from lgc.training.objectives import CodecSchedule, CodecWeights, TaskWeights
from lgc.training.stage import Settings


@dataclass(frozen=True)
class SyntheticConfig:
    """The embedded data set, generated when ``data.source`` is null."""

    count: int
    seed: int
    size: int
    splits: tuple[float, float, float]
    """Shares of train, val and test."""


@dataclass(frozen=True)
class DataConfig:
    """What the prepare stage reads and writes."""

    name: str
    licence: str
    source: str | None
    """Folder in the official CelebAMask-HQ layout; null generates synthetic faces."""
    split_rule: Literal["official", "hash"]
    image_size: int
    mask_size: int
    limit: int | None
    """At most so many pictures a split."""
    synthetic: SyntheticConfig


@dataclass(frozen=True)
class SemanticConfig:
    """The semantic layer."""

    channels: int
    hyper_channels: int
    steps: Steps
    hidden: int


@dataclass(frozen=True)
class ReconstructionConfig(SemanticConfig):
    """The reconstruction layer."""

    conditioned: bool
    """Coded given the semantic layer."""


@dataclass(frozen=True)
class ReferenceModelConfig:
    """The RGB reference: its trunk on pixels and the shape of its analyzer, whose heads are ``model.analyzer``'s."""

    widths: Widths
    channels: int
    depth: int
    norm: Norm


@dataclass(frozen=True)
class ModelConfig:
    """Shapes of all networks."""

    widths: Widths
    fusion: FusionKind
    main_line: MainLine
    semantic: SemanticConfig
    reconstruction: ReconstructionConfig
    analyzer: AnalyzerConfig
    reference: ReferenceModelConfig
    discriminator_width: int


@dataclass(frozen=True)
class TargetRates:
    """Rates that the controllers hold, bits per pixel without container; null trains at fixed weights."""

    semantic: float | None
    reconstruction: float | None


@dataclass(frozen=True)
class PerceptualConfig:
    """The LPIPS term; see :class:`lgc.losses.perceptual.PerceptualLoss`."""

    net: Literal["squeeze", "alex", "vgg"]
    scale: Scale
    jitter: bool


@dataclass(frozen=True, kw_only=True)
class Training:
    """What all training has."""

    settings: Settings
    ema_decay: float
    clip_norm: float
    augment: Augment
    validation_images: int


@dataclass(frozen=True, kw_only=True)
class TaskTraining:
    """What training of analyzers has, alone or with a codec."""

    annotated_share: float
    """Share of each batch drawn from pictures with masks."""
    task_weights: TaskWeights = field(default_factory=TaskWeights)


@dataclass(frozen=True, kw_only=True)
class HeadTraining(Training, TaskTraining):
    """What training of analyzers alone has."""

    weight_decay: float
    """A step multiplies every weight by ``1 - lr * weight_decay``: less is learnt by heart (docs/trials.md)."""


@dataclass(frozen=True, kw_only=True)
class CodecTraining(Training):
    """What ``train_codec`` and ``finetune_joint`` share."""

    lr: float
    discriminator_lr: float
    weights: CodecWeights
    schedule: CodecSchedule
    target_bpp: TargetRates
    perceptual: PerceptualConfig
    adversarial: AdversarialKind
    guards: GuardSettings


@dataclass(frozen=True, kw_only=True)
class JointTraining(TaskTraining):
    """``finetune_joint``, and its control ``finetune_separate``."""

    codec: CodecTraining
    analyzer_lr: float
    analyzer_weight_decay: float
    """As in :class:`HeadTraining`; the codec's own weights do not decay."""


@dataclass(frozen=True, kw_only=True)
class AnalysisTraining(HeadTraining):
    """``train_analysis``."""

    lr: float


@dataclass(frozen=True, kw_only=True)
class ReferenceTraining(HeadTraining):
    """``train_reference``: several learning rates side by side, the best on the validation split is kept."""

    learning_rates: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class BaselineTraining(Training):
    """``train_baseline``: CompressAI's networks on the codec's data, for as long as the codec trains."""

    networks: tuple[str, ...]
    """Of :data:`lgc.baselines.NETWORKS`; none by default."""
    qualities: tuple[int, ...]
    """One network each: CompressAI's lambda times 1,000,000, the weight of the distortion against bits per pixel."""
    channels: int
    """CompressAI's N."""
    latent_channels: int
    """CompressAI's M."""
    lr: float
    perceptual_ratio: float
    """How much LPIPS counts beside the squared error (of 0 to 255), at every lambda alike; in ``train_codec`` it is
    ``weights.perceptual / weights.distortion``. 0 trains for rate and distortion alone, as the authors did."""
    perceptual_from: float
    """Share of the stage after which the perceptual term begins."""
    perceptual: PerceptualConfig


@dataclass(frozen=True)
class EvaluateConfig:
    """The evaluate stage."""

    split: Literal["val", "test"]
    limit: int | None
    baselines: dict[str, list[int]]
    """Codec name -> quality settings; networks of ``train_baseline`` come by themselves."""
    models: dict[str, str]
    """Further model files (``lgc model export``, another experiment's ``outputs/*/model.safetensors``) to measure
    beside the pipeline's own: name in tables -> path."""
    leave_out: tuple[str, ...]
    """Tasks to leave out of joint training, each in a variant of its own, to be read afterwards by a new head."""
    metrics: list[str]
    """Of decoded pictures; names in :data:`lgc.metrics.choose.NAMES`."""
    lpips_net: Literal["squeeze", "alex", "vgg"]
    identity: Embedding
    """Whose eyes the metric ``identity`` looks with."""
    bootstrap: int
    """Resamplings behind each interval."""
    sheet_images: int
    """On the sheet, and at the start of the gallery."""
    worst_images: int
    """Of our codec's worst pictures in the gallery, by each of two measures."""


@dataclass(frozen=True)
class RuntimeConfig:
    """Where things run. Part of no stage's identity: changing it re-runs nothing."""

    engine: Literal["ray", "local"]
    address: str | None
    """Of a Ray cluster: ``auto`` or ``host:port`` joins it, ``http(s)://host:8265`` submits training stages to its
    job server; null starts one on this machine."""
    stages: int
    """Training stages that `lgc repro` runs side by side, where none needs another and there is room for all."""
    workers: int
    min_workers: int | None
    """Fewest workers that training goes on with when nodes are lost; null waits until all are back."""
    device: Literal["auto", "cpu", "cuda"]
    record: bool
    """Whether a GPU that trains alone records its steps as CUDA graphs, three to four times as fast."""
    threads: int | None
    """Torch threads a worker; null shares this machine's cores."""
    max_failures: int
    prepare_workers: int
    evaluate_workers: int
    """Processes that measure baselines side by side, about 1 GB each."""
    storage: str
    """Folder or URI for checkpoints of running stages, and for what they read where no folder is shared."""


@dataclass(frozen=True)
class TrackingConfig:
    """MLflow."""

    enabled: bool
    uri: str
    experiment: str
    artifacts: str | None
    """Artifact location of a new experiment; null leaves it to the server."""
    system_seconds: float | None
    """Between looks at how busy each node is; null takes none."""


@dataclass(frozen=True)
class StorageConfig:
    """One S3 endpoint for Ray, MLflow, DVC and boto3. Credentials come from the environment."""

    endpoint: str | None
    region: str | None
    bucket: str | None
    path_style: bool


@dataclass(frozen=True)
class ReleaseConfig:
    """``lgc release``. Part of no stage."""

    name: str
    """Of the registered model."""
    rule: dict[str, Criterion]
    """Measure of the evaluate stage -> how it counts against the champion."""


@dataclass(frozen=True)
class Config:
    """The whole of ``params.yaml``."""

    data: DataConfig
    model: ModelConfig
    train_codec: CodecTraining
    train_reference: ReferenceTraining
    train_analysis: AnalysisTraining
    finetune_joint: JointTraining
    rates: dict[str, TargetRates]
    """Further rate points: the codec trained once more for each, in a variant of its own."""
    train_baseline: BaselineTraining
    evaluate: EvaluateConfig
    runtime: RuntimeConfig
    tracking: TrackingConfig
    storage: StorageConfig
    release: ReleaseConfig
