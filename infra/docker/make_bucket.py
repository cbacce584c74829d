"""Makes the bucket ``LGC_BUCKET`` on the S3 endpoint of the environment, unless it is there; waits for the store.

Stands alone: the MLflow image has boto3 and nothing of ours.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE = float(os.environ.get("LGC_BUCKET_SECONDS", "120"))


def main() -> None:
    """Try until the store answers or patience ends."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if file := os.environ.get(f"{name}_FILE"):
            os.environ[name] = Path(file).read_text(encoding="utf-8").strip()
    bucket = os.environ["LGC_BUCKET"]
    config = Config(connect_timeout=2, read_timeout=10, retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    s3, deadline = boto3.client("s3", config=config), time.monotonic() + PATIENCE
    while True:
        try:
            if bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
                s3.create_bucket(Bucket=bucket)
            print(f"bucket {bucket} is there")
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"error: bucket {bucket}: {error}")
            time.sleep(1)


if __name__ == "__main__":
    main()
