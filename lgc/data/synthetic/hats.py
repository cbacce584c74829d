"""Hats: a shell over the crown, and a brim or visor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.canvas import ALL, Canvas, Light, column
from lgc.data.synthetic.head import CROWN, HEIGHTS
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, bump, inside, noise, ramp, wave
from lgc.data.synthetic.view import Profile, Surface, View, meet_ellipsoid

DROOP = 0.16
"""Slope of a brim down to the front."""
HAT_WRAP = (0.3, 0.3, 0.3)


@dataclass(frozen=True)
class Shape:
    """Measures of a hat."""

    rim: float
    """Height of the lower edge in front."""
    top: float
    """Extra height above the head."""
    thickness: float
    squareness: float
    """2 round to 6 flat on top."""
    brim: tuple[float, float, float] | None = None
    """Half width, half depth and forward offset of the brim."""


SHAPES = {
    "beanie": Shape(-0.34, 0.10, 0.055, 2.5),
    "cap": Shape(-0.40, 0.08, 0.04, 3.0, (0.42, 0.50, 0.50)),
    "fedora": Shape(-0.43, 0.14, 0.04, 6.0, (0.80, 0.82, 0.0)),
    "sunhat": Shape(-0.42, 0.10, 0.05, 3.2, (1.02, 1.0, 0.0)),
}


def paint_hat(canvas: Canvas, view: View, person: Person, scene: Scene, light: Light, rng: np.random.Generator) -> None:
    """The scene's hat, if any, over hair and face."""
    if not scene.hat:
        return
    shape = SHAPES[scene.hat]
    surface = _crown_profile(person, shape).meet(view.rays)
    tilt = DROOP * surface.z if shape.brim else -0.04 * np.abs(surface.angle)
    edge = shape.rim + tilt - surface.y
    cover = np.minimum(surface.cover, inside(edge))
    reach = max(2, view.size // 28)
    canvas.shade(cover, reach, (reach, 0), 0.75, 1.0 - cover)
    material = _felt(scene, surface, edge, rng)
    canvas.paint(ALL, cover, light.apply(material, surface.normal, HAT_WRAP), "hat", depth=surface.depth)
    if shape.brim is not None:
        _paint_brim(canvas, view, scene, shape, light, rng)


def _crown_profile(person: Person, shape: Shape) -> Profile:
    y = HEIGHTS
    up = np.clip(y / (CROWN - shape.top), 0, 1)
    bulge = np.where(y < 0, (1 - up ** (shape.squareness + 0.5)) ** (1 / 2.3), np.clip(1 - y / 0.5, 0, 1))
    centre = np.full_like(y, -0.02)
    return Profile(y, (person.cheek_width + shape.thickness) * bulge, (0.61 + shape.thickness) * bulge, centre)


def _felt(scene: Scene, surface: Surface, edge: Array, rng: np.random.Generator) -> Array:
    """Cloth of the crown: knitted ribs, panels, or felt with a ribbon."""
    first, second = (column(c) for c in scene.hat_colours)
    grain = 1.0 + 0.10 * noise(rng, edge.shape, (100, 100)) + 0.08 * noise(rng, edge.shape, (6, 6))
    if scene.hat == "beanie":
        ribs = 0.75 + 0.25 * np.abs(wave(surface.angle * 16.0))
        cuff = ramp(0.150, 0.135, edge)
        return (first + cuff * (second - first)) * (ribs * grain * (1.0 - 0.4 * bump(((edge - 0.15) / 0.03) ** 2)))
    if scene.hat == "cap":
        seams = 1.0 - 0.35 * bump((wave(surface.angle * 1.5) / 0.10) ** 2)
        return first * (seams * grain)
    ribbon = ramp(0.125, 0.11, edge)
    straw = 1.0 + 0.16 * wave(surface.y * 30.0) * (scene.hat == "sunhat")
    return (first * straw + ribbon * (second - first * straw)) * grain


def _paint_brim(canvas: Canvas, view: View, scene: Scene, shape: Shape, light: Light, rng: np.random.Generator) -> None:
    width, length, forward = shape.brim or (0.0, 0.0, 0.0)
    centre = (0.0, shape.rim - 0.01, forward)
    depth, cover, normal = meet_ellipsoid(view.rays, centre, (width, 0.035, length), DROOP)
    x, _, z = view.rays.at(depth)
    cover = cover * canvas.seen(ALL, depth)
    rings = np.sqrt((x / width) ** 2 + ((z - forward) / length) ** 2)
    pattern = 1.0 + 0.14 * wave(rings * 12.0) * (scene.hat == "sunhat") + 0.08 * noise(rng, x.shape, (90, 90))
    reach = max(2, view.size // 24)
    canvas.shade(cover * (z > 0), reach, (2 * reach, 0), 0.6, (1.0 - cover) * (canvas.labels != 0) * (canvas.labels != 14))
    canvas.paint(ALL, cover, light.apply(column(scene.hat_colours[0]) * pattern, normal, HAT_WRAP), "hat", depth=depth)
