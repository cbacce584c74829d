"""Bodies in the head frame, and where rays meet them: stacks of elliptical slices, and ellipsoids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lgc.data.synthetic.texture import Array, inside
from lgc.data.synthetic.view import Normal, Rays, Vector

_STEPS: Final = 3
"""Of :meth:`Profile.meet`."""


@dataclass
class Surface:
    """Where the rays meet a body: head-frame position and outward normal, depth and coverage."""

    x: Array
    y: Array
    z: Array
    depth: Array
    cover: Array
    normal: Normal
    angle: Array
    """Direction about the vertical axis: 0 in front, +-1 at the sides, +-2 behind."""


class Profile:
    """A body whose horizontal slices are ellipses.

    A point is inside where ``x^2 + ratio (z - centre)^2 < square``: ``square`` is the slice's squared
    half width, which goes on falling below zero beyond the poles, and ``ratio`` the square of width
    over depth. That form is smooth everywhere.
    """

    def __init__(self, y: Array, square: Array, ratio: Array, centre: Array) -> None:
        """Float64 tables over the uniform grid ``y``."""
        self._low, self._step = float(y[0]), float(y[1] - y[0])
        tables = ratio, square, centre
        self._tables = [t.astype(np.float32) for t in tables]
        self._slopes = [np.gradient(t, y).astype(np.float32) for t in tables]

    def meet(self, rays: Rays, swell: Array | float = 0.0) -> Surface:
        """Intersect from the front; ``swell`` enlarges the outline, by its half where it is small.

        Each step solves a quadratic: the slice at the last step's height, its squared width continued
        linearly. Rays that miss stay at their nearest approach, which makes the discriminant a smooth
        level set of the outline.
        """
        dx, dy, dz = rays.direction
        xx, xd = rays.x * rays.x, rays.x * dx
        depth = np.full(rays.x.shape, 0.3, np.float32)
        for _ in range(_STEPS):
            rise = depth * dy
            ratio, square, centre, steep = self._look_up([*self._tables, self._slopes[1]], rays.y + rise)
            z = rays.z - centre
            rz = ratio * z
            a = ratio * (dz * dz) + dx * dx
            b = rz * dz + xd - steep * (0.5 * dy)
            level = b * b - a * (xx + rz * z - square * (1.0 + swell) + steep * rise)
            depth = np.clip((np.sqrt(np.maximum(level, 0.0)) - b) / a, -1.2, 1.2)
        return self._surface(rays, depth, inside(level))

    def _surface(self, rays: Rays, depth: Array, cover: Array) -> Surface:
        x, y, z = rays.at(depth)
        ratio, _, centre = self._look_up(self._tables, y)
        ratio_slope, square_slope, centre_slope = self._look_up(self._slopes, y)
        offset = z - centre
        nz = ratio * offset
        ny = 0.5 * (offset * offset * ratio_slope - square_slope) - nz * centre_slope
        angle = _diamond_angle(x, offset * np.sqrt(ratio))
        return Surface(x, y, z, depth, cover, normalise(x, ny, nz), angle)

    def _look_up(self, tables: list[Array], y: Array) -> list[Array]:
        index = ((y - self._low) * (1.0 / self._step)).astype(np.intp)
        return [t.take(index, mode="clip") for t in tables]


def dome(t: Array, power: float) -> Array:
    """``1 - t^power`` of a float64 table up to the pole at 1, the tangent beyond it; 1 for ``t < 0``."""
    return np.where(t < 1, 1 - np.clip(t, 0, 1) ** power, power * (1 - t))


def meet_ellipsoid(rays: Rays, centre: Vector, radii: Vector, droop: float) -> tuple[Array, Array, Normal]:
    """(depth, coverage, normal) of an ellipsoid sheared so that y grows by ``droop`` along z."""
    x, y, z = (
        (p - c) * (1 / r) for p, c, r in zip((rays.x, rays.y - droop * rays.z, rays.z), centre, radii, strict=True)
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
    return np.copysign(1.0 - np.copysign(1.0 - t, cosine), sine)


def normalise(x: Array, y: Array, z: Array) -> Normal:
    """Unit vectors."""
    scale = 1.0 / np.sqrt(x * x + y * y + z * z + 1e-12)
    return x * scale, y * scale, z * scale
