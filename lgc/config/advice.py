"""What is wrong with an override, and what to write instead, where Hydra says too little or too much."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

from lgc.config.schema import Config
from lgc.errors import ConfigError

_UNKNOWN: Final = re.compile(r"Could not (?:override|delete from config\.) '([^'@]+)'")
_NOISE: Final = re.compile(r"In '_dummy_empty_config_': | Config search path: .*| To append to your .*")
"""Of Hydra's messages: a file that nobody wrote, its own folders, and advice that fits no misspelt key."""


def check_overrides(overrides: Sequence[str], folder: Path | str) -> None:
    """:class:`ConfigError` for a folder that is no configuration, and for a group set to null."""
    if not Path(folder).is_dir():
        raise ConfigError(f"{folder}: no such folder; run this in the project's root")
    for override in overrides:
        group, _, value = override.lstrip("+").partition("=")
        if value == "null" and group in groups(folder):
            options = sorted(path.stem for path in Path(folder, group).glob("*.yaml"))
            raise ConfigError(f"{group}=null: must be one of {', '.join(options)}; leave it out for the default")


def groups(folder: Path | str) -> list[str]:
    """Names of the groups of a configuration."""
    return sorted(path.name for path in Path(folder).iterdir() if path.is_dir())


def without_noise(said: str) -> str:
    """What Hydra said, on one line."""
    return _NOISE.sub("", " ".join(said.split()))


def unknown_key(said: str) -> str | None:
    """The dotted key of which Hydra says that there is none."""
    found = _UNKNOWN.search(" ".join(said.split()))
    return found and found[1]


def key_of(override: str) -> str:
    """``a.b`` of ``a.b=c``, ``+a.b=c`` and ``~a.b``."""
    return override.partition("=")[0].lstrip("+~")


def nearest(key: str, present: Any, names: Sequence[str]) -> str:
    """A line on a dotted ``key`` that a configuration lacks, with the nearest that it has.

    Args:
        key: as the override has it.
        present: the plain configuration without that override.
        names: of groups, known at the top beside the configuration's own keys.
    """
    above, here = "", present
    for part in key.split("."):
        if not isinstance(here, Mapping):
            return f"unknown key {key}; {above} is a single value"
        if part not in here:
            return f"unknown key {key}; {_advice(key, above, part, list(here) if above else [*here, *names])}"
        above, here = f"{above}.{part}".lstrip("."), here[part]
    # of a value that is a mapping itself
    return f"{key} has no such key; {f'to add one: +{key}.NAME=...' if _takes_any_name(key) else _known(here)}"


def _advice(key: str, above: str, part: str, known: Sequence[str]) -> str:
    """What to write instead of ``part``, which is none of the keys ``known`` below ``above``."""
    near = difflib.get_close_matches(part, known, n=1)
    meant = f"did you mean {f'{above}.{near[0]}'.lstrip('.')}?" if near else ""
    if _takes_any_name(above):
        return f"{meant} To add it: +{key}=..." if near else f"to add it: +{key}=..."
    return meant or _known(known)


def _known(names: Iterable[str]) -> str:
    return f"known: {', '.join(dict.fromkeys(names))}"


def _takes_any_name(where: str) -> bool:
    """Whether the mapping at ``where`` has keys of the user's own, as ``rates`` and ``evaluate.models``."""
    hint: Any = Config
    for part in where.split("."):
        known = get_type_hints(hint) if is_dataclass(hint) else {}
        hint = known.get(part, get_args(hint)[-1] if get_origin(hint) is dict else None)
    return get_origin(hint) is dict
