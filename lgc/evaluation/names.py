"""Files that the evaluate stage leaves and the report reads."""

from typing import Final

METRICS: Final = "metrics.json"
"""What runs are compared by; small, for ``dvc metrics diff``."""
DETAILS: Final = "details.json"
"""Everything else: classes, attributes, deltas, encoders, meaning of metrics, the run's configuration."""
CURVES: Final = "curves.csv"
GALLERY: Final = "gallery"
GALLERY_LIST: Final = "gallery.json"
"""In ``gallery``."""
