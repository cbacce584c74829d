"""The camera: picture coordinates, head pose, and rays through a head of elliptical slices.

The head frame has x to the picture's right, y down and z towards the viewer at pose zero. One unit is
half the picture's height at scale 1. The projection is orthographic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.texture import Array, inside

Box = tuple[slice, slice]
Vector = tuple[float, float, float]
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
        origin = [
            x * across[i] + (y * down[i] + (PIVOT[i] - PIVOT[2] * towards[i])) for i in range(3)
        ]
        return Rays(*origin, towards)


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


@dataclass
class Surface:
    """Where the rays meet a body: head-frame position and outward normal, depth and coverage."""

    x: Array
    y: Array
    z: Array
    depth: Array
    cover: Array
    normal: tuple[Array, Array, Array]
    angle: Array
    """Direction about the vertical axis: 0 in front, +-1 at the sides, +-2 behind."""


class Profile:
    """A body whose horizontal slices are ellipses: half widths, half depths and centres over y.

    A point is inside where ``x^2 + ratio (z - centre)^2 < width^2``. That form stays smooth at the
    poles, beyond which the squared width goes on falling below zero.
    """

    def __init__(self, y: Array, width: Array, depth: Array, centre: Array) -> None:
        """Float64 tables over the uniform grid ``y``; zero widths are outside the body."""
        self._low, self._step, self._last = float(y[0]), float(y[1] - y[0]), len(y) - 1
        within = y[width > 0]
        beyond = np.maximum(within[0] - y, 0) + np.maximum(y - within[-1], 0)
        ratio = (np.maximum(width, 0.02) / np.maximum(depth, 0.02)) ** 2
        tables = ratio, width**2 - beyond, centre
        self._tables = [t.astype(np.float32) for t in tables]
        self._slopes = [np.gradient(t, y).astype(np.float32) for t in tables]

    def meet(self, rays: Rays, swell: Array | float = 0.0, steps: int = 4) -> Surface:
        """Intersect from the front; ``swell`` enlarges the outline, by its half where it is small.

        Each step solves a quadratic: the slice at the last step's height, its squared width continued
        linearly. Rays that miss stay at their nearest approach, which makes the discriminant a smooth
        level set of the outline.
        """
        dx, dy, dz = rays.direction
        xx, xd = rays.x * rays.x, rays.x * dx
        depth = np.full(rays.x.shape, 0.3, np.float32)
        for _ in range(steps):
            rise = depth * dy
            ratio, square, centre, steep = self._look_up([*self._tables, self._slopes[1]], rays.y + rise)
            z = rays.z - centre
            rz = ratio * z
            a = ratio * (dz * dz) + dx * dx
            b = rz * dz + xd - steep * (0.5 * dy)
            level = b * b - a * (xx + rz * z - square * (1.0 + swell) + steep * rise)
            depth = (np.sqrt(np.maximum(level, 0.0)) - b) / a
        return self._surface(rays, depth, inside(level))

    def _surface(self, rays: Rays, depth: Array, cover: Array) -> Surface:
        x, y, z = rays.at(depth)
        ratio, square, centre = self._look_up(self._tables, y)
        ratio_slope, square_slope, centre_slope = self._look_up(self._slopes, y)
        offset = z - centre
        nz = ratio * offset
        ny = 0.5 * (offset * offset * ratio_slope - square_slope) - nz * centre_slope
        angle = _diamond_angle(x, offset * np.sqrt(ratio))
        return Surface(x, y, z, depth, cover, normalise(x, ny, nz), angle)

    def _look_up(self, tables: list[Array], y: Array) -> list[Array]:
        index = ((y - self._low) * (1.0 / self._step)).astype(np.intp)
        return [t.take(index, mode="clip") for t in tables]


def meet_ellipsoid(rays: Rays, centre: Vector, radii: Vector, droop: float = 0.0) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """(depth, coverage, normal) of an ellipsoid sheared so that y grows by ``droop`` along z."""
    x, y, z = (
        (p - c) * (1 / r)
        for p, c, r in zip((rays.x, rays.y - droop * rays.z, rays.z), centre, radii, strict=True)
    )
    tx, ty, tz = rays.direction
    dx, dy, dz = tx / radii[0], (ty - droop * tz) / radii[1], tz / radii[2]
    a = dx * dx + dy * dy + dz * dz
    b = x * dx + y * dy + z * dz
    level = b * b - a * (x * x + y * y + z * z - 1.0)
    depth = (np.sqrt(np.maximum(level, 0.0)) - b) * (1 / a)
    normal = ((x + depth * dx) / radii[0], (y + depth * dy) / radii[1], (z + depth * dz) / radii[2])
    return depth, inside(level), normalise(*normal)


def _diamond_angle(sine: Array, cosine: Array) -> Array:
    s = np.abs(sine)
    t = s / (s + np.abs(cosine) + 1e-6)
    return np.copysign(np.where(cosine > 0, t, 2.0 - t), sine)


def normalise(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """Unit vectors."""
    scale = 1.0 / np.sqrt(x * x + y * y + z * z + 1e-12)
    return x * scale, y * scale, z * scale
