"""Ears and what hangs from them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from lgc.data.synthetic.canvas import Canvas, Light, column
from lgc.data.synthetic.head import SIDES
from lgc.data.synthetic.parameters import COVERED, Person, Scene
from lgc.data.synthetic.solids import normalise
from lgc.data.synthetic.texture import Array, bump, ramp, spot
from lgc.data.synthetic.view import Rays, Vector, View

EAR_Y: Final = 0.03
FLARE: Final = math.radians(38)
"""Angle between the ear and the head's median plane."""
_WRAP: Final = (0.6, 0.3, 0.22)


def _ear_root(person: Person, side: int) -> Vector:
    return side * 0.985 * person.cheek_width, EAR_Y, -0.05


def paint_ears(canvas: Canvas, view: View, person: Person, light: Light) -> None:
    """Both ears, hidden by the head where it is nearer."""
    if person.style in COVERED:
        return
    red, green, blue = person.skin
    for side, prefix in SIDES:
        root = _ear_root(person, side)
        box = view.window((root[0] * 1.1, root[1], root[2] - 0.08), 0.24)
        out = (side * math.sin(FLARE), 0.0, -math.cos(FLARE))
        depth, a, b = _on_plane(view.rays.crop(box), root, out)
        if not depth.size:
            continue
        a = a - 0.03 - 0.10 * (b + 0.02)
        narrow = 0.088 - 0.034 * ramp(-0.02, 0.15, b)
        radius = np.sqrt(((a - 0.035) / narrow) ** 2 + ((b + 0.01) / 0.142) ** 2)
        cover = view.cover((radius - 1.0) * 0.09) * canvas.seen(box, depth)
        hollow = spot(a, b, 0.01, -0.005, 0.055, 0.085)
        groove = bump(((radius - 0.70) / 0.12) ** 2) * ramp(0.10, 0.02, b)
        material = column((red, 0.86 * green, 0.86 * blue, 0.25)) * (1.0 - 0.55 * hollow - 0.28 * groove)
        bulge = ramp(0.6, 1.0, radius) * 0.7
        normal = normalise(side * 0.45 + side * bulge * a * 6.0, bulge * b * 4.0, np.ones_like(a))
        lit = light.apply(material, normal, _WRAP)
        canvas.paint(box, cover, lit, f"{prefix}_ear")


def _on_plane(rays: Rays, root: Vector, out: Vector) -> tuple[Array, Array, Array]:
    """(depth, coordinate along ``out``, coordinate down) on the upright plane through ``root``."""
    nx, nz = -out[2], out[0]
    facing = nx * rays.direction[0] + nz * rays.direction[2]
    facing = math.copysign(max(abs(facing), 0.12), facing)
    depth = ((root[0] - rays.x) * nx + (root[2] - rays.z) * nz) * (1.0 / facing)
    x, y, z = rays.at(depth)
    return depth, (x - root[0]) * out[0] + (z - root[2]) * out[2], y - root[1]


def paint_earrings(canvas: Canvas, view: View, person: Person, scene: Scene) -> None:
    """Studs, hoops or drops; they hang straight down in the picture."""
    if not scene.earrings:
        return
    for side, _ in SIDES:
        x0, y0, z0 = _ear_root(person, side)
        x, y, depth = view.project((x0 + side * 0.035, y0 + 0.15, z0 - 0.03))
        box = view.box(x, y + 0.1, 0.12, 0.22)
        u, v = view.x[:, box[1]] - x, view.y[box[0]] - y
        if not (u.size and v.size):
            continue
        shape = _earring(scene.earrings, u, v)
        cover = view.cover(-shape) * canvas.seen(box, depth + 0.03)
        gleam = 0.35 + np.clip(shape * 30.0, 0.0, 0.8) + 0.5 * bump((u / 0.012 + 0.4) ** 2)
        canvas.paint(box, cover, column(scene.metal) * gleam, "ear_r")


def _earring(kind: str, u: Array, v: Array) -> Array:
    """Positive inside the jewel, in head units."""
    if kind == "stud":
        return 0.028 - np.sqrt(u * u + v * v)
    if kind == "hoop":
        return 0.013 - np.abs(np.sqrt((u * 1.25) ** 2 + (v - 0.075) ** 2) - 0.075)
    wire = np.minimum(0.007 - np.abs(u), np.minimum(v, 0.12 - v))
    width = 0.038 * np.clip((v - 0.06) * 12.0, 0.0, 1.0)
    return np.maximum(wire, np.minimum(width - np.abs(u), 0.045 - np.sqrt(u * u + (v - 0.125) ** 2)))
