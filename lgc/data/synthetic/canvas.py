"""A picture in the making: linear light or material channels, and one class index a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.texture import Array, blur
from lgc.data.synthetic.view import Box, Vector

ALL: Box = (slice(None), slice(None))
Colour = tuple[float, ...]
"""Linear red, green, blue in [0, 1]; on a material canvas followed by the gloss."""


def linear(red: float, green: float, blue: float) -> Vector:
    """Linear light of an 8-bit colour, with gamma 2 for sRGB's curve."""
    return (red / 255) ** 2, (green / 255) ** 2, (blue / 255) ** 2


def column(colour: Sequence[float]) -> Array:
    """A colour as (channels, 1, 1)."""
    return np.asarray(colour, np.float32)[:, None, None]


class Canvas:
    """Channels (C, H, W) float32 and labels (H, W) uint8; starts black and unlabelled."""

    def __init__(self, shape: tuple[int, ...], channels: int = 3) -> None:
        """Make an empty canvas."""
        self.pixels = np.zeros((channels, *shape), np.float32)
        self.labels = np.zeros(shape, np.uint8)
        self.depth = np.full(shape, -9.0, np.float32)

    def paint(
        self,
        box: Box,
        cover: Array,
        colour: Colour | Array,
        label: str = "",
        opacity: float | Array = 1.0,
        depth: Array | None = None,
    ) -> None:
        """Blend ``colour`` in by ``cover * opacity``; pixels with half the cover get label and depth."""
        if not cover.size:
            return
        target = self.pixels[:, box[0], box[1]]
        if isinstance(colour, tuple):
            colour = column(colour)
        target += (cover if isinstance(opacity, float) and opacity == 1.0 else cover * opacity) * (colour - target)
        if label:
            self.labels[box][cover > 0.5] = CLASSES.index(label)
        if depth is not None:
            np.copyto(self.depth[box], depth, where=cover > 0.5)

    def tint(self, box: Box, amount: Array, factor: Colour) -> None:
        """Multiply by ``factor`` where ``amount`` is 1, leave alone where it is 0."""
        target = self.pixels[: len(factor), box[0], box[1]]
        target *= 1.0 + amount * (column(factor) - 1.0)

    def seen(self, box: Box, depth: Array | float) -> Array:
        """How much of a thing at ``depth`` is in front of what has been painted with a depth."""
        return np.clip((depth - self.depth[box]) * 40.0 + 0.5, 0.0, 1.0)

    def shade(self, cover: Array, reach: int, offset: tuple[int, int], strength: float, where: Array) -> None:
        """Darken ``where`` is 1 by the soft shadow of ``cover``, ``offset`` (down, right) pixels away."""
        moved = np.roll(cover[::2, ::2], (offset[0] // 2, offset[1] // 2), (0, 1))
        soft = blur(moved, max(1, reach // 2)).repeat(2, 0).repeat(2, 1)
        self.pixels *= 1.0 - soft[: cover.shape[0], : cover.shape[1]] * where * np.float32(strength)


@dataclass(frozen=True)
class Light:
    """A distant key light and an ambient one, in the frame of the normals it is used with."""

    direction: Vector
    half: Vector
    """Half way between the light and the viewer."""
    key: Vector
    ambient: Vector

    def apply(self, material: Array, normal: tuple[Array, Array, Array], wrap: Vector) -> Array:
        """Shade a material (3 or 4 channels) to linear light (3, H, W).

        ``wrap`` lets each colour reach past the terminator: red most for skin, as light does there.
        """
        nx, ny, nz = normal
        facing = nx * self.direction[0] + ny * self.direction[1] + nz * self.direction[2]
        shine = np.maximum(nx * self.half[0] + ny * self.half[1] + nz * self.half[2], 0.0)
        sky = 0.8 - 0.2 * ny
        out = np.empty((3, *facing.shape), np.float32)
        for c in range(3):
            soft = np.clip((facing + wrap[c]) * (1.0 / (1.0 + wrap[c])), 0.0, 1.0)
            out[c] = material[c] * (sky * self.ambient[c] + soft * self.key[c])
        if len(material) > 3:
            for _ in range(3):
                shine = shine * shine
            tight = shine * shine
            gloss = material[3] * (0.12 * shine + 0.5 * material[3] * tight * tight)
            out += gloss * column(self.key)
        return out
