"""Eyeglasses: two lenses on a plane in front of the eyes, and the temples."""

from __future__ import annotations

from typing import Final

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.canvas import Canvas, column
from lgc.data.synthetic.head import EYE_Y, SIDES
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, bump, ramp
from lgc.data.synthetic.view import Box, View

PLANE: Final = 0.63
"""Distance of the lenses in front of the head's centre."""
_SEEN_THROUGH: Final = np.array([name in {"l_eye", "r_eye", "l_brow", "r_brow"} for name in CLASSES])
"""By class index: what keeps its label behind a clear lens."""


def paint_glasses(canvas: Canvas, view: View, person: Person, scene: Scene) -> None:
    """Lenses, frame and temples. Eyes and brows keep their labels behind clear lenses."""
    if not scene.glasses:
        return
    _paint_temples(canvas, view, person, scene)
    box = view.window((0.0, EYE_Y + 0.02, PLANE), 0.56)
    rays = view.rays.crop(box)
    x, y, _ = rays.at((PLANE - rays.z) * (1.0 / rays.direction[2]))
    y = y - EYE_Y
    lens, thick = _lens(scene.glasses, np.abs(x) - 0.228, y - 0.025)
    bridge = np.maximum(np.abs(y + 0.015 - 2.0 * x * x) - 0.015, np.abs(x) - 0.09)
    rim = view.cover(np.minimum(np.abs(lens) - thick, np.maximum(bridge, -lens)))
    before = canvas.labels[box].copy()
    _paint_glass(canvas, box, x, y, view.cover(lens), scene.dark_glasses)
    shine = 0.8 + 0.9 * bump(((lens + 0.3 * thick) / (0.6 * thick)) ** 2)
    canvas.paint(box, rim, column(scene.frame) * shine, "eye_g")
    if not scene.dark_glasses:
        kept = _SEEN_THROUGH[before] & (rim <= 0.5)
        canvas.labels[box][kept] = before[kept]


def _paint_glass(canvas: Canvas, box: Box, x: Array, y: Array, cover: Array, dark: bool) -> None:
    streak = ramp(0.05, 0.02, np.abs(x - np.copysign(0.21, x) + 0.6 * y))
    if dark:
        fade = 0.97 - 0.22 * ramp(-0.1, 0.2, y)
        canvas.paint(box, cover, column((0.010, 0.009, 0.010)) + 0.10 * streak, "eye_g", fade)
    else:
        canvas.paint(box, cover, (0.9, 0.95, 1.0), "eye_g", 0.03 + 0.06 * streak)


def _lens(kind: str, u: Array, v: Array) -> tuple[Array, Array]:
    """(signed distance to the rim, half the rim's thickness)."""
    if kind == "round":
        return np.sqrt(u * u + v * v) - 0.142, np.full_like(u, 0.011)
    if kind == "aviator":
        u, v = (u - 0.01) / (1.0 - 0.9 * (v - 0.02)), v - 0.03
        return (np.sqrt((u / 0.165) ** 2 + (v / 0.145) ** 2) - 1.0) * 0.15, np.full_like(u, 0.009)
    u2, v2 = (u / 0.160) ** 2, (v / 0.112) ** 2
    thick = 0.010 + 0.016 * ramp(0.02, -0.07, v) if kind == "browline" else np.full_like(u, 0.017)
    return (np.sqrt(np.sqrt(u2 * u2 + v2 * v2)) - 1.0) * 0.125, thick


def _paint_temples(canvas: Canvas, view: View, person: Person, scene: Scene) -> None:
    """The arms that run from the frame back to the ears."""
    for side, _ in SIDES:
        x0, y0, z0 = view.project((side * 0.375, EYE_Y - 0.02, PLANE - 0.02))
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
