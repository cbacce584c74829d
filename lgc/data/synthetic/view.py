"""The camera: picture coordinates, head pose, and one ray a pixel.

The head frame has x to the picture's right, y down and z towards the viewer at pose zero. One unit is
half the picture's height at scale 1. The projection is orthographic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.texture import Array

Box = tuple[slice, slice]
Vector = tuple[float, float, float]
Normal = tuple[Array, Array, Array]
PIVOT = (0.0, 0.35, -0.1)
"""The head turns about this point, near the top of the neck."""


@dataclass(frozen=True)
class Rays:
    """One ray a pixel in the head frame: points ``origin + depth * direction``."""

    x: Array
    y: Array
    z: Array
    direction: Vector

    def crop(self, box: Box) -> Rays:
        """The rays of one rectangle."""
        return Rays(self.x[box], self.y[box], self.z[box], self.direction)

    def at(self, depth: Array) -> tuple[Array, Array, Array]:
        """Head-frame x, y, z of the points at ``depth``."""
        dx, dy, dz = self.direction
        return self.x + depth * dx, self.y + depth * dy, self.z + depth * dz


class View:
    """Maps between the head frame and the pixels of one picture."""

    def __init__(self, size: int, pose: Vector, scale: float, shift: tuple[float, float]) -> None:
        """``pose`` is (yaw, pitch, roll) in degrees; ``scale`` and ``shift`` act in the picture."""
        self.size = size
        self.pixel = 2.0 / (size * scale)
        self._scale, self._shift = scale, shift
        self._rows = _rotation(pose)
        centres = (np.arange(size, dtype=np.float64) + 0.5) * (2.0 / size) - 1.0
        self.x = ((centres - shift[0]) / scale).astype(np.float32)[None, :]
        self.y = ((centres - shift[1]) / scale).astype(np.float32)[:, None]
        self.rays = self._make_rays()

    def to_head(self, vector: Vector) -> Vector:
        """A direction of the picture (x right, y down, z to the viewer) in the head frame."""
        a, b, c = (sum(row[i] * v for row, v in zip(self._rows, vector, strict=True)) for i in range(3))
        return a, b, c

    def project(self, point: Vector) -> Vector:
        """A head-frame point in body coordinates: x, y as in :attr:`x`, :attr:`y`; z is its depth."""
        offset = [p - c for p, c in zip(point, PIVOT, strict=True)]
        x, y, z = (sum(r * o for r, o in zip(row, offset, strict=True)) for row in self._rows)
        return x + PIVOT[0], y + PIVOT[1], z + PIVOT[2]

    def box(self, x: float, y: float, half_width: float, half_height: float) -> Box:
        """The pixels of a rectangle in body coordinates, clipped to the picture; maybe empty."""

        def span(centre: float, half: float, shift: float) -> slice:
            middle, reach = centre * self._scale + shift, half * self._scale
            low, high = ((middle + sign * reach + 1.0) * 0.5 * self.size for sign in (-1, 1))
            start = min(max(math.floor(low), 0), self.size)
            return slice(start, max(min(math.ceil(high), self.size), start))

        return span(y, half_height, self._shift[1]), span(x, half_width, self._shift[0])

    def window(self, point: Vector, reach: float) -> Box:
        """The pixels within ``reach`` of a projected head-frame point."""
        x, y, _ = self.project(point)
        return self.box(x, y, reach, reach)

    def cover(self, distance: Array) -> Array:
        """Anti-aliased coverage of ``distance < 0``, a signed distance in head units."""
        return np.clip(0.5 - distance * (1.0 / self.pixel), 0.0, 1.0)

    def _make_rays(self) -> Rays:
        x, y = self.x - np.float32(PIVOT[0]), self.y - np.float32(PIVOT[1])
        across, down, towards = (self.to_head(axis) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
        ox, oy, oz = (x * across[i] + (y * down[i] + (PIVOT[i] - PIVOT[2] * towards[i])) for i in range(3))
        return Rays(ox, oy, oz, towards)


def _rotation(pose: Vector) -> tuple[Vector, Vector, Vector]:
    """Rows of the matrix that turns by yaw, then pitch, then roll."""
    (sy, cy), (sp, cp), (sr, cr) = ((math.sin(a), math.cos(a)) for a in map(math.radians, pose))
    turned = ((cy, 0.0, sy), (sp * sy, cp, -sp * cy), (-cp * sy, sp, cp * cy))
    first, second, third = turned
    return (
        tuple(cr * a - sr * b for a, b in zip(first, second, strict=True)),  # type: ignore[return-value]
        tuple(sr * a + cr * b for a, b in zip(first, second, strict=True)),
        third,
    )
