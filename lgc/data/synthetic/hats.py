"""Hats: a shell over the crown, and a brim or visor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.canvas import Canvas, Light, column, grey
from lgc.data.synthetic.head import CROWN, HEIGHTS
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.solids import Profile, Surface, dome, meet_ellipsoid
from lgc.data.synthetic.texture import Array, Generator, bump, inside, noise, ramp, wave
from lgc.data.synthetic.view import Normal, View

HAT: Final = CLASSES.index("hat")
DROOP: Final = 0.16
"""Slope of a brim down to the front."""
_WRAP: Final = (0.3, 0.3, 0.3)


@dataclass(frozen=True)
class Shape:
    """Measures of a hat."""

    rim: float
    """Height of the lower edge."""
    top: float
    """Extra height above the head."""
    thickness: float
    flatness: float
    """3 round to 7 flat on top."""
    brim: tuple[float, float, float] | None = None
    """Half width, half depth and forward offset of the brim."""


SHAPES: Final = {
    "beanie": Shape(-0.34, 0.10, 0.055, 3.5),
    "cap": Shape(-0.40, 0.08, 0.04, 4.0, (0.44, 0.52, 0.50)),
    "fedora": Shape(-0.43, 0.14, 0.04, 7.0, (0.80, 0.82, 0.0)),
    "sunhat": Shape(-0.42, 0.10, 0.05, 4.2, (1.02, 1.0, 0.0)),
}


def paint_hat(canvas: Canvas, view: View, person: Person, scene: Scene, light: Light, rng: Generator) -> None:
    """The scene's hat, if any, over hair and face."""
    if not scene.hat:
        return
    shape = SHAPES[scene.hat]
    x, y, _ = view.project((0.0, -0.5, 0.0))
    box = view.box(x, y, 1.08, 0.80)
    rays = view.rays.crop(box)
    surface = _crown(person, shape).meet(rays)
    tilt = DROOP * surface.z if shape.brim else -0.04 * np.abs(surface.angle)
    edge = shape.rim + tilt - surface.y
    cover = np.minimum(surface.cover, inside(edge))
    canvas.shade(box, cover, 0.035, (0.035, 0.0), 0.75)
    if shape.brim:
        width, length, forward = shape.brim
        centre, radii = (0.0, shape.rim - 0.01, forward), (width, 0.035, length)
        depth, flat, normal = meet_ellipsoid(rays, centre, radii, DROOP)
        px, _, pz = rays.at(depth)
        canvas.shade(box, flat * (pz > 0), 0.04, (0.08, 0.0), 0.6)
    lit = _lit(_felt(scene, surface, edge, rng), surface.normal, light)
    canvas.place(box, cover, lit, HAT, surface.depth)
    if shape.brim:
        rings = np.sqrt((px * (1 / width)) ** 2 + ((pz - forward) * (1 / length)) ** 2)
        weave = 0.14 * wave(rings * 12.0) * (scene.hat == "sunhat") + 0.08 * noise(rng, px.shape, (90, 90))
        lit = _lit(column(scene.hat_colours[0]) * (1.0 + weave), normal, light)
        canvas.place(box, flat * canvas.seen(box, depth), lit, HAT, depth)


def _lit(colour: Array, normal: Normal, light: Light) -> Array:
    material = grey(normal[0], 0.0)
    material[:3] = colour
    return light.apply(material, normal, _WRAP)


def _crown(person: Person, shape: Shape) -> Profile:
    y = HEIGHTS
    closing = np.minimum(dome(y / (CROWN - shape.top), shape.flatness), 1 - 2 * y)
    width, depth = person.cheek_width + shape.thickness, 0.61 + shape.thickness
    return Profile(y, width**2 * closing, np.full_like(y, (width / depth) ** 2), np.full_like(y, -0.02))


def _felt(scene: Scene, surface: Surface, edge: Array, rng: Generator) -> Array:
    """Cloth of the crown: knitted ribs, panels, or felt with a ribbon."""
    first, second = (column(c) for c in scene.hat_colours)
    grain = 1.0 + 0.10 * noise(rng, edge.shape, (100, 100)) + 0.08 * noise(rng, edge.shape, (6, 6))
    if scene.hat == "beanie":
        ribs = 0.75 + 0.25 * np.abs(wave(surface.angle * 16.0))
        ribs *= 1.0 - 0.4 * bump(((edge - 0.15) / 0.03) ** 2)
        return (first + ramp(0.150, 0.135, edge) * (second - first)) * (ribs * grain)
    if scene.hat == "cap":
        return first * (grain * (1.0 - 0.35 * bump((wave(surface.angle * 1.5) / 0.10) ** 2)))
    ribbon = ramp(0.125, 0.11, edge)
    straw = 1.0 + 0.16 * wave(surface.y * 30.0) * (scene.hat == "sunhat")
    return (first * straw + ribbon * (second - first * straw)) * grain
