"""Fetches the semantic layer of a ``.lgc`` file, and no more, from S3 or a web server."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from lgc.errors import LgcError

FIRST_REQUEST: Final = 512
"""Bytes of the first range request; holds the whole semantic layer of most pictures up to 512 x 512."""
LARGEST: Final = 1 << 30
_TIMEOUT: Final = 20.0

FetchRange = Callable[[int, int], bytes]


def is_remote(address: str) -> bool:
    """Whether ``address`` names something that :func:`fetch` can fetch."""
    return urlsplit(address).scheme in ("s3", "http", "https")


def fetch(address: str, whole: bool) -> bytes:
    """The ``.lgc`` file at ``address``; unless ``whole``, only the base-only file at its front.

    The front takes one or two range requests: the header says where it ends.

    Raises :class:`LgcError` when it cannot be fetched, :class:`lgc.errors.BitstreamError` when it is no such
    file.
    """
    from lgc.bitstream.container import parse_header

    get = _s3_range(address) if address.startswith("s3://") else _http_range(address)
    data = get(0, FIRST_REQUEST)
    if whole:
        return data if len(data) < FIRST_REQUEST else data + get(len(data), LARGEST)
    header, offset = parse_header(data)
    end = offset + header.semantic_length
    if end > len(data) and len(data) >= FIRST_REQUEST:
        data += get(len(data), end)
    return data[:end]


def _http_range(address: str) -> FetchRange:
    def get(start: int, stop: int) -> bytes:
        request = urllib.request.Request(address, headers={"Range": f"bytes={start}-{stop - 1}"})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
                if response.status == 206:
                    return response.read(stop - start)
                return response.read(stop)[start:]  # a server without ranges sends the file from its start
        except (urllib.error.URLError, OSError, ValueError) as error:
            if getattr(error, "code", None) == 416:  # the file ends where this range begins
                return b""
            raise LgcError(f"{address}: cannot be fetched ({getattr(error, 'reason', error)})") from error

    return get


def _s3_range(address: str) -> FetchRange:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise LgcError(f"{address}: S3 needs the boto3 package (pip install 'lgc[s3]')") from None
    parts = urlsplit(address)
    try:
        client = boto3.client("s3")
    except (BotoCoreError, ValueError) as error:
        raise LgcError(f"{address}: cannot be fetched ({error})") from error

    def get(start: int, stop: int) -> bytes:
        try:
            answer = client.get_object(
                Bucket=parts.netloc, Key=parts.path.lstrip("/"), Range=f"bytes={start}-{stop - 1}"
            )
            return answer["Body"].read()
        except (BotoCoreError, ClientError) as error:
            if "InvalidRange" in str(error):  # the file ends where this range begins
                return b""
            raise LgcError(f"{address}: cannot be fetched ({error})") from error

    return get
