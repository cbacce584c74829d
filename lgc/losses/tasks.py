"""Task terms. Each counts only the samples that carry its annotation, and is absent when none does."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from lgc.data.labels import CLASSES, IGNORE
from lgc.models.analysis import POSE_UNIT, Predictions, at_mask_size


def parsing_loss(logits: torch.Tensor, masks: torch.Tensor, dice: float = 0.5) -> torch.Tensor | None:
    """Cross-entropy plus ``dice`` times the soft Dice loss over the classes present in the batch.

    Args:
        logits: (B, 19, h, w); resampled to the masks' size.
        masks: uint8 (B, H, W), :data:`~lgc.data.labels.IGNORE` where unknown.
        dice: weight of the Dice part, which gives small classes a voice (Milletari et al., arXiv 1606.04797).
    """
    annotated = ~without_mask(masks)
    if not bool(annotated.any()):
        return None
    logits, masks = at_mask_size(logits[annotated], masks), masks[annotated].long()
    cross_entropy = functional.cross_entropy(logits, masks, ignore_index=IGNORE)
    known = (masks != IGNORE)[:, None]
    target = functional.one_hot(masks.clamp_max(len(CLASSES) - 1), len(CLASSES)).permute(0, 3, 1, 2) * known
    return cross_entropy + dice * _soft_dice(logits.softmax(dim=1) * known, target)


def teaching_loss(
    logits: torch.Tensor, taught: torch.Tensor, masks: torch.Tensor, dice: float = 0.5
) -> torch.Tensor | None:
    """The same against what a teacher sees, for the pictures without a mask (Hinton et al., arXiv 1503.02531).

    Args:
        logits: (B, 19, h, w) of the student; resampled to the masks' size.
        taught: (N, 19, h', w') the teacher's logits for those N pictures that :func:`without_mask` names.
        masks: uint8 (B, H, W).
        dice: as in :func:`parsing_loss`; overlaps are with the teacher's probabilities.
    """
    untold = without_mask(masks)
    if not bool(untold.any()):
        return None
    logits, target = at_mask_size(logits[untold], masks), at_mask_size(taught, masks).softmax(dim=1)
    return functional.cross_entropy(logits, target) + dice * _soft_dice(logits.softmax(dim=1), target)


def without_mask(masks: torch.Tensor) -> torch.Tensor:
    """Which pictures carry no mask: bool (B,) for masks (B, H, W)."""
    return (masks == IGNORE).flatten(1).all(dim=1)


def _soft_dice(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    overlap = (probability * target).sum(dim=(0, 2, 3))
    size = probability.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3))
    present = target.sum(dim=(0, 2, 3)) >= 1  # a pixel at least, though a teacher may spread it
    return 1 - (2 * overlap[present] / size[present].clamp_min(1)).mean()


def attribute_loss(logits: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor | None:
    """Binary cross-entropy over known attributes; logits (B, 40), attributes int8 (B, 40) with -1 unknown."""
    known = attributes >= 0
    if not bool(known.any()):
        return None
    return functional.binary_cross_entropy_with_logits(logits.float()[known], attributes[known].float())


def pose_loss(angles: torch.Tensor, pose: torch.Tensor) -> torch.Tensor | None:
    """Smooth L1 in units of 10 degrees; both (B, 3) in degrees, NaN where unknown."""
    known = torch.isfinite(pose)
    if not bool(known.any()):
        return None
    return functional.smooth_l1_loss(angles.float()[known] / POSE_UNIT, pose[known] / POSE_UNIT)


def task_losses(
    predictions: Predictions,
    masks: torch.Tensor,
    attributes: torch.Tensor,
    pose: torch.Tensor,
    taught: torch.Tensor | None = None,
) -> Mapping[str, torch.Tensor]:
    """The terms ``parsing``, ``attributes`` and ``pose`` for which there is a head and an annotation.

    With ``taught``, a teacher's logits for the pictures without a mask, there is also ``taught``.
    """
    terms = {
        "parsing": None if predictions.parsing is None else parsing_loss(predictions.parsing, masks),
        "attributes": None if predictions.attributes is None else attribute_loss(predictions.attributes, attributes),
        "pose": None if predictions.pose is None else pose_loss(predictions.pose, pose),
        "taught": None
        if predictions.parsing is None or taught is None
        else teaching_loss(predictions.parsing, taught, masks),
    }
    return {name: value for name, value in terms.items() if value is not None}
