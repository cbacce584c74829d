"""Neck, shoulders, clothes and necklace, in body coordinates: they stay upright when the head tilts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.canvas import ALL, Canvas, Light, column, grey
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.solids import normalise
from lgc.data.synthetic.texture import Array, Generator, bump, inside, noise, ramp, wave
from lgc.data.synthetic.view import Box, Normal, View

_WRAP: Final = (0.40, 0.28, 0.22)


@dataclass
class Body:
    """Neck and shoulders on the lower pixels of the picture."""

    box: Box
    x: Array
    y: Array
    neck: float
    """Half the neck's width."""
    cover: Array
    normal: Normal
    material: Canvas


def paint_body(canvas: Canvas, view: View, person: Person, scene: Scene, light: Light, rng: Generator) -> None:
    """Bare skin first, then what is worn over it."""
    body = _meet_body(view, person, scene)
    _paint_skin(body, person)
    folds = noise(rng, body.y.shape, (4, 7))
    if scene.outfit in {"shirt", "suit"}:
        _paint_shirt(body, scene, folds, rng)
    else:
        gap = _opening(body, scene.outfit)
        _wear(body, inside(-gap), _fabric(body, scene, rng) * (1.0 - 0.45 * bump((gap / 0.05) ** 2)))
    if scene.necklace:
        _paint_necklace(body, scene)
    nx, ny, nz = body.normal
    folded = (nx + 0.2 * folds, ny + 0.1 * folds, nz)
    lit = light.apply(body.material.pixels, folded, _WRAP)
    canvas.place(body.box, body.cover, lit, body.material.labels)


def _meet_body(view: View, person: Person, scene: Scene) -> Body:
    """Place neck and shoulders; they follow a part of the head's yaw."""
    turn = 0.18 * math.sin(math.radians(scene.pose[0]))
    box = view.box(0.0, 1.05, 2.0, 0.85)
    x = view.x[:, box[1]] - turn * (view.y[box[0]] - 0.2)
    y = view.y[box[0]] + np.zeros_like(x)
    neck = person.cheek_width * (0.66 if person.male else 0.53) + 0.03 * person.chubby
    side = np.abs(x)
    shoulder = y - 0.86 - (0.24 if person.male else 0.30) * np.maximum(side - neck, 0.0)
    low = np.maximum(y - 0.72, 0.0)
    cover = inside(np.maximum(neck + 3.2 * low * low - side, shoulder))
    round_neck = np.clip(x * (0.85 / neck), -0.92, 0.92)
    flat = ramp(0.80, 1.0, y)
    nx = round_neck * (1.0 - 0.75 * flat) + 0.3 * flat * x
    normal = normalise(nx, 0.15 - 0.5 * flat, np.sqrt(1.0 - round_neck * round_neck) + flat)
    return Body(box, x, y, neck, cover, normal, Canvas(y.shape, 4))


def _paint_skin(body: Body, person: Person) -> None:
    material, side, y = body.material, np.abs(body.x), body.y
    material.pixels[:] = column((*person.skin, 0.25))
    material.labels[:] = CLASSES.index("neck")
    tendon = bump(((side - 0.55 * body.neck + 0.45 * (y - 0.75)) / 0.05) ** 2) * ramp(0.7, 0.9, y)
    collarbone = bump(((y - 0.98 - 0.10 * side) / 0.025) ** 2) * ramp(0.06, 0.2, side)
    material.tint(ALL, tendon + collarbone, (0.87, 0.84, 0.83))
    if person.double_chin:
        fold = y - person.chin - 0.075 + 0.5 * side * side
        material.tint(ALL, bump((fold / 0.025) ** 2) + 0.4 * bump((fold / 0.08) ** 2), (0.60, 0.52, 0.50))


def _opening(body: Body, outfit: str) -> Array:
    """Positive where the garment is open and skin shows."""
    side, y = np.abs(body.x), body.y
    wide, low = body.neck, np.maximum(y - 0.80, 0.0)
    if outfit == "vneck":
        return (wide + 0.03) * (1.17 - y) * (0.95 / 0.34) - side
    if outfit == "scoop":
        return 1.0 - (side / (wide + 0.25)) ** 2 - (low / 0.29) ** 2
    if outfit == "crew":
        return 1.0 - (side / (wide + 0.05)) ** 2 - (low / 0.15) ** 2
    return (0.98 - y) * 1.5 - side


def _wear(body: Body, cover: Array, colour: Array, label: str = "cloth") -> None:
    material = grey(body.y, 0.05)
    material[:3] = colour
    body.material.paint(ALL, cover, material, label)


def _fabric(body: Body, scene: Scene, rng: Generator) -> Array:
    first, second, _ = (column(c) for c in scene.cloth_colours)
    weave = 1.0 + 0.08 * noise(rng, body.y.shape, (45, 90))
    if scene.cloth_pattern == "plain":
        return first * weave
    x, y = body.x, body.y
    if scene.cloth_pattern == "stripes":
        amount = ramp(-0.15, 0.15, wave(y * 9.0))
    elif scene.cloth_pattern == "checks":
        amount = 0.5 * (ramp(-0.2, 0.2, wave(x * 7.0)) + ramp(-0.2, 0.2, wave(y * 7.0)))
    else:
        amount = 0.25 + 0.25 * wave(x * 24.0) * wave(y * 24.0)
    return (first + amount * (second - first)) * weave


def _paint_shirt(body: Body, scene: Scene, folds: Array, rng: Generator) -> None:
    """A shirt with its collar; perhaps a tie; perhaps a jacket over it."""
    side, y = np.abs(body.x), body.y
    gap = _opening(body, scene.outfit)
    shade = 1.0 + 0.05 * folds
    linen = column(scene.cloth_colours[2] if scene.outfit == "shirt" else (0.72, 0.72, 0.74)) * shade
    _wear(body, inside(-gap), linen * (1.0 - 0.45 * bump((gap / 0.05) ** 2)))
    if scene.tie:
        _paint_tie(body, scene)
    collar = np.minimum(-gap, 0.17 + 0.9 * np.maximum(0.90 - y, 0.0) - side - 0.25 * (y - 0.95))
    collar = np.minimum(collar, 1.06 - y - 0.55 * np.maximum(0.16 - side, 0.0))
    _wear(body, inside(collar), linen * (1.08 * (0.62 + 0.38 * ramp(0.0, 0.03, collar))))
    if scene.outfit == "suit":
        lapel = side - (0.30 - 0.75 * (y - 0.88))
        seam = 1.0 - 0.4 * bump(((side - 0.36 + 0.35 * (y - 0.95)) / 0.015) ** 2)
        shadow = 0.55 + 0.45 * ramp(0.0, 0.03, lapel)
        _wear(body, inside(lapel), _fabric(body, scene, rng) * (seam * shadow))


def _paint_tie(body: Body, scene: Scene) -> None:
    side, y = np.abs(body.x), body.y
    knot = np.minimum(0.066 - 0.28 * (y - 0.95) - side, np.minimum(y - 0.92, 1.02 - y))
    blade = np.minimum(0.050 + 0.16 * (y - 1.01) - side, y - 1.01)
    bands = 0.75 + 0.5 * ramp(-0.2, 0.2, wave((body.x + y) * 9.0))
    fold = 1.0 - 0.5 * bump(((y - 1.02) / 0.02) ** 2)
    _wear(body, inside(np.maximum(knot, blade)), column(scene.cloth_colours[1]) * (bands * fold))


def _paint_necklace(body: Body, scene: Scene) -> None:
    x, y = body.x, body.y
    drop = x * (1 / body.neck)
    thick = {"chain": 0.012, "beads": 0.026, "pendant": 0.011}[scene.necklace]
    gap = np.abs(y - 1.03 + 0.16 * drop * drop) / np.sqrt(1.0 + (0.32 / body.neck * drop) ** 2)
    if scene.necklace == "beads":
        place = x * (1.0 / (2.1 * thick))
        gap = np.sqrt(gap * gap + ((place - np.floor(place) - 0.5) * (2.1 * thick)) ** 2)
    shape = thick - gap
    if scene.necklace == "pendant":
        shape = np.maximum(shape, 0.05 - np.sqrt(x * x + ((y - 1.07) * 0.8) ** 2))
    gleam = 0.35 + 0.75 * np.clip(shape * (1.0 / thick), 0.0, 1.0) + 0.3 * wave(x * 17.0)
    cover = inside(shape) * (np.abs(x) < body.neck + 0.05)
    _wear(body, cover, column(scene.metal) * gleam, "neck_l")
