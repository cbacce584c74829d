"""What is drawn on the skin: eyes, brows, nostrils, mouth, beard."""

from __future__ import annotations

import numpy as np

from lgc.data.synthetic.canvas import ALL, Colour, linear
from lgc.data.synthetic.head import EYE_Y, MOUTH_Y, Face
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, bump, noise, ramp, strands, wave
from lgc.data.synthetic.view import Box

SIDES = ((1, "l"), (-1, "r"))
"""Sign of x and the prefix of class names: as in CelebAMask-HQ, ``l`` is the person's own left, which is
on the picture's right."""


def _dark(colour: Colour, factor: float, gloss: float = 0.3) -> Colour:
    return (*(channel * factor for channel in colour[:3]), gloss)


def paint_eyes(face: Face, person: Person, scene: Scene, rng: np.random.Generator) -> None:
    """Both eyes with their lids and lashes."""
    for side, prefix in SIDES:
        box = face.window(side * person.eye_x, EYE_Y, 0.17, 0.15)
        if box is not None:
            _paint_eye(face, box, person, scene, side, f"{prefix}_eye")


def _paint_eye(face: Face, box: Box, person: Person, scene: Scene, side: int, label: str) -> None:
    radius, skin, cover = person.eye_radius, face.skin, face.view.cover
    a = (side * face.surface.x[box] - person.eye_x) * (1 / radius)
    b = (face.surface.y[box] - EYE_Y) * (1 / radius) + person.eye_tilt * a
    arch = 1.0 - a * a
    squint = 1.0 - 0.22 * max(scene.smile, 0.0)
    top = -person.eye_open * squint * arch * (1.12 - 0.18 * a)
    bottom = 0.55 * person.eye_open * (1.0 - 0.2 * (1 - squint)) * arch * (1.0 + 0.25 * a)
    gap = np.maximum(top - b, b - bottom)
    # Skin around the eye: shadow on the lid, the fold above it, eye shadow of the make-up.
    lid = bump((a / 1.35) ** 2 + ((b - top + 0.22) / 0.42) ** 2)
    skin.tint(box, lid, (0.84, 0.74, 0.72))
    if scene.makeup:
        skin.tint(box, lid * (b < top + 0.1) * scene.makeup, (0.42, 0.28, 0.36))
    fold = bump(((b - 1.15 * top + 0.20) / 0.09) ** 2) * ramp(1.25, 0.7, np.abs(a - 0.1))
    skin.tint(box, fold, (0.48, 0.38, 0.36))
    opening = cover(gap * radius * 0.85)
    skin.paint(box, opening, _sclera(a, b, top), label)
    _paint_iris(face, box, person, scene, side, a, b, top, opening)
    lash_width = 0.085 + 0.05 * scene.makeup + 0.03 * (not person.male)
    edge = np.maximum(np.abs(b - top + 0.4 * lash_width) - lash_width * (0.65 + 0.35 * a), np.abs(a) - 1.08)
    skin.paint(box, cover(edge * radius), (0.012, 0.008, 0.007, 0.1), opacity=0.88)
    lower = np.maximum(np.abs(b - bottom - 0.03) - 0.035, np.abs(a) - 1.0)
    skin.paint(box, cover(lower * radius), _dark(person.skin, 0.30), opacity=0.4 + 0.5 * scene.makeup)


def _sclera(a: Array, b: Array, top: Array) -> Array:
    """The white of the eye: shaded by the upper lid and at the corners, pink at the tear duct."""
    white = np.empty((4, *a.shape), np.float32)
    light = (0.35 + 0.65 * ramp(0.0, 0.38, b - top)) * (1.0 - 0.45 * a * a)
    duct = ramp(-0.72, -0.95, a)
    for channel, (value, pink) in enumerate(((0.64, 0.40), (0.60, 0.16), (0.58, 0.14))):
        white[channel] = light * (value + (pink - value) * duct)
    white[3] = 0.3
    return white


def _paint_iris(
    face: Face, box: Box, person: Person, scene: Scene, side: int, a: Array, b: Array, top: Array, opening: Array
) -> None:
    skin, radius = face.skin, person.eye_radius
    u, v = a - side * scene.gaze[0], b + 0.10 * person.eye_open - scene.gaze[1]
    distance = np.sqrt(u * u + v * v)
    shade = 0.45 + 0.55 * ramp(0.0, 0.35, b - top)
    glow = 0.75 + 0.7 * ramp(-0.1, 0.35, v)
    fibres = 1.0 + 0.22 * wave(9.0 * u / (np.abs(u) + np.abs(v) + 0.02))
    rim = 1.0 - 0.75 * ramp(0.34, 0.45, distance)
    colour = np.empty((4, *a.shape), np.float32)
    for channel in range(3):
        colour[channel] = person.iris[channel] * shade * glow * fibres * rim
    colour[3] = 0.3
    cover = face.view.cover
    skin.paint(box, np.minimum(cover((distance - 0.46) * radius), opening), colour)
    skin.paint(box, np.minimum(cover((distance - 0.20) * radius), opening), (0.004, 0.004, 0.005, 0.3))
    # The catch light sits towards the lamp on both eyes alike.
    gleam = (u - side * 0.18 * scene.light[0]) ** 2 + (v - 0.10 - 0.3 * scene.light[1]) ** 2
    skin.paint(box, np.minimum(bump(gleam * (1 / 0.16**2)), opening), (1.3, 1.3, 1.3, 0.3))


def paint_brows(face: Face, person: Person, scene: Scene, rng: np.random.Generator) -> None:
    """Eyebrows of slanted hairs, thick at the nose and thin at the temple."""
    dark = 0.55 if person.hair_name in {"blond", "gray", "red"} else 0.8
    for side, prefix in SIDES:
        box = face.window(side * 0.22, EYE_Y - 0.15, 0.20, 0.14)
        if box is None:
            continue
        x, y = side * face.surface.x[box], face.surface.y[box]
        a = (x - 0.215) * (1 / 0.145)
        peak = a - 0.35
        rise = person.brow_slope * a - person.brow_arch * peak * peak * np.where(peak < 0, 0.4, 1.5)
        middle = EYE_Y - 0.135 - 0.3 * person.brow_arch - rise - 0.012 * max(scene.smile, 0.0)
        thick = person.brow_thickness * (0.78 - 0.30 * a - 0.12 * a * a)
        gap = np.maximum(np.abs(y - middle) - thick, (np.abs(a) - 1.0) * 0.145)
        hairs = strands(rng, (x * 1.0 + (y - middle) * 0.9) * 75.0, y * 10.0)
        soft = np.clip(0.5 - gap * (0.5 / max(face.view.pixel, 0.008)), 0.0, 1.0)
        opacity = np.clip(0.84 + 0.2 * hairs, 0.0, 1.0) * (0.80 + 0.2 * person.male)
        face.skin.paint(box, soft, _dark(person.hair, dark, 0.1), f"{prefix}_brow", opacity)


def paint_nose(face: Face, person: Person) -> None:
    """The nose's label, shadows beside and below it, and the nostrils."""
    box = face.window(0.0, 0.08, 0.30, 0.30)
    if box is None:
        return
    x, y, skin = np.abs(face.surface.x[box]), face.surface.y[box], face.skin
    wide, tip = person.nose_width, person.nose_tip
    below = bump((x / (1.25 * wide)) ** 2 + ((y - tip - 0.085) / 0.06) ** 2)
    skin.tint(box, below, (0.58, 0.46, 0.43))
    crease = bump(((x - 0.93 * wide) / 0.028) ** 2 + ((y - tip - 0.02) / 0.075) ** 2)
    skin.tint(box, crease, (0.68, 0.55, 0.52))
    skin.tint(box, bump((x / wide) ** 2 + ((y - tip) / 0.12) ** 2), (1.02, 0.90, 0.88))
    nostril = ((x - 0.48 * wide) / (0.26 * wide)) ** 2 + ((y - tip - 0.058 - 0.1 * x) / 0.02) ** 2
    skin.paint(box, ramp(1.5, 0.3, nostril), _dark(person.skin, 0.06), opacity=0.85)
    wings = 0.40 * wide + 0.015 + (0.55 * wide - 0.015) * ramp(tip - 0.16, tip, y)
    outline = np.maximum(np.maximum(x - wings, -0.10 - y), y - tip - 0.075)
    round_base = (x / (wings + 0.005)) ** 2 + (np.maximum(y - tip, 0.0) / 0.085) ** 2
    skin.labels[box][(outline < 0) & (round_base < 1.0) & (face.surface.cover[box] > 0.5)] = 2


def paint_mouth(face: Face, person: Person, scene: Scene) -> None:
    """Lips, and teeth and darkness between them when the mouth is open."""
    smile, drop = scene.smile, scene.mouth_open
    width = person.mouth_width * (1.0 + 0.28 * max(smile, 0.0) - 0.06 * drop)
    box = face.window(0.0, MOUTH_Y + 0.04, width + 0.06, 0.26)
    if box is None:
        return
    a = face.surface.x[box] * (1 / width)
    b = (face.surface.y[box] - MOUTH_Y) * (1 / width)
    arch = np.maximum(1.0 - a * a, 0.0)
    centre = -0.30 * smile * (a * a - 0.45)
    full = person.lip_fullness * (1.0 - 0.22 * max(smile, 0.0))
    cupid = 1.0 - 0.30 * bump((a / 0.22) ** 2)
    gap_top = centre - 0.03 * arch * drop + 0.035 * bump((a / 0.3) ** 2) * (1 - drop)
    gap_bottom = gap_top + (0.16 + 0.34 * drop) * arch * (drop > 0)
    upper = centre - 0.82 * full * cupid * arch * (0.75 + 0.25 * arch)
    lower = gap_bottom + 1.05 * full * arch * (0.7 + 0.3 * arch)
    cover, skin = face.view.cover, face.skin
    ends = (np.abs(a) - 1.0) * width
    colour = _lip_colour(person, scene)
    under = bump((a / 0.8) ** 2 + ((b - lower - 0.10) / 0.16) ** 2)
    skin.tint(box, under, (0.72, 0.64, 0.62))
    _paint_lip(face, box, np.maximum(np.maximum(upper - b, b - gap_top) * width, ends), _dark(colour, 0.72, colour[3]), "u_lip")
    _paint_lip(face, box, np.maximum(np.maximum(gap_bottom - b, b - lower) * width, ends), colour, "l_lip")
    _round_lips(face, box, b, upper, gap_top, gap_bottom, lower)
    if drop > 0:
        inner = cover(np.maximum(np.maximum(gap_top - b, b - gap_bottom) * width * 0.9, ends))
        skin.paint(box, inner, _mouth_inside(a, b, gap_top, drop), "mouth")
    line = np.maximum((np.abs(b - gap_top) - 0.05 * (1.1 - np.abs(a))) * width, ends - 0.004)
    skin.paint(box, cover(line), _dark(colour, 0.10), opacity=0.75 if drop == 0 else 0.4)


def _paint_lip(face: Face, box: Box, gap: Array, colour: Colour, label: str) -> None:
    cover = face.view.cover(gap)
    soft = ramp(0.008, -0.018, gap)
    face.skin.paint(box, cover, colour, label, opacity=0.35 + 0.65 * soft)


def _round_lips(face: Face, box: Box, b: Array, upper: Array, gap_top: Array, gap_bottom: Array, lower: Array) -> None:
    for top, bottom, bulge in ((upper, gap_top, 0.35), (gap_bottom, lower, 0.75)):
        t = np.clip((b - top) / np.maximum(bottom - top, 0.02), -0.2, 1.2) * 2.0 - 1.0
        face.slope_y[box] += np.where(np.abs(t) < 1, -bulge * t, 0.0) * (bottom > top + 0.02)


def _lip_colour(person: Person, scene: Scene) -> Colour:
    if scene.lipstick is not None:
        return (*scene.lipstick, 0.7)
    red, green, blue = person.skin
    return (red * 0.72 + 0.03, green * 0.46, blue * 0.50, 0.4)


def _mouth_inside(a: Array, b: Array, top: Array, drop: float) -> Array:
    """Upper teeth, their gaps, and the dark below with a hint of tongue."""
    depth = b - top
    teeth = ramp(0.30 + 0.05 * drop, 0.22, depth) * ramp(0.98, 0.80, np.abs(a))
    gaps = 1.0 - 0.28 * bump(((a * 3.6 - np.floor(a * 3.6) - 0.5) / 0.16) ** 2)
    light = teeth * gaps * (1.0 - 0.55 * a * a) * ramp(-0.08, 0.10, depth)
    tongue = ramp(0.30, 0.55, depth) * ramp(0.8, 0.3, np.abs(a))
    inside = np.empty((4, *a.shape), np.float32)
    for channel, (white, red) in enumerate(((0.72, 0.20), (0.69, 0.045), (0.62, 0.045))):
        inside[channel] = 0.012 + light * white + tongue * (1.0 - teeth) * red
    inside[3] = 0.6
    return inside


def paint_beard(face: Face, person: Person, rng: np.random.Generator) -> None:
    """Stubble or grown hair on jaw, chin and upper lip, and sideburns; all of it keeps the label skin."""
    growth = _growth(face, person)
    if growth is None:
        return
    x, y = face.surface.x, face.surface.y
    grown = person.beard != "stubble"
    grain = strands(rng, x * 75.0 + y * 12.0, y * 22.0) if grown else noise(rng, x.shape, (x.shape[0] // 2, x.shape[1] // 2))
    density = np.clip(growth * (0.88 + 0.22 * grain) if grown else growth * (0.52 + 0.22 * grain), 0.0, 0.95)
    face.skin.paint(ALL, density, _dark(person.hair, 0.5 if grown else 0.35, 0.12))


def _growth(face: Face, person: Person) -> Array | None:
    side, y = np.abs(face.surface.x), face.surface.y
    width = person.mouth_width
    out = np.abs(face.surface.angle)
    jaw = ramp(-0.04, 0.06, y - (0.60 - 0.62 * out * out)) * ramp(0.05, 0.16, y - 0.12 * (out < 0.5))
    mustache = ramp(0.0, 0.04, y - person.nose_tip - 0.085) * ramp(0.03, -0.04, y - MOUTH_Y - 0.3 * (side - 0.1))
    mustache *= ramp(1.30 * width, 0.95 * width, side)
    goatee = ramp(1.2, 0.75, (side / (0.80 * width + 0.04)) ** 2 + ((y - 0.62) / 0.19) ** 2)
    parts = {
        "stubble": np.maximum(jaw, mustache),
        "full": np.maximum(jaw, mustache),
        "goatee": np.maximum(goatee, mustache * 0.85),
        "mustache": mustache,
    }
    growth = parts.get(person.beard)
    if person.sideburns:
        burns = ramp(0.66, 0.80, out) * ramp(0.30, 0.20, y) * ramp(-0.3, -0.1, y)
        growth = burns if growth is None else np.maximum(growth, burns)
    return growth
