"""What is behind the person."""

from __future__ import annotations

import numpy as np

from lgc.data.synthetic.canvas import column
from lgc.data.synthetic.parameters import Scene
from lgc.data.synthetic.texture import Array, Generator, bump, cloud, noise, ramp, wave


def paint_backdrop(scene: Scene, size: int, rng: Generator) -> Array:
    """Linear light (3, size, size): a pattern blends the scene's three colours, lit unevenly."""
    first, second, third = scene.background_colours
    amount, extra = _PATTERNS[scene.background](size, rng)
    base = column(first) + amount * (column(second) - column(first))
    base += extra * (column(third) - base)
    base += 0.3 * (base.mean(0) + 0.06 - base)
    return base * (1.05 + 0.22 * noise(rng, (size, size), (2, 2)))


def _axes(size: int) -> tuple[Array, Array]:
    unit = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return unit[None, :], unit[:, None]


def _slanted(size: int, rng: Generator) -> Array:
    """A coordinate over the picture in a random direction."""
    x, y = _axes(size)
    a, b = (float(v) for v in rng.uniform(-1, 1, 2))
    return x * a + y * b + np.float32(0.5 - 0.5 * (a + b))


def _gradient(size: int, rng: Generator) -> tuple[Array, Array]:
    return ramp(0.0, 1.0, _slanted(size, rng)), 0.25 + 0.25 * noise(rng, (size, size), (3, 3))


def _cloud(size: int, rng: Generator) -> tuple[Array, Array]:
    return ramp(-0.6, 0.6, cloud(rng, (size, size), 3, 4)), ramp(0.1, 0.9, cloud(rng, (size, size), 4, 3))


def _stripes(size: int, rng: Generator) -> tuple[Array, Array]:
    bands = wave(_slanted(size, rng) * float(rng.uniform(3, 8)))
    return ramp(-0.35, 0.35, bands), 0.3 * ramp(-0.4, 0.8, noise(rng, (size, size), (4, 4)))


def _discs(size: int, rng: Generator, count: int, radii: tuple[float, float], soft: bool) -> Array:
    """Round lights of several sizes and strengths, the brightest in front."""
    x, y = _axes(size)
    total = np.zeros((size, size), np.float32)
    for cx, cy, place, strength in rng.random((count, 4)).tolist():
        radius = radii[0] + (radii[1] - radii[0]) * place
        r2 = ((x - cx) * (1 / radius)) ** 2 + ((y - cy) * (1 / radius)) ** 2
        disc = bump(r2 * 0.5) if soft else ramp(1.1, 0.9, r2)
        np.maximum(total, disc * (0.35 + 0.65 * strength), out=total)
    return total


def _bokeh(size: int, rng: Generator) -> tuple[Array, Array]:
    return ramp(0.1, 0.9, _slanted(size, rng)), 0.8 * _discs(size, rng, 12, (0.03, 0.09), soft=False)


def _blobs(size: int, rng: Generator) -> tuple[Array, Array]:
    return _discs(size, rng, 4, (0.2, 0.5), soft=True), _discs(size, rng, 3, (0.1, 0.35), soft=True)


_PATTERNS = {"gradient": _gradient, "cloud": _cloud, "stripes": _stripes, "bokeh": _bokeh, "blobs": _blobs}
