"""Scalar fields: smooth steps, kernels, noise and blur.

Only additions, products, quotients and square roots, whose float32 results IEEE 754 fixes, so that a
picture has the same bytes on every machine; ``exp`` or ``sin`` differ by an ulp between CPUs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""A float32 field, mostly (H, W)."""


def ramp(low: float, high: float, x: Array) -> Array:
    """Smooth step of ``x``: 0 at ``low``, 1 at ``high``; falls when ``high < low``."""
    t = np.clip((x - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def bump(r2: Array) -> Array:
    """A bell with compact support: 1 where the squared radius is 0, 0 from 1 on."""
    t = np.maximum(1.0 - r2, 0.0)
    return t * t


def wave(t: Array) -> Array:
    """Close to ``sin(2 pi t)``, made of parabolas."""
    t = t - np.floor(t + 0.5)
    return t * (8.0 - 16.0 * np.abs(t))


def noise(rng: np.random.Generator, shape: tuple[int, ...], cells: tuple[int, int]) -> Array:
    """Value noise in [-1, 1] over ``shape``, with ``cells`` (rows, columns) lattice cells."""
    grid = rng.random((cells[0] + 2, cells[1] + 2), np.float32) * 2.0 - 1.0
    for axis in (0, 1):
        position = np.arange(shape[axis], dtype=np.float32) * np.float32(cells[axis] / shape[axis])
        index = position.astype(np.intp)
        f = position - index
        f = f * f * (3.0 - 2.0 * f)
        f = f[:, None] if axis == 0 else f
        near, far = grid.take(index, axis), grid.take(index + 1, axis)
        grid = near + (far - near) * f
    return grid


def cloud(rng: np.random.Generator, shape: tuple[int, ...], cells: int, octaves: int) -> Array:
    """Sum of noises, each of twice the frequency and half the amplitude of the one before."""
    total = noise(rng, shape, (cells, cells))
    for octave in range(1, octaves):
        total += noise(rng, shape, (cells << octave, cells << octave)) * 0.5**octave
    return total


def strands(rng: np.random.Generator, across: Array, along: Array) -> Array:
    """Noise in about [-1, 1] that changes fast with ``across`` and slowly with ``along``."""
    table = rng.random((8, 256), np.float32) * 2.0 - 1.0
    table = (table + np.roll(table, 1, axis=1)).ravel()
    column = np.floor(across).astype(np.intp) & 255
    position = along - np.floor(along * 0.125) * 8.0
    row = position.astype(np.intp)
    f = position - row
    near = table.take(((row & 7) << 8) + column)
    far = table.take((((row + 1) & 7) << 8) + column)
    return near + (far - near) * f


def blur(field: Array, radius: int) -> Array:
    """Two box blurs with replicated borders over the last two axes; close to a bell."""
    if radius < 1:
        return field
    for axis in (-2, -1, -2, -1):
        lead = [(0, 0)] * field.ndim
        lead[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(field, lead, mode="edge"), axis=axis, dtype=np.float32)
        span = 2 * radius + 1
        ahead = np.swapaxes(np.swapaxes(sums, axis, -1)[..., span:], axis, -1)
        behind = np.swapaxes(np.swapaxes(sums, axis, -1)[..., :-span], axis, -1)
        field = (ahead - behind) * np.float32(1.0 / span)
    return field


def inside(level: Array) -> Array:
    """Anti-aliased coverage in [0, 1] of ``level > 0``, one pixel wide whatever the field's slope."""
    slope = np.full(level.shape, 1e-12, np.float32)
    step = level[:, 2:] - level[:, :-2]
    slope[:, 1:-1] += step * step
    step = level[2:] - level[:-2]
    slope[1:-1] += step * step
    return np.clip(0.5 + 2.0 * level / np.sqrt(slope), 0.0, 1.0)
