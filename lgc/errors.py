"""Errors that a user can cause. Each is shown as one line: what was wrong, where, what to do."""

from __future__ import annotations

import re
from typing import Final

_SCHEME: Final = r"((?:https?|s3):/+|[a-z][a-z0-9+.-]{0,30}://)"
"""Of an address; one that was taken for a path has lost one of its slashes."""
_USER: Final = re.compile(
    # a database's address may have any character in its password; a port is none
    rf"{_SCHEME}(?:[^/?#\s]*@|[^:/?#@\[\s]*:(?!\d+(?:[/?#\s]|$))[^@\s]*@)",
    re.IGNORECASE,
)
_QUERY: Final = re.compile(rf"({_SCHEME}[^?\s]*)\?\S*?(?=[:;,.)\]'\"]*(?:\s|$))", re.IGNORECASE)


class LgcError(Exception):
    """Base of every error that is the input's or the environment's fault, not the program's."""


class DataError(LgcError):
    """A data set, shard or annotation file that cannot be used."""


class ImageError(LgcError):
    """A file that cannot be read as a photograph."""


class BitstreamError(LgcError):
    """A damaged, truncated or hostile ``.lgc`` file."""


class ModelError(LgcError):
    """A model file that is missing, damaged, or not the one a ``.lgc`` file was written with."""


class ConfigError(LgcError):
    """A configuration with an unknown key or an unusable value."""


class TrainingError(LgcError):
    """A training run that cannot go on."""


class EngineFailure(TrainingError):
    """What runs the training broke down, e.g. a full disk or a lost node: no result of what was trained."""


class WorkerError(LgcError):
    """Trouble of one worker alone, e.g. of its node's disk: the engine has to start all of them again."""


class ServiceError(LgcError):
    """A local service (PostgreSQL, S3 store, MLflow) that cannot be started or reached."""


def first_line(error: BaseException) -> str:
    """What an exception says, on one line; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def one_line(error: object, limit: int | None = None) -> str:
    """All that an error says, on one line of at most so many characters; its kind where it says nothing."""
    return " ".join(str(error).split())[:limit] or type(error).__name__


def last_line(text: str, otherwise: str = "no message") -> str:
    """The last line of what a command said, in which most tell what went wrong."""
    return (text.strip().splitlines() or [otherwise])[-1]


def without_secrets(text: str) -> str:
    """An address, or a text with addresses in it, without their users, passwords and queries.

    A presigned address opens its file to whoever reads it. An address ends at white space.
    """
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))
