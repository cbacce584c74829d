"""Task metrics: parsing, attributes, pose. All aggregate counts over the data set first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from lgc.data.labels import CLASSES, IGNORE
from lgc.metrics.base import MetricInfo
from lgc.models.analysis import Predictions, at_mask_size

_CONFUSION: Final = "one confusion matrix over the data set"
MIOU: Final = MetricInfo(
    "miou", "mIoU", "", 0.0, 1.0, "higher", f"{_CONFUSION}, mean over the classes that occur", "PASCAL VOC"
)
PIXEL_ACCURACY: Final = MetricInfo("pixel_accuracy", "pixel accuracy", "", 0.0, 1.0, "higher", _CONFUSION, "")
MEAN_F1: Final = MetricInfo(
    "mean_f1", "mean F1", "", 0.0, 1.0, "higher", f"{_CONFUSION}, mean over the classes that occur", "Dice"
)
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


@dataclass
class TaskScores:
    """Per-image outcomes of one analyzer over a data set, from which every task metric follows.

    Keeping them by image lets intervals be found by resampling images.
    """

    confusion: list[np.ndarray] = field(default_factory=list)
    """int64 (19, 19) for each annotated picture: true class down, predicted class across."""
    attribute_hits: list[np.ndarray] = field(default_factory=list)
    """int8 (40, 2) a picture: true value and prediction; -1 where unknown."""
    pose_errors: list[np.ndarray] = field(default_factory=list)
    """float (3,) absolute degrees a picture."""

    def add(
        self, predictions: Predictions, masks: torch.Tensor, attributes: torch.Tensor, pose: torch.Tensor
    ) -> None:
        """Take a batch of predictions and annotations, as :class:`lgc.data.loader.Batch` has them."""
        if predictions.parsing is not None:
            labels = at_mask_size(predictions.parsing, masks).argmax(dim=1)
            self.add_masks(labels.cpu().numpy(), masks.cpu().numpy())
        if predictions.attributes is not None:
            known = (attributes >= 0).any(dim=1).cpu()
            said = (predictions.attributes > 0).to(torch.int8).cpu()
            pairs = torch.stack([attributes.cpu(), said], dim=2)[known]
            self.attribute_hits.extend(pairs.numpy())
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

    def values(self, chosen: Mapping[str, np.ndarray] | None = None) -> dict[str, float]:
        """All metrics for which there are annotations; ``chosen`` resamples pictures a kind of annotation."""
        chosen = chosen or {}
        result: dict[str, float] = {}
        if self.confusion:
            result |= parsing_values(_pick(self.confusion, chosen.get("confusion")).sum(axis=0))
        if self.attribute_hits:
            result |= attribute_values(_pick(self.attribute_hits, chosen.get("attribute_hits")))
        if self.pose_errors:
            result["pose_error"] = float(_pick(self.pose_errors, chosen.get("pose_errors")).mean())
        return result

    def class_iou(self) -> dict[str, float]:
        """Intersection over union of each class that occurs; empty without annotated pictures."""
        if not self.confusion:
            return {}
        iou, occurs = _iou(np.sum(self.confusion, axis=0))
        return {name: float(iou[i]) for i, name in enumerate(CLASSES) if occurs[i]}


def parsing_values(confusion: np.ndarray) -> dict[str, float]:
    """mIoU, mean F1 and pixel accuracy of an int (19, 19) confusion matrix."""
    iou, occurs = _iou(confusion)
    f1 = 2 * iou / (1 + iou)
    return {
        "miou": float(iou[occurs].mean()),
        "mean_f1": float(f1[occurs].mean()),
        "pixel_accuracy": float(np.diag(confusion).sum() / confusion.sum()),
    }


def attribute_values(pairs: np.ndarray) -> dict[str, float]:
    """Accuracy and balanced accuracy of int8 (N, 40, 2) true values and predictions; -1 is unknown."""
    true, said = pairs[..., 0], pairs[..., 1]
    known = true >= 0
    values = {"attribute_accuracy": float((true == said)[known].mean())}
    positive, negative = (true == 1).sum(axis=0), (true == 0).sum(axis=0)
    both = (positive > 0) & (negative > 0)
    if both.any():
        hit = ((true == 1) & (said == 1)).sum(axis=0)[both] / positive[both]
        miss = ((true == 0) & (said == 0)).sum(axis=0)[both] / negative[both]
        values["attribute_balanced_accuracy"] = float(((hit + miss) / 2).mean())
    return values


def _iou(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union a class, and which classes occur in the truth or the predictions."""
    hit = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hit
    return hit / np.maximum(union, 1), union > 0


def _pick(values: list[np.ndarray], chosen: np.ndarray | None) -> np.ndarray:
    stacked = np.stack(values)
    return stacked if chosen is None else stacked[chosen]
