"""What decides a run's result, and what is said when a checkpoint comes from another run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from lgc import digest
from lgc.tracking.base import flatten

_SHOWN: Final = 6
_ABSENT: Final = "absent"
TERMS_OFF: Final = "terms_off"
"""The fact that names loss terms which were off; no fact where none was."""


@dataclass(frozen=True)
class Identity:
    """Settings, data, code and weights that a run starts from, as nested plain values."""

    facts: Mapping[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of all facts."""
        return digest.of_value(self.facts)

    def without(self, terms: Collection[str]) -> Identity:
        """The same run, but that these loss terms are off, e.g. because weights are missing on this machine."""
        return Identity({**self.facts, TERMS_OFF: sorted(terms)}) if terms else self

    def differences(self, other: Mapping[str, Any]) -> str:
        """Where ``other`` facts differ from these: ``key was ..., is ...``, the first few."""
        # as JSON, so that a tuple equals the list that it becomes in a file
        was, now = ({key: json.dumps(value) for key, value in flatten(facts)} for facts in (other, self.facts))
        found = [
            f"{key} was {was.get(key, _ABSENT)}, is {now.get(key, _ABSENT)}"
            for key in dict.fromkeys([*now, *was])
            if was.get(key, _ABSENT) != now.get(key, _ABSENT)
        ]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + more
