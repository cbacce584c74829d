"""Draws people and scenes by lot, with plausible dependences between their traits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from lgc.data.synthetic.canvas import linear
from lgc.data.synthetic.parameters import COVERED, Person, Scene
from lgc.data.synthetic.texture import Generator
from lgc.data.synthetic.view import Vector

T = TypeVar("T")

SKIN: Final = tuple(
    linear(*rgb)
    for rgb in (
        (230, 197, 180), (226, 186, 162), (216, 170, 140), (192, 142, 110),
        (158, 108, 78), (118, 78, 56), (84, 55, 42),
    )
)  # fmt: skip
"""From pale to deep; a person's tone in [0, 1] interpolates."""
HAIR: Final = {
    "black": ((30, 26, 28), (44, 34, 32)),
    "brown": ((74, 48, 32), (124, 82, 52)),
    "blond": ((176, 134, 78), (222, 190, 130)),
    "gray": ((136, 134, 134), (208, 206, 204)),
    "red": ((136, 58, 24), (176, 88, 42)),
}
"""Two 8-bit ends of each hair colour."""
IRIS: Final = ((82, 52, 30), (58, 36, 24), (104, 134, 160), (92, 118, 82), (120, 92, 52), (110, 122, 130))
CLOTH: Final = (
    (34, 38, 52), (150, 34, 42), (236, 232, 224), (38, 92, 74), (66, 96, 150), (196, 160, 84),
    (92, 62, 104), (54, 52, 50), (204, 120, 110), (120, 150, 176),
)  # fmt: skip
FRAME: Final = ((24, 22, 24), (72, 44, 28), (150, 120, 70), (110, 26, 34), (40, 52, 84))
METAL: Final = ((226, 186, 96), (206, 208, 214), (232, 226, 214))
BACKDROP: Final = (*CLOTH, (112, 124, 96), (168, 160, 150), (74, 78, 84), (210, 198, 184), (132, 96, 70))


def sample_person(rng: Generator) -> Person:
    """Draw an identity; hair, brows, lips and beard depend on sex and age."""
    male, age, tone = _chance(rng, 0.5), _uniform(rng, 0, 1), _uniform(rng, 0, 1)
    chubby = _chance(rng, 0.16)
    hair_name = _hair_name(rng, age, tone)
    style = _pick(rng, _MALE_STYLES if male else _FEMALE_STYLES)
    dark, bright = (linear(*rgb) for rgb in HAIR[hair_name])
    beard = _pick(rng, _BEARDS) if male else "none"
    thick = _chance(rng, 0.45 if male else 0.12)
    arched = _chance(rng, 0.15 if male else 0.5)
    return Person(
        male=male,
        age=age,
        tone=tone,
        skin=_skin(rng, tone),
        freckles=_uniform(rng, 0.3, 1) if tone < 0.45 and _chance(rng, 0.2) else 0.0,
        cheek_width=_uniform(rng, 0.475, 0.53) + 0.035 * chubby,
        jaw=_uniform(rng, 2.1, 2.9) + 0.3 * male + 0.35 * chubby,
        chin=_uniform(rng, 0.68, 0.77) - 0.02 * chubby,
        chubby=chubby,
        double_chin=chubby and _chance(rng, 0.7),
        cheekbones=_uniform(rng, 0, 1) * (1 - 0.7 * chubby),
        eye_x=_uniform(rng, 0.200, 0.228),
        eye_radius=_uniform(rng, 0.092, 0.106) + 0.008 * (not male),
        eye_open=_uniform(rng, 0.24, 0.32) if _chance(rng, 0.2) else _uniform(rng, 0.40, 0.56),
        eye_tilt=_uniform(rng, -0.08, 0.16),
        iris=linear(*_choose(rng, IRIS[:2] if tone > 0.5 else IRIS)),
        bags=_uniform(rng, 0.5, 1) if _chance(rng, 0.12 + 0.4 * (age > 0.6)) else 0.0,
        brow_thickness=_uniform(rng, 0.034, 0.046) if thick else _uniform(rng, 0.014, 0.026),
        brow_arch=_uniform(rng, 0.05, 0.075) if arched else _uniform(rng, 0.005, 0.022),
        brow_slope=_uniform(rng, -0.03, 0.03),
        nose_width=_uniform(rng, 0.15, 0.18) if _chance(rng, 0.3) else _uniform(rng, 0.105, 0.135),
        nose_height=_uniform(rng, 0.19, 0.22) if _chance(rng, 0.4) else _uniform(rng, 0.12, 0.16),
        nose_tip=_uniform(rng, 0.17, 0.23),
        mouth_width=_uniform(rng, 0.175, 0.215),
        lip_fullness=_uniform(rng, 0.34, 0.44) if _chance(rng, 0.35) else _uniform(rng, 0.19, 0.28),
        hair_name=hair_name,
        hair=_mix(dark, bright, _uniform(rng, 0, 1)),
        style=style,
        curl=1.0 if style == "afro" else _uniform(rng, 0.55, 1) if _chance(rng, 0.45) else 0.0,
        part=_uniform(rng, -0.35, 0.35),
        bangs=style in {"short", "bob", "long"} and _chance(rng, 0.15 if male else 0.4),
        receding=style in {"buzz", "short", "quiff"} and male and _chance(rng, 0.15 + 0.45 * (age > 0.5)),
        beard=beard,
        sideburns=beard == "full" or (male and style != "bald" and _chance(rng, 0.25)),
    )


def sample_scene(rng: Generator, person: Person) -> Scene:
    """Draw one picture of ``person``."""
    ears = person.style not in COVERED
    outfit = _pick(rng, {"crew": 3, "vneck": 2, "scoop": 0.2, "shirt": 2, "suit": 3} if person.male
                   else {"crew": 2, "vneck": 3, "scoop": 4, "shirt": 1, "suit": 0.6})  # fmt: skip
    open_neck = outfit in {"vneck", "scoop"}
    lipstick = _uniform(rng, 0, 1) if not person.male and _chance(rng, 0.6) else None
    makeup = _uniform(rng, 0.5, 1) if lipstick is not None and _chance(rng, 0.6) else 0.0
    jewels = _chance(rng, 0.1 if person.male else 0.65), _chance(rng, 0.15 if person.male else 0.55)
    blush = _chance(rng, 0.08 if person.male else 0.3)
    ambient, key = _light_colours(rng)
    return Scene(
        pose=(_spread(rng, 35), _spread(rng, 20), _spread(rng, 20)),
        scale=_uniform(rng, 0.84, 0.98),
        shift=(_uniform(rng, -0.04, 0.04), _uniform(rng, -0.10, -0.02)),
        light=_light_direction(rng),
        key=key,
        ambient=ambient,
        smile=_uniform(rng, 0.5, 1) if _chance(rng, 0.48) else _uniform(rng, -0.2, 0.15),
        mouth_open=_uniform(rng, 0.3, 1) if _chance(rng, 0.45) else 0.0,
        gaze=(_spread(rng, 0.22), _spread(rng, 0.08)),
        glasses=_choose(rng, ("round", "square", "aviator", "browline")) if _chance(rng, 0.18) else "",
        dark_glasses=_chance(rng, 0.3),
        frame=linear(*_choose(rng, FRAME)),
        hat=_choose(rng, ("beanie", "cap", "fedora", "sunhat")) if _chance(rng, 0.11) else "",
        hat_colours=_colours(rng, CLOTH)[:2],
        earrings=_choose(rng, ("stud", "hoop", "drop")) if jewels[0] and ears else "",
        necklace=_choose(rng, ("chain", "beads", "pendant")) if jewels[1] and open_neck else "",
        metal=linear(*_choose(rng, METAL)),
        outfit=outfit,
        tie=outfit in {"shirt", "suit"} and _chance(rng, 0.6 if person.male else 0.15),
        cloth_pattern=_choose(rng, ("plain", "plain", "stripes", "checks", "knit")),
        cloth_colours=_colours(rng, CLOTH),
        makeup=makeup,
        lipstick=None if lipstick is None else _mix(linear(196, 44, 62), linear(176, 70, 84), lipstick),
        rosy=_uniform(rng, 0.6, 1) if blush and person.tone < 0.7 else 0.0,
        blur=_uniform(rng, 0.008, 0.014) if _chance(rng, 0.09) else 0.0,
        grain=_uniform(rng, 0.002, 0.02),
        background=_choose(rng, ("gradient", "cloud", "bokeh", "stripes", "blobs")),
        background_colours=_colours(rng, BACKDROP),
    )  # fmt: skip


_MALE_STYLES: Final = {
    "bald": 1.4, "buzz": 1.6, "short": 4, "quiff": 2.4, "afro": 0.7, "long": 0.6, "tucked": 0.5
}  # fmt: skip
_FEMALE_STYLES: Final = {"short": 0.8, "afro": 0.8, "bob": 2, "long": 4, "tucked": 3, "quiff": 0.5}
_BEARDS: Final = {"none": 5, "stubble": 2.4, "goatee": 1.2, "mustache": 1.2, "full": 1.8}


def _uniform(rng: Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _chance(rng: Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _choose(rng: Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def _pick(rng: Generator, weights: Mapping[str, float]) -> str:
    rest = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        rest -= weight
        if rest < 0:
            return name
    return name


def _spread(rng: Generator, limit: float) -> float:
    """Within +-``limit``, denser around 0: the mean of two uniform draws, stretched."""
    return max(-limit, min(limit, 0.62 * float(rng.uniform(-limit, limit) + rng.uniform(-limit, limit))))


def _mix(first: Vector, second: Vector, t: float) -> Vector:
    a, b, c = (p + (q - p) * t for p, q in zip(first, second, strict=True))
    return a, b, c


def _colours(rng: Generator, palette: Sequence[Vector]) -> tuple[Vector, Vector, Vector]:
    """Three different colours, each a little off the palette's."""
    first, second, third = (
        linear(*(min(255.0, max(8.0, v + _uniform(rng, -22, 22))) for v in palette[int(i)]))
        for i in rng.permutation(len(palette))[:3]
    )
    return first, second, third


def _skin(rng: Generator, tone: float) -> Vector:
    place = tone * (len(SKIN) - 1)
    index = min(int(place), len(SKIN) - 2)
    red, green, blue = _mix(SKIN[index], SKIN[index + 1], place - index)
    warmth = _uniform(rng, -0.05, 0.05)
    return red, green * (1 - 0.5 * warmth), blue * (1 - 2 * warmth)


def _hair_name(rng: Generator, age: float, tone: float) -> str:
    if _chance(rng, 0.55 * max(0.0, age - 0.55) / 0.45):
        return "gray"
    if tone > 0.6:
        return _pick(rng, {"black": 6, "brown": 2, "blond": 0.5})
    return _pick(rng, {"black": 2, "brown": 4, "blond": 4, "red": 1.6})


def _light_direction(rng: Generator) -> Vector:
    x, y = _uniform(rng, -0.9, 0.9), -_uniform(rng, 0.05, 0.9)
    length = (x * x + y * y + 0.64) ** 0.5
    return x / length, y / length, 0.8 / length


def _light_colours(rng: Generator) -> tuple[Vector, Vector]:
    """(ambient, key): their strengths balance, their temperatures oppose."""
    warmth, contrast = _spread(rng, 0.3), _uniform(rng, 0.0, 1.0)
    ambient, key = 0.60 - 0.32 * contrast, 0.72 + 0.42 * contrast
    return (
        (ambient * (1 - 0.5 * warmth), ambient, ambient * (1 + 0.5 * warmth)),
        (key * (1 + 0.5 * warmth), key, key * (1 - 0.6 * warmth)),
    )
