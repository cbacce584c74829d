"""Hair and hats: shells around the head, open where the hairline is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lgc.data.synthetic.canvas import ALL, Canvas, Light
from lgc.data.synthetic.head import CROWN, HEIGHTS
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.texture import Array, inside, noise, ramp, strands, wave
from lgc.data.synthetic.view import Profile, Rays, Surface, View

HAIR_WRAP = (0.25, 0.22, 0.2)


@dataclass(frozen=True)
class Style:
    """Shape of a haircut."""

    thickness: float
    top: float
    """Extra height above the head."""
    end: float
    """Height at which the hair ends below; 0.5 is the nape, above 1 beyond the picture."""
    flare: float
    """How much wider than the head it falls."""
    sweep: float
    """Slant of the strands over the forehead."""
    hairline: tuple[tuple[float, float], ...]
    """(angle, y): hair is above ``y``. Angle as in :attr:`Surface.angle`, unsigned."""


_SHORT = ((0.0, -0.52), (0.26, -0.53), (0.42, -0.50), (0.54, -0.36), (0.62, -0.22), (0.78, -0.12), (0.84, 0.06), (0.98, 0.06), (1.04, -0.14), (1.3, -0.12), (1.38, 0.40), (2.0, 0.45))
_FALLING = ((0.0, -0.52), (0.30, -0.50), (0.48, -0.34), (0.60, -0.02), (0.66, 0.35), (0.68, 1.9), (2.0, 1.9))
_TUCKED = (*_SHORT[:5], (0.86, 0.0), (1.0, -0.06), (1.06, -0.16), (1.28, -0.12), (1.36, 1.9), (2.0, 1.9))
STYLES = {
    "buzz": Style(0.015, 0.02, 0.45, 0.0, 0.3, _SHORT),
    "short": Style(0.055, 0.085, 0.48, 0.0, 1.5, _SHORT),
    "quiff": Style(0.035, 0.16, 0.46, 0.0, 0.8, _SHORT),
    "afro": Style(0.20, 0.16, 0.62, 0.12, 0.3, ((0.0, -0.48), (0.4, -0.44), (0.6, -0.30), (0.74, 0.0), (0.82, 0.5), (0.86, 0.7), (2.0, 0.7))),
    "bob": Style(0.075, 0.08, 0.66, 0.10, 0.2, _FALLING),
    "long": Style(0.065, 0.08, 1.9, 0.16, 0.2, _FALLING),
    "tucked": Style(0.045, 0.06, 1.9, 0.04, 0.3, _TUCKED),
}  # fmt: skip


@dataclass
class Hair:
    """Hair found along the rays, before it is painted: what hangs behind the head, and in front."""

    surface: Surface
    front: Array
    colour: Array
    """Material (4, H, W)."""


def meet_hair(view: View, person: Person, scene: Scene, rng: np.random.Generator) -> Hair | None:
    """Find the hair of a picture; None for a bald head."""
    if person.style == "bald":
        return None
    style = STYLES[person.style]
    rays = _hang(view.rays, scene.pose[2])
    locks = noise(rng, rays.x.shape, (9, 14)) * (0.05 + 0.10 * person.curl)
    if person.style == "afro" or person.curl:
        locks += noise(rng, rays.x.shape, (26, 26)) * 0.09 * person.curl
    surface = _shell(person, style, squeeze=bool(scene.hat)).meet(rays, locks * (style.thickness * 12))
    curl = person.curl * 0.05 * wave(surface.y * 2.6 + 0.12 * np.sign(surface.x))
    along = surface.angle + curl - person.part * ramp(0.35, -0.6, surface.y) * 0.5
    flow = along + style.sweep * (1 if person.part > 0 else -1) * (surface.y + 0.4) * ramp(1.0, 0.4, np.abs(surface.angle))
    fine = strands(rng, flow * 70.0 + 128.0, surface.y * 3.0 + 4.0)
    coarse = strands(rng, flow * 13.0 + 70.0, surface.y * 1.5 + 2.0)
    opening = _hairline(person, style, along, rng) - surface.y + 0.02 * coarse + 0.006 * fine
    front = np.minimum(surface.cover, inside(opening))
    return Hair(surface, front, _hair_colour(person, surface, fine, coarse, opening))


def _hang(rays: Rays, roll: float) -> Rays:
    """Rays bent so that what falls straight in the tilted head's frame falls down in the picture."""
    fall = np.maximum(rays.y - 0.05, 0.0)
    return replace(rays, x=rays.x - fall * fall / (fall + 0.2) * math.tan(math.radians(roll)))


def _shell(person: Person, style: Style, squeeze: bool) -> Profile:
    """The head's outline, thickened, that falls straight from its widest place down to the end."""
    y = HEIGHTS
    thickness = min(style.thickness, 0.04) if squeeze else style.thickness
    top = CROWN - (0.03 if squeeze else style.top)
    up = np.clip(y / top, 0, 1)
    round_top = np.where(y < 0, (1 - up**2.7) ** (1 / 2.5), 1.0)
    fall = np.clip(y, 0, None)
    left = np.clip((style.end - y) / 0.22, 0, 1)
    tips = np.sqrt(left * (2 - left))
    nape = 1.0 - (0.45 * np.clip((y - 0.08) / 0.42, 0, 1) ** 1.5 if style.end < 0.5 else 0.0)
    width = ((person.cheek_width + thickness) * nape + style.flare * np.clip(fall, 0, 0.9) ** 1.3) * round_top * tips
    depth = (0.60 + thickness) * np.where(y < 0, round_top, 1.0 - 0.12 * np.clip(fall, 0, 1)) * tips
    return Profile(y, width, depth, -0.02 - 0.10 * np.clip(fall, 0, 1))


def _hairline(person: Person, style: Style, along: Array, rng: np.random.Generator) -> Array:
    """Height of the hair's lower edge by direction, from a table over the signed angle."""
    angle = np.linspace(-2.2, 2.2, 1024)
    points = np.array(style.hairline).T
    height = np.interp(np.abs(angle), *points)
    if person.receding:
        height -= 0.17 * np.clip(1 - np.abs((np.abs(angle) - 0.36) / 0.28), 0, 1) + 0.06 * (np.abs(angle) < 0.6)
    if person.sideburns and style.end < 0.5:
        height += 0.12 * (np.abs(np.abs(angle) - 0.91) < 0.08)
    if person.bangs:
        fringe = -0.24 + 0.10 * (angle - person.part) ** 2
        height = np.where(np.abs(angle) < 0.60, np.maximum(height, fringe), height)
    jagged = noise(rng, (len(angle), 1), (160, 1))[:, 0] * (0.035 if person.bangs else 0.012)
    index = np.clip((along + 2.2) * (1023 / 4.4), 0, 1023).astype(np.intp)
    return (height + jagged).astype(np.float32).take(index)


def _hair_colour(person: Person, surface: Surface, fine: Array, coarse: Array, opening: Array) -> Array:
    light = 0.82 + 0.20 * fine + 0.26 * coarse
    light *= 0.62 + 0.38 * ramp(0.0, 0.14, opening)
    material = np.empty((4, *light.shape), np.float32)
    light = np.maximum(light, 0.15)
    for channel in range(3):
        material[channel] = person.hair[channel] * light
    material[3] = np.clip(0.34 + 0.3 * fine, 0.0, 1.0) * (0.5 if person.style in {"afro", "buzz"} else 1.0)
    return material


def paint_back_hair(canvas: Canvas, hair: Hair) -> None:
    """The hair that is seen behind neck and face: the inner side of the shell, in the dark."""
    canvas.paint(ALL, hair.surface.cover, hair.colour[:3] * np.float32(0.22), "hair")


def paint_hair(canvas: Canvas, hair: Hair, light: Light) -> None:
    """The hair in front, with its gleam."""
    canvas.paint(ALL, hair.front, light.apply(hair.colour, hair.surface.normal, HAIR_WRAP), "hair")
