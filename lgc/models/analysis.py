"""Machines' view: masks, attributes and pose from latents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from lgc.data.labels import ATTRIBUTES, CLASSES, POSE
from lgc.models.blocks import SLOPE, Norm, Upsample, activate, conv, res_blocks

HEADS: Final = ("parsing", "attributes", "pose")
POSE_UNIT: Final = 10.0
"""Degrees for which the pose head's raw output is 1."""
ParsingKind = Literal["gradual", "direct", "pyramid"]
"""How the parsing head comes from 1/16 of the picture to 1/2: with convolutions on each scale between; in one step
from 1/8, at a third of the time; or with the features at 1/8 and 1/4 to which the decoder's way leads, of which the
analyzer then has its own (:mod:`lgc.models.pyramid`)."""
Features = tuple[torch.Tensor, ...]
"""What the heads of an analyzer read: (B, C, h, w) at 1/16 of the picture, and perhaps finer ones behind it."""


@dataclass(frozen=True)
class AnalyzerConfig:
    """Shape of an analyzer. Stored in the model file."""

    channels: int
    depth: int
    heads: tuple[str, ...] = HEADS
    parsing: ParsingKind = "gradual"
    norm: Norm = "none"

    def __post_init__(self) -> None:
        """Check the names; :class:`ValueError` otherwise."""
        if unknown := set(self.heads) - set(HEADS):
            raise ValueError(f"unknown heads {sorted(unknown)}; there are {', '.join(HEADS)}")
        if self.parsing not in get_args(ParsingKind):
            raise ValueError(f"unknown parsing head {self.parsing!r}; there are {', '.join(get_args(ParsingKind))}")
        if self.norm not in get_args(Norm):
            raise ValueError(f"unknown norm {self.norm!r}; there are {', '.join(get_args(Norm))}")


@dataclass(frozen=True)
class Predictions:
    """What the heads say; a head that the model lacks is None."""

    parsing: torch.Tensor | None = None
    """Logits (B, 19, 8 h, 8 w) for features (B, C, h, w): half the picture's side."""
    attributes: torch.Tensor | None = None
    """Logits (B, 40)."""
    pose: torch.Tensor | None = None
    """(B, 3) yaw, pitch, roll in degrees."""

    def detach(self) -> Predictions:
        """Without gradients, in float32."""
        return self._map(lambda value: value.detach().float())

    def cpu(self) -> Predictions:
        """In main memory."""
        return self._map(lambda value: value.cpu())

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Predictions:
        return Predictions(**{name: None if v is None else change(v) for name, v in vars(self).items()})


class MaskHead(nn.Module):
    """Features -> class logits at 1/2 of the picture.

    The last layer looks only at what lies beside a place, and makes 19 bytes of each pixel of the picture: a large
    picture's logits are made tile by tile even where what comes before normalises over the whole of it.
    """

    @property
    def last(self) -> Upsample:
        """Brings features (B, D, h, w) to logits (B, 19, factor * h, factor * w) at 1/2 of the picture."""
        raise NotImplementedError

    def before_last(self, *features: torch.Tensor) -> torch.Tensor:
        """What :attr:`last` reads, from an analyzer's features."""
        raise NotImplementedError

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """What :attr:`last` makes of a part or the whole of what it reads."""
        return self.last(x)

    def forward(self, *features: torch.Tensor) -> torch.Tensor:
        """Features of which the first is (B, C, h, w) -> (B, 19, 8 h, 8 w)."""
        return self.logits(self.before_last(*features))


class Analyzer(nn.Module):
    """Features that all heads share, and a head for each task there is."""

    is_local: bool
    """Whether a mask can be made tile by tile; a normalisation looks at all places."""
    scales: tuple[int, ...]
    """Positions of each of its features along one side of a latent position."""

    @property
    def mask_head(self) -> MaskHead:
        """The head of the task ``parsing``, which must be there."""
        raise NotImplementedError

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the heads."""
        raise NotImplementedError

    def drop(self, tasks: Collection[str]) -> None:
        """Remove some of the heads."""
        raise NotImplementedError

    def features(self, x: torch.Tensor) -> Features:
        """What the heads read of decoded latents (B, C, h, w) or of pictures."""
        raise NotImplementedError

    def predict(self, features: Features, tasks: Collection[str]) -> Predictions:
        """Predictions of some of the heads this analyzer has."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> Predictions:
        """Predictions of all heads."""
        return self.predict(self.features(x), self.tasks)


class ParsingHead(MaskHead):
    """Features at 1/16 of the picture -> class logits at 1/2."""

    def __init__(self, channels: int, kind: ParsingKind, norm: Norm) -> None:
        super().__init__()
        middle = channels // 2
        at_eighth = (Upsample(channels, middle), res_blocks(middle, 1, norm), nn.LeakyReLU(SLOPE))
        rest: tuple[nn.Module, ...] = (Upsample(middle, len(CLASSES), factor=4, kernel_size=1),)
        if kind == "gradual":
            rest = (
                Upsample(middle, middle), res_blocks(middle, 1, norm), nn.LeakyReLU(SLOPE),
                Upsample(middle, len(CLASSES)),
            )  # fmt: skip
        self.body = nn.Sequential(*at_eighth, *rest)

    @property
    def last(self) -> Upsample:
        """See :class:`MaskHead`."""
        return self.body[-1]  # type: ignore[return-value]

    def before_last(self, *features: torch.Tensor) -> torch.Tensor:
        """See :class:`MaskHead`; features are (B, C, h, w)."""
        return self.body[:-1](*features)


class PooledHead(nn.Module):
    """Features -> one vector, from their mean and maximum over places."""

    def __init__(self, channels: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.body = nn.Sequential(
            nn.Linear(2 * channels, channels), nn.LeakyReLU(SLOPE), nn.Linear(channels, outputs)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, outputs)."""
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        return self.body(pooled) * self.gain


class MultiTaskAnalyzer(Analyzer):
    """A trunk on latents or other features at 1/16 of the picture, and heads that read nothing else."""

    scales = (1,)

    def __init__(self, in_channels: int, config: AnalyzerConfig) -> None:
        super().__init__()
        channels = config.channels
        self.is_local = config.norm == "none"
        self.trunk = nn.Sequential(conv(in_channels, channels), res_blocks(channels, config.depth, config.norm))
        makers: Mapping[str, nn.Module] = {
            "parsing": ParsingHead(channels, config.parsing, config.norm),
            "attributes": PooledHead(channels, len(ATTRIBUTES)),
            "pose": PooledHead(channels, len(POSE), gain=POSE_UNIT),
        }
        self.heads = nn.ModuleDict({name: makers[name] for name in HEADS if name in config.heads})

    @property
    def mask_head(self) -> MaskHead:
        """See :class:`Analyzer`."""
        return self.heads["parsing"]  # type: ignore[return-value]

    @property
    def tasks(self) -> tuple[str, ...]:
        """See :class:`Analyzer`."""
        return tuple(self.heads)

    def drop(self, tasks: Collection[str]) -> None:
        """See :class:`Analyzer`."""
        for task in set(tasks) & set(self.heads):
            del self.heads[task]

    def features(self, x: torch.Tensor) -> Features:
        """See :class:`Analyzer`; one tensor (B, C, h, w)."""
        return (activate(self.trunk(x)),)

    def predict(self, features: Features, tasks: Collection[str]) -> Predictions:
        """See :class:`Analyzer`."""
        return Predictions(**{task: self.heads[task](*features) for task in tasks})


def at_mask_size(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Resample logits (B, K, h, w) in float32 to the size of masks (B, H, W)."""
    if logits.shape[-2:] == masks.shape[-2:]:
        return logits.float()
    return functional.interpolate(logits.float(), size=masks.shape[-2:], mode="bilinear", align_corners=False)
