"""From points to ``metrics.json``: means with intervals, accounts, ratios, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from lgc.evaluation.intervals import (
    Estimate,
    mean_difference,
    mean_interval,
    task_differences,
    task_intervals,
    task_ratios,
)
from lgc.evaluation.points import Point

RAW_BITS: Final = 24
"""Bits per pixel of uncompressed RGB."""
_INTERNAL: Final = ("header_", "bytes", "ideal_bits_", "termination_bits_", "estimated_bits_")


def summarise(points: Sequence[Point], rounds: int, ours: Sequence[str]) -> dict[str, Any]:
    """Everything that tables and plots show. ``ours`` names our codecs, the main one first."""
    by_key = {point.key: point for point in points}
    summary: dict[str, Any] = {
        "codecs": {point.key: codec_values(point, rounds) for point in points},
        "accounts": {name: account(by_key[name]) for name in ours},
    }
    original, main = by_key["original"], ours[0]
    summary["bit_saving"] = {name: bit_saving(by_key[name], by_key[f"{name} base"], original) for name in ours}
    if "rgb" in original.tasks:
        reference = original.tasks["rgb"]
        summary["against_reference"] = {
            f"{name} {layers}": _plain(task_ratios(point.tasks[layers], reference, rounds))
            for name in ours
            for point, layers in ((by_key[f"{name} base"], "semantic"), (by_key[name], "both"))
            if layers in point.tasks
        }
    if len(ours) > 1:
        summary[f"{main}_minus_{ours[1]}"] = differences(by_key, main, ours[1], rounds)
    return summary


def codec_values(point: Point, rounds: int) -> dict[str, Any]:
    """Rate, picture metrics and task metrics of one point, each with its interval."""
    values: dict[str, Any] = {
        "bpp": mean_interval(8 * point.values["bytes"] / point.pixels, rounds).as_dict(),
        "images": len(point.values["bytes"]),
    }
    for name, per_picture in point.values.items():
        if not name.startswith(_INTERNAL):
            values[name] = mean_interval(per_picture, rounds).as_dict()
    for source, scores in point.tasks.items():
        values[f"tasks_{source}"] = _plain(task_intervals(scores, rounds))
    return values


def account(point: Point) -> dict[str, float]:
    """Where our bytes go, mean a picture, and how far they are from what the float model estimated."""
    v = {name: float(value.mean()) for name, value in point.values.items()}
    layers = ("semantic", "reconstruction")
    result = {
        "file_bytes": v["bytes"],
        "header_bytes": v["header_bytes"],
        "checksum_bytes": 4.0 * len(layers),
        "termination_bytes": sum(v[f"termination_bits_{layer}"] for layer in layers) / 8,
    }
    for layer in layers:
        result[f"{layer}_payload_bytes"] = v[f"bytes_{layer}"]
        result[f"{layer}_symbols_bytes"] = v[f"ideal_bits_{layer}"] / 8
    if "estimated_bits_semantic" in v:
        estimated = sum(v[f"estimated_bits_{layer}"] for layer in layers) / 8
        symbols = sum(v[f"ideal_bits_{layer}"] for layer in layers) / 8
        result["float_estimate_bytes"] = estimated
        result["exactness_cost_percent"] = 100 * (symbols / estimated - 1)
        container = result["header_bytes"] + result["checksum_bytes"]
        result["gap_to_estimate_percent"] = 100 * (v["bytes"] - container) / estimated - 100
    return result


def bit_saving(full: Point, base: Point, original: Point) -> dict[str, float]:
    """Percent of bits saved by analysing our bytes instead of RGB (24 bpp) and of the source files."""
    source = original.values["bytes"].mean()
    return {
        "semantic_layer_of_24bpp_percent": 100 * (1 - base.bpp / RAW_BITS),
        "both_layers_of_24bpp_percent": 100 * (1 - full.bpp / RAW_BITS),
        "semantic_layer_of_source_files_percent": 100 * (1 - float(base.values["bytes"].mean() / source)),
        "both_layers_of_source_files_percent": 100 * (1 - float(full.values["bytes"].mean() / source)),
    }


def differences(by_key: Mapping[str, Point], a: str, b: str, rounds: int) -> dict[str, Any]:
    """Paired ``a - b`` for rate, pictures and tasks, whole and base-only."""
    result: dict[str, Any] = {}
    for suffix in ("", " base"):
        left, right = by_key[a + suffix], by_key[b + suffix]
        entry: dict[str, Any] = {
            "relative_rate_percent": 100 * (left.bpp / right.bpp - 1),
            "bpp": mean_difference(
                8 * left.values["bytes"] / left.pixels, 8 * right.values["bytes"] / right.pixels, rounds
            ).as_dict(),
        }
        for name, values in left.values.items():
            if not name.startswith(_INTERNAL) and name in right.values:
                entry[name] = mean_difference(values, right.values[name], rounds).as_dict()
        for source, scores in left.tasks.items():
            if source in right.tasks:
                entry[f"tasks_{source}"] = _plain(task_differences(scores, right.tasks[source], rounds))
        result["base" if suffix else "full"] = entry
    return result


def curve_rows(points: Sequence[Point]) -> list[dict[str, Any]]:
    """One flat row a point, for plots: codec, setting, bpp and the mean of every metric."""
    rows = []
    for point in points:
        row: dict[str, Any] = {"codec": point.codec, "setting": point.setting, "bpp": point.bpp}
        for name, values in point.values.items():
            if not name.startswith(_INTERNAL):
                row[name] = float(np.mean(values))
        for source, scores in point.tasks.items():
            row |= {f"{source}.{name}": value for name, value in scores.values().items()}
        rows.append(row)
    return rows


def _plain(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.as_dict() for name, estimate in estimates.items()}
