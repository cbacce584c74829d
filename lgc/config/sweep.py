"""What a sweep searches: ``conf/sweep/*.yaml`` -> :class:`SweepConfig`; values -> the configuration of a trial."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lgc.config.advice import key_of
from lgc.config.load import compose_unchecked, make, parse
from lgc.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DIGITS: Final = 4
"""Significant digits of a searched value, so that the trial and the promoted file have the very same number."""


@dataclass(frozen=True)
class Range:
    """One searched number and the settings that it becomes."""

    low: float
    high: float
    log: bool
    keys: tuple[str, ...]
    """Dotted keys of ``params.yaml``; all get the same value."""


@dataclass(frozen=True)
class Worst:
    """The corner of the objectives: what failures count as, and where hypervolumes are measured from."""

    bpp: float
    lpips: float
    ms_ssim: float
    ssim: float
    miou: float


@dataclass(frozen=True)
class Target:
    """The score of ``target_rate``."""

    bpp: float
    """Bits per pixel of real files, container included, that are free."""
    excess: float
    """Weight of the logarithm of the rate above that."""
    tasks: float
    """Weight of 1 - mIoU."""


@dataclass(frozen=True)
class Asha:
    """When ``target_rate`` ends poor trials."""

    grace: float
    """Share of the adversarial phase of ``train_codec`` that every trial gets, 0 to 1."""
    reduction: float
    """One of so many goes on."""


@dataclass(frozen=True)
class SweepConfig:
    """One file of ``conf/sweep/``, which says what each entry means."""

    name: str
    mode: Literal["pareto", "target_rate"]
    sampler: Literal["tpe", "random"]
    trials: int
    seed: int
    present: bool
    concurrent: int | None
    storage: str | None
    space: dict[str, Range | None]
    """Null takes out what a file it builds on searches."""
    worst: Worst
    target: Target
    asha: Asha
    settings: dict[str, Any]

    @property
    def ranges(self) -> dict[str, Range]:
        """What is searched."""
        return {name: found for name, found in self.space.items() if found is not None}


def compose_sweep(
    overrides: Sequence[str], present: Mapping[str, Any], folder: Path | str = "conf"
) -> tuple[SweepConfig, dict[str, Any]]:
    """The sweep that ``overrides`` choose, and ``present`` with the settings that all its trials share.

    Args:
        overrides: ``sweep=NAME``, ``sweep.KEY=VALUE`` for the sweep's own entries, and ``KEY=VALUE`` for a
            setting of every trial.
        present: the content of ``params.yaml``.
        folder: of the Hydra configuration.

    Raises:
        ConfigError: an unknown sweep or key, a range that the configuration cannot have.
    """
    own = [_own(override) for override in overrides]
    if not any(override.startswith("+sweep=") for override in own):
        known = ", ".join(sorted(path.stem for path in Path(folder, "sweep").glob("*.yaml")))
        raise ConfigError(f"no sweep chosen: add sweep=NAME; there are {known}")
    raw = compose_unchecked(None, own, folder)["sweep"]
    sweep = make(SweepConfig, raw, "sweep")
    _check_sweep(sweep)
    shared = _merge(present, sweep.settings)
    for end in ("low", "high"):
        try:
            parse(with_values(shared, sweep.ranges, {k: getattr(found, end) for k, found in sweep.ranges.items()}))
        except ConfigError as error:
            raise ConfigError(f"sweep {sweep.name}: with every value at its {end} end: {error}") from error
    return sweep, shared


def with_values(raw: Mapping[str, Any], space: Mapping[str, Range], values: Mapping[str, float]) -> dict[str, Any]:
    """A plain configuration with the searched values in it."""
    changed = copy.deepcopy(dict(raw))
    for name, found in space.items():
        for key in found.keys:
            _put(changed, key, values[name])
    return changed


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Searched values as they are trained with, written down and promoted."""
    return {name: float(f"{value:.{_DIGITS}g}") for name, value in values.items()}


def present_values(raw: Mapping[str, Any], sweep: SweepConfig) -> dict[str, float]:
    """The searched settings as ``raw`` has them; :class:`ConfigError` where the space does not hold them."""
    values = {}
    for name, found in sweep.ranges.items():
        here = [_get(raw, key) for key in found.keys]
        if len(set(here)) > 1 or here[0] is None or not found.low <= here[0] <= found.high:
            told = ", ".join(f"{key} = {value!r}" for key, value in zip(found.keys, here, strict=True))
            raise ConfigError(
                f"sweep.space.{name}: {told} in params.yaml is no point from {found.low:g} to {found.high:g}; "
                "widen the range, or set sweep.present=false"
            )
        values[name] = float(here[0])
    return values


def nested(space: Mapping[str, Range], values: Mapping[str, float]) -> dict[str, Any]:
    """The searched settings alone, as nested mappings."""
    tree: dict[str, Any] = {}
    for name, found in space.items():
        for key in found.keys:
            *parents, last = key.split(".")
            at = tree
            for parent in parents:
                at = at.setdefault(parent, {})
            at[last] = values[name]
    return tree


def _own(override: str) -> str:
    """An override as Hydra must see it: a setting of every trial belongs below ``sweep.settings``."""
    key = key_of(override)
    if key == "sweep":
        return f"+{override.lstrip('+')}"
    if key.startswith("sweep."):
        return override
    if "=" not in override and override == key:
        raise ConfigError(f"{override}: is no KEY=VALUE; a sweep is chosen with lgc sweep sweep={override}")
    if "." not in key or "=" not in override:
        raise ConfigError(
            f"{override}: trials start from params.yaml; compose it first (lgc compose {override}), "
            "or override single settings (lgc sweep sweep=NAME train_codec.lr=0.001)"
        )
    return f"++sweep.settings.{override.lstrip('+')}"


def _check_sweep(sweep: SweepConfig) -> None:
    for key, good, value, needed in _rules(sweep):
        if not good:
            raise ConfigError(f"configuration: sweep.{key} = {value!r}; it must be {needed}")


def _rules(sweep: SweepConfig) -> Iterator[tuple[str, bool, object, str]]:
    """(key, whether it is fine, value, what is needed)."""
    yield "name", bool(_NAME.fullmatch(sweep.name)), sweep.name, "made of letters, digits, - and _"
    yield "trials", sweep.trials > 0, sweep.trials, "above 0"
    yield "seed", 0 <= sweep.seed < 1 << 32, sweep.seed, "at least 0 and below 2 ** 32"
    yield "concurrent", sweep.concurrent is None or sweep.concurrent > 0, sweep.concurrent, "null or above 0"
    yield "space", bool(sweep.ranges), {}, "one or more ranges"
    yield "target.bpp", sweep.target.bpp > 0, sweep.target.bpp, "above 0"
    yield "asha.grace", 0 <= sweep.asha.grace <= 1, sweep.asha.grace, "0 to 1"
    yield "asha.reduction", sweep.asha.reduction > 1, sweep.asha.reduction, "above 1"
    taken: set[str] = set()
    for name, found in sweep.ranges.items():
        yield f"space.{name}", found.low < found.high, [found.low, found.high], "a range with low below high"
        yield f"space.{name}.low", found.low > 0 or not found.log, found.low, "above 0 on a logarithmic scale"
        yield f"space.{name}.keys", bool(found.keys), found.keys, "one or more keys of params.yaml"
        twice = taken & set(found.keys)
        yield f"space.{name}.keys", not twice, sorted(twice), "keys that no other range sets"
        taken |= set(found.keys)


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second on top."""
    merged = copy.deepcopy(dict(under))
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _parent(raw: Mapping[str, Any], key: str) -> tuple[Any, str]:
    *parents, last = key.split(".")
    at: Any = raw
    for parent in parents:
        at = at.get(parent) if isinstance(at, Mapping) else None
    if not isinstance(at, Mapping) or last not in at or isinstance(at[last], Mapping):
        raise ConfigError(f"sweep.space: params.yaml has no setting {key}")
    return at, last


def _get(raw: Mapping[str, Any], key: str) -> Any:
    at, last = _parent(raw, key)
    return at[last]


def _put(raw: dict[str, Any], key: str, value: float) -> None:
    at, last = _parent(raw, key)
    at[last] = value
