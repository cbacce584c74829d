"""Hair: a shell around the head, open where the hairline is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lgc.data.labels import CLASSES
from lgc.data.synthetic.canvas import Canvas, Light
from lgc.data.synthetic.head import CROWN, HEIGHTS
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.solids import Profile, Surface, dome
from lgc.data.synthetic.texture import Array, Generator, inside, noise, ramp, strands, wave
from lgc.data.synthetic.view import Box, Rays, View

HAIR: Final = CLASSES.index("hair")
_WRAP: Final = (0.25, 0.22, 0.20)
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Style:
    """Shape of a haircut."""

    thickness: float
    top: float
    """Extra height above the head."""
    end: float
    """Height at which the hair ends below; 0.5 is the nape, above 1 beyond the picture."""
    tip: float
    """Height over which it narrows to that end."""
    flare: float
    """How much wider than the head it falls."""
    sweep: float
    """Slant of the strands over the forehead."""
    hairline: Curve
    """(angle, y): hair is above ``y``. Angle as in :attr:`Surface.angle`, unsigned."""


_TEMPLE: Final[Curve] = ((0.0, -0.52), (0.26, -0.53), (0.42, -0.50), (0.54, -0.36), (0.62, -0.22))
_SHORT: Final[Curve] = (
    *_TEMPLE, (0.78, -0.12), (0.84, 0.06), (0.98, 0.06), (1.04, -0.14), (1.3, -0.12), (1.38, 0.4), (2, 0.45)
)  # fmt: skip
_TUCKED: Final[Curve] = (
    *_TEMPLE, (0.86, 0.0), (1.0, -0.06), (1.06, -0.16), (1.28, -0.12), (1.36, 1.9), (2.0, 1.9)
)  # fmt: skip
_FALLING: Final[Curve] = (
    (0.0, -0.52), (0.30, -0.50), (0.48, -0.34), (0.60, -0.02), (0.66, 0.35), (0.68, 1.9), (2.0, 1.9)
)  # fmt: skip
_ROUND: Final[Curve] = (
    (0.0, -0.48), (0.4, -0.44), (0.6, -0.30), (0.74, 0.0), (0.82, 0.5), (0.86, 0.7), (2.0, 0.7)
)  # fmt: skip
STYLES: Final = {
    "buzz": Style(0.015, 0.02, 0.45, 0.3, 0.0, 0.3, _SHORT),
    "short": Style(0.055, 0.085, 0.48, 0.3, 0.0, 1.5, _SHORT),
    "quiff": Style(0.035, 0.16, 0.46, 0.3, 0.0, 0.8, _SHORT),
    "afro": Style(0.24, 0.20, 0.66, 0.75, 0.0, 0.3, _ROUND),
    "bob": Style(0.075, 0.08, 0.66, 0.25, 0.10, 0.2, _FALLING),
    "long": Style(0.065, 0.08, 1.9, 0.25, 0.16, 0.2, _FALLING),
    "tucked": Style(0.045, 0.06, 1.9, 0.25, 0.04, 0.3, _TUCKED),
}


@dataclass
class Hair:
    """Hair found along the rays, before it is painted."""

    box: Box
    surface: Surface
    front: Array
    """Coverage of what is in front of the face; the whole shell is the surface's."""
    material: Array


def meet_hair(view: View, person: Person, scene: Scene, rng: Generator) -> Hair | None:
    """Find the hair of a picture; None for a bald head."""
    if person.style == "bald":
        return None
    style, curl = STYLES[person.style], person.curl
    x, y, _ = view.project((0.0, 0.0, 0.0))
    reach = 0.64 + 1.3 * style.thickness + style.flare
    box = view.box(x, y + (style.end - 0.75) / 2, reach, (style.end + 1.35) / 2)
    rays = _hang(view.rays.crop(box), scene.pose[2])
    shape = rays.x.shape
    locks = noise(rng, shape, (8, 8)) * (0.03 + 0.06 * curl) + noise(rng, shape, (18, 18)) * (0.05 * curl)
    surface = _shell(person, style, bool(scene.hat)).meet(rays, locks)
    bend = 0.06 * curl * wave(surface.y * 2.6 + 0.12 * np.sign(surface.x))
    along = surface.angle + bend - 0.5 * person.part * ramp(0.35, -0.6, surface.y)
    slant = math.copysign(style.sweep, person.part) * ramp(1.0, 0.4, np.abs(surface.angle))
    flow = along + slant * (surface.y + 0.4)
    fine = strands(rng, flow * 70.0 + 128.0, surface.y * 3.0 + 4.0)
    coarse = strands(rng, flow * 13.0 + 70.0, surface.y * 1.5 + 2.0)
    opening = _hairline(person, style, along, rng) - surface.y + 0.02 * coarse + 0.006 * fine
    # The shell is hollow: its lower end, seen from below, is no hair in front of the face.
    opening = np.minimum(opening, 0.6 - surface.normal[1])
    front = np.minimum(surface.cover, inside(opening))
    return Hair(box, surface, front, _material(person, fine, coarse, opening))


def _hang(rays: Rays, roll: float) -> Rays:
    """Rays bent so that what falls straight in the tilted head's frame falls down in the picture."""
    fall = np.maximum(rays.y - 0.05, 0.0)
    return replace(rays, x=rays.x - fall * fall / (fall + 0.2) * math.tan(math.radians(roll)))


def _shell(person: Person, style: Style, under_hat: bool) -> Profile:
    """The head's outline, thickened, that falls straight from its widest place down to the end."""
    y = HEIGHTS
    thickness = min(style.thickness, 0.04) if under_hat else style.thickness
    top = CROWN - (0.03 if under_hat else style.top)
    fall = np.maximum(y, 0)
    left = np.minimum((style.end - y) / style.tip, 1)
    taper = np.clip((y - 0.06) / 0.46, 0, 1)
    nape = 1.0 - (0.45 * taper * taper * (3 - 2 * taper) if style.end < 0.5 else 0.0)
    width = (person.cheek_width + thickness) * nape + style.flare * np.minimum(fall, 0.9) ** 1.3
    depth = (0.60 + thickness) * (1.0 - 0.12 * np.minimum(fall, 1))
    centre = -0.02 - 0.10 * np.minimum(fall, 1)
    return Profile(y, width**2 * dome(y / top, 3.2) * left * (2 - left), (width / depth) ** 2, centre)


def _hairline(person: Person, style: Style, along: Array, rng: Generator) -> Array:
    """Height of the hair's lower edge by direction, from a table over the signed angle."""
    angle = np.linspace(-2.2, 2.2, 1024)
    side = np.abs(angle)
    height = np.interp(side, *np.array(style.hairline).T)
    if person.receding:
        height -= 0.15 * np.clip(1 - np.abs((side - 0.38) / 0.34), 0, 1) + 0.07 * (side < 0.6)
    if person.sideburns and style.end < 0.5:
        height += 0.12 * (np.abs(side - 0.91) < 0.08)
    if person.bangs:
        fringe = -0.25 + 0.10 * (angle - person.part) ** 2
        height = np.where(side < 0.60, np.maximum(height, fringe), height)
    height += noise(rng, (len(angle), 1), (160, 1))[:, 0] * (0.035 if person.bangs else 0.012)
    index = ((along + 2.2) * (1023 / 4.4)).astype(np.intp)
    return height.astype(np.float32).take(index, mode="clip")


def _material(person: Person, fine: Array, coarse: Array, opening: Array) -> Array:
    light = 0.82 + 0.20 * fine + 0.26 * coarse
    light *= 0.62 + 0.38 * ramp(0.0, 0.14, opening)
    light = np.maximum(light, 0.15)
    material = np.empty((4, *light.shape), np.float32)
    for channel in range(3):
        material[channel] = light * person.hair[channel]
    material[3] = np.maximum(0.34 + 0.3 * fine, 0.0) * (0.5 if person.style in {"afro", "buzz"} else 1.0)
    return material


def paint_back_hair(canvas: Canvas, hair: Hair) -> None:
    """The hair seen behind neck and face: the inner side of the shell, in the dark."""
    canvas.place(hair.box, hair.surface.cover, hair.material[:3] * np.float32(0.22), HAIR)


def paint_hair(canvas: Canvas, hair: Hair, light: Light) -> None:
    """The hair in front, with its gleam, and its shadow on the face."""
    canvas.shade(hair.box, hair.front, 0.025, (0.02, 0.0), 0.55)
    lit = light.apply(hair.material, hair.surface.normal, _WRAP)
    canvas.place(hair.box, hair.front, lit, HAIR)
