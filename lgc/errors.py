"""Errors that a user can cause. Each is shown as one line: what was wrong, where, what to do."""

from __future__ import annotations


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


class ServiceError(LgcError):
    """A local service (PostgreSQL, S3 store, MLflow) that cannot be started or reached."""
