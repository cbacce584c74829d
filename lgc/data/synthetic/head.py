"""The head: its shape, the nose that stands out of it, and the skin with its relief."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.canvas import ALL, Canvas
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, bump, cloud, noise, ramp, wave
from lgc.data.synthetic.view import Box, Profile, Rays, Surface, View

EYE_Y = -0.05
MOUTH_Y = 0.44
CROWN = -0.78
STEPS = 10
"""Steps of the march onto the nose."""
HEIGHTS = np.arange(-1.3, 1.9, 0.001)
"""Heights at which profiles are tabulated."""


@dataclass
class Face:
    """The part of the picture that holds the head, in head-frame coordinates.

    ``x`` and ``y`` say which spot of the face a pixel shows; all features are drawn in them, so pose
    moves, foreshortens and hides features without their knowing.
    """

    box: Box
    view: View
    surface: Surface
    skin: Canvas
    """Material (red, green, blue, gloss) before lighting, and labels."""
    slope_x: Array
    slope_y: Array
    """How far the relief tilts the surface: derivatives of its height along x and y."""

    def window(self, x: float, y: float, half_width: float, half_height: float) -> Box | None:
        """The smallest rectangle of the face box around a patch of the face that is in sight."""
        hit = np.abs(self.surface.x - x) < half_width
        hit &= np.abs(self.surface.y - y) < half_height
        hit &= self.surface.z > 0
        rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
        if not len(rows):
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def raise_bump(self, x: float, y: float, rx: float, ry: float, height: float, both: bool = False) -> Array:
        """Add a bell to the relief, mirrored to both sides if asked; returns its kernel."""
        u = ((np.abs(self.surface.x) if both else self.surface.x) - x) * (1 / rx)
        v = (self.surface.y - y) * (1 / ry)
        t = np.maximum(1.0 - u * u - v * v, 0.0)
        steep = t * (-4.0 * height)
        across = steep * u * (1 / rx)
        self.slope_x += np.copysign(1.0, self.surface.x) * across if both else across
        self.slope_y += steep * v * (1 / ry)
        return t * t


def head_profile(person: Person, scene: Scene) -> Profile:
    """The skull with jaw and chin, without nose and ears."""
    y = HEIGHTS
    chin = person.chin + 0.05 * scene.mouth_open
    up, down = np.clip(y / CROWN, 0, 1), np.clip(y / chin, 0, 1)
    width = person.cheek_width * np.where(
        y < 0, (1 - up**2.7) ** (1 / 2.5), (1 - down**person.jaw) ** (1 / 1.9)
    )
    cranium = (1 - up**2.7) ** (1 / 2.5)
    front = np.where(y < 0, 0.57 * cranium, 0.57 - 0.05 * down**2)
    back = np.where(y < 0, -0.62 * cranium, -0.62 + 0.78 * down)
    depth = (front - back) / 2 * np.where(y < 0, 1.0, (1 - down**5) ** 0.5)
    return Profile(y, width, depth, (front + back) / 2)


def meet_head(view: View, person: Person, scene: Scene) -> Face:
    """Find which spot of the head each pixel shows."""
    x, y, _ = view.project((0.0, -0.05, 0.0))
    box = view.box(x, y, 0.80, 0.98)
    rays = view.rays.crop(box)
    surface = head_profile(person, scene).meet(rays)
    rows, columns = np.flatnonzero((surface.cover > 0).any(1)), np.flatnonzero((surface.cover > 0).any(0))
    tight = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    surface = _crop(surface, tight)
    box = tuple(slice(b.start + t.start, b.start + t.stop) for b, t in zip(box, tight, strict=True))  # type: ignore[assignment]
    shape = surface.x.shape
    face = Face(box, view, surface, Canvas(shape, 4), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    _raise_nose(face, rays.crop(tight), person)
    return face


def paint_skin(face: Face, person: Person, scene: Scene, rng: np.random.Generator) -> None:
    """Fill the face with skin: tone, blotches, pores, freckles, wrinkles and the larger relief."""
    x, y = face.surface.x, face.surface.y
    skin, cover = face.skin, face.surface.cover
    skin.paint(ALL, np.ones_like(x), (*person.skin, 0.30))
    skin.labels[cover > 0.5] = 1
    blotch = cloud(rng, x.shape, 5, 3)
    skin.tint(ALL, blotch, (1.03, 0.95, 0.93))
    pores = noise(rng, x.shape, (x.shape[0] // 2 + 1, x.shape[1] // 2 + 1))
    skin.pixels[:3] *= 1.0 + 0.02 * pores
    skin.pixels[3] *= 1.0 + 0.25 * pores
    if person.freckles:
        spots = ramp(0.5, 0.9, noise(rng, x.shape, (70, 70))) * bump((x / 0.45) ** 2 + ((y - 0.12) / 0.28) ** 2)
        skin.tint(ALL, spots * person.freckles, (0.78, 0.64, 0.55))
    _relief(face, person, scene)
    _wrinkles(face, person, scene)


def _relief(face: Face, person: Person, scene: Scene) -> None:
    tint = face.skin.tint
    smile = max(scene.smile, 0.0)
    eye = face.raise_bump(person.eye_x, EYE_Y - 0.01, 0.17, 0.13, -0.028, both=True)
    tint(ALL, eye, (0.82, 0.74, 0.74))
    face.raise_bump(0.2, -0.2, 0.24, 0.09, 0.016 + 0.01 * person.male, both=True)
    face.raise_bump(0.0, -0.36, 0.42, 0.2, 0.02)
    cheek = face.raise_bump(0.28, 0.17 - 0.03 * smile, 0.21, 0.18, 0.02 + 0.025 * max(smile, person.cheekbones), both=True)
    hollow = face.raise_bump(0.34, 0.38, 0.13, 0.2, -0.028 * person.cheekbones + 0.03 * person.chubby, both=True)
    tint(ALL, hollow * person.cheekbones, (0.86, 0.82, 0.80))
    tint(ALL, cheek, (1.0, 0.90, 0.90))
    tint(ALL, cheek * scene.rosy, (1.02, 0.72, 0.73))
    chin = person.chin - 0.13
    face.raise_bump(0.0, chin, 0.15, 0.11, 0.03)
    crease = face.raise_bump(0.0, MOUTH_Y + 0.125 + 0.03 * scene.mouth_open, 0.13, 0.04, -0.014)
    tint(ALL, crease, (0.82, 0.76, 0.74))
    philtrum = face.raise_bump(0.0, 0.34, 0.03, 0.06, -0.008)
    tint(ALL, philtrum, (0.93, 0.90, 0.90))
    if person.bags:
        fold = face.raise_bump(person.eye_x - 0.01, EYE_Y + 0.10, 0.1, 0.045, 0.010, both=True)
        tint(ALL, fold * person.bags, (0.66, 0.56, 0.62))
        line = face.raise_bump(person.eye_x - 0.015, EYE_Y + 0.145, 0.1, 0.02, -0.01, both=True)
        tint(ALL, line * person.bags, (0.62, 0.52, 0.54))


def _wrinkles(face: Face, person: Person, scene: Scene) -> None:
    """Folds from nose to mouth, lines on the forehead and at the corners of the eyes."""
    side, y = np.abs(face.surface.x), face.surface.y
    old = max(0.0, person.age - 0.5) * 2
    fold = 0.10 + 0.95 * (y - 0.22) - 1.1 * (y - 0.22) ** 2
    depth = 0.12 + 0.4 * max(scene.smile, 0) + 0.4 * old
    line = bump(((side - fold) / 0.022) ** 2) * bump(((y - 0.34) / 0.16) ** 2)
    face.skin.tint(ALL, line * depth, (0.76, 0.67, 0.65))
    if old:
        rows = np.maximum(wave((y + 0.05 * side) * 15.0), 0.0) ** 2
        forehead = rows * bump((side / 0.34) ** 2 + ((y + 0.38) / 0.13) ** 2)
        out = side - person.eye_x - 0.11
        feet = np.maximum(wave((y - EYE_Y) / (0.035 + 0.25 * np.maximum(out, 0))), 0) * bump(
            ((out - 0.05) / 0.06) ** 2 + ((y - EYE_Y) / 0.08) ** 2
        )
        face.skin.tint(ALL, (forehead * 0.7 + 0.5 * feet) * old, (0.62, 0.54, 0.52))


def _nose_tables(person: Person) -> tuple[Array, Array, Array]:
    """(y, ridge height, half width) of the nose from between the eyes to its base."""
    base = person.nose_tip + 0.09
    points = (-0.14, -0.06, 0.03, person.nose_tip - 0.06, person.nose_tip, person.nose_tip + 0.04, base)
    height = np.array((0.0, 0.28, 0.50, 0.86, 1.0, 0.80, 0.0)) * person.nose_height
    wide = person.nose_width
    width = np.array((0.075, 0.06, 0.06, 0.70 * wide, wide, wide, 0.8 * wide))
    y = np.arange(points[0], base, 0.001)
    return y, _smooth(np.interp(y, points, height), 25), _smooth(np.interp(y, points, width), 41)


def _smooth(values: Array, span: int) -> Array:
    return np.convolve(np.pad(values, span // 2, mode="edge"), np.ones(span) / span, mode="valid")


def _raise_nose(face: Face, rays: Rays, person: Person) -> None:
    """March the rays near the nose onto its ridge; the spots it hides disappear behind it."""
    y, height, width = _nose_tables(person)
    box = face.window(0.0, 0.08, 0.30, 0.32)
    if box is None:
        return
    tables = [t.astype(np.float32) for t in (height, width, np.gradient(height, y))]
    near, surface = rays.crop(box), face.surface
    flat = surface.depth[box]
    facing = sum(n[box] * d for n, d in zip(surface.normal, rays.direction, strict=True))
    rate = np.clip(facing / np.maximum(surface.normal[2][box], 0.1), 0.2, 3.0)

    def look(depth: Array) -> tuple[Array, Array, Array, Array, Array]:
        px, py, _ = near.at(depth)
        index = np.clip((py - y[0]) * 1000.0, 0, len(y) - 1).astype(np.intp)
        tall, wide, steep = (t.take(index) for t in tables)
        u = px / wide
        t = np.maximum(1.0 - u * u, 0.0)
        return tall * t * t, tall * t * u * (-4.0) / wide, steep * t * t, px, py

    step = (1.1 * person.nose_height / STEPS) / rate
    depth = flat + STEPS * step
    clearance = np.full(flat.shape, 1.0, np.float32)
    for _ in range(STEPS):
        lower = depth - step * (clearance > 0)
        below = (lower - flat) * rate - look(lower)[0]
        crossing = (clearance > 0) & (below <= 0)
        back = np.where(crossing, step * below / (below - clearance - 1e-9), 0.0)
        depth, clearance = lower + back, np.where(crossing, 0.0, below)
    _, slope_x, slope_y, px, py = look(depth)
    surface.x[box], surface.y[box] = px, py
    surface.depth[box] = depth
    face.slope_x[box] += slope_x
    face.slope_y[box] += slope_y


def _crop(surface: Surface, box: Box) -> Surface:
    a, b, c = (n[box] for n in surface.normal)
    return Surface(
        *(f[box] for f in (surface.x, surface.y, surface.z, surface.depth, surface.cover)), (a, b, c), surface.angle[box]
    )


def lit_normal(face: Face) -> tuple[Array, Array, Array]:
    """Normals of the head tilted by the relief."""
    nx, ny, nz = face.surface.normal
    front = np.maximum(nz, 0.0)
    nx, ny = nx - face.slope_x * front, ny - face.slope_y * front
    scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale
