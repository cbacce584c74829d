"""The S3 store: SeaweedFS where its program is, else moto's server, which forgets everything when it ends."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgc.errors import ServiceError, one_line
from lgc.launch.services.layout import BUCKET, USER, Layout
from lgc.launch.services.process import Service

REGION = "us-east-1"


def seaweedfs() -> str | None:
    """Path of SeaweedFS' program, beside this Python or on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.is_file() else shutil.which("weed")


def store_name() -> str:
    """Which store would be started."""
    if seaweedfs():
        return "SeaweedFS"
    if importlib.util.find_spec("moto"):
        return "moto (a test server: in memory, checks no keys)"
    raise ServiceError("s3: no store to start; pip install 'lgc[services]' (SeaweedFS)")


def service(layout: Layout) -> Service:
    """The store."""
    program = seaweedfs()
    store_name()
    return Service(
        name="s3",
        command=_seaweedfs_command(program, layout) if program else _moto_command(layout),
        port=layout.ports.s3,
        ready=lambda: answers(layout),
        environment={"GOMAXPROCS": "2"},
    )


def keys(layout: Layout) -> Mapping[str, str]:
    """Credentials as environment variables."""
    return {"AWS_ACCESS_KEY_ID": layout.secret("s3-access"), "AWS_SECRET_ACCESS_KEY": layout.secret("s3-secret")}


def client(layout: Layout, patience: float = 10.0) -> Any:
    """A boto3 client that gives up after ``patience`` seconds."""
    import boto3
    from botocore.config import Config

    given = keys(layout)
    return boto3.client(
        "s3",
        endpoint_url=layout.endpoint,
        region_name=REGION,
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            connect_timeout=2,
            read_timeout=patience,
            retries={"max_attempts": 0},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def answers(layout: Layout) -> bool:
    """Whether the store takes our keys."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client(layout).list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def create_bucket(layout: Layout) -> None:
    """The bucket, unless it is there.

    Raises:
        ServiceError: the store does not answer, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        s3 = client(layout)
        if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=BUCKET)
    except (BotoCoreError, ClientError) as error:
        raise ServiceError(f"s3: no bucket on 127.0.0.1:{layout.ports.s3} ({one_line(error, 200)})") from error


def _seaweedfs_command(program: str, layout: Layout) -> list[str]:
    data = layout.folder / "s3"
    data.mkdir(mode=0o700, exist_ok=True)
    given = keys(layout)
    config = {
        "identities": [
            {
                "name": USER,
                "credentials": [
                    {"accessKey": given["AWS_ACCESS_KEY_ID"], "secretKey": given["AWS_SECRET_ACCESS_KEY"]}
                ],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = layout.inner
    return [
        program, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256", f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}",
        "-volume.max=0", "-volume.preStopSeconds=1",
        "-filer", "-filer.disableHttp",  # its HTTP would hand out every object without keys
        f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}",
        f"-filer.localSocket={data / 'filer.sock'}",
        "-s3", f"-s3.port={layout.ports.s3}", f"-s3.localSocket={data / 's3.sock'}",
        f"-s3.port.grpc={s3_grpc}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={layout.file('seaweedfs.json', json.dumps(config))}",
    ]  # fmt: skip


def _moto_command(layout: Layout) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(layout.ports.s3)]
