"""Task terms. Each counts only the samples that carry its annotation, and is absent when none does.

Samples that do not count are multiplied by zero, not left out: so shapes do not depend on what a batch says, and a
GPU can play a recorded step back (:mod:`lgc.training.turn`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from lgc.data.labels import CLASSES, IGNORE
from lgc.models.analysis import POSE_UNIT, Predictions, at_mask_size


@dataclass(frozen=True)
class Told:
    """What a batch says of its pictures. Decides which terms there are, never what they are worth."""

    masks: bool
    """Some pictures have masks ..."""
    untold: bool
    """... and some have none."""
    attributes: bool
    pose: bool

    @classmethod
    def by(cls, masks: torch.Tensor, attributes: torch.Tensor, pose: torch.Tensor) -> Told:
        """Look into masks (B, H, W), attributes (B, 40) and pose (B, 3); waits for their device, once."""
        untold = without_mask(masks)
        seen = [(~untold).any(), untold.any(), (attributes >= 0).any(), torch.isfinite(pose).any()]
        return cls(*torch.stack(seen).tolist())


def parsing_loss(logits: torch.Tensor, masks: torch.Tensor, dice: float = 0.5) -> torch.Tensor:
    """Cross-entropy plus ``dice`` times the soft Dice loss over the classes present in the batch.

    Args:
        logits: (B, 19, h, w); resampled to the masks' size.
        masks: uint8 (B, H, W), :data:`~lgc.data.labels.IGNORE` where unknown; not everywhere.
        dice: weight of the Dice part, which gives small classes a voice (Milletari et al., arXiv 1606.04797).
    """
    logits, labels = at_mask_size(logits, masks), masks.long()
    known = labels != IGNORE
    cross_entropy = functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum") / _count(known)
    known = known[:, None]
    target = functional.one_hot(labels.clamp_max(len(CLASSES) - 1), len(CLASSES)).permute(0, 3, 1, 2) * known
    return cross_entropy + dice * _soft_dice(logits.softmax(dim=1) * known, target)


def teaching_loss(logits: torch.Tensor, taught: torch.Tensor, masks: torch.Tensor, dice: float = 0.5) -> torch.Tensor:
    """The same against what a teacher sees, for the pictures without a mask (Hinton et al., arXiv 1503.02531).

    Args:
        logits: (B, 19, h, w) of the student; resampled to the masks' size.
        taught: (B, 19, h', w') the teacher's logits; only those for pictures :func:`without_mask` count.
        masks: uint8 (B, H, W); some picture has none.
        dice: as in :func:`parsing_loss`; overlaps are with the teacher's probabilities.
    """
    untold = without_mask(masks)[:, None, None, None]
    logits, target = at_mask_size(logits, masks), at_mask_size(taught, masks).softmax(dim=1) * untold
    cross_entropy = -(logits.log_softmax(dim=1) * target).sum() / (_count(untold) * masks[0].numel())
    return cross_entropy + dice * _soft_dice(logits.softmax(dim=1) * untold, target)


def without_mask(masks: torch.Tensor) -> torch.Tensor:
    """Which pictures carry no mask: bool (B,) for masks (B, H, W)."""
    return (masks == IGNORE).flatten(1).all(dim=1)


def _soft_dice(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    overlap = (probability * target).sum(dim=(0, 2, 3))
    size = probability.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3))
    present = target.sum(dim=(0, 2, 3)) >= 1  # a pixel at least, though a teacher may spread it
    return 1 - (2 * overlap / size.clamp_min(1) * present).sum() / _count(present)


def _count(which: torch.Tensor) -> torch.Tensor:
    """How many, but 1 for none."""
    return which.sum().clamp_min(1)


def attribute_loss(logits: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy over known attributes; logits (B, 40), attributes int8 (B, 40) with -1 unknown."""
    known, target = attributes >= 0, attributes.clamp_min(0).float()
    each = functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return (each * known).sum() / _count(known)


def pose_loss(angles: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
    """Smooth L1 in units of 10 degrees; both (B, 3) in degrees, NaN where unknown."""
    known, target = torch.isfinite(pose), torch.nan_to_num(pose)
    each = functional.smooth_l1_loss(angles.float() / POSE_UNIT, target / POSE_UNIT, reduction="none")
    return (each * known).sum() / _count(known)


def task_losses(
    predictions: Predictions,
    masks: torch.Tensor,
    attributes: torch.Tensor,
    pose: torch.Tensor,
    told: Told,
    taught: torch.Tensor | None = None,
) -> Mapping[str, torch.Tensor]:
    """The terms ``parsing``, ``attributes`` and ``pose`` for which there is a head and an annotation.

    With ``taught``, a teacher's logits, there is also ``taught`` when some picture has no mask.
    """
    terms: dict[str, torch.Tensor] = {}
    if predictions.parsing is not None and told.masks:
        terms["parsing"] = parsing_loss(predictions.parsing, masks)
    if predictions.attributes is not None and told.attributes:
        terms["attributes"] = attribute_loss(predictions.attributes, attributes)
    if predictions.pose is not None and told.pose:
        terms["pose"] = pose_loss(predictions.pose, pose)
    if predictions.parsing is not None and taught is not None and told.untold:
        terms["taught"] = teaching_loss(predictions.parsing, taught, masks)
    return terms
