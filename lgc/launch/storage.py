"""One S3 configuration for everything that speaks S3: boto3, MLflow, DVC and Ray's pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from lgc.config.schema import StorageConfig
from lgc.errors import EngineFailure, first_line
from lgc.launch.credentials import to_tell
from lgc.launch.inputs import Store

_PASSED_ON: Final = ("AWS_PROFILE", "LGC_WEIGHTS")


def environment(storage: StorageConfig) -> dict[str, str]:
    """Environment variables that point boto3, MLflow and DVC at the configured endpoint.

    Newer boto3 adds checksums that several S3 servers reject; they are asked for only where required.
    """
    if storage.bucket is None:
        return {}
    values = {
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    if storage.endpoint:
        values |= {"AWS_ENDPOINT_URL": storage.endpoint, "MLFLOW_S3_ENDPOINT_URL": storage.endpoint}
    if storage.region:
        values |= {"AWS_DEFAULT_REGION": storage.region, "AWS_REGION": storage.region}
    return values


def apply(storage: StorageConfig) -> None:
    """Set :func:`environment` for this process; what the user set wins."""
    for name, value in environment(storage).items():
        os.environ.setdefault(name, value)


def worker_environment(storage: StorageConfig, address: str | None) -> dict[str, str]:
    """What workers of the Ray at ``address``, or else at ``RAY_ADDRESS``, need to be told.

    The endpoint, where weights are, and this process's credentials if it has any and they do not have them anyway.
    Nodes with a role of their own (an instance profile) need none from here.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return environment(storage) | passed_on | to_tell(address)


def ray_storage(store: Store, uri: str) -> Mapping[str, Any]:
    """``storage_path`` and ``storage_filesystem`` for Ray; pyarrow ignores ``AWS_ENDPOINT_URL``."""
    if urlsplit(uri).scheme != "s3":
        return {"storage_path": uri}
    return {"storage_path": store.folder, "storage_filesystem": store.filesystem}


@contextmanager
def reaching(where: str) -> Iterator[None]:
    """:class:`EngineFailure` in place of what pyarrow raises when the storage ``where`` cannot be used."""
    try:
        yield
    except OSError as error:
        raise EngineFailure(
            f"{where}: cannot be used ({first_line(error)}); see `lgc doctor`, then run the same command again"
        ) from error


def open_store(storage: StorageConfig, uri: str) -> Store:
    """``s3://bucket/folder`` or a local folder behind one kind of file system."""
    from pyarrow.fs import LocalFileSystem

    parts = urlsplit(uri)
    if parts.scheme != "s3":
        return Store(LocalFileSystem(), uri.rstrip("/"))
    from lgc.launch.patient_s3 import PatientS3

    options: dict[str, Any] = {
        "force_virtual_addressing": not storage.path_style,
        # with writes in the background pyarrow 25 copies a folder "successfully" though the store refused a part of a
        # file, which is then missing: a checkpoint that is none
        "background_writes": False,
        "connect_timeout": 10.0,
        "request_timeout": 60.0,  # pyarrow's 3 s without a byte are over too soon on a busy store
    }
    if storage.region:
        options["region"] = storage.region
    if storage.endpoint:
        endpoint = urlsplit(storage.endpoint)
        options |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    return Store(PatientS3(**options), f"{parts.netloc}{parts.path}".rstrip("/"))
