"""``conf/`` -> ``params.yaml`` -> :class:`~lgc.config.schema.Config`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import dacite
import yaml

from lgc.config.schema import Config
from lgc.errors import ConfigError

PARAMS: Final = Path("params.yaml")
HEADER: Final = "# Written by `lgc compose`; edit conf/ or compose with overrides instead.\n"


def compose(overrides: Sequence[str] = (), folder: Path | str = "conf") -> dict[str, Any]:
    """Compose the Hydra configuration in ``folder`` with ``overrides``; checked against the schema.

    Raises:
        ConfigError: an unknown group, option or key, or a value of the wrong type, in one line.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(Path(folder).resolve()), version_base="1.3"):
            composed = hydra_compose("config", overrides=list(overrides))
        raw = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{folder}: {reason}") from error
    assert isinstance(raw, dict)
    plain = {str(key): value for key, value in raw.items()}
    parse(plain)
    return plain


def write_params(raw: Mapping[str, Any], path: Path = PARAMS) -> bool:
    """Write a composed configuration; False when the file already says the same."""
    text = HEADER + yaml.safe_dump(dict(raw), sort_keys=False)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
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
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: unreadable ({' '.join(str(error).split())})") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: not a mapping; run `lgc compose`")
    return raw


def parse(raw: Mapping[str, Any]) -> Config:
    """Check a plain mapping and build the typed configuration."""
    _check_keys(raw, Config, "")
    options = dacite.Config(strict=True, cast=[tuple], type_hooks={float: float})
    try:
        return dacite.from_dict(Config, dict(raw), options)
    except dacite.DaciteError as error:
        raise ConfigError(f"configuration: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"configuration: {error}") from error


def _check_keys(raw: Mapping[str, Any], kind: type, where: str) -> None:
    """Unknown and missing keys, with the nearest known name."""
    known = {field.name: hint for field, hint in zip(fields(kind), _hints(kind), strict=True)}
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            raise ConfigError(f"configuration: unknown key {where}{key}{hint}")
        inner = known[key]
        _check_value(inner, value, f"{where}{key}")
        if is_dataclass(inner):
            if not isinstance(value, Mapping):
                raise ConfigError(f"configuration: {where}{key} must be a mapping, not {value!r}")
            _check_keys(value, inner, f"{where}{key}.")  # type: ignore[arg-type]


def _check_value(hint: Any, value: Any, where: str) -> None:
    """The two checks whose messages a person needs most: choices and numbers."""
    if get_origin(hint) is Literal and value not in get_args(hint):
        choices = ", ".join(map(str, get_args(hint)))
        raise ConfigError(f"configuration: {where} must be one of {choices}, not {value!r}")
    if hint in (int, float) and (isinstance(value, bool) or not isinstance(value, int | hint)):
        raise ConfigError(f"configuration: {where} must be a number ({hint.__name__}), not {value!r}")


def _hints(kind: type) -> list[Any]:
    hints = get_type_hints(kind)
    return [hints[field.name] for field in fields(kind)]
