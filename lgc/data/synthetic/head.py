"""The head: its shape, the nose that stands out of it, and the skin with its relief."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.canvas import ALL, Canvas, Light, column
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.solids import Profile, Surface, dome, normalise
from lgc.data.synthetic.texture import Array, Generator, bump, cloud, noise, ramp, spot, wave
from lgc.data.synthetic.view import Box, Rays, View

EYE_Y: Final = -0.05
MOUTH_Y: Final = 0.44
CROWN: Final = -0.78
HEIGHTS: Final = np.arange(-1.3, 1.9, 0.002)
"""Heights at which profiles are tabulated."""
SIDES: Final = ((1, "l"), (-1, "r"))
"""Sign of x and the prefix of class names: as in CelebAMask-HQ, ``l`` is the person's own left, which is
on the picture's right."""
SKIN_WRAP: Final = (0.45, 0.28, 0.20)
_STEPS: Final = 10
"""Steps of the march onto the nose."""


@dataclass
class FaceMap:
    """The part of the picture that holds the head, in head-frame coordinates.

    ``x`` and ``y`` say which spot of the face a pixel shows; all features are drawn in them, so pose
    moves, foreshortens and hides features without their knowing.
    """

    box: Box
    view: View
    surface: Surface
    skin: Canvas
    """Material before lighting, and labels."""
    slope_x: Array
    slope_y: Array
    """How far the relief tilts the surface: derivatives of its height along x and y."""

    @property
    def x(self) -> Array:
        """Position across the face, to the picture's right."""
        return self.surface.x

    @property
    def y(self) -> Array:
        """Position down the face."""
        return self.surface.y

    def window(self, x: float, y: float, half_width: float, half_height: float) -> Box | None:
        """The smallest rectangle of the face box around a patch of the face that is in sight."""
        hit = (np.abs(self.x - x) < half_width) & (np.abs(self.y - y) < half_height) & (self.surface.z > 0)
        return _bounds(hit)

    def swell(self, x: float, y: float, rx: float, ry: float, height: float) -> Array:
        """Add a bell to the relief, on both sides of the face; returns its kernel."""
        u = (np.abs(self.x) - x) * (1 / rx)
        v = (self.y - y) * (1 / ry)
        t = np.maximum(1.0 - u * u - v * v, 0.0)
        steep = t * (-4.0 * height)
        self.slope_x += np.copysign(steep, self.x) * (u * (1 / rx))
        self.slope_y += steep * v * (1 / ry)
        return t * t


def _bounds(hit: Array) -> Box | None:
    rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def head_profile(person: Person, scene: Scene) -> Profile:
    """The skull with jaw and chin, without nose and ears."""
    y = HEIGHTS
    chin = person.chin + 0.05 * scene.mouth_open
    down = np.clip(y / chin, 0, 1)
    closing = np.where(y < 0, dome(y / CROWN, 3.2), dome(y / chin, person.jaw))
    front, back = 0.57 - 0.05 * down**2, -0.62 + 0.78 * down
    closing_depth = np.where(y < 0, closing, dome(y / chin, 5.0))
    shape = np.maximum(closing, 1e-3) / np.maximum(closing_depth, 1e-3)
    ratio = (2 * person.cheek_width / (front - back)) ** 2 * shape
    return Profile(y, person.cheek_width**2 * closing, ratio, np.where(y < 0, -0.025, (front + back) / 2))


def meet_head(view: View, person: Person, scene: Scene) -> FaceMap:
    """Find which spot of the head each pixel shows."""
    x, y, _ = view.project((0.0, -0.05, 0.0))
    box = view.box(x, y, 0.66, 0.88)
    rays = view.rays.crop(box)
    surface = head_profile(person, scene).meet(rays)
    shape = surface.x.shape
    zeros = np.zeros(shape, np.float32)
    face = FaceMap(box, view, surface, Canvas(shape, 4), zeros, zeros.copy())
    _raise_nose(face, rays, person)
    return face


def _nose_tables(person: Person) -> tuple[Array, Array, Array]:
    """(y, ridge height, half width) of the nose from between the eyes to its base."""
    tip, wide = person.nose_tip, person.nose_width
    points = (-0.14, -0.06, 0.03, tip - 0.06, tip, tip + 0.04, tip + 0.09)
    height = np.array((0.0, 0.28, 0.50, 0.86, 1.0, 0.80, 0.0)) * person.nose_height
    width = (0.075, 0.06, 0.06, 0.70 * wide, wide, wide, 0.8 * wide)
    y = np.arange(points[0], points[-1], 0.001)
    return y, _smooth(np.interp(y, points, height), 25), _smooth(np.interp(y, points, width), 41)


def _smooth(values: Array, span: int) -> Array:
    sums = np.cumsum(np.pad(values, (span // 2 + 1, span // 2), mode="edge"))
    return (sums[span:] - sums[:-span]) / span


def _raise_nose(face: FaceMap, rays: Rays, person: Person) -> None:
    """March the rays near the nose onto its ridge; the spots it hides disappear behind it."""
    box = face.window(0.0, 0.08, 0.30, 0.32)
    if box is None:
        return
    y, height, width = _nose_tables(person)
    tables = [t.astype(np.float32) for t in (height, width, np.gradient(height, y))]
    near, surface, low = rays.crop(box), face.surface, float(y[0])
    flat = surface.depth[box]
    facing = sum(n[box] * d for n, d in zip(surface.normal, rays.direction, strict=True))
    rate = np.clip(facing / np.maximum(surface.normal[2][box], 0.1), 0.2, 3.0)

    def look(depth: Array) -> tuple[Array, Array, Array, Array, Array]:
        px, py, _ = near.at(depth)
        index = ((py - low) * 1000.0).astype(np.intp)
        tall, wide, steep = (t.take(index, mode="clip") for t in tables)
        u = px / wide
        t = np.maximum(1.0 - u * u, 0.0)
        return tall * t * t, tall * t * u * (-4.0) / wide, steep * t * t, px, py

    step = (1.1 * person.nose_height / _STEPS) / rate
    depth = flat + _STEPS * step
    clearance = np.full(flat.shape, 1.0, np.float32)
    for _ in range(_STEPS):
        lower = depth - step * (clearance > 0)
        below = (lower - flat) * rate - look(lower)[0]
        crossing = (clearance > 0) & (below <= 0)
        back = np.where(crossing, step * below / (below - clearance - 1e-9), 0.0)
        depth, clearance = lower + back, np.where(crossing, 0.0, below)
    _, slope_x, slope_y, surface.x[box], surface.y[box] = look(depth)
    surface.depth[box] = depth
    face.slope_x[box] += slope_x
    face.slope_y[box] += slope_y


def paint_skin(face: FaceMap, person: Person, scene: Scene, rng: Generator) -> None:
    """Fill the face with skin: tone, blotches, pores, freckles, the larger relief and wrinkles."""
    skin, shape = face.skin, face.x.shape
    skin.pixels[:] = column((*person.skin, 0.30))
    skin.labels[:] = CLASSES.index("skin")
    skin.tint(ALL, cloud(rng, shape, 5, 3), (1.03, 0.95, 0.93))
    pores = noise(rng, shape, (shape[0] // 2 + 1, shape[1] // 2 + 1))
    skin.pixels *= 1.0 + pores * column((0.02, 0.02, 0.02, 0.25))
    if person.freckles:
        spots = ramp(0.5, 0.9, noise(rng, shape, (70, 70))) * spot(face.x, face.y, 0.0, 0.12, 0.45, 0.28)
        skin.tint(ALL, spots * person.freckles, (0.78, 0.64, 0.55))
    _relief(face, person, scene)
    _wrinkles(face, person, scene)


def _relief(face: FaceMap, person: Person, scene: Scene) -> None:
    tint, swell = face.skin.tint, face.swell
    smile = max(scene.smile, 0.0)
    tint(ALL, swell(person.eye_x, EYE_Y - 0.01, 0.17, 0.13, -0.028), (0.82, 0.74, 0.74))
    swell(0.2, -0.2, 0.24, 0.09, 0.016 + 0.01 * person.male)
    swell(0.0, -0.36, 0.42, 0.2, 0.02)
    cheek = swell(0.28, 0.17 - 0.03 * smile, 0.21, 0.18, 0.02 + 0.025 * max(smile, person.cheekbones))
    tint(ALL, cheek, (1.0, 0.90, 0.90))
    tint(ALL, cheek * scene.rosy, (1.02, 0.70, 0.72))
    hollow = swell(0.34, 0.38, 0.13, 0.2, -0.032 * person.cheekbones + 0.03 * person.chubby)
    tint(ALL, hollow * person.cheekbones, (0.86, 0.82, 0.80))
    swell(0.0, person.chin - 0.13, 0.15, 0.11, 0.03)
    crease = swell(0.0, MOUTH_Y + 0.125 + 0.03 * scene.mouth_open, 0.13, 0.04, -0.014)
    tint(ALL, crease, (0.82, 0.76, 0.74))
    tint(ALL, swell(0.0, 0.34, 0.03, 0.06, -0.008), (0.93, 0.90, 0.90))
    if person.bags:
        pouch = swell(person.eye_x - 0.01, EYE_Y + 0.10, 0.1, 0.045, 0.010)
        tint(ALL, pouch * person.bags, (0.66, 0.56, 0.62))
        fold = swell(person.eye_x - 0.015, EYE_Y + 0.145, 0.1, 0.02, -0.01)
        tint(ALL, fold * person.bags, (0.62, 0.52, 0.54))


def _wrinkles(face: FaceMap, person: Person, scene: Scene) -> None:
    """Folds from nose to mouth, lines on the forehead and at the corners of the eyes."""
    side, y = np.abs(face.x), face.y
    old = max(0.0, person.age - 0.5) * 2
    low = y - 0.22
    curve = side - 0.10 - 0.95 * low + 1.1 * low * low
    fold = bump((curve / 0.022) ** 2) * bump(((y - 0.34) / 0.16) ** 2)
    face.skin.tint(ALL, fold * (0.12 + 0.4 * max(scene.smile, 0) + 0.4 * old), (0.76, 0.67, 0.65))
    if old:
        lines = np.maximum(wave((y + 0.05 * side) * 15.0), 0.0)
        forehead = lines * lines * spot(side, y, 0.0, -0.38, 0.34, 0.13)
        out = side - person.eye_x - 0.11
        feet = np.maximum(wave((y - EYE_Y) / (0.035 + 0.25 * np.maximum(out, 0))), 0)
        feet *= spot(out, y, 0.05, EYE_Y, 0.06, 0.08)
        face.skin.tint(ALL, (forehead * 0.7 + 0.5 * feet) * old, (0.62, 0.54, 0.52))


def light_head(canvas: Canvas, face: FaceMap, light: Light) -> None:
    """Light the finished face, its relief included, and lay it over the picture."""
    surface = face.surface
    nx, ny, nz = surface.normal
    front = np.maximum(nz, 0.0)
    normal = normalise(nx - face.slope_x * front, ny - face.slope_y * front, nz)
    lit = light.apply(face.skin.pixels, normal, SKIN_WRAP)
    canvas.place(face.box, surface.cover, lit, face.skin.labels, surface.depth)
