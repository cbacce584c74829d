"""Neck, shoulders, clothes and necklace, in body coordinates: they stay upright when the head tilts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.canvas import ALL, Canvas, Light, column
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, bump, inside, noise, ramp, wave
from lgc.data.synthetic.view import View, normalise

CLOTH_WRAP = (0.3, 0.3, 0.3)
SKIN_WRAP = (0.45, 0.28, 0.20)


@dataclass
class Body:
    """Neck and shoulders on the pixel grid."""

    x: Array
    y: Array
    neck: float
    """Half the neck's width."""
    cover: Array
    normal: tuple[Array, Array, Array]


def meet_body(view: View, person: Person, scene: Scene) -> Body:
    """Place neck and shoulders; they follow a part of the head's yaw."""
    turn = 0.18 * math.sin(math.radians(scene.pose[0]))
    x, y = view.x - turn * (view.y - 0.2), view.y + 0 * view.x
    neck = person.cheek_width * (0.66 if person.male else 0.53) + 0.03 * person.chubby
    side = np.abs(x)
    slope = np.maximum(side - neck, 0.0)
    shoulder = y - 0.86 - (0.24 if person.male else 0.30) * slope
    column_width = neck + 3.2 * np.maximum(y - 0.72, 0.0) ** 2 - side
    level = np.where(y > 0.3, np.maximum(column_width, shoulder), -1.0)
    round_neck = np.clip(x * (0.85 / neck), -0.92, 0.92)
    low = ramp(0.80, 1.0, y)
    nx = round_neck * (1.0 - 0.75 * low) + 0.3 * low * x
    return Body(x, y, neck, inside(level), normalise(nx, 0.15 - 0.5 * low, np.sqrt(1.0 - round_neck * round_neck) + low))


def paint_body(canvas: Canvas, body: Body, person: Person, scene: Scene, light: Light, rng: np.random.Generator) -> None:
    """Bare skin first, then what is worn over it."""
    skin = column((*person.skin, 0.25)) * np.ones((4, 1, 1), np.float32)
    material = np.broadcast_to(skin, (4, *body.x.shape)).copy()
    side = np.abs(body.x)
    tendon = bump(((side - 0.55 * body.neck + 0.45 * (body.y - 0.75)) / 0.05) ** 2) * ramp(0.7, 0.9, body.y)
    collarbone = bump(((body.y - 0.98 - 0.10 * side) / 0.025) ** 2) * ramp(0.06, 0.2, side)
    material[:3] *= 1.0 - 0.14 * tendon - 0.16 * collarbone
    if person.chubby:
        material[:3] *= 1.0 - 0.35 * bump(((body.y - person.chin - 0.07 + 0.5 * side * side) / 0.02) ** 2)
    canvas.paint(ALL, body.cover, light.apply(material, body.normal, SKIN_WRAP), "neck")
    _paint_clothes(canvas, body, scene, light, rng)
    if scene.necklace:
        _paint_necklace(canvas, body, scene)


def _opening(body: Body, outfit: str) -> Array:
    """Positive where the garment is open and skin shows."""
    side, y = np.abs(body.x), body.y
    wide = body.neck + 0.03
    if outfit == "vneck":
        return 0.95 * wide * (1.17 - y) / 0.34 - side
    if outfit == "scoop":
        return 1.0 - (side / (wide + 0.22)) ** 2 - (np.maximum(y - 0.80, 0.0) / 0.29) ** 2
    if outfit == "crew":
        return 1.0 - (side / (wide + 0.02)) ** 2 - (np.maximum(y - 0.80, 0.0) / 0.15) ** 2
    return (0.98 - y) * 1.5 - side


def _paint_clothes(canvas: Canvas, body: Body, scene: Scene, light: Light, rng: np.random.Generator) -> None:
    x, y, side = body.x, body.y, np.abs(body.x)
    main, second, third = scene.cloth_colours
    shape = y.shape
    folds = noise(rng, shape, (5, 7))
    relief = (body.normal[0] + 0.25 * folds, body.normal[1] + 0.1 * folds, body.normal[2])
    gap = _opening(body, scene.outfit)
    worn = np.minimum(body.cover, inside(-gap))

    def wear(cover: Array, material: Array) -> None:
        canvas.paint(ALL, cover, light.apply(material, relief, CLOTH_WRAP), "cloth")

    edge = 1.0 - 0.45 * bump((gap / 0.05) ** 2)
    if scene.outfit not in {"shirt", "suit"}:
        wear(worn, _fabric(scene, x, y, rng) * edge)
        return
    linen = column(third if scene.outfit == "shirt" else (0.72, 0.72, 0.74)) * (1.0 + 0.05 * folds)
    wear(worn, linen * edge)
    collar = np.minimum(-gap, (0.17 + 0.9 * np.maximum(0.90 - y, 0)) - side - 0.25 * (y - 0.95))
    collar = np.minimum(collar, np.minimum(1.06 - y - 0.55 * np.maximum(0.16 - side, 0.0), y - 0.70))
    if scene.tie:
        knot = np.minimum(0.062 - 0.28 * (y - 0.95) - side, np.minimum(y - 0.93, 1.03 - y))
        blade = np.minimum(0.046 + 0.16 * (y - 1.02) - side, y - 1.02)
        bands = 0.75 + 0.5 * ramp(-0.2, 0.2, wave((x + y) * 9.0))
        wear(inside(np.maximum(knot, blade)), column(second) * bands * (1.0 - 0.5 * bump(((y - 1.03) / 0.02) ** 2)))
    shadow = 0.62 + 0.38 * ramp(0.0, 0.03, collar)
    wear(np.minimum(inside(collar), body.cover), linen * 1.08 * shadow)
    if scene.outfit == "suit":
        lapel = side - (0.30 - 0.75 * (y - 0.88))
        jacket = _fabric(scene, x, y, rng) * (0.55 + 0.45 * ramp(0.0, 0.03, lapel))
        seam = 1.0 - 0.4 * bump(((side - 0.36 + 0.35 * (y - 0.95)) / 0.015) ** 2)
        wear(np.minimum(body.cover, inside(lapel)), jacket * seam)


def _fabric(scene: Scene, x: Array, y: Array, rng: np.random.Generator) -> Array:
    main, second, _ = scene.cloth_colours
    pattern = {
        "plain": lambda: 0.0 * x,
        "stripes": lambda: ramp(-0.15, 0.15, wave(y * 9.0 + 0.0 * x)),
        "checks": lambda: 0.5 * ramp(-0.2, 0.2, wave(x * 7.0)) + 0.5 * ramp(-0.2, 0.2, wave(y * 7.0)),
        "knit": lambda: 0.25 + 0.25 * wave(x * 24.0) * wave(y * 24.0),
    }[scene.cloth_pattern]()
    weave = 1.0 + 0.08 * noise(rng, x.shape, (90, 90))
    return (column(main) + pattern * (column(second) - column(main))) * weave


def _paint_necklace(canvas: Canvas, body: Body, scene: Scene) -> None:
    x, y = body.x, body.y
    hang = 1.03 - 0.16 * (x / body.neck) ** 2
    thick = {"chain": 0.011, "beads": 0.026, "pendant": 0.010}[scene.necklace]
    distance = np.abs(y - hang) / np.sqrt(1.0 + (0.32 * x / body.neck**2) ** 2)
    beads = x * (1.0 / (2.1 * thick))
    bead = np.sqrt(distance * distance + ((beads - np.floor(beads) - 0.5) * 2.1 * thick) ** 2)
    shape = thick - (bead if scene.necklace == "beads" else distance)
    if scene.necklace == "pendant":
        shape = np.maximum(shape, 0.05 - np.sqrt(x * x + ((y - 1.07) * 0.8) ** 2))
    rounding = np.clip(shape * (1.0 / thick), 0.0, 1.0)
    gleam = 0.35 + 0.75 * rounding + 0.3 * wave(x * 17.0)
    cover = np.minimum(inside(shape), body.cover) * (np.abs(x) < body.neck + 0.05)
    canvas.paint(ALL, cover, column(scene.metal) * gleam, "neck_l")
