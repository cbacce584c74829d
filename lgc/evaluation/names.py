"""Files that the evaluate stage leaves and the report reads."""

from typing import Final

METRICS: Final = "metrics.json"
"""Means with intervals, differences, accounts of bytes, times."""
DETAILS: Final = "details.json"
"""Everything else: classes, attributes, deltas, encoders, meaning of metrics, the run's configuration."""
CURVES: Final = "curves.csv"
HEADLINE: Final = "headline.json"
"""The few numbers that commits are compared by; for ``dvc metrics diff``."""
GALLERY: Final = "gallery"
GALLERY_LIST: Final = "gallery.json"
"""In ``gallery``."""
