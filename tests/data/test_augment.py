from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lgc.data.augment import Augment, flip, move, recolour
from lgc.data.labels import CLASSES, IGNORE
from lgc.data.loader import Batch
from lgc.data.synthetic import draw_face

L_EYE, R_EYE, L_EAR, R_EAR, L_BROW, R_BROW = 4, 5, 8, 9, 6, 7


def batch_of(masks: torch.Tensor, x: torch.Tensor | None = None) -> Batch:
    count = len(masks)
    return Batch(
        x=torch.rand(count, 3, *masks.shape[1:]) if x is None else x,
        masks=masks.to(torch.uint8),
        attributes=torch.ones(count, 40, dtype=torch.int8),
        pose=torch.tensor([[10.0, 20.0, 30.0]]).repeat(count, 1),
    )


def random_batch(count: int = 3) -> Batch:
    torch.manual_seed(0)
    return batch_of(torch.randint(0, len(CLASSES), (count, 8, 8)))


def moved(batch: Batch, angle: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Batch:
    count = len(batch)
    return move(
        batch,
        torch.full((count,), angle, dtype=torch.float64),
        torch.full((count,), scale, dtype=torch.float64),
        torch.tensor([shift], dtype=torch.float64).repeat(count, 1),
    )


def eye_line(mask: np.ndarray) -> float:
    """Degrees, clockwise as seen, of the line from the eye at the picture's left to the other one."""
    centres = [np.argwhere(mask == eye).mean(axis=0) for eye in (L_EYE, R_EYE)]
    (row_a, column_a), (row_b, column_b) = sorted(centres, key=lambda centre: centre[1])
    return math.degrees(math.atan2(row_b - row_a, column_b - column_a))


def test_pictures_keep_the_layout_that_the_networks_are_quickest_with() -> None:
    batch = random_batch(2)
    batch = batch_of(batch.masks, batch.x.contiguous(memory_format=torch.channels_last))
    changed = Augment(flip=True, rotate=10, zoom=0.1, shift=0.1, colour=0.2)(batch, np.arange(2), seed=0)
    assert changed.x.is_contiguous(memory_format=torch.channels_last)
    assert not changed.x.is_contiguous()


class TestFlip:
    def test_mirrors_the_picture(self) -> None:
        batch = random_batch()
        assert torch.equal(flip(batch, torch.tensor([True] * 3)).x, batch.x.flip(-1))

    def test_sides_of_classes_swap(self) -> None:
        row = [L_EYE, R_EYE, L_BROW, R_BROW, L_EAR, R_EAR, 11, 12, 15, 16, 0, IGNORE]
        batch = batch_of(torch.tensor([[row] * 12]))
        flipped = flip(batch, torch.tensor([True])).masks[0, 0].tolist()
        assert flipped == [IGNORE, 0, 16, 15, 12, 11, L_EAR, R_EAR, L_BROW, R_BROW, L_EYE, R_EYE]

    def test_yaw_and_roll_negate(self) -> None:
        assert flip(random_batch(1), torch.tensor([True])).pose.tolist() == [[-10, 20, -30]]

    def test_only_the_chosen(self) -> None:
        batch = random_batch()
        flipped = flip(batch, torch.tensor([False, True, False]))
        for name in ("x", "masks", "pose"):
            before, after = getattr(batch, name), getattr(flipped, name)
            assert torch.equal(after[0], before[0])
            assert not torch.equal(after[1], before[1])
            assert torch.equal(after[2], before[2])

    def test_twice_is_the_identity(self) -> None:
        batch = random_batch()
        which = torch.tensor([True, False, True])
        twice = flip(flip(batch, which), which)
        for name, value in vars(batch).items():
            assert torch.equal(getattr(twice, name), value)

    def test_unknown_stays_unknown(self) -> None:
        batch = Batch(
            torch.rand(1, 3, 8, 8),
            torch.full((1, 4, 4), IGNORE, dtype=torch.uint8),
            torch.full((1, 40), -1, dtype=torch.int8),
            torch.full((1, 3), math.nan),
        )
        flipped = flip(batch, torch.tensor([True]))
        assert flipped.masks.unique().tolist() == [IGNORE]
        assert flipped.pose.isnan().all()
        assert flipped.attributes.unique().tolist() == [-1]


class TestMove:
    def test_no_motion_changes_nothing(self) -> None:
        batch = random_batch()
        still = moved(batch)
        assert torch.allclose(still.x, batch.x, atol=1e-5)
        assert torch.equal(still.masks, batch.masks)
        assert torch.equal(still.pose, batch.pose)

    def test_quarter_turn_clockwise(self) -> None:
        masks = torch.tensor([[[1, 2], [3, 4]]]).repeat_interleave(4, 1).repeat_interleave(4, 2)
        x = masks[:, None].repeat(1, 3, 1, 1) / 8.0
        turned = moved(batch_of(masks, x), angle=90)
        assert turned.masks[0, ::4, ::4].tolist() == [[3, 1], [4, 2]]
        assert torch.allclose(turned.x[0, 0], turned.masks[0] / 8.0, atol=1e-4)
        assert turned.pose.tolist() == [[10, 20, 120]]

    def test_shift_to_the_right_and_down(self) -> None:
        masks = torch.zeros(1, 8, 8)
        masks[0, 2, 1] = 13
        x = (masks == 13).float()[:, None].repeat(1, 3, 1, 1)
        away = moved(batch_of(masks, x), shift=(0.25, 0.5))
        assert (away.masks[0] == 13).nonzero().tolist() == [[6, 3]]
        assert (away.x[0, 0, 4:, 2:] > 0.9).nonzero().tolist() == [[2, 1]]  # the rest is reflected
        assert (away.masks[0, :4] == IGNORE).all()
        assert (away.masks[0, :, :2] == IGNORE).all()
        assert (away.masks[0, 4:, 2:] != IGNORE).all()
        assert away.pose.tolist() == [[10, 20, 30]]

    def test_twice_the_size_shows_the_middle(self) -> None:
        masks = torch.arange(16).reshape(1, 4, 4)
        large = moved(batch_of(masks), scale=2.0)
        assert large.masks[0].tolist() == [[5, 5, 6, 6], [5, 5, 6, 6], [9, 9, 10, 10], [9, 9, 10, 10]]

    def test_half_the_size_leaves_a_border_without_labels(self) -> None:
        small = moved(batch_of(torch.full((1, 8, 8), 13)), scale=0.5)
        assert (small.masks[0, 2:6, 2:6] == 13).all()
        assert int((small.masks == IGNORE).sum()) == 64 - 16

    def test_label_map_of_half_the_side_moves_alike(self) -> None:
        x = torch.zeros(1, 3, 16, 16)
        x[..., 4:6, 10:12] = 1.0
        batch = batch_of(torch.zeros(1, 16, 16), x)
        masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
        masks[0, 2, 5] = 2
        turned = moved(Batch(batch.x, masks, batch.attributes, batch.pose), angle=90)
        (row, column), *others = (turned.masks[0] == 2).nonzero().tolist()
        assert others == []
        assert (turned.x[0, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] > 0.9).all()

    def test_picture_continues_by_reflection(self) -> None:
        assert moved(batch_of(torch.zeros(1, 8, 8), torch.full((1, 3, 8, 8), 0.5)), angle=45).x.unique().numel() == 1

    def test_unknown_pose_stays_unknown(self) -> None:
        batch = random_batch(1)
        turned = moved(Batch(batch.x, batch.masks, batch.attributes, torch.full((1, 3), math.nan)), angle=5)
        assert turned.pose.isnan().all()

    @pytest.mark.parametrize("index", [0, 2, 8, 11])
    @pytest.mark.parametrize("angle", [-12, 12])
    def test_roll_is_still_the_slope_of_the_eyes(self, index: int, angle: float) -> None:
        """The sign of roll after a rotation is that of the data set's own roll."""
        face = draw_face(11, index, 96)
        assert abs(face.pose[0]) < 15  # seen from the side, eyes slope for other reasons
        batch = batch_of(torch.from_numpy(face.mask[None]))
        batch.pose[0] = torch.tensor(face.pose)
        turned = moved(batch, angle=angle)
        assert eye_line(face.mask) == pytest.approx(face.pose[2], abs=3)
        assert eye_line(turned.masks[0].numpy()) == pytest.approx(float(turned.pose[0, 2]), abs=3)

    def test_roll_is_still_the_slope_of_the_eyes_in_a_mirror(self) -> None:
        face = draw_face(11, 11, 96)
        batch = batch_of(torch.from_numpy(face.mask[None]))
        batch.pose[0] = torch.tensor(face.pose)
        mirrored = flip(batch, torch.tensor([True]))
        assert abs(face.pose[2]) > 10
        assert eye_line(mirrored.masks[0].numpy()) == pytest.approx(float(mirrored.pose[0, 2]), abs=3)


class TestRecolour:
    def test_no_change(self) -> None:
        batch = random_batch()
        assert torch.allclose(recolour(batch, torch.ones(3, 3)).x, batch.x, atol=1e-6)

    @pytest.mark.parametrize(
        ("factors", "expected"),
        [
            ((0.5, 1.0, 1.0), [0.1, 0.2, 0.3]),
            ((1.0, 1.0, 0.0), [0.4, 0.4, 0.4]),
            ((1.0, 0.0, 1.0), [0.4, 0.4, 0.4]),
            ((1.0, 1.0, 2.0), [0.0, 0.4, 0.8]),
            ((2.0, 1.0, 1.0), [0.4, 0.8, 1.0]),
        ],
        ids=["darker", "grey", "flat", "vivid", "clipped"],
    )
    def test_known_values(self, factors: tuple[float, float, float], expected: list[float]) -> None:
        x = torch.tensor([0.2, 0.4, 0.6])[None, :, None, None].expand(1, 3, 4, 4)
        changed = recolour(batch_of(torch.zeros(1, 4, 4), x), torch.tensor([factors])).x
        assert changed[0, :, 2, 3].tolist() == pytest.approx(expected, abs=1e-6)


class TestAugment:
    def test_off_returns_the_batch_itself(self) -> None:
        batch = random_batch()
        assert Augment(flip=False)(batch, np.arange(3), seed=0) is batch

    def test_a_sample_is_changed_by_its_position_alone(self) -> None:
        batch = random_batch(4)
        augment = Augment(rotate=20, zoom=0.3, shift=0.2, colour=0.4)
        together = augment(batch, np.arange(100, 104), seed=5)
        for number in range(4):
            single = Batch(**{name: value[number : number + 1] for name, value in vars(batch).items()})
            alone = augment(single, np.array([100 + number]), seed=5)
            assert torch.allclose(alone.x[0], together.x[number], atol=1e-6)
            assert torch.equal(alone.masks[0], together.masks[number])
            assert torch.equal(alone.pose[0], together.pose[number])

    def test_position_and_seed_decide(self) -> None:
        batch, augment = random_batch(1), Augment(rotate=20)
        first = augment(batch, np.array([3]), seed=5).x
        assert torch.equal(augment(batch, np.array([3]), seed=5).x, first)
        neighbours = [augment(batch, np.array([position]), seed=5).pose[0, 2].item() for position in range(20)]
        assert len(set(neighbours)) == 20
        assert not torch.equal(augment(batch, np.array([3]), seed=6).x, first)

    def test_half_of_the_pictures_are_mirrored(self) -> None:
        batch = batch_of(torch.zeros(400, 2, 2))
        mirrored = Augment()(batch, np.arange(400), seed=0).pose[:, 0] < 0
        assert 160 < int(mirrored.sum()) < 240

    def test_rotation_stays_within_its_limit(self) -> None:
        batch = batch_of(torch.zeros(200, 2, 2))
        rolls = Augment(flip=False, rotate=15)(batch, np.arange(200), seed=0).pose[:, 2] - 30
        assert float(rolls.abs().max()) <= 15
        assert float(rolls.min()) < -10
        assert float(rolls.max()) > 10

    def test_pictures_stay_in_range(self) -> None:
        x = Augment(rotate=30, zoom=0.5, shift=0.3, colour=1.0)(random_batch(), np.arange(3), seed=0).x
        assert float(x.min()) >= 0
        assert float(x.max()) <= 1
