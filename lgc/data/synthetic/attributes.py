"""Which of CelebA's attributes a picture shows, by the parameters it was drawn from."""

from __future__ import annotations

from lgc.data.labels import ATTRIBUTES
from lgc.data.synthetic.parameters import COVERED, Person, Scene


def attributes_of(person: Person, scene: Scene) -> tuple[int, ...]:
    """0 or 1 for each of :data:`lgc.data.labels.ATTRIBUTES`; what is hidden or not modelled is 0."""
    shown = {**_head(person, scene), **_eyes(person, scene), **_worn(scene)}
    if unknown := shown.keys() - set(ATTRIBUTES):
        raise KeyError(f"not attributes of CelebA: {sorted(unknown)}")
    return tuple(int(shown.get(name, False)) for name in ATTRIBUTES)


def _head(person: Person, scene: Scene) -> dict[str, bool]:
    haired = person.style != "bald"
    crown = not scene.hat
    textured = haired and person.style != "buzz"
    return {
        "Male": person.male,
        "Young": person.age < 0.6,
        "Bald": not haired and crown,
        "Bangs": person.bangs and crown,
        "Receding_Hairline": person.receding and crown,
        "Black_Hair": haired and person.hair_name == "black",
        "Blond_Hair": haired and person.hair_name == "blond",
        "Brown_Hair": haired and person.hair_name == "brown",
        "Gray_Hair": haired and person.hair_name == "gray",
        "Straight_Hair": textured and not person.curl,
        "Wavy_Hair": textured and person.curl > 0,
        "Sideburns": person.sideburns and person.style not in COVERED,
        "No_Beard": person.beard == "none",
        "5_o_Clock_Shadow": person.beard == "stubble",
        "Goatee": person.beard in {"goatee", "full"},
        "Mustache": person.beard in {"goatee", "mustache", "full"},
        "Chubby": person.chubby,
        "Double_Chin": person.double_chin,
        "Oval_Face": not person.chubby and person.jaw < 2.6 and person.chin > 0.71,
        "High_Cheekbones": person.cheekbones > 0.55,
        "Pale_Skin": person.tone < 0.14,
        "Rosy_Cheeks": scene.rosy > 0,
        "Big_Nose": person.nose_width > 0.14,
        "Pointy_Nose": person.nose_height > 0.175 and person.nose_width < 0.14,
        "Big_Lips": person.lip_fullness > 0.3,
        "Smiling": scene.smile > 0.4,
        "Mouth_Slightly_Open": scene.mouth_open > 0,
        "Blurry": scene.blur > 0,
    }


def _eyes(person: Person, scene: Scene) -> dict[str, bool]:
    eyes = not (scene.glasses and scene.dark_glasses)
    brows = not person.bangs or bool(scene.hat)
    return {
        "Narrow_Eyes": eyes and person.eye_open < 0.35,
        "Bags_Under_Eyes": eyes and person.bags > 0,
        "Arched_Eyebrows": brows and person.brow_arch > 0.04,
        "Bushy_Eyebrows": brows and person.brow_thickness > 0.03,
    }


def _worn(scene: Scene) -> dict[str, bool]:
    return {
        "Eyeglasses": bool(scene.glasses),
        "Wearing_Hat": bool(scene.hat),
        "Wearing_Earrings": bool(scene.earrings),
        "Wearing_Necklace": bool(scene.necklace),
        "Wearing_Necktie": scene.tie,
        "Wearing_Lipstick": scene.lipstick is not None,
        "Heavy_Makeup": scene.makeup > 0,
    }
