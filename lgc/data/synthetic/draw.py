"""One face: draws the parameters, then the layers from the back to the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lgc.data.synthetic.attributes import attributes_of
from lgc.data.synthetic.backdrop import paint_backdrop
from lgc.data.synthetic.body import paint_body
from lgc.data.synthetic.canvas import Canvas, Light
from lgc.data.synthetic.ears import paint_earrings, paint_ears
from lgc.data.synthetic.features import paint_beard, paint_brows, paint_eyes, paint_mouth, paint_nose
from lgc.data.synthetic.glasses import paint_glasses
from lgc.data.synthetic.hair import meet_hair, paint_back_hair, paint_hair
from lgc.data.synthetic.hats import paint_hat
from lgc.data.synthetic.head import FaceMap, light_head, meet_head, paint_skin
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.sampling import sample_person, sample_scene
from lgc.data.synthetic.texture import Array, Generator, blur
from lgc.data.synthetic.view import Vector, View

_GROUP: Final = 8
"""This many pictures in a row share :data:`_PEOPLE` identities, by lot."""
_PEOPLE: Final = 4


@dataclass(frozen=True)
class Face:
    """One synthetic photograph and everything that is known about it."""

    image: Array
    """uint8 (H, W, 3), sRGB."""
    mask: Array
    """uint8 (H, W), indices into :data:`lgc.data.labels.CLASSES`."""
    attributes: tuple[int, ...]
    """40 values, 0 or 1, in the order of :data:`lgc.data.labels.ATTRIBUTES`."""
    pose: tuple[float, float, float]
    """(yaw, pitch, roll) in degrees. Yaw is positive when the face turns to the picture's right, pitch
    when it looks up, roll when the head leans clockwise in the picture. A horizontal flip negates yaw
    and roll."""
    identity: int


def identity_of(seed: int, index: int) -> int:
    """Who is on picture ``index``: about two pictures show the same person."""
    group, place = divmod(index, _GROUP)
    return group * _PEOPLE + int(_stream(seed, 0, group).integers(0, _PEOPLE, _GROUP)[place])


def draw_face(seed: int, index: int, size: int = 256) -> Face:
    """Draw picture ``index`` of the endless collection ``seed``, ``size`` pixels wide and high.

    The result depends on nothing but the arguments; what it shows does not depend on ``size``. As in
    CelebAMask-HQ, ``l_`` and ``r_`` classes are the person's own left and right.
    """
    identity = identity_of(seed, index)
    person = sample_person(_stream(seed, 1, identity))
    scene = sample_scene(_stream(seed, 2, index), person)
    canvas = _paint(person, scene, size, _stream(seed, 3, index))
    image = _expose(canvas.pixels, scene, _stream(seed, 4, index))
    return Face(image, canvas.labels, attributes_of(person, scene), scene.pose, identity)


def _stream(seed: int, purpose: int, number: int) -> Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, purpose, number))))


def _paint(person: Person, scene: Scene, size: int, rng: Generator) -> Canvas:
    view = View(size, scene.pose, scene.scale, scene.shift)
    room = _light(scene, (0.0, 0.0, 1.0), scene.light)
    head = _light(scene, view.rays.direction, view.to_head(scene.light))
    canvas = Canvas((size, size))
    canvas.pixels += paint_backdrop(scene, size, rng)
    hair = meet_hair(view, person, scene, rng)
    if hair:
        paint_back_hair(canvas, hair)
    paint_body(canvas, view, person, scene, room, rng)
    face = _paint_face(view, person, scene, rng)
    canvas.shade(face.box, face.surface.cover, 0.05, (0.08, -0.05 * scene.light[0]), 0.7)
    light_head(canvas, face, head)
    paint_ears(canvas, view, person, head)
    paint_glasses(canvas, view, person, scene)
    if hair:
        paint_hair(canvas, hair, head)
    paint_earrings(canvas, view, person, scene)
    paint_hat(canvas, view, person, scene, head, rng)
    return canvas


def _light(scene: Scene, viewer: Vector, direction: Vector) -> Light:
    x, y, z = (a + b for a, b in zip(viewer, direction, strict=True))
    length = (x * x + y * y + z * z) ** 0.5
    return Light(direction, (x / length, y / length, z / length), scene.key, scene.ambient)


def _paint_face(view: View, person: Person, scene: Scene, rng: Generator) -> FaceMap:
    face = meet_head(view, person, scene)
    paint_skin(face, person, scene, rng)
    paint_beard(face, person, rng)
    paint_nose(face, person)
    paint_mouth(face, person, scene)
    paint_eyes(face, person, scene)
    paint_brows(face, person, scene, rng)
    return face


def _expose(light: Array, scene: Scene, rng: Generator) -> Array:
    """The camera: defocus, a film-like shoulder, sensor noise, 8 bits."""
    size = light.shape[-1]
    if scene.blur:
        light = blur(light, max(1, int(scene.blur * size / 2 + 0.5)))
    light = light * (1.12 + 0.12 * light) / (1.0 + 0.34 * light)
    picture = np.sqrt(np.maximum(light, 0.0)) * 255.0
    common, colour = rng.random((size, size), np.float32), rng.random((3, size, size), np.float32)
    picture += (common + colour - 1.0) * np.float32(scene.grain * 350.0)
    return (np.clip(picture, 0.0, 255.0) + 0.5).astype(np.uint8).transpose(1, 2, 0).copy()
