"""Which numbers a setting can be: by the name of its field, wherever that stands in the configuration.

A number that no list below names is at least 0: there is no setting for which less would mean anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

Range = tuple[Callable[[float], bool], str]
"""(whether a number is fine, what is needed)."""
NOT_NEGATIVE: Final[Range] = (lambda number: number >= 0, "at least 0")
POSITIVE: Final[Range] = (lambda number: number > 0, "above 0")
LIMIT: Final[Range] = (lambda number: number > 0, "null or above 0")
SHARE: Final[Range] = (lambda number: 0 <= number <= 1, "0 to 1")
PART: Final[Range] = (lambda number: 0 <= number < 1, "at least 0 and below 1")
_NAMES: Final[tuple[tuple[Range, str], ...]] = (
    (POSITIVE, "samples batch_size validation_images clip_norm lr learning_rates discriminator_lr analyzer_lr"),
    (POSITIVE, "channels latent_channels hidden discriminator_width size scale count qualities"),
    (POSITIVE, "bootstrap sheet_images stages workers prepare_workers evaluate_workers"),
    (LIMIT, "limit min_workers system_seconds semantic reconstruction"),
    (SHARE, "perceptual_from adversarial_from quantise_from base_share annotated_share lr_floor splits"),
    (PART, "zoom shift colour ema_decay"),
    ((lambda number: 0 <= number <= 180, "0 to 180 degrees"), "rotate"),
    ((lambda number: 0 < number <= 1, "above 0, at most 1"), "crop"),
    ((lambda number: 0 <= number < 1 << 63, "at least 0 and below 2 ** 63"), "seed"),
    ((lambda number: number >= -1, "at least 0, or -1 for any number of them"), "max_failures"),
    ((math.isfinite, "a finite number"), "mean"),
)
_RANGES: Final[Mapping[str, Range]] = {name: found for found, names in _NAMES for name in names.split()}
"""Name of a field -> its range; ``semantic`` and ``reconstruction`` are target rates."""


def range_rules(config: Any) -> Iterator[tuple[str, bool, object, str]]:
    """(key, whether it is fine, value, what is needed) of every number in a dataclass of the schema."""
    for key, name, number in _numbers("", "", config):
        good, needed = _RANGES.get(name, NOT_NEGATIVE)
        if isinstance(number, float) and not math.isfinite(number):
            yield key, False, number, "a finite number"
        yield key, good(number), number, needed


def _numbers(key: str, name: str, value: Any) -> Iterator[tuple[str, str, float]]:
    """(dotted key, name of the field, number); those of lists and mappings go by the field that holds them."""
    if is_dataclass(value):
        dot = f"{key}." if key else ""
        for field in fields(value):
            yield from _numbers(f"{dot}{field.name}", field.name, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner, element in value.items():
            yield from _numbers(f"{key}.{inner}", name, element)
    elif isinstance(value, list | tuple):
        for place, element in enumerate(value):
            yield from _numbers(f"{key}[{place}]", name, element)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, name, value
