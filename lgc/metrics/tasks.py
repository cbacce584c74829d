"""Task metrics: parsing, attributes, pose. All aggregate counts over the data set first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch.nn import functional

from lgc.data.labels import ATTRIBUTES, CLASSES, IGNORE, POSE
from lgc.metrics.base import MetricInfo
from lgc.models.analysis import Predictions, at_mask_size

_CONFUSION: Final = "one confusion matrix over the data set"
_MEAN: Final = f"{_CONFUSION}, mean over the classes that occur in the truth"
MIOU: Final = MetricInfo("miou", "mIoU", "", 0.0, 1.0, "higher", _MEAN, "PASCAL VOC")
PIXEL_ACCURACY: Final = MetricInfo("pixel_accuracy", "pixel accuracy", "", 0.0, 1.0, "higher", _CONFUSION, "")
MEAN_F1: Final = MetricInfo("mean_f1", "mean F1", "", 0.0, 1.0, "higher", _MEAN, "Dice")
ATTRIBUTE_ACCURACY: Final = MetricInfo(
    "attribute_accuracy",
    "attribute accuracy",
    "",
    0.0,
    1.0,
    "higher",
    "mean over images and attributes",
    "",
)
BALANCED_ACCURACY: Final = MetricInfo(
    "attribute_balanced_accuracy", "balanced attribute accuracy", "", 0.0, 1.0, "higher",
    "mean of true positive and true negative rate an attribute, then over attributes with both", "",
)  # fmt: skip
ATTRIBUTE_DETECTION: Final = MetricInfo(
    "attribute_detection", "attribute detection", "", 0.0, 1.0, "higher",
    "as balanced accuracy",
    "balanced accuracy where yes means a probability above the attribute's frequency in the set, "
    "which is the best rule for it; above one half, a careful head seldom says a rare attribute",
)  # fmt: skip
POSE_ERROR: Final = MetricInfo(
    "pose_error",
    "pose error",
    "degrees",
    0.0,
    math.inf,
    "lower",
    "mean absolute, over images and angles",
    "",
)
ATTRIBUTE_INFORMATION: Final = MetricInfo(
    "attribute_information", "usable information about the attributes", "bits a picture", -math.inf, 40.0, "higher",
    "mean over images; sum over attributes",
    "predictive V-information, Xu et al., ICLR 2020: entropy of each attribute's frequency minus the head's mean "
    "cross-entropy; below 0 when the head is surer than it is right",
)  # fmt: skip
INFOS: Final = (
    MIOU, MEAN_F1, PIXEL_ACCURACY, ATTRIBUTE_ACCURACY, BALANCED_ACCURACY, ATTRIBUTE_DETECTION, POSE_ERROR,
    ATTRIBUTE_INFORMATION,
)  # fmt: skip
PARTS: Final = ("confusion", "mask_bits", "attribute_hits", "attribute_bits", "pose_errors")
"""Fields of :class:`TaskScores`; pictures are resampled in each by itself, those with annotation only."""
Rounds = Mapping[str, np.ndarray]
"""How often each picture was drawn: (R, N) float64 by part; what needs other :data:`PARTS` is left out."""


@dataclass
class TaskScores:
    """Per-image outcomes of one analyzer over a data set, from which every task metric follows.

    Keeping them by image lets intervals be found by resampling images.
    """

    confusion: list[np.ndarray] = field(default_factory=list)
    """int64 (19, 19) for each annotated picture: true class down, predicted class across."""
    mask_bits: list[np.ndarray] = field(default_factory=list)
    """float32 () cross-entropy in bits of the head's probability, mean over labelled pixels. Beside ``confusion``."""
    attribute_hits: list[np.ndarray] = field(default_factory=list)
    """int8 (40, 2) a picture: true value and prediction; -1 where unknown."""
    attribute_bits: list[np.ndarray] = field(default_factory=list)
    """float32 (40,) cross-entropy in bits of the head's probability; NaN where unknown. Beside ``attribute_hits``."""
    pose_errors: list[np.ndarray] = field(default_factory=list)
    """float (3,) absolute degrees a picture."""

    def add(
        self, predictions: Predictions, masks: torch.Tensor, attributes: torch.Tensor, pose: torch.Tensor
    ) -> None:
        """Take a batch of predictions and annotations, as :class:`lgc.data.loader.Batch` has them."""
        if predictions.parsing is not None:
            logits, masks = at_mask_size(predictions.parsing, masks).cpu(), masks.cpu()
            self.add_masks(logits.argmax(dim=1).numpy(), masks.numpy())
            self._add_mask_bits(logits, masks)
        if predictions.attributes is not None:
            self._add_attributes(predictions.attributes.float().cpu(), attributes.cpu())
        if predictions.pose is not None:
            errors = (predictions.pose.float() - pose).abs().cpu()
            self.pose_errors.extend(errors[torch.isfinite(errors).all(dim=1)].numpy())

    def add_masks(self, predicted: np.ndarray, true: np.ndarray) -> None:
        """Take label maps (B, H, W) both; pictures wholly unlabelled in ``true`` do not count."""
        count = len(CLASSES)
        for guess, truth in zip(predicted, true, strict=True):
            known = truth != IGNORE
            if known.any():
                places = truth[known].astype(np.int64) * count + guess[known]
                self.confusion.append(np.bincount(places, minlength=count**2).reshape(count, count))

    def _add_mask_bits(self, logits: torch.Tensor, masks: torch.Tensor) -> None:
        known = masks != IGNORE
        nats = functional.cross_entropy(logits, masks.long(), ignore_index=IGNORE, reduction="none")
        annotated = known.flatten(1).any(dim=1)
        bits = nats.sum(dim=(1, 2)) / known.sum(dim=(1, 2)).clamp_min(1) / math.log(2)
        self.mask_bits.extend(bits[annotated].numpy())

    def _add_attributes(self, logits: torch.Tensor, true: torch.Tensor) -> None:
        known = (true >= 0).any(dim=1)
        logits, true = logits[known], true[known]
        self.attribute_hits.extend(torch.stack([true, (logits > 0).to(torch.int8)], dim=2).numpy())
        nats = functional.binary_cross_entropy_with_logits(logits, true.clamp_min(0).float(), reduction="none")
        self.attribute_bits.extend((nats / math.log(2)).masked_fill(true < 0, math.nan).numpy())

    def values(self) -> dict[str, float]:
        """All metrics for which there are annotations.

        Means over classes are over those that occur in the truth of the pictures at hand: which ones count must not
        depend on what a codec's reader says. A pixel said to be of another class still costs the class it is of.
        """
        return {name: float(v[0]) for name, v in self.sampled(self._once()).items() if not np.isnan(v[0])}

    def details(self) -> dict[str, dict[str, float]]:
        """IoU and F1 a class, accuracy and balanced accuracy an attribute, mean absolute degrees an angle."""
        found = {
            group: {name: float(v[0]) for name, v in values.items() if not np.isnan(v[0])}
            for group, values in self.sampled_details(self._once()).items()
        }
        return {group: values for group, values in found.items() if values}

    def occurrences(self) -> dict[str, dict[str, int]]:
        """How many pictures each of :meth:`details` rests on: of balanced accuracy, those with the rarer value."""
        result: dict[str, dict[str, int]] = {}
        if self.confusion:
            having = (np.stack(self.confusion).sum(axis=2) > 0).sum(axis=0)
            result["class_iou"] = result["class_f1"] = dict(zip(CLASSES, having.tolist(), strict=True))
        if self.attribute_hits:
            true = np.stack(self.attribute_hits)[..., 0]
            yes, no = (true == 1).sum(axis=0), (true == 0).sum(axis=0)
            for name, count in (
                ("attribute_accuracy", yes + no),
                ("attribute_balanced_accuracy", np.minimum(yes, no)),
            ):
                result[name] = dict(zip(ATTRIBUTES, count.tolist(), strict=True))
        if self.pose_errors:
            result["pose_error"] = dict.fromkeys(POSE, len(self.pose_errors))
        return result

    def sampled(self, rounds: Rounds) -> dict[str, np.ndarray]:
        """As :meth:`values` for R resamplings at once: (R,) each, NaN where a round leaves a metric undefined.

        So it leaves means over classes when it lacks one that the pictures at hand have, and means over attributes
        when one of them has a single value there: of fewer they are another quantity.
        """
        result: dict[str, np.ndarray] = {}
        if "confusion" in rounds:
            iou, f1, total, hit = _parsing(self._summed("confusion", rounds))
            there = np.stack(self.confusion).sum(axis=(0, 2)) > 0
            result["miou"] = _mean(iou, there)
            result["mean_f1"] = _mean(f1, there)
            result["pixel_accuracy"] = hit / total
        if "attribute_hits" in rounds:
            counts = self._attribute_counts(rounds)
            result["attribute_accuracy"] = counts.right.sum(axis=1) / counts.known.sum(axis=1)
            result["attribute_balanced_accuracy"] = _mean(counts.balanced, self._both_values)
        if "attribute_bits" in rounds:
            counts = self._detections(rounds)
            result["attribute_detection"] = _mean(counts.balanced, self._both_values)
            result["attribute_information"] = self._information(counts, rounds)
        if "pose_errors" in rounds:
            errors = np.stack(self.pose_errors).astype(np.float64).mean(axis=1)
            weights = rounds["pose_errors"]
            result["pose_error"] = weights @ errors / weights.sum(axis=1)
        return result

    def sampled_details(self, rounds: Rounds) -> dict[str, dict[str, np.ndarray]]:
        """As :meth:`details` for R resamplings at once: (R,) each."""
        result: dict[str, dict[str, np.ndarray]] = {}
        if "confusion" in rounds:
            iou, f1, _, _ = _parsing(self._summed("confusion", rounds))
            result["class_iou"] = dict(zip(CLASSES, iou.T, strict=True))
            result["class_f1"] = dict(zip(CLASSES, f1.T, strict=True))
        if "attribute_hits" in rounds:
            counts = self._attribute_counts(rounds)
            result["attribute_accuracy"] = dict(zip(ATTRIBUTES, counts.accuracy.T, strict=True))
            result["attribute_balanced_accuracy"] = dict(zip(ATTRIBUTES, counts.balanced.T, strict=True))
        if "pose_errors" in rounds:
            weights = rounds["pose_errors"]
            errors = weights @ np.stack(self.pose_errors).astype(np.float64) / weights.sum(axis=1, keepdims=True)
            result["pose_error"] = dict(zip(POSE, errors.T, strict=True))
        return result

    def _once(self) -> dict[str, np.ndarray]:
        """One round: every picture once."""
        return {part: np.ones((1, size)) for part in PARTS if (size := len(getattr(self, part)))}

    def _summed(self, part: str, rounds: Rounds) -> np.ndarray:
        stacked = np.stack(getattr(self, part)).astype(np.float64)
        return (rounds[part] @ stacked.reshape(len(stacked), -1)).reshape(-1, *stacked.shape[1:])

    def _attribute_counts(self, rounds: Rounds) -> _AttributeCounts:
        true, said = np.moveaxis(np.stack(self.attribute_hits), -1, 0)
        return _AttributeCounts.of(true, said == 1, rounds["attribute_hits"])

    @property
    def _both_values(self) -> np.ndarray:
        """(40,): attributes that some picture has and some has not."""
        true = np.stack(self.attribute_hits)[..., 0]
        return (true == 1).any(axis=0) & (true == 0).any(axis=0)

    def _detections(self, rounds: Rounds) -> _AttributeCounts:
        """With yes above the frequency among all pictures, however they are resampled."""
        true = np.stack(self.attribute_hits)[..., 0]
        of_truth = np.exp2(-np.nan_to_num(np.stack(self.attribute_bits).astype(np.float64)))
        yes = np.where(true == 1, of_truth, 1 - of_truth)
        known = (true >= 0).sum(axis=0).astype(np.float64)
        return _AttributeCounts.of(true, yes > _ratio((true == 1).sum(axis=0), known), rounds["attribute_bits"])

    def _information(self, counts: _AttributeCounts, rounds: Rounds) -> np.ndarray:
        bits = np.nan_to_num(np.stack(self.attribute_bits).astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            spent = rounds["attribute_bits"] @ bits / counts.known
            share = counts.positive / counts.known
            entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
        # an attribute with one value only has no entropy: log2(0) * 0
        return np.where(counts.known > 0, np.nan_to_num(entropy) - np.nan_to_num(spent), 0.0).sum(axis=1)


@dataclass(frozen=True)
class _AttributeCounts:
    """Sums over pictures, (R, 40) each."""

    positive: np.ndarray
    negative: np.ndarray
    true_positive: np.ndarray
    true_negative: np.ndarray

    @classmethod
    def of(cls, true: np.ndarray, said: np.ndarray, weights: np.ndarray) -> _AttributeCounts:
        """Of values (N, 40), -1 unknown, and yes or no (N, 40), with pictures as often as in (R, N)."""
        return cls(
            positive=weights @ (true == 1),
            negative=weights @ (true == 0),
            true_positive=weights @ ((true == 1) & said),
            true_negative=weights @ ((true == 0) & ~said),
        )

    @property
    def known(self) -> np.ndarray:
        return self.positive + self.negative

    @property
    def right(self) -> np.ndarray:
        return self.true_positive + self.true_negative

    @property
    def accuracy(self) -> np.ndarray:
        return _ratio(self.right, self.known)

    @property
    def balanced(self) -> np.ndarray:
        """NaN where an attribute has not both values."""
        return (_ratio(self.true_positive, self.positive) + _ratio(self.true_negative, self.negative)) / 2


def _parsing(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """IoU and F1 (R, 19), NaN for classes that are not in the truth; all pixels and right ones, (R,)."""
    hit = np.diagonal(confusion, axis1=1, axis2=2)
    true, said = confusion.sum(axis=2), confusion.sum(axis=1)
    iou = np.where(true > 0, _ratio(hit, true + said - hit), np.nan)
    return iou, 2 * iou / (1 + iou), confusion.sum(axis=(1, 2)), hit.sum(axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _mean(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(R,) means of (R, K) over those ``there`` (K,); NaN where one of these is undefined or there are none."""
    if not there.any():
        return np.full(len(values), np.nan)
    means: np.ndarray = values[:, there].mean(axis=1)
    return means
