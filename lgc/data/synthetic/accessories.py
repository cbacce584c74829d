"""Ears and what hangs from them, and eyeglasses: flat shapes placed in the head frame."""

from __future__ import annotations

import math

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.canvas import Canvas, Light, column
from lgc.data.synthetic.features import SIDES
from lgc.data.synthetic.head import EYE_Y
from lgc.data.synthetic.parameters import COVERED, Person, Scene
from lgc.data.synthetic.texture import Array, bump, ramp
from lgc.data.synthetic.view import Box, Rays, Vector, View, normalise

EAR_Y = 0.03
FLARE = math.radians(38)
"""Angle between the ear and the head's median plane."""
GLASSES_Z = 0.63
_SEEN_THROUGH = np.isin(np.arange(len(CLASSES)), [CLASSES.index(n) for n in ("l_eye", "r_eye", "l_brow", "r_brow")])


def _ear_root(person: Person, side: int) -> Vector:
    return side * 0.985 * person.cheek_width, EAR_Y, -0.05


def paint_ears(canvas: Canvas, view: View, person: Person, light: Light) -> None:
    """Both ears, hidden by the head where it is nearer."""
    if person.style in COVERED:
        return
    for side, prefix in SIDES:
        root = _ear_root(person, side)
        box = view.window((root[0] * 1.1, root[1], root[2] - 0.08), 0.24)
        out = (side * math.sin(FLARE), 0.0, -math.cos(FLARE))
        depth, a, b = _on_plane(view.rays.crop(box), root, out)
        if not depth.size:
            continue
        a, b = a - 0.03 - 0.10 * (b + 0.02), b + 0.0
        narrow = 0.088 - 0.034 * ramp(-0.02, 0.15, b)
        radius = np.sqrt(((a - 0.035) / narrow) ** 2 + ((b + 0.01) / 0.142) ** 2)
        shape = (1.0 - radius) * 0.09
        cover = view.cover(-shape) * canvas.seen(box, depth)
        hollow = bump(((a - 0.01) / 0.055) ** 2 + ((b + 0.005) / 0.085) ** 2)
        groove = bump(((radius - 0.70) / 0.12) ** 2) * ramp(0.10, 0.02, b)
        material = column((*person.skin, 0.25)) * (1.0 - 0.55 * hollow - 0.28 * groove)
        material[1:3] *= 0.86
        bulge = ramp(0.6, 1.0, radius) * 0.7
        normal = normalise(side * 0.45 + side * bulge * a * 6.0, bulge * b * 4.0, np.ones_like(a))
        lit = light.apply(material, normal, (0.6, 0.3, 0.22))
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


def paint_glasses(canvas: Canvas, view: View, person: Person, scene: Scene) -> None:
    """Lenses, frame and temples. Eyes and brows keep their labels behind clear lenses."""
    if not scene.glasses:
        return
    _paint_temples(canvas, view, person, scene)
    box = view.window((0.0, EYE_Y + 0.02, GLASSES_Z), 0.56)
    rays = view.rays.crop(box)
    x, y, _ = rays.at((GLASSES_Z - rays.z) * (1.0 / rays.direction[2]))
    lens, thick = _lens(scene.glasses, np.abs(x) - 0.228, y - EYE_Y - 0.025)
    bridge = np.maximum(np.abs(y - EYE_Y + 0.015 - 2.0 * x * x) - 0.015, np.abs(x) - 0.09)
    frame = np.minimum(np.abs(lens) - thick, np.maximum(bridge, -lens))
    glass, rim = view.cover(lens), view.cover(frame)
    keep = None if scene.dark_glasses else _SEEN_THROUGH[canvas.labels[box]]
    before = canvas.labels[box].copy()
    streak = ramp(0.02, 0.05, np.abs(x - np.copysign(0.21, x) + 0.6 * (y - EYE_Y)) * -1.0 + 0.07)
    if scene.dark_glasses:
        fade = 0.97 - 0.22 * ramp(-0.1, 0.2, y - EYE_Y)
        canvas.paint(box, glass, column((0.010, 0.009, 0.010)) + 0.10 * streak, "eye_g", fade)
    else:
        canvas.paint(box, glass, (0.9, 0.95, 1.0), "eye_g", 0.03 + 0.06 * streak)
    shine = 0.8 + 0.9 * bump(((lens + 0.3 * thick) / (0.6 * thick)) ** 2)
    canvas.paint(box, rim, column(scene.frame) * shine, "eye_g")
    if keep is not None:
        kept = keep & (rim <= 0.5)
        canvas.labels[box][kept] = before[kept]


def _lens(kind: str, u: Array, v: Array) -> tuple[Array, Array]:
    """(signed distance to the rim, half the rim's thickness)."""
    if kind == "round":
        return np.sqrt(u * u + v * v) - 0.142, np.full_like(u, 0.011)
    if kind == "aviator":
        u, v = (u - 0.01) / (1.0 - 0.9 * (v - 0.02)), v - 0.03
        return (np.sqrt((u / 0.165) ** 2 + (v / 0.145) ** 2) - 1.0) * 0.15, np.full_like(u, 0.009)
    r4 = (u / 0.160) ** 4 + (v / 0.112) ** 4
    thick = 0.010 + 0.016 * ramp(0.02, -0.07, v) if kind == "browline" else np.full_like(u, 0.017)
    return (np.sqrt(np.sqrt(r4)) - 1.0) * 0.125, thick


def _paint_temples(canvas: Canvas, view: View, person: Person, scene: Scene) -> None:
    """The arms that run from the frame back to the ears."""
    for side, _ in SIDES:
        x0, y0, z0 = view.project((side * 0.375, EYE_Y - 0.02, GLASSES_Z - 0.02))
        x1, y1, z1 = view.project((side * (person.cheek_width + 0.012), EYE_Y - 0.03, -0.06))
        box = view.box((x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2 + 0.03, abs(y1 - y0) / 2 + 0.03)
        u, v = view.x[:, box[1]] - x0, view.y[box[0]] - y0
        if not (u.size and v.size):
            continue
        dx, dy = x1 - x0, y1 - y0
        along = np.clip((u * dx + v * dy) * (1.0 / (dx * dx + dy * dy + 1e-9)), 0.0, 1.0)
        gap = np.sqrt((u - along * dx) ** 2 + (v - along * dy) ** 2) - 0.014
        cover = view.cover(gap) * canvas.seen(box, z0 + (z1 - z0) * along + 0.02)
        canvas.paint(box, cover, scene.frame, "eye_g")
