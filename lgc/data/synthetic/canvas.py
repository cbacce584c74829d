"""A picture in the making: colour channels, one class index and one depth a pixel; and the light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.texture import Array, blur
from lgc.data.synthetic.view import Box, Normal, Vector

ALL: Box = (slice(None), slice(None))
Colour = tuple[float, ...]
"""Linear red, green, blue in [0, 1]; on a material canvas followed by the gloss."""


def linear(red: float, green: float, blue: float) -> Vector:
    """Linear light of an 8-bit colour, with gamma 2 for sRGB's curve."""
    return (red / 255) ** 2, (green / 255) ** 2, (blue / 255) ** 2


def column(colour: Sequence[float]) -> Array:
    """A colour as (channels, 1, 1)."""
    return np.asarray(colour, np.float32)[:, None, None]


def grey(value: Array, gloss: float) -> Array:
    """A material (4, H, W) of one brightness in all channels."""
    material = np.empty((4, *value.shape), np.float32)
    material[:3] = value
    material[3] = gloss
    return material


class Canvas:
    """Channels (C, H, W) float32, labels (H, W) uint8 and depths; starts black, unlabelled and far away."""

    def __init__(self, shape: tuple[int, ...], channels: int = 3) -> None:
        """Four channels hold a material that is lit later, three hold light."""
        self.pixels = np.zeros((channels, *shape), np.float32)
        self.labels = np.zeros(shape, np.uint8)
        self.depth = np.full(shape, -9.0, np.float32)

    def paint(
        self,
        box: Box,
        cover: Array,
        colour: Colour | Array,
        label: str = "",
        opacity: float | Array | None = None,
    ) -> None:
        """Blend ``colour`` in by ``cover * opacity``; pixels with half the cover get the label."""
        target = self.pixels[:, box[0], box[1]]
        paint = column(colour) if isinstance(colour, tuple) else colour
        target += (cover if opacity is None else cover * opacity) * (paint - target)
        if label:
            self.labels[box][cover > 0.5] = CLASSES.index(label)

    def tint(self, box: Box, amount: Array, factor: Colour) -> None:
        """Multiply by ``factor`` where ``amount`` is 1, leave alone where it is 0."""
        for channel, value in enumerate(factor):
            if value != 1.0:
                self.pixels[channel][box] *= 1.0 + amount * (value - 1.0)

    def place(self, box: Box, cover: Array, light: Array, labels: Array | int, depth: Array | None = None) -> None:
        """Lay a lit layer over the picture, with its labels and, if others may hide behind it, depth."""
        self.paint(box, cover, light)
        solid = cover > 0.5
        np.copyto(self.labels[box], labels, where=solid, casting="unsafe")
        if depth is not None:
            np.copyto(self.depth[box], depth, where=solid)

    def seen(self, box: Box, depth: Array | float) -> Array:
        """How much of a thing at ``depth`` is in front of what has been placed with a depth."""
        return np.clip((depth - self.depth[box]) * 40.0 + 0.5, 0.0, 1.0)

    def shade(self, box: Box, cover: Array, reach: float, offset: tuple[float, float], strength: float) -> None:
        """Darken the person (not the background) by the soft shadow of ``cover``.

        ``reach`` and ``offset`` (down, right) are shares of the picture's size.
        """
        size = len(self.labels)
        radius = max(1, int(reach * size / 4 + 0.5))
        margin = [4 * radius + int(abs(v) * size + 1) for v in offset]
        grown = tuple(slice(max(b.start - m, 0), b.stop + m) for b, m in zip(box, margin, strict=True))
        full = np.zeros(self.labels[grown].shape, np.float32)
        start = [b.start - g.start for b, g in zip(box, grown, strict=True)]
        full[start[0] : start[0] + cover.shape[0], start[1] : start[1] + cover.shape[1]] = cover
        moved = np.roll(full[::2, ::2], [int(v * size / 2 + 0.5) for v in offset], (0, 1))
        soft = blur(moved, radius).repeat(2, 0).repeat(2, 1)[: full.shape[0], : full.shape[1]]
        self.pixels[:, grown[0], grown[1]] *= 1.0 - soft * (self.labels[grown] != 0) * np.float32(strength)


@dataclass(frozen=True)
class Light:
    """A distant key light and an ambient one, in the frame of the normals it is used with."""

    direction: Vector
    half: Vector
    """Half way between the light and the viewer."""
    key: Vector
    ambient: Vector

    def apply(self, material: Array, normal: Normal, wrap: Vector) -> Array:
        """Shade a material (4, H, W) to linear light (3, H, W).

        ``wrap`` lets each colour reach past the terminator: red most for skin, as light does there.
        """
        nx, ny, nz = normal
        facing = nx * self.direction[0] + ny * self.direction[1] + nz * self.direction[2]
        sky = 0.8 - 0.2 * ny
        out = np.empty((3, *facing.shape), np.float32)
        for c in range(3):
            soft = np.maximum(facing + wrap[c], 0.0)
            soft *= self.key[c] / (1.0 + wrap[c])
            soft += sky * self.ambient[c]
            np.multiply(material[c], soft, out=out[c])
        shine = np.maximum(nx * self.half[0] + ny * self.half[1] + nz * self.half[2], 0.0)
        for _ in range(3):
            shine *= shine
        shine *= material[3] * (0.12 + 0.5 * material[3] * shine)
        for c in range(3):
            out[c] += shine * self.key[c]
        return out
