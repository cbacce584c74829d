from __future__ import annotations

import math

import pytest
import torch

from lgc.data.labels import IGNORE
from lgc.losses.tasks import MaskTarget, Told, attribute_loss, mask_losses, pose_loss, task_losses, without_mask
from lgc.models.analysis import Predictions


def logits_for(masks: torch.Tensor, strength: float = 50.0) -> torch.Tensor:
    """Logits that are sure of these labels (B, H, W)."""
    return strength * torch.nn.functional.one_hot(masks.long().clamp_max(18), 19).permute(0, 3, 1, 2).float()


def parsing_loss(logits: torch.Tensor, masks: torch.Tensor, dice: float = 0.5) -> torch.Tensor:
    """Of the pictures with masks."""
    return mask_losses(logits, MaskTarget.of(masks), dice)[0]


def teaching_loss(logits: torch.Tensor, seen: torch.Tensor, masks: torch.Tensor, dice: float = 0.5) -> torch.Tensor:
    """Of the others."""
    return mask_losses(logits, MaskTarget.of(masks, seen), dice)[1]


class TestParsing:
    def test_right_and_sure_costs_nothing(self) -> None:
        masks = torch.randint(0, 19, (2, 4, 4)).to(torch.uint8)
        loss = parsing_loss(logits_for(masks), masks)
        assert loss.item() == pytest.approx(0, abs=1e-4)

    def test_no_idea(self) -> None:
        """Cross-entropy log 19; Dice of the one class there: 1 - 2 / 19 / (1 / 19 + 1)."""
        loss = parsing_loss(torch.zeros(1, 19, 4, 4), torch.full((1, 4, 4), 3, dtype=torch.uint8))
        assert loss.item() == pytest.approx(math.log(19) + 0.5 * (1 - (2 / 19) / (1 / 19 + 1)), rel=1e-5)

    def test_weight_of_dice(self) -> None:
        masks = torch.full((1, 4, 4), 3, dtype=torch.uint8)
        loss = parsing_loss(torch.zeros(1, 19, 4, 4), masks, dice=0.0)
        assert loss.item() == pytest.approx(math.log(19), rel=1e-5)

    def test_unlabelled_pixels_do_not_count(self) -> None:
        torch.manual_seed(0)
        logits, masks = torch.randn(2, 19, 4, 4), torch.randint(0, 19, (2, 4, 4)).to(torch.uint8)
        masks[:, :2] = IGNORE
        other = logits.clone()
        other[:, :, :2] = 100 * torch.randn(2, 19, 2, 4)
        first, second = parsing_loss(logits, masks), parsing_loss(other, masks)
        assert first.item() == pytest.approx(second.item(), rel=1e-5)

    def test_pictures_without_annotation_do_not_count(self) -> None:
        torch.manual_seed(0)
        logits, masks = torch.randn(3, 19, 4, 4), torch.randint(0, 19, (3, 4, 4)).to(torch.uint8)
        masks[1] = IGNORE
        with_it, without_it = parsing_loss(logits, masks), parsing_loss(logits[[0, 2]], masks[[0, 2]])
        torch.testing.assert_close(with_it, without_it)

    def test_a_teacher_of_the_others_changes_nothing(self) -> None:
        torch.manual_seed(0)
        logits, seen = torch.randn(2, 3, 19, 4, 4)
        masks = torch.randint(0, 19, (3, 4, 4)).to(torch.uint8)
        masks[1], masks[2, 1] = IGNORE, IGNORE
        with_it, without_it = (mask_losses(logits, MaskTarget.of(masks, taught))[0] for taught in (seen, None))
        torch.testing.assert_close(with_it, without_it)

    def test_as_torch_has_it(self) -> None:
        """Cross-entropy by torch's own function; Dice written out, of the classes that are there."""
        torch.manual_seed(0)
        logits, masks = torch.randn(3, 19, 8, 8), torch.randint(0, 7, (3, 8, 8)).to(torch.uint8)
        masks[1], masks[2, :3] = IGNORE, IGNORE
        known = masks != IGNORE
        cross_entropy = torch.nn.functional.cross_entropy(logits, masks.long(), ignore_index=IGNORE)
        probability = logits.softmax(dim=1)
        shares = []
        for label in masks[known].unique().tolist():
            said, there = probability[:, label][known], masks[known] == label
            shares.append(2 * said[there].sum() / (said.sum() + there.sum()))
        expected = cross_entropy + 0.5 * (1 - torch.stack(shares).mean())
        torch.testing.assert_close(parsing_loss(logits, masks), expected)

    def test_logits_of_another_size(self) -> None:
        masks = torch.full((1, 8, 8), 7, dtype=torch.uint8)
        loss = parsing_loss(logits_for(masks[:, ::2, ::2]), masks)
        assert loss.item() == pytest.approx(0, abs=1e-4)

    def test_gradient_is_finite_and_only_where_labelled(self) -> None:
        logits = torch.randn(1, 19, 4, 4, requires_grad=True)
        masks = torch.full((1, 4, 4), IGNORE, dtype=torch.uint8)
        masks[0, 0, 0] = 5
        loss = parsing_loss(logits, masks)
        loss.backward()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()
        assert logits.grad[0, :, 0, 0].abs().sum() > 0
        assert logits.grad[0, :, 1:].abs().sum() == 0


class TestTeaching:
    MASKS = torch.stack([torch.full((4, 4), 7), torch.full((4, 4), IGNORE)]).to(torch.uint8)

    def test_who_has_no_mask(self) -> None:
        partly = self.MASKS.clone()
        partly[0, 1:] = IGNORE
        assert without_mask(partly).tolist() == [False, True]

    def test_a_sure_teacher_is_as_good_as_a_mask(self) -> None:
        torch.manual_seed(0)
        seen = torch.randint(0, 19, (1, 4, 4)).to(torch.uint8)
        logits = torch.randn(2, 19, 4, 4)
        taught, told = (
            teaching_loss(logits, logits_for(seen).expand(2, -1, -1, -1), self.MASKS),
            parsing_loss(logits[1:], seen),
        )
        assert taught.item() == pytest.approx(told.item(), rel=1e-5)

    def test_least_where_the_student_says_what_the_teacher_says(self) -> None:
        """Doubts included: the cross-entropy's gradient vanishes there."""
        torch.manual_seed(0)
        seen = torch.randn(1, 19, 4, 4)
        logits = torch.cat([torch.randn(1, 19, 4, 4), seen]).requires_grad_()
        loss = teaching_loss(logits, seen.expand(2, -1, -1, -1), self.MASKS, dice=0.0)
        loss.backward()
        assert logits.grad is not None
        assert logits.grad.abs().max() < 1e-6

    def test_annotated_pictures_have_no_teacher(self) -> None:
        torch.manual_seed(0)
        logits, seen = torch.randn(2, 2, 19, 4, 4)
        logits.requires_grad_()
        teaching_loss(logits, seen, self.MASKS).backward()
        assert logits.grad is not None
        assert logits.grad[0].abs().sum() == 0 < logits.grad[1].abs().sum()


class TestAttributes:
    def test_unknown_values_do_not_count(self) -> None:
        attributes = torch.full((2, 40), -1, dtype=torch.int8)
        attributes[0, 3], attributes[1, 5] = 1, 0
        logits = torch.full((2, 40), 1000.0)
        logits[0, 3], logits[1, 5] = 0.0, 0.0
        loss = attribute_loss(logits, attributes)
        assert loss.item() == pytest.approx(math.log(2))

    def test_right_beats_wrong(self) -> None:
        attributes = torch.tensor([[1, 0] * 20], dtype=torch.int8)
        right = attribute_loss(8.0 * attributes - 4, attributes)
        wrong = attribute_loss(4 - 8.0 * attributes, attributes)
        assert right < 0.05 < 3 < wrong


class TestPose:
    @pytest.mark.parametrize(("error", "loss"), [(0.0, 0.0), (5.0, 0.125), (10.0, 0.5), (30.0, 2.5), (-30.0, 2.5)])
    def test_smooth_l1_in_tens_of_degrees(self, error: float, loss: float) -> None:
        found = pose_loss(torch.full((2, 3), 20.0 + error), torch.full((2, 3), 20.0))
        assert found.item() == pytest.approx(loss)

    def test_unknown_angles_do_not_count(self) -> None:
        pose = torch.tensor([[0.0, math.nan, 0.0], [math.nan] * 3])
        angles = torch.tensor([[10.0, 500.0, 10.0], [500.0] * 3], requires_grad=True)
        loss = pose_loss(angles, pose)
        assert loss.item() == pytest.approx(0.5)
        loss.backward()
        assert angles.grad is not None
        assert torch.isfinite(angles.grad).all()


class TestTold:
    def test_what_a_batch_says(self) -> None:
        masks = torch.full((2, 4, 4), IGNORE, dtype=torch.uint8)
        attributes, pose = torch.full((2, 40), -1, dtype=torch.int8), torch.full((2, 3), math.nan)
        assert Told.by(masks, attributes, pose) == Told(masks=False, untold=True, attributes=False, pose=False)
        masks[1, 0, 0], attributes[0, 7], pose[1, 2] = 5, 0, 3.0
        assert Told.by(masks, attributes, pose) == Told(masks=True, untold=True, attributes=True, pose=True)
        masks[0, 1, 1] = 0
        assert not Told.by(masks, attributes, pose).untold


class TestTaskLosses:
    MASKS = torch.zeros(1, 4, 4, dtype=torch.uint8)
    ATTRIBUTES = torch.ones(1, 40, dtype=torch.int8)
    POSE = torch.zeros(1, 3)
    ALL = Predictions(torch.zeros(1, 19, 4, 4), torch.zeros(1, 40), torch.ones(1, 3))

    def terms(
        self,
        predictions: Predictions = ALL,
        masks: torch.Tensor = MASKS,
        attributes: torch.Tensor = ATTRIBUTES,
        pose: torch.Tensor = POSE,
        taught: torch.Tensor | None = None,
    ) -> list[str]:
        told, target = Told.by(masks, attributes, pose), MaskTarget.of(masks, taught)
        return sorted(task_losses(predictions, target, attributes, pose, told))

    def test_a_teacher_adds_a_term(self) -> None:
        untold, seen = torch.full_like(self.MASKS, IGNORE), torch.zeros(1, 19, 4, 4)
        assert self.terms(masks=untold, taught=seen) == ["attributes", "pose", "taught"]
        assert self.terms(taught=seen) == ["attributes", "parsing", "pose"]
        some = torch.cat([self.MASKS, untold])
        assert "taught" not in self.terms(Predictions(torch.zeros(2, 19, 4, 4)), masks=some)

    def test_all_there(self) -> None:
        assert self.terms() == ["attributes", "parsing", "pose"]

    def test_absent_heads_and_annotations_are_absent_terms(self) -> None:
        some = Predictions(attributes=self.ALL.attributes, pose=self.ALL.pose)
        assert self.terms(some) == ["attributes", "pose"]
        assert self.terms(attributes=-self.ATTRIBUTES, pose=torch.full((1, 3), math.nan)) == ["parsing"]
        assert self.terms(Predictions()) == []
