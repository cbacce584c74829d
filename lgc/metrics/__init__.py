"""What is measured: adapters over libraries, each value with its meaning."""

from typing import Final

NAMES: Final = (
    "psnr", "ssim", "ms_ssim", "vif", "lpips", "lpips_moved", "dists", "grid", "identity",
    "reference_distance", "reference_frechet", "fid", "kid",
)  # fmt: skip
"""What ``evaluate.metrics`` may name; :func:`lgc.metrics.choose.make_metrics` makes them."""
