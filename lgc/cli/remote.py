"""Fetches files from S3 or a web server: whole, or of a ``.lgc`` file the semantic layer and no more."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from lgc.errors import LgcError, one_line

FIRST_REQUEST: Final = 512
"""Bytes of the first range request; holds the whole semantic layer of most pictures up to 512 x 512."""
LARGEST: Final = 1 << 30
_TIMEOUT: Final = 20.0

FetchRange = Callable[[int, int], bytes]


def is_remote(address: str) -> bool:
    """Whether ``address`` names something that :func:`fetch` can fetch."""
    return re.match(r"(s3|https?)://", address, re.IGNORECASE) is not None


def file_name(address: str) -> str:
    """The last part of an address; :class:`LgcError` when it is none that names a file."""
    scheme, _, rest = address.partition("://")
    if scheme.lower() == "s3":  # any character may stand in a key
        bucket, _, path = rest.partition("/")
        if not bucket or not path:
            raise LgcError(f"{address}: names no file; write s3://BUCKET/KEY")
    else:
        try:
            parts = urlsplit(address)
            host, path, _ = parts.hostname, parts.path, parts.port
        except ValueError as error:
            raise LgcError(f"{address}: no usable address ({error})") from None
        if any(letter.isspace() or not letter.isprintable() for letter in address):
            shown = address.partition("?")[0]  # what follows a space would not be seen as its query
            raise LgcError(f"{shown!r}: an address has no spaces; write each as %20")
        if not host:
            raise LgcError(f"{address}: names no server")
    name = PurePosixPath(path).name
    if not name:
        raise LgcError(f"{address}: names no file")
    return name


def fetch(address: str, whole: bool) -> bytes:
    """The ``.lgc`` file at ``address``; unless ``whole``, only the base-only file at its front.

    The front takes one or two range requests: the header says where it ends.

    Raises :class:`LgcError` when it cannot be fetched, :class:`lgc.errors.BitstreamError` when it is no such
    file.
    """
    from lgc.bitstream.container import parse_header

    file_name(address)  # a mistake shows before anything is asked for
    get = _s3_range(address) if address[:2].lower() == "s3" else _http_range(address)
    data = get(0, FIRST_REQUEST)
    if whole:
        if len(data) == FIRST_REQUEST:
            data += get(len(data), LARGEST + 1)
        if len(data) > LARGEST:
            raise LgcError(f"{address}: longer than {LARGEST} bytes, the most that is fetched")
        return data
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
                before = 0 if response.status == 206 else start  # without ranges: the whole file
                wanted = before + stop - start
                data = response.read(wanted)
                if response.length and len(data) < wanted:  # cut off: read(n) takes that for the end of the file
                    raise http.client.IncompleteRead(data, response.length)
                return data[before:]
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
            if getattr(error, "code", None) == 416:  # the file ends where this range begins
                return b""
            raise _not_fetched(address, getattr(error, "reason", error)) from error

    return get


def _s3_range(address: str) -> FetchRange:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise LgcError(f"{address}: S3 needs the boto3 package (pip install 'lgc[s3]')") from None
    bucket, _, key = address.partition("://")[2].partition("/")
    try:
        client = boto3.client("s3")
    except (BotoCoreError, ValueError) as error:
        raise _not_fetched(address, error) from error

    def get(start: int, stop: int) -> bytes:
        try:
            answer = client.get_object(Bucket=bucket, Key=key.lstrip("/"), Range=f"bytes={start}-{stop - 1}")
            return answer["Body"].read()
        except (BotoCoreError, ClientError) as error:
            if "InvalidRange" in str(error):  # the file ends where this range begins
                return b""
            raise _not_fetched(address, error) from error

    return get


def _not_fetched(address: str, reason: object) -> LgcError:
    """In one line: botocore's reasons have several, and a server may say anything."""
    return LgcError(f"{address}: cannot be fetched ({one_line(reason, 200)})")
