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


@dataclass(frozen=True)
class MaskTarget:
    """What parsing heads should say of a batch's masks; made once for all heads of a step.

    Of a picture without a mask that is what a teacher sees, if there is one (Hinton et al., arXiv 1503.02531).
    """

    probabilities: torch.Tensor
    """Float (B, 19, H, W); 0 where nothing is known."""
    known: torch.Tensor
    """Float (B, 1, H, W): 1 where something is known."""
    untold: torch.Tensor
    """Bool (B,): pictures :func:`without_mask`."""
    taught: bool
    """Whether a teacher spoke for those."""

    @classmethod
    def of(cls, masks: torch.Tensor, taught: torch.Tensor | None = None) -> MaskTarget:
        """From masks (B, H, W) and perhaps a teacher's logits (B, 19, h, w), resampled to the masks' size."""
        labels, untold = masks.long()[:, None], without_mask(masks)
        known = (labels != IGNORE).float()
        shape = (len(masks), len(CLASSES), *masks.shape[-2:])
        probabilities = known.new_zeros(shape).scatter_(1, labels.clamp_max(len(CLASSES) - 1), known)
        if taught is not None:
            seen = _class_by_class(taught, masks).softmax(dim=1)
            which = untold[:, None, None, None]
            probabilities, known = torch.where(which, seen, probabilities), torch.where(which, 1.0, known)
        return cls(probabilities, known, untold, taught is not None)


def mask_losses(logits: torch.Tensor, target: MaskTarget, dice: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy plus ``dice`` times the soft Dice loss over the classes present, twice.

    Args:
        logits: (B, 19, h, w); resampled to the target's size.
        target: for these pictures.
        dice: weight of the Dice part, which gives small classes a voice (Milletari et al., arXiv 1606.04797).

    Returns:
        The loss of the pictures that have masks, and that of those that have none: scalars; a part without pictures
        is the constant ``dice``.
    """
    wanted = target.probabilities
    log_probability = _class_by_class(logits, wanted).log_softmax(dim=1)
    probability = log_probability.exp()
    # of each picture and class, so that both losses come of the same few passes over all places
    said = (log_probability * wanted).sum(dim=(2, 3))
    overlap = (probability * wanted).sum(dim=(2, 3))
    amount, places = wanted.sum(dim=(2, 3)), target.known.sum(dim=(2, 3))
    size = (probability * target.known).sum(dim=(2, 3)) + amount

    def loss(which: torch.Tensor) -> torch.Tensor:
        present = (amount * which).sum(dim=0) >= 1  # a pixel at least, though a teacher may spread it
        shares = 2 * (overlap * which).sum(dim=0) / (size * which).sum(dim=0).clamp_min(1) * present
        cross_entropy = -(said * which).sum() / _count(places * which)
        return cross_entropy + dice * (1 - shares.sum() / _count(present))

    untold = target.untold[:, None]
    return loss(~untold), loss(untold)


def without_mask(masks: torch.Tensor) -> torch.Tensor:
    """Which pictures carry no mask: bool (B,) for masks (B, H, W)."""
    return (masks == IGNORE).flatten(1).all(dim=1)


def _class_by_class(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Logits at the masks' size, in the memory order in which a CPU's softmax over classes need not copy them."""
    return at_mask_size(logits, masks).contiguous()


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
    target: MaskTarget | None,
    attributes: torch.Tensor,
    pose: torch.Tensor,
    told: Told,
) -> Mapping[str, torch.Tensor]:
    """The terms ``parsing``, ``attributes`` and ``pose`` for which there is a head and an annotation.

    With a target that was ``taught`` there is also ``taught`` when some picture has no mask.
    """
    terms: dict[str, torch.Tensor] = {}
    if predictions.parsing is not None and target is not None:
        parsing, taught = mask_losses(predictions.parsing, target)
        if told.masks:
            terms["parsing"] = parsing
        if target.taught and told.untold:
            terms["taught"] = taught
    if predictions.attributes is not None and told.attributes:
        terms["attributes"] = attribute_loss(predictions.attributes, attributes)
    if predictions.pose is not None and told.pose:
        terms["pose"] = pose_loss(predictions.pose, pose)
    return terms
