"""Fetching just the semantic layer from a web server or S3."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto import mock_aws

from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import Container, Header, strip
from lgc.cli import remote
from lgc.cli.main import main
from lgc.cli.remote import FIRST_REQUEST, fetch, is_remote
from lgc.errors import BitstreamError, LgcError


@pytest.fixture
def server() -> Iterator[Any]:
    """Serves ``files`` with range requests; counts the bytes it sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = web.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            spans = self.headers.get("Range") if web.ranges else None
            status = 200
            if spans:
                start, stop = spans.removeprefix("bytes=").split("-")
                if int(start) >= len(data):
                    self.send_error(416)
                    return
                data, status = data[int(start) : int(stop) + 1], 206
            web.sent += len(data)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: web.cut])

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.files, web.sent, web.ranges, web.cut = {}, 0, True, None  # type: ignore[attr-defined]
    web.address = f"http://127.0.0.1:{web.server_port}"  # type: ignore[attr-defined]
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield web
    web.shutdown()


def file(semantic: int, reconstruction: int) -> bytes:
    header = Header(b"abcd", 5000, 5000, semantic)
    return Container(header, b"s" * semantic, b"r" * reconstruction or None).to_bytes()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    ("semantic", "reconstruction"),
    [(10, 10), (10, 4000), (4000, 9000), (FIRST_REQUEST - 12, 0), (FIRST_REQUEST - 12, 7), (4000, 0)],
)
def test_only_the_front_is_fetched(server: Any, semantic: int, reconstruction: int, ranges: bool) -> None:
    data = file(semantic, reconstruction)
    server.files["/a.lgc"], server.ranges = data, ranges
    assert fetch(f"{server.address}/a.lgc", whole=False) == strip(data)
    if ranges:
        assert server.sent <= max(FIRST_REQUEST, len(strip(data)))
    assert fetch(f"{server.address}/a.lgc", whole=True) == data


def test_a_truncated_file_is_passed_on_for_the_parser_to_refuse(
    server: Any, codec: LayeredCodec, pictures: list[np.ndarray]
) -> None:
    server.files["/a.lgc"] = codec.compress(pictures[0])[:20]
    with pytest.raises(BitstreamError, match="file ends inside the semantic layer"):
        codec.analyze(fetch(f"{server.address}/a.lgc", whole=False))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_ends_early_is_no_end_of_the_file(server: Any, ranges: bool, whole: bool) -> None:
    server.files["/a.lgc"], server.ranges, server.cut = file(100, 4000), ranges, 40
    with pytest.raises(LgcError, match=r"a\.lgc: cannot be fetched \(IncompleteRead\(40 bytes read"):
        fetch(f"{server.address}/a.lgc", whole)


def test_what_is_too_long_is_not_cut(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file(100, 4000)
    server.files["/a.lgc"] = data
    for largest in (len(data), len(data) - 1):
        monkeypatch.setattr(remote, "LARGEST", largest)
        if largest == len(data):
            assert fetch(f"{server.address}/a.lgc", whole=True) == data
        else:
            with pytest.raises(LgcError, match=rf"a\.lgc: longer than {largest} bytes"):
                fetch(f"{server.address}/a.lgc", whole=True)


@pytest.mark.parametrize("path", ["/missing.lgc"])
def test_what_is_not_there_is_one_line(server: Any, path: str) -> None:
    with pytest.raises(LgcError, match=r"missing\.lgc: cannot be fetched \(Not Found\)"):
        fetch(f"{server.address}{path}", whole=False)
    with pytest.raises(LgcError, match="cannot be fetched"):
        fetch("http://127.0.0.1:9/a.lgc", whole=False)


def test_not_an_lgc_file(server: Any) -> None:
    server.files["/a.lgc"] = b"<html>"
    with pytest.raises(BitstreamError, match=r"not an .lgc file"):
        fetch(f"{server.address}/a.lgc", whole=False)


def test_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    data = file(4000, 9000)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        client.put_object(Bucket="photos", Key="deep/a.lgc", Body=data)
        assert fetch("s3://photos/deep/a.lgc", whole=False) == strip(data)
        assert fetch("s3://photos/deep/a.lgc", whole=True) == data
        assert fetch("S3://photos/deep/a.lgc", whole=True) == data
        with pytest.raises(LgcError, match=r"s3://photos/b.lgc: cannot be fetched"):
            fetch("s3://photos/b.lgc", whole=False)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:9/", "names no file"),
        ("http:///a.lgc", "names no server"),
        ("http://[x/a.lgc", r"no usable address \(Invalid IPv6 URL\)"),
        ("http://127.0.0.1:9x/a.lgc", "no usable address"),
        ("http://127.0.0.1:9/my face.lgc", "an address has no spaces; write each as %20"),
        ("s3://bucket", "names no file; write s3://BUCKET/KEY"),
        ("s3://bucket/", "names no file; write s3://BUCKET/KEY"),
        ("s3:///x.lgc", "names no file; write s3://BUCKET/KEY"),
        ("S3://B_/x.lgc", "cannot be fetched"),
        ("HTTP://127.0.0.1:9/a.lgc", "cannot be fetched"),
    ],
)
def test_what_is_no_address_is_one_line(address: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(LgcError, match=told) as error:
        fetch(address, whole=False)
    assert len(str(error.value).splitlines()) == 1
    assert address in str(error.value)


@pytest.mark.parametrize(
    "said",
    [b"garbage\r\n\r\n", b"", b"x" * 100_000, b"HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)
def test_a_server_that_speaks_something_else_is_one_line(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/a.lgc"
        with pytest.raises(LgcError, match=rf"{address}: cannot be fetched \(.+\)") as error:
            fetch(address, whole=False)
    assert len(str(error.value)) < 300
    assert len(str(error.value).splitlines()) == 1


def test_what_counts_as_an_address() -> None:
    assert is_remote("S3://b/k")
    assert is_remote("http://[x/a.lgc")
    assert is_remote("s3://b/k")
    assert is_remote("https://h/p")
    assert not is_remote("a/b.lgc")
    assert not is_remote("C:/x.lgc")


def test_a_presigned_address_opens_nothing_to_readers_of_the_report(
    server: Any, codec: LayeredCodec, pictures: list[np.ndarray], model_file: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server.files["/a.lgc?X-Amz-Signature=PASSWORD"] = codec.compress(pictures[0])
    address = f"{server.address}/a.lgc"
    words = ["analyze", f"{address}?X-Amz-Signature=PASSWORD", "-o", str(tmp_path), "--model", str(model_file)]
    monkeypatch.setattr(sys, "argv", ["lgc", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert json.loads((tmp_path / "a.json").read_text())["file"] == address


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "http://user:PASSWORD@127.0.0.1:9/a.lgc?s=PASSWORD", "--model", "MODEL"],
        ["analyze", "http://127.0.0.1:9/a.lgc?s= PASSWORD", "--model", "MODEL"],
        ["analyze", "http://127.0.0.1:9/a.lgc?s=PASSWORD", "http://127.0.0.1:9/b/a.lgc?s=PASSWORD"],
        ["analyze", "http://127.0.0.1:9/a.lgc?s=PASSWORD", "-o", ""],
        ["inspect", "https://user:PASSWORD@127.0.0.1:9/a.lgc?s=PASSWORD"],
        ["decompress", "https://user:PASSWORD@127.0.0.1:9/a.lgc?s=PASSWORD"],
        ["compress", ".", "--model", "https://user:PASSWORD@127.0.0.1:9/m.safetensors?s=PASSWORD"],
        ["model", "pull", "http://user:PASSWORD@127.0.0.1:9/a.safetensors?s=PASSWORD"],
        ["model", "pull", "http://127.0.0.1:9/a.safetensors?s=PASSWORD", "--sha256", "0"],
        ["model", "pull", "http://127.0.0.1:9/a.safetensors", "http://user:PASSWORD@127.0.0.1:9/?PASSWORD"],
        ["model", "pull", "models:/faces@champion", "--tracking", "http://user:PASSWORD@127.0.0.1:9"],
    ],
)
def test_no_line_has_the_secrets_of_an_address(
    words: list[str], model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["lgc", *(str(model_file) if word == "MODEL" else word for word in words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (1, 2)
    said = "".join(capfd.readouterr())
    assert "127.0.0.1:9" in said
    assert "PASSWORD" not in said
