"""pyarrow's S3 client, made to outlast a store that is away for a minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

ATTEMPTS: Final = 12
"""Waits double up to 20 s, each cut by a random share: about a minute and a half in all."""


class PatientS3(S3FileSystem):
    """Tries again longer than the default, which gives up within seconds; still so where Ray has sent it.

    pyarrow's own pickling forgets how often to try.
    """

    def __init__(self, **options: Any) -> None:
        """Options of :class:`pyarrow.fs.S3FileSystem`."""
        self._options = options
        super().__init__(retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS), **options)

    def __reduce__(self) -> tuple[Any, tuple[Mapping[str, Any]]]:
        """Make it anew."""
        return _make, (self._options,)


def _make(options: Mapping[str, Any]) -> PatientS3:
    return PatientS3(**options)
