from __future__ import annotations

import numpy as np
import pytest

from lgc.data.labels import ATTRIBUTES, CLASSES, FLIPPED_CLASS
from lgc.data.synthetic import Face, draw_face, identity_of
from lgc.data.synthetic.draw import _paint, _stream
from lgc.data.synthetic.parameters import Person, Scene
from lgc.data.synthetic.sampling import sample_person, sample_scene


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    return [draw_face(11, index, 64) for index in range(150)]


def centroid(mask: np.ndarray, name: str) -> np.ndarray:
    """Mean (x, y) of a class in pixels."""
    rows, columns = np.nonzero(mask == CLASSES.index(name))
    return np.array([columns.mean(), rows.mean()])


def paint(seed: int = 2, **changes: object) -> np.ndarray:
    """The mask of one bare-headed person in a chosen scene."""
    person = Person(**{**vars(sample_person(_stream(seed, 1, 0))), "style": "bald", "hair_name": "brown"})
    scene = sample_scene(_stream(seed, 2, 0), person)
    plain = {"pose": (0.0, 0.0, 0.0), "shift": (0.0, 0.0), "glasses": "", "hat": "", "scale": 0.9}
    return _paint(person, Scene(**{**vars(scene), **plain, **changes}), 128, _stream(seed, 3, 0)).labels


def test_shapes_and_ranges(faces: list[Face]) -> None:
    for face in faces:
        assert face.image.shape == (64, 64, 3)
        assert face.image.dtype == np.uint8
        assert face.mask.shape == (64, 64)
        assert face.mask.dtype == np.uint8
        assert face.mask.max() < len(CLASSES)
        assert len(face.attributes) == len(ATTRIBUTES)
        assert set(face.attributes) <= {0, 1}
        assert np.all(np.abs(face.pose) <= (35, 20, 20))


def test_same_arguments_give_the_same_bytes() -> None:
    first, again = draw_face(3, 7, 96), draw_face(3, 7, 96)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes()
    assert (first.attributes, first.pose, first.identity) == (again.attributes, again.pose, again.identity)


def test_index_and_seed_change_the_picture() -> None:
    first = draw_face(3, 7, 64)
    for other in (draw_face(3, 8, 64), draw_face(4, 7, 64)):
        assert not np.array_equal(first.image, other.image)


def test_size_does_not_change_what_is_shown() -> None:
    small, large = draw_face(3, 5, 64), draw_face(3, 5, 192)
    assert (small.attributes, small.pose, small.identity) == (large.attributes, large.pose, large.identity)
    assert np.mean(small.mask == large.mask[1::3, 1::3]) > 0.95


def test_classes_vary(faces: list[Face]) -> None:
    share = np.mean([np.bincount(face.mask.ravel(), minlength=len(CLASSES)) > 0 for face in faces], axis=0)
    assert np.all(share > 0.02), dict(zip(CLASSES, share, strict=True))
    for name in ("eye_g", "hair", "hat", "ear_r", "neck_l", "mouth", "l_ear", "r_ear"):
        assert share[CLASSES.index(name)] < 0.99, name


def test_attributes_vary(faces: list[Face]) -> None:
    share = np.mean([face.attributes for face in faces], axis=0)
    varying = np.sum((share >= 0.04) & (share <= 0.96))
    assert varying >= 25, dict(zip(ATTRIBUTES, share, strict=True))


@pytest.mark.parametrize(
    ("attribute", "part"),
    [
        ("Wearing_Hat", "hat"),
        ("Eyeglasses", "eye_g"),
        ("Wearing_Earrings", "ear_r"),
        ("Wearing_Necklace", "neck_l"),
        ("Mouth_Slightly_Open", "mouth"),
    ],
)
def test_attributes_are_in_the_picture(attribute: str, part: str) -> None:
    for index in range(40):
        face = draw_face(5, index, 128)
        wears = bool(face.attributes[ATTRIBUTES.index(attribute)])
        assert wears == bool((face.mask == CLASSES.index(part)).any()), index


def test_left_and_right_are_the_persons_own() -> None:
    mask = paint()
    for part in ("eye", "brow", "ear"):
        assert centroid(mask, f"l_{part}")[0] > centroid(mask, f"r_{part}")[0]


def test_positive_yaw_turns_to_the_right_of_the_picture() -> None:
    offset = {}
    for yaw in (-30.0, 0.0, 30.0):
        mask = paint(pose=(yaw, 0.0, 0.0))
        offset[yaw] = (centroid(mask, "nose") - centroid(mask, "skin"))[0]
    assert offset[-30.0] < offset[0.0] - 5
    assert offset[30.0] > offset[0.0] + 5
    assert not (paint(pose=(30.0, 0.0, 0.0)) == CLASSES.index("l_ear")).any(), "the far ear is hidden"


def test_positive_pitch_looks_up() -> None:
    up, down = (paint(pose=(0.0, pitch, 0.0)) for pitch in (15.0, -15.0))
    assert centroid(up, "nose")[1] < centroid(down, "nose")[1] - 5


def test_positive_roll_leans_clockwise() -> None:
    mask = paint(pose=(0.0, 0.0, 15.0))
    x, y = centroid(mask, "l_eye") - centroid(mask, "r_eye")
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(15.0, abs=3.0)


def test_negated_yaw_and_roll_are_a_flip() -> None:
    mask = paint(pose=(20.0, 5.0, 10.0))
    flipped = np.array(FLIPPED_CLASS, np.uint8)[paint(pose=(-20.0, 5.0, -10.0))][:, ::-1]
    assert np.mean(mask == flipped) > 0.98


def test_identity_keeps_the_person() -> None:
    groups: dict[int, list[int]] = {}
    for index in range(64):
        groups.setdefault(identity_of(9, index), []).append(index)
    pairs = [indices[:2] for indices in groups.values() if len(indices) > 1]
    assert len(pairs) > 5
    lasting = [ATTRIBUTES.index(name) for name in ("Male", "Young", "Big_Nose", "No_Beard", "Chubby")]
    for first, second in pairs:
        a, b = draw_face(9, first, 32), draw_face(9, second, 32)
        assert [a.attributes[k] for k in lasting] == [b.attributes[k] for k in lasting]
        assert a.pose != b.pose
