"""From points to ``metrics.json``: means with intervals, accounts, ratios, differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from lgc.backbones import Absent
from lgc.bitstream.codec import CHECK_BITS
from lgc.evaluation.comparison import difference
from lgc.evaluation.information import information
from lgc.evaluation.intervals import (
    detail_intervals,
    interval_of,
    mean_interval,
    mean_rounds,
    plain,
    task_intervals,
    task_ratios,
    task_rounds,
)
from lgc.evaluation.points import Point, analysed
from lgc.metrics.distribution import SetMetric
from lgc.metrics.information import Priors
from lgc.models.layered import LAYERS

RAW_BITS: Final = 24
"""Bits per pixel of uncompressed RGB."""


def summarise(
    points: Sequence[Point],
    rounds: int,
    ours: Sequence[str],
    distances: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Everything that tables and plots show of single codecs, and ours against each other.

    Args:
        points: of every codec.
        rounds: of the bootstrap.
        ours: names of our codecs, the main one first.
        distances: of :func:`set_distances`.
    """
    by_key = {point.key: point for point in points}
    summary: dict[str, Any] = {
        "codecs": {
            point.key: codec_values(point, rounds)
            | {name: {"value": value} for name, value in distances.get(point.key, {}).items()}
            for point in points
        },
        "accounts": {name: account(by_key[name]) for name in ours},
        "account_intervals": {name: account_intervals(by_key[name], rounds) for name in ours},
    }
    summary["bit_saving"] = {name: bit_saving(by_key[name], by_key[f"{name} base"]) for name in ours}
    summary["against_reference"] = {
        f"{name} {layers}": plain(task_ratios(point.tasks[layers], by_key["original"].tasks["rgb"], rounds))
        for name in ours
        for point, layers in ((by_key[f"{name} base"], "semantic"), (by_key[name], "both"))
        if layers in point.tasks
    }
    if len(ours) > 1:
        summary[f"{ours[0]}_minus_{ours[1]}"] = differences(by_key, ours[0], ours[1], rounds)
    return summary


def details(points: Sequence[Point], priors: Priors, rounds: int) -> dict[str, Any]:
    """What is too much for ``metrics.json``: every class, attribute and angle; encoders and their times."""
    return {
        "classes": {
            point.key: {
                source: {group: plain(values) for group, values in detail_intervals(scores, rounds).items()}
                for source, scores in point.tasks.items()
            }
            for point in points
        },
        "encoders": {point.key: dict(point.about) for point in points if point.about},
        "baseline_ms": {point.key: times for point in points if (times := median_ms(point))},
        "information": information(points, priors, rounds),
    }


def set_distances(
    points: Sequence[Point], metrics: Mapping[str, SetMetric]
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Distances between each codec's decoded pictures and the originals, by point; and why some are absent."""
    (original,) = (point for point in points if point.codec == "original")
    found: dict[str, dict[str, float]] = {point.key: {} for point in points}
    absent: dict[str, str] = {}
    for name, metric in metrics.items():
        for point in points:
            if point is original or metric.features not in point.features:
                continue
            value = metric(point.features[metric.features], original.features[metric.features])
            if isinstance(value, Absent):
                absent[value.name] = value.reason
                break
            found[point.key][name] = value
    return found, absent


def codec_values(point: Point, rounds: int) -> dict[str, Any]:
    """Rate, picture metrics and task metrics of one point, each with its interval."""
    values: dict[str, Any] = {name: mean_interval(rate, rounds).as_dict() for name, rate in point.rates.items()}
    values["images"] = len(point.values["bytes"])
    for name, per_picture in point.measures.items():
        values[name] = mean_interval(per_picture, rounds).as_dict()
    for source, scores in point.tasks.items():
        values[f"tasks_{source}"] = plain(task_intervals(scores, rounds))
    return values


def median_ms(point: Point) -> dict[str, float]:
    """Milliseconds a picture to encode and to decode, one picture at a time."""
    return {
        name.removeprefix("time_").removesuffix("_ms"): float(np.median(values))
        for name, values in point.values.items()
        if name.startswith("time_")
    }


def account(point: Point) -> dict[str, float]:
    """Where our bytes go, mean a picture, and how far they are from what the float model estimated."""
    means = {name: value.mean() for name, value in point.values.items()}
    return {name: float(value) for name, value in _account(means).items()}


def account_intervals(point: Point, rounds: int) -> dict[str, dict[str, float | None]]:
    """The 95 % intervals of :func:`account`."""
    drawn = _mean_rounds(point.values, rounds)
    samples = {name: np.broadcast_to(found, rounds) for name, found in _account(drawn).items()} if drawn else {}
    return plain({name: interval_of(value, samples.get(name)) for name, value in account(point).items()})


def _mean_rounds(values: Mapping[str, np.ndarray], rounds: int) -> dict[str, np.ndarray]:
    """Of all that have enough pictures."""
    drawn = {name: mean_rounds(per_picture, rounds) for name, per_picture in values.items()}
    return {name: means for name, means in drawn.items() if means is not None}


def _account(v: Mapping[str, Any]) -> dict[str, Any]:
    """From means: numbers, or arrays of as many as there are rounds."""
    result: dict[str, Any] = {
        "file_bytes": v["bytes"],
        "header_bytes": v["header_bytes"],
        "checksum_bytes": CHECK_BITS / 8 * len(LAYERS),
        "termination_bytes": sum(v[f"termination_bits_{layer}"] for layer in LAYERS) / 8,
    }
    for layer in LAYERS:
        result[f"{layer}_payload_bytes"] = v[f"bytes_{layer}"]
        result[f"{layer}_symbols_bytes"] = v[f"ideal_bits_{layer}"] / 8
    if "estimated_bits_semantic" in v:
        estimated = sum(v[f"estimated_bits_{layer}"] for layer in LAYERS) / 8
        symbols = sum(v[f"ideal_bits_{layer}"] for layer in LAYERS) / 8
        result["float_estimate_bytes"] = estimated
        result["exactness_cost_percent"] = 100 * (symbols / estimated - 1)
        container = result["header_bytes"] + result["checksum_bytes"]
        result["gap_to_estimate_percent"] = 100 * (v["bytes"] - container) / estimated - 100
    return result


def bit_saving(full: Point, base: Point) -> dict[str, float]:
    """Percent of bits saved by analysing our bytes instead of RGB (24 bpp)."""
    return {
        "semantic_layer_of_24bpp_percent": 100 * (1 - base.bpp / RAW_BITS),
        "both_layers_of_24bpp_percent": 100 * (1 - full.bpp / RAW_BITS),
    }


def differences(by_key: Mapping[str, Point], a: str, b: str, rounds: int) -> dict[str, Any]:
    """Paired ``a - b`` for rate, pictures and tasks, whole and base-only."""
    return {
        "base" if suffix else "full": difference(by_key[a + suffix], by_key[b + suffix], rounds)
        for suffix in ("", " base")
    }


def curve_rows(points: Sequence[Point], distances: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """One flat row a point, for plots: codec, setting, bpp and the mean of every metric.

    ``curve`` names the line that a point lies on: the codec's, but base-only files have one of their own where our
    codec was trained for several rates. (At one rate its base-only and whole files make one line of two points.)
    ``analysis.*`` is what a machine gets from the file: our own layers read from bytes where it has them, else the
    RGB reference on the decoded picture.
    """
    bases = Counter(point.codec for point in points if point.is_base)
    rows = []
    for point in points:
        curve = f"{point.codec} base" if point.is_base and bases[point.codec] > 1 else point.codec
        row: dict[str, Any] = {"codec": point.codec, "setting": point.setting, "curve": curve}
        row |= {name: float(rate.mean()) for name, rate in point.rates.items()}
        row |= {name: float(np.mean(values)) for name, values in point.measures.items()}
        row |= distances.get(point.key, {})
        row |= _by_source({source: scores.values() for source, scores in point.tasks.items()})
        rows.append(row)
    return rows


def curve_rounds(points: Sequence[Point], rounds: int) -> list[dict[str, np.ndarray]]:
    """What :func:`curve_rows` says of each point, over the pictures of each bootstrap round: (rounds,) arrays.

    Every codec is measured on the same pictures, and a round draws the same ones for all. Distances between sets of
    pictures have no rounds, nor has what was measured on too few pictures.
    """
    found = []
    for point in points:
        row = _mean_rounds(point.rates | point.measures, rounds)
        row |= _by_source({source: task_rounds(scores, rounds) for source, scores in point.tasks.items()})
        found.append(row)
    return found


def _by_source(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Flat names; ``analysis.*`` is the best source there is."""
    best = analysed(tasks)
    named = tasks if best is None else {**tasks, "analysis": tasks[best]}
    return {f"{source}.{name}": value for source, values in named.items() for name, value in values.items()}
