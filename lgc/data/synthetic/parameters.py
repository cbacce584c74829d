"""What a picture shows: a person, who stays the same over several pictures, and a scene.

Lengths are in head units (see :mod:`~lgc.data.synthetic.view`), colours are linear light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lgc.data.synthetic.view import Vector

COVERED: Final = frozenset({"afro", "bob", "long"})
"""Hair styles that hide the ears."""


@dataclass(frozen=True)
class Person:
    """What all pictures of one identity share."""

    male: bool
    age: float
    """0 young to 1 old; wrinkles and grey hair begin around 0.6."""
    tone: float
    skin: Vector
    freckles: float
    cheek_width: float
    jaw: float
    """How long the face stays wide towards the chin: 1.7 pointed to 3.2 square."""
    chin: float
    """Height of the chin's tip below the centre of the head."""
    chubby: bool
    double_chin: bool
    cheekbones: float
    eye_x: float
    eye_radius: float
    eye_open: float
    eye_tilt: float
    iris: Vector
    bags: float
    brow_thickness: float
    brow_arch: float
    brow_slope: float
    nose_width: float
    nose_height: float
    nose_tip: float
    mouth_width: float
    lip_fullness: float
    hair_name: str
    hair: Vector
    style: str
    """bald, buzz, short, quiff, afro, bob, long or tucked (long behind the ears)."""
    curl: float
    """0 straight to 1 wavy."""
    part: float
    """Direction of the parting, as :attr:`solids.Surface.angle`."""
    bangs: bool
    receding: bool
    beard: str
    """none, stubble, goatee, mustache or full."""
    sideburns: bool


@dataclass(frozen=True)
class Scene:
    """What changes from picture to picture of one person."""

    pose: Vector
    scale: float
    shift: tuple[float, float]
    light: Vector
    key: Vector
    ambient: Vector
    smile: float
    """-0.4 (corners down) to 1 (broad smile)."""
    mouth_open: float
    """0 closed to 1."""
    gaze: tuple[float, float]
    glasses: str
    """Empty, round, square, aviator or browline."""
    dark_glasses: bool
    frame: Vector
    hat: str
    """Empty, beanie, cap, fedora or sunhat."""
    hat_colours: tuple[Vector, Vector]
    earrings: str
    """Empty, stud, hoop or drop."""
    necklace: str
    """Empty, chain, beads or pendant."""
    metal: Vector
    outfit: str
    """crew, vneck, scoop, shirt or suit."""
    tie: bool
    cloth_pattern: str
    cloth_colours: tuple[Vector, Vector, Vector]
    makeup: float
    lipstick: Vector | None
    rosy: float
    blur: float
    """Radius of the defocus as a share of the picture's size; 0 is sharp."""
    grain: float
    background: str
    background_colours: tuple[Vector, Vector, Vector]
