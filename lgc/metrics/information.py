"""What is to be known about masks and pose before a file is read: the yardstick of usable information.

Predictive V-information (Xu et al., ICLR 2020, arXiv 2002.10689) is what a reader of a given kind gains over the best
reader of the same kind who sees no file. For attributes that one knows how frequent each is (see
:data:`lgc.metrics.tasks.ATTRIBUTE_INFORMATION`). Here:

* masks: a reader who answers each pixel by itself. Without a file it knows how frequent each class is at each place
  of the picture: faces are aligned, and a mean mask is no information.
* pose: a reader who says an angle and how sure it is, as a Laplace distribution of one width for all pictures.
  Without a file it says the median. The gain is log2 of mean absolute deviation over mean absolute error, an angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgc.data.labels import CLASSES, IGNORE


@dataclass(frozen=True)
class Priors:
    """Of annotated pictures in order, as :class:`lgc.metrics.tasks.TaskScores` keeps them."""

    mask_bits: np.ndarray
    """float64 (N,): mean bits per labelled pixel that the mask costs a reader who knows only how frequent each class
    is at each place."""
    pose_deviations: np.ndarray
    """float64 (N, 3): degrees from the median of each angle."""


def make_priors(masks: np.ndarray, pose: np.ndarray) -> Priors:
    """From uint8 (N, H, W) label maps, :data:`~lgc.data.labels.IGNORE` where unknown, and float (M, 3), NaN likewise.

    The frequencies are those of the very pictures measured, so what no file tells is not underestimated.
    """
    known = np.isfinite(pose).all(axis=1)
    angles = pose[known].astype(np.float64)
    deviations = np.abs(angles - np.median(angles, axis=0)) if len(angles) else np.empty((0, 3))
    return Priors(_mask_bits(masks[(masks != IGNORE).any(axis=(1, 2))]), deviations)


def _mask_bits(masks: np.ndarray) -> np.ndarray:
    if not len(masks):
        return np.empty(0)
    known = masks != IGNORE
    counts = np.stack([(masks == label).sum(axis=0) for label in range(len(CLASSES))])
    share = np.take_along_axis(counts, np.where(known, masks, 0).astype(np.int64), axis=0) / np.maximum(
        known.sum(axis=0), 1
    )
    bits = np.where(known, -np.log2(np.where(known, share, 1.0)), 0.0)
    return bits.sum(axis=(1, 2)) / known.sum(axis=(1, 2))
