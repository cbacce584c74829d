"""Random changes to training pictures that keep their annotations true."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from lgc.data.labels import FLIPPED_CLASS, FLIPPED_POSE, IGNORE

if TYPE_CHECKING:
    from lgc.data.loader import Batch

_FLIPPED_MASK = torch.arange(256, dtype=torch.uint8)
_FLIPPED_MASK[: len(FLIPPED_CLASS)] = torch.tensor(FLIPPED_CLASS, dtype=torch.uint8)


@dataclass(frozen=True)
class Augment:
    """What may change; every draw is a function of (seed, sample position) alone."""

    flip: bool = True
    """Mirror half of the pictures."""
    rotate: float = 0.0
    """Largest in-plane rotation, degrees; changes roll."""
    zoom: float = 0.0
    """Largest relative change of size, e.g. 0.2 for 0.83 to 1.2 times."""
    shift: float = 0.0
    """Largest translation, as a share of the side."""
    colour: float = 0.0
    """Largest relative change of brightness, contrast and saturation."""

    def __call__(self, batch: Batch, positions: np.ndarray, seed: int) -> Batch:
        """Change ``batch`` whose samples have these positions (B,)."""
        if not (self.flip or self._moves or self.colour):
            return batch
        draws = torch.from_numpy(_draw(seed, positions, 8)).to(batch.x.device)
        if self.flip:
            batch = flip(batch, draws[:, 0] > 0)
        if self._moves:
            batch = move(
                batch,
                angle=draws[:, 1] * self.rotate,
                scale=(1 + self.zoom) ** draws[:, 2],
                shift=draws[:, 3:5] * self.shift,
            )
        if self.colour:
            batch = recolour(batch, ((1 + self.colour) ** draws[:, 5:8]).float())
        return batch

    @property
    def _moves(self) -> bool:
        return bool(self.rotate or self.zoom or self.shift)


def _draw(seed: int, positions: np.ndarray, count: int) -> np.ndarray:
    """float64 (B, ``count``) in [-1, 1): SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) at places that positions name.

    A generator for each sample gives as good numbers and takes longer than all that is done with them on a GPU.
    """
    start = np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)
    places = positions.astype(np.uint64)[:, None] * np.uint64(count) + np.arange(1, count + 1, dtype=np.uint64)
    z = start + places * np.uint64(0x9E3779B97F4A7C15)  # wraps around, as it should
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def flip(batch: Batch, which: torch.Tensor) -> Batch:
    """Mirror the samples where bool ``which`` (B,) holds: left and right classes swap, yaw and roll negate."""
    here = which[:, None, None]
    mirrored = _FLIPPED_MASK.to(which.device)[batch.masks.flip(-1).int()]
    sign = torch.where(which[:, None], torch.tensor(FLIPPED_POSE, device=which.device), 1.0)
    return replace(
        batch,
        x=torch.where(here[..., None], batch.x.flip(-1), batch.x),
        masks=torch.where(here, mirrored, batch.masks),
        pose=batch.pose * sign,
    )


def move(batch: Batch, angle: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> Batch:
    """Rotate (degrees, clockwise), scale and shift (shares of the side) each sample (B,), (B,), (B, 2).

    The picture continues by reflection beyond its border; the label map is unlabelled there.
    """
    radians = angle * (math.pi / 180)
    cos, sin = torch.cos(radians) / scale, torch.sin(radians) / scale
    # affine_grid wants output -> input coordinates
    theta = torch.stack(
        [torch.stack([cos, sin, -2 * shift[:, 0]], 1), torch.stack([-sin, cos, -2 * shift[:, 1]], 1)], 1
    ).float()
    grid = functional.affine_grid(theta, list(batch.x.shape), align_corners=False)
    # sampling is quicker on planes, and forgets the layout that the networks are quickest with
    x = functional.grid_sample(batch.x.contiguous(), grid, padding_mode="reflection", align_corners=False)
    x = x.clamp_(0, 1).contiguous(memory_format=torch.channels_last)
    masks = batch.masks
    if bool((masks != IGNORE).any()):
        grid = functional.affine_grid(theta, [len(masks), 1, *masks.shape[1:]], align_corners=False)
        labels = masks[:, None].float() - IGNORE  # zero padding then means "no label"
        moved = functional.grid_sample(labels, grid, mode="nearest", align_corners=False)
        masks = (moved[:, 0] + IGNORE).round().to(torch.uint8)
    roll = torch.zeros_like(batch.pose)
    roll[:, 2] = angle.float()
    return replace(batch, x=x, masks=masks, pose=batch.pose + roll)


def recolour(batch: Batch, factors: torch.Tensor) -> Batch:
    """Scale brightness, contrast and saturation by ``factors`` (B, 3)."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    x = batch.x * brightness
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * contrast + mean
    grey = x.mean(dim=1, keepdim=True)
    return replace(batch, x=((x - grey) * saturation + grey).clamp(0, 1))
