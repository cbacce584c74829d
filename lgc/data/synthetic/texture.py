"""Scalar fields: smooth steps, kernels, noise and blur.

Only sums, products, quotients and square roots, whose float32 results IEEE 754 fixes, so that a picture
has the same bytes on every machine; ``exp`` or ``sin`` of an array differ by an ulp between CPUs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""A float32 field, mostly (H, W)."""
Generator = np.random.Generator


def ramp(low: float, high: float, x: Array) -> Array:
    """Smooth step of ``x``: 0 at ``low``, 1 at ``high``; falls when ``high < low``."""
    t = np.clip((x - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bump(r2: Array) -> Array:
    """A bell with compact support: 1 where the squared radius is 0, 0 from 1 on."""
    t = np.maximum(1.0 - r2, 0.0)
    return t * t


def spot(u: Array, v: Array, x: float, y: float, rx: float, ry: float) -> Array:
    """A bell with half axes ``rx`` and ``ry`` at ``(x, y)``."""
    u, v = (u - x) * (1.0 / rx), (v - y) * (1.0 / ry)
    return bump(u * u + v * v)


def wave(t: Array) -> Array:
    """Close to ``sin(2 pi t)``, made of parabolas."""
    t = t - np.floor(t + 0.5)
    return t * (8.0 - 16.0 * np.abs(t))


def noise(rng: Generator, shape: tuple[int, ...], cells: tuple[int, int]) -> Array:
    """Value noise in [-1, 1] over ``shape``, with ``cells`` (rows, columns) lattice cells."""
    grid = rng.random((cells[0] + 2, cells[1] + 2), np.float32) * 2.0 - 1.0
    for axis in (1, 0):
        position = np.arange(shape[axis], dtype=np.float32) * np.float32(cells[axis] / shape[axis])
        index = position.astype(np.intp)
        f = position - np.floor(position)
        f = f * f * (3.0 - 2.0 * f)
        near, far = grid.take(index, axis), grid.take(index + 1, axis)
        grid = near + (far - near) * (f if axis else f[:, None])
    return grid


def cloud(rng: Generator, shape: tuple[int, ...], cells: int, octaves: int) -> Array:
    """Sum of noises, each of twice the frequency and half the amplitude of the one before."""
    total = noise(rng, shape, (cells, cells))
    for octave in range(1, octaves):
        total += noise(rng, shape, (cells << octave, cells << octave)) * np.float32(0.5**octave)
    return total


def strands(rng: Generator, across: Array, along: Array) -> Array:
    """Noise in [-2, 2], mostly within 1, that changes fast with ``across`` and slowly with ``along``."""
    table = rng.random((8, 256), np.float32) * 2.0 - 1.0
    table = (table + np.roll(table, 1, axis=1)).ravel()
    place = np.floor(across).astype(np.intp) & 255
    along = along - np.floor(along * 0.125) * 8.0
    row = along.astype(np.intp)
    f = along - np.floor(along)
    place += (row & 7) << 8
    near, far = table.take(place), table.take(place + 256, mode="wrap")
    return near + (far - near) * f


def blur(field: Array, radius: int) -> Array:
    """Two box blurs with replicated borders over the last two axes; close to a bell. ``radius`` is 1 or more."""
    span = 2 * radius + 1
    for _ in range(4):
        field = np.swapaxes(field, -1, -2)
        length = field.shape[-1]
        reach = np.clip(np.arange(-radius - 1, length + radius), 0, length - 1)
        sums = np.cumsum(field.take(reach, -1), axis=-1, dtype=np.float32)
        field = (sums[..., span:] - sums[..., :-span]) * np.float32(1.0 / span)
    return field


def inside(level: Array) -> Array:
    """Anti-aliased coverage in [0, 1] of ``level > 0``, one pixel wide whatever the field's slope."""
    slope = np.full(level.shape, 1e-12, np.float32)
    step = level[:, 2:] - level[:, :-2]
    slope[:, 1:-1] += step * step
    step = level[2:] - level[:-2]
    slope[1:-1] += step * step
    return np.clip(0.5 + 2.0 * level / np.sqrt(slope), 0.0, 1.0)
