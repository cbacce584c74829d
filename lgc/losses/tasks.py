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
    annotated = (masks != IGNORE).flatten(1).any(dim=1)
    if not bool(annotated.any()):
        return None
    logits, masks = at_mask_size(logits[annotated], masks), masks[annotated].long()
    cross_entropy = functional.cross_entropy(logits, masks, ignore_index=IGNORE)
    known = (masks != IGNORE)[:, None]
    target = functional.one_hot(masks.clamp_max(len(CLASSES) - 1), len(CLASSES)).permute(0, 3, 1, 2) * known
    probability = logits.softmax(dim=1) * known
    overlap = (probability * target).sum(dim=(0, 2, 3))
    size = probability.sum(dim=(0, 2, 3)) + target.sum(dim=(0, 2, 3))
    present = target.sum(dim=(0, 2, 3)) > 0
    soft_dice = 1 - (2 * overlap[present] / size[present].clamp_min(1)).mean()
    return cross_entropy + dice * soft_dice


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
    predictions: Predictions, masks: torch.Tensor, attributes: torch.Tensor, pose: torch.Tensor
) -> Mapping[str, torch.Tensor]:
    """The terms ``parsing``, ``attributes`` and ``pose`` for which there is a head and an annotation."""
    terms = {
        "parsing": None if predictions.parsing is None else parsing_loss(predictions.parsing, masks),
        "attributes": None if predictions.attributes is None else attribute_loss(predictions.attributes, attributes),
        "pose": None if predictions.pose is None else pose_loss(predictions.pose, pose),
    }
    return {name: value for name, value in terms.items() if value is not None}
