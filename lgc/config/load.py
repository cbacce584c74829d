"""``conf/`` -> ``params.yaml`` -> :class:`~lgc.config.schema.Config`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from lgc.atomic import replacing_file
from lgc.config import resolvers
from lgc.config.advice import check_overrides, groups, key_of, nearest, unknown_key, without_noise
from lgc.config.check import check_values
from lgc.config.schema import Config
from lgc.errors import ConfigError, one_line

T = TypeVar("T")
PARAMS: Final = Path("params.yaml")
HEADER: Final = "# Written by `lgc compose`; edit conf/ or compose with overrides instead.\n"


def compose(overrides: Sequence[str] = (), folder: Path | str = "conf") -> dict[str, Any]:
    """Compose the Hydra configuration in ``folder`` with ``overrides``; checked against the schema.

    Raises:
        ConfigError: an unknown group, option or key, or a value of the wrong type, in one line.
    """
    raw = compose_unchecked("config", overrides, folder)
    if "sweep" in raw:
        raise ConfigError("configuration: a sweep is no part of params.yaml; start it with `lgc sweep sweep=NAME`")
    parse(raw)
    return raw


def compose_unchecked(name: str | None, overrides: Sequence[str], folder: Path | str) -> dict[str, Any]:
    """What Hydra makes of a file of ``folder`` and ``overrides``; :class:`ConfigError` when it can not.

    Without ``name`` it starts from nothing, and the overrides add groups.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    resolvers.register()
    check_overrides(overrides, folder)
    try:
        with initialize_config_dir(str(Path(folder).resolve()), version_base="1.3"):
            composed = hydra_compose(name, overrides=list(overrides))
        raw = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        key = unknown_key(str(error))
        others = [override for override in overrides if key_of(override) != key]
        if key is None or len(others) == len(overrides):
            raise ConfigError(f"{folder}: {without_noise(str(error))}") from error
        known = compose_unchecked(name, others, folder)  # or the error in one of them
        raise ConfigError(f"configuration: {nearest(key, known, groups(folder))}") from error
    assert isinstance(raw, dict)
    return {str(key): value for key, value in raw.items()}


def write_params(raw: Mapping[str, Any], path: Path = PARAMS) -> bool:
    """Write a composed configuration; False when the file already says the same.

    Raises:
        ConfigError: the file cannot be read, or its folder not be written.
    """
    text = (HEADER + yaml.safe_dump(dict(raw), sort_keys=False)).encode()
    try:
        if path.is_file() and path.read_bytes() == text:
            return False
        with replacing_file(path) as partial:
            partial.write_bytes(text)
    except OSError as error:
        rights = "look at the rights of the file and of its folder"
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error}); {rights}") from error
    return True


def load(path: Path | str = PARAMS) -> Config:
    """Read and check ``params.yaml``; :class:`ConfigError` names the key that is wrong."""
    return parse(read_raw(path))


def read_raw(path: Path | str = PARAMS) -> dict[str, Any]:
    """``params.yaml`` as plain mappings."""
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: missing; run `lgc compose` in the project's root") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: unreadable ({one_line(error)})") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: not a mapping; run `lgc compose`")
    return raw


def parse(raw: Mapping[str, Any]) -> Config:
    """Check a plain mapping and build the typed configuration."""
    config = make(Config, raw, "")
    check_values(config)
    return config


def make(kind: type[T], raw: Mapping[str, Any], where: str) -> T:
    """A schema class from a plain mapping of the right keys and types; ``where`` stands before keys in errors."""
    try:
        made: T = _checked(kind, raw, where)
    except (TypeError, ValueError, OverflowError) as error:  # of a class that looks at its values itself
        raise ConfigError(f"configuration: {error}") from error
    return made


def _checked(hint: Any, value: Any, where: str) -> Any:
    """What a plain value becomes where a hint stands; :class:`ConfigError` names the key that cannot."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        return _checked(next(kind for kind in inner if kind is not NoneType), value, where)
    if origin is Literal:
        if value not in inner:
            raise _wrong(where, f"one of {', '.join(map(str, inner))}", value)
        return value
    if origin is tuple or origin is list:
        if not isinstance(value, list | tuple):
            raise _wrong(where, "a list", value)
        fixed = [kind for kind in inner if kind is not Ellipsis]
        if origin is tuple and Ellipsis not in inner and len(value) != len(fixed):
            raise _wrong(where, f"a list of {len(fixed)}", value)
        return origin(
            _checked(fixed[min(number, len(fixed) - 1)], element, f"{where}[{number}]")
            for number, element in enumerate(value)
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(where, "a mapping", value)
        return {
            _checked(inner[0], key, f"{where}.{key}"): _checked(inner[1], element, f"{where}.{key}")
            for key, element in value.items()
        }
    if is_dataclass(hint):
        return _built(hint, value, where)  # type: ignore[arg-type]
    if hint is float or hint is int:
        if isinstance(value, bool) or not isinstance(value, int | hint):
            raise _wrong(where, "a number" if hint is float else "a whole number", value)
        return hint(value)
    if not isinstance(value, hint):
        raise _wrong(where, hint.__name__, value)
    return value


def _built(kind: type, value: Any, where: str) -> Any:
    """An instance of a dataclass; an unknown key is told with the nearest known name."""
    if not isinstance(value, Mapping):
        raise _wrong(where, "a mapping", value)
    hints, dot = get_type_hints(kind), f"{where}." if where else ""
    for key in value:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            advice = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(hints)}"
            raise ConfigError(f"configuration: unknown key {dot}{key}{advice}")
    values = {}
    for field in fields(kind):
        if field.name in value:
            values[field.name] = _checked(hints[field.name], value[field.name], f"{dot}{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"configuration: {dot}{field.name} is missing; run `lgc compose`")
    return kind(**values)


def _wrong(where: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"configuration: {where} must be {expected}, not {value!r}")
