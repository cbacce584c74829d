"""What is drawn on the skin: eyes, brows, nostrils, mouth, beard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.canvas import ALL, Colour
from lgc.data.synthetic.head import EYE_Y, MOUTH_Y, SIDES, FaceMap
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, Generator, bump, noise, ramp, spot, strands, wave
from lgc.data.synthetic.view import Box


def _dark(colour: Colour, factor: float, gloss: float = 0.3) -> Colour:
    return (*(channel * factor for channel in colour[:3]), gloss)


@dataclass(frozen=True)
class _Eye:
    """One eye; ``a`` runs from the inner corner at -1 to the outer at 1, ``b`` down in the same unit."""

    box: Box
    side: int
    a: Array
    b: Array
    top: Array
    """The upper lid's edge, as ``b``."""
    bottom: Array


def paint_eyes(face: FaceMap, person: Person, scene: Scene) -> None:
    """Both eyes with their lids and lashes."""
    squint = max(scene.smile, 0.0)
    for side, prefix in SIDES:
        box = face.window(side * person.eye_x, EYE_Y, 0.17, 0.15)
        if box is None:
            continue
        a = (face.x[box] * side - person.eye_x) * (1 / person.eye_radius)
        b = (face.y[box] - EYE_Y) * (1 / person.eye_radius) + person.eye_tilt * a
        arch = (1.0 - a * a) * person.eye_open
        top = arch * (0.18 * a - 1.12) * (1.0 - 0.22 * squint)
        bottom = arch * (0.55 + 0.14 * a) * (1.0 - 0.05 * squint)
        eye = _Eye(box, side, a, b, top, bottom)
        _paint_lid(face, eye, scene)
        gap = np.maximum(top - b, b - bottom)
        opening = face.view.cover(gap * (0.85 * person.eye_radius))
        face.skin.paint(box, opening, _sclera(eye), f"{prefix}_eye")
        _paint_iris(face, eye, person, scene, opening)
        _paint_lashes(face, eye, person, scene)


def _paint_lid(face: FaceMap, eye: _Eye, scene: Scene) -> None:
    """Skin around the eye: shadow on the lid, eye shadow of the make-up, the fold above."""
    rise = eye.b - eye.top
    lid = bump((eye.a / 1.35) ** 2 + ((rise + 0.22) / 0.42) ** 2)
    face.skin.tint(eye.box, lid, (0.84, 0.74, 0.72))
    if scene.makeup:
        face.skin.tint(eye.box, lid * (rise < 0.1) * scene.makeup, (0.42, 0.28, 0.36))
    fold = bump(((rise - 0.15 * eye.top + 0.20) / 0.09) ** 2) * ramp(1.25, 0.7, np.abs(eye.a - 0.1))
    face.skin.tint(eye.box, fold, (0.48, 0.38, 0.36))


def _sclera(eye: _Eye) -> Array:
    """The white of the eye: shaded by the upper lid and at the corners, pink at the tear duct."""
    white = np.empty((4, *eye.a.shape), np.float32)
    light = (0.35 + 0.65 * ramp(0.0, 0.38, eye.b - eye.top)) * (1.0 - 0.45 * eye.a * eye.a)
    duct = ramp(-0.72, -0.95, eye.a)
    for channel, (value, pink) in enumerate(((0.66, 0.40), (0.62, 0.16), (0.60, 0.14))):
        white[channel] = light * (value + (pink - value) * duct)
    white[3] = 0.3
    return white


def _paint_iris(face: FaceMap, eye: _Eye, person: Person, scene: Scene, opening: Array) -> None:
    skin, radius, cover = face.skin, person.eye_radius, face.view.cover
    u, v = eye.a - eye.side * scene.gaze[0], eye.b + 0.10 * person.eye_open - scene.gaze[1]
    distance = np.sqrt(u * u + v * v)
    light = (0.45 + 0.55 * ramp(0.0, 0.35, eye.b - eye.top)) * (0.75 + 0.7 * ramp(-0.1, 0.35, v))
    light *= 1.0 + 0.22 * wave(9.0 * u / (np.abs(u) + np.abs(v) + 0.02))
    light *= 1.0 - 0.75 * ramp(0.34, 0.45, distance)
    iris = np.empty((4, *u.shape), np.float32)
    for channel in range(3):
        iris[channel] = light * person.iris[channel]
    iris[3] = 0.3
    skin.paint(eye.box, np.minimum(cover((distance - 0.46) * radius), opening), iris)
    skin.paint(eye.box, np.minimum(cover((distance - 0.20) * radius), opening), (0.004, 0.004, 0.005, 0.3))
    # The catch light sits towards the lamp, on both eyes alike.
    gleam = spot(u, v, eye.side * 0.18 * scene.light[0], 0.10 + 0.3 * scene.light[1], 0.16, 0.16)
    skin.paint(eye.box, np.minimum(gleam, opening), (1.3, 1.3, 1.3, 0.3))


def _paint_lashes(face: FaceMap, eye: _Eye, person: Person, scene: Scene) -> None:
    skin, radius, cover = face.skin, person.eye_radius, face.view.cover
    width = 0.09 + 0.05 * scene.makeup + 0.03 * (not person.male)
    upper = np.abs(eye.b - eye.top + 0.4 * width) - width * (0.65 + 0.35 * eye.a)
    upper = np.maximum(upper, np.abs(eye.a) - 1.08)
    skin.paint(eye.box, cover(upper * radius), (0.012, 0.008, 0.007, 0.1), opacity=0.88)
    lower = np.maximum(np.abs(eye.b - eye.bottom - 0.03) - 0.035, np.abs(eye.a) - 1.0)
    skin.paint(eye.box, cover(lower * radius), _dark(person.skin, 0.3), opacity=0.4 + 0.5 * scene.makeup)


def paint_brows(face: FaceMap, person: Person, scene: Scene, rng: Generator) -> None:
    """Eyebrows of slanted hairs, thick at the nose and thin at the temple."""
    colour = _dark(person.hair, 0.8 if person.hair_name in {"black", "brown"} else 0.55, 0.1)
    for side, prefix in SIDES:
        box = face.window(side * 0.22, EYE_Y - 0.15, 0.20, 0.14)
        if box is None:
            continue
        x, y = face.x[box] * side, face.y[box]
        a = (x - 0.215) * (1 / 0.145)
        peak = a - 0.35
        fall = person.brow_arch * (0.4 * peak * peak + 1.1 * np.maximum(peak, 0.0) ** 2 - 0.3)
        middle = EYE_Y - 0.135 - person.brow_slope * a + fall - 0.012 * max(scene.smile, 0.0)
        thick = person.brow_thickness * (0.78 - 0.30 * a - 0.12 * a * a)
        gap = np.maximum(np.abs(y - middle) - thick, (np.abs(a) - 1.0) * 0.145)
        soft = np.clip(0.5 - gap * (0.5 / max(face.view.pixel, 0.008)), 0.0, 1.0)
        hairs = strands(rng, (x + (y - middle) * 0.9) * 75.0 + 128.0, y * 10.0 + 16.0)
        opacity = np.clip(0.84 + 0.2 * hairs, 0.0, 1.0) * (0.80 + 0.2 * person.male)
        face.skin.paint(box, soft, colour, f"{prefix}_brow", opacity)


def paint_nose(face: FaceMap, person: Person) -> None:
    """The nose's label, shadows beside and below it, and the nostrils."""
    box = face.window(0.0, 0.08, 0.30, 0.30)
    if box is None:
        return
    x, y, skin = np.abs(face.x[box]), face.y[box], face.skin
    wide, tip = person.nose_width, person.nose_tip
    skin.tint(box, spot(x, y, 0.0, tip + 0.085, 1.25 * wide, 0.06), (0.66, 0.55, 0.52))
    skin.tint(box, spot(x, y, 0.93 * wide, tip + 0.02, 0.028, 0.075), (0.68, 0.55, 0.52))
    skin.tint(box, spot(x, y, 0.0, tip, wide, 0.12), (1.02, 0.90, 0.88))
    nostril = ((x - 0.48 * wide) / (0.26 * wide)) ** 2 + ((y - tip - 0.058 - 0.1 * x) / 0.02) ** 2
    skin.paint(box, ramp(1.5, 0.3, nostril), _dark(person.skin, 0.06), opacity=0.85)
    wings = 0.40 * wide + 0.015 + (0.55 * wide - 0.015) * ramp(tip - 0.16, tip, y)
    low = np.maximum(y - tip, 0.0) * (1 / 0.08)
    rim = x / wings
    skin.paint(box, (rim * rim + low * low < 1.0) * (y > -0.10), skin.pixels[:, box[0], box[1]], "nose")


@dataclass(frozen=True)
class _Mouth:
    """The mouth; ``a`` runs from corner to corner, -1 to 1, ``b`` down in the same unit."""

    box: Box
    width: float
    a: Array
    b: Array
    upper: Array
    """The upper lip's outer edge, as ``b``; then the edges of the gap, and the lower lip's outer edge."""
    gap_top: Array
    gap_bottom: Array
    lower: Array


def _meet_mouth(face: FaceMap, person: Person, scene: Scene) -> _Mouth | None:
    smile, drop = scene.smile, scene.mouth_open
    width = person.mouth_width * (1.0 + 0.28 * max(smile, 0.0) - 0.06 * drop)
    box = face.window(0.0, MOUTH_Y + 0.04, width + 0.06, 0.26)
    if box is None:
        return None
    a = face.x[box] * (1 / width)
    b = (face.y[box] - MOUTH_Y) * (1 / width)
    arch = np.maximum(1.0 - a * a, 0.0)
    centre = (0.45 - a * a) * (0.30 * smile)
    full = person.lip_fullness * (1.0 - 0.22 * max(smile, 0.0))
    cupid = 1.0 - 0.30 * bump((a / 0.22) ** 2)
    gap_top = centre - 0.03 * drop * arch + 0.035 * (1 - drop) * bump((a / 0.3) ** 2)
    gap_bottom = gap_top + ((0.16 + 0.34 * drop) if drop else 0.0) * arch
    upper = centre - 0.82 * full * cupid * arch * (0.75 + 0.25 * arch)
    lower = gap_bottom + 1.05 * full * arch * (0.7 + 0.3 * arch)
    return _Mouth(box, width, a, b, upper, gap_top, gap_bottom, lower)


def paint_mouth(face: FaceMap, person: Person, scene: Scene) -> None:
    """Lips, and teeth and darkness between them when the mouth is open."""
    mouth = _meet_mouth(face, person, scene)
    if mouth is None:
        return
    box, a, b, width, skin = mouth.box, mouth.a, mouth.b, mouth.width, face.skin
    ends = (np.abs(a) - 1.0) * width
    colour = _lip_colour(person, scene)
    skin.tint(box, bump((a / 0.8) ** 2 + ((b - mouth.lower - 0.10) / 0.16) ** 2), (0.72, 0.64, 0.62))
    upper = _dark(colour, 0.72, colour[3])
    _paint_lip(face, mouth, mouth.upper, mouth.gap_top, upper, 0.35, "u_lip")
    _paint_lip(face, mouth, mouth.gap_bottom, mouth.lower, colour, 0.75, "l_lip")
    if scene.mouth_open:
        gap = np.maximum(mouth.gap_top - b, b - mouth.gap_bottom) * (0.9 * width)
        inner = face.view.cover(np.maximum(gap, ends))
        skin.paint(box, inner, _mouth_inside(mouth, scene.mouth_open), "mouth")
    line = np.maximum((np.abs(b - mouth.gap_top) - 0.05 * (1.1 - np.abs(a))) * width, ends - 0.004)
    skin.paint(box, face.view.cover(line), _dark(colour, 0.10), opacity=0.4 if scene.mouth_open else 0.75)


def _paint_lip(
    face: FaceMap, mouth: _Mouth, top: Array, bottom: Array, colour: Colour, bulge: float, label: str
) -> None:
    """One lip between two edges: soft at the rim, and rounded in the relief."""
    gap = np.maximum(np.maximum(top - mouth.b, mouth.b - bottom), np.abs(mouth.a) - 1.0) * mouth.width
    soft = ramp(0.008, -0.018, gap)
    face.skin.paint(mouth.box, face.view.cover(gap), colour, label, opacity=0.35 + 0.65 * soft)
    t = (mouth.b - top) / np.maximum(bottom - top, 0.02) * 2.0 - 1.0
    face.slope_y[mouth.box] -= t * bulge * ((np.abs(t) < 1) & (bottom > top + 0.02))


def _lip_colour(person: Person, scene: Scene) -> Colour:
    if scene.lipstick is not None:
        return (*scene.lipstick, 0.7)
    red, green, blue = person.skin
    return (red * 0.72 + 0.03, green * 0.46, blue * 0.50, 0.4)


def _mouth_inside(mouth: _Mouth, drop: float) -> Array:
    """Upper teeth, their gaps, and the dark below with a hint of tongue."""
    a, depth = mouth.a, mouth.b - mouth.gap_top
    teeth = ramp(0.30 + 0.05 * drop, 0.22, depth) * ramp(0.98, 0.80, np.abs(a))
    tooth = a * 3.6 - np.floor(a * 3.6) - 0.5
    light = teeth * (1.0 - 0.28 * bump((tooth / 0.16) ** 2)) * (1.0 - 0.55 * a * a)
    light *= ramp(-0.08, 0.10, depth)
    tongue = ramp(0.30, 0.55, depth) * ramp(0.8, 0.3, np.abs(a)) * (1.0 - teeth)
    inside = np.empty((4, *a.shape), np.float32)
    for channel, (white, red) in enumerate(((0.72, 0.20), (0.69, 0.045), (0.62, 0.045))):
        inside[channel] = 0.012 + light * white + tongue * red
    inside[3] = 0.6
    return inside


def paint_beard(face: FaceMap, person: Person, rng: Generator) -> None:
    """Stubble or grown hair on jaw, chin and upper lip, and sideburns; all of it keeps the label skin."""
    growth = _growth(face, person)
    if growth is None:
        return
    x, y = face.x, face.y
    if person.beard == "stubble":
        density = growth * (0.50 + 0.2 * noise(rng, x.shape, (x.shape[0] // 2, x.shape[1] // 2)))
        colour = _dark(person.hair, 0.35, 0.12)
    else:
        density = growth * (0.88 + 0.2 * strands(rng, x * 75.0 + y * 12.0 + 128.0, y * 22.0 + 32.0))
        colour = _dark(person.hair, 0.5, 0.12)
    face.skin.paint(ALL, np.clip(density, 0.0, 0.95), colour)


def _growth(face: FaceMap, person: Person) -> Array | None:
    """Where hair grows, 0 to 1; None for a shaven face."""
    side, y, out = np.abs(face.x), face.y, np.abs(face.surface.angle)
    width = person.mouth_width
    mustache = ramp(0.065, 0.12, y - person.nose_tip + 0.1 * side) * ramp(1.35 * width, 0.75 * width, side)
    mustache *= ramp(0.02, -0.04, y - (MOUTH_Y - 0.03) - 0.25 * side - 0.5 * side * side)
    if person.beard == "mustache":
        growth = mustache
    elif person.beard == "goatee":
        chin = (side / (0.80 * width + 0.04)) ** 2 + ((y - 0.62) / 0.20) ** 2
        growth = np.maximum(ramp(1.3, 0.6, chin), mustache)
    else:
        jaw = ramp(-0.06, 0.08, y - 0.60 + 0.62 * out * out) * ramp(-0.05, 0.15, y)
        growth = np.maximum(jaw, mustache)
    if person.sideburns:
        burns = ramp(0.64, 0.80, out) * ramp(0.32, 0.18, y) * ramp(-0.3, -0.1, y)
        return burns if person.beard == "none" else np.maximum(growth, burns)
    return None if person.beard == "none" else growth
