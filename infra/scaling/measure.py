"""What one worker of `train_codec` leaves behind, measured:  python infra/scaling/measure.py [tiny] [base]

Two steps on a few small faces with every term on (``terms_off`` names those whose weights are missing): size of a
checkpoint, values in a record, and the S3 requests that storing a checkpoint takes when Ray does it (counted by
moto's server; needs the packages for training and moto).
"""

from __future__ import annotations

import collections
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.fs
import torch

from lgc.build.stages import make_stage
from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import StorageConfig
from lgc.data.prepare import prepare
from lgc.data.synthetic import write_dataset
from lgc.launch.ports import free_ports
from lgc.launch.storage import open_store
from lgc.tracking.base import NullTracker
from lgc.training.context import LocalContext
from lgc.training.identity import Identity
from lgc.training.trainer import fit

CONF = Path(__file__).parents[2] / "conf"
SETTINGS = (
    "profile=smoke", "train_codec.settings.samples=4", "train_codec.settings.batch_size=2",
    "train_codec.settings.log_every=1", "train_codec.settings.warmup=2", "train_codec.validation_images=1",
    "train_codec.schedule.perceptual_from=0", "train_codec.schedule.adversarial_from=0",
)  # fmt: skip


class Recorder(NullTracker):
    """Keeps how many values each record has."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Note the number of values by family."""
        self.counts["val" if any(name.startswith("val/") for name in values) else "train"] = len(values)


def train(model: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A checkpoint after two steps, and what is known of it."""
    paths = Paths(folder)
    write_dataset(folder / "faces", 18, seed=5, size=64, splits=(0.5, 0.25, 0.25))
    prepare(folder / "faces", paths.data, name="faces", licence="CC0-1.0", image_size=64, mask_size=32, shard_size=8)
    config = parse(compose([*SETTINGS, f"model={model}"], CONF))
    context, recorder = LocalContext(folder / "runs", show_bar=False), Recorder()
    stage = make_stage("train_codec", config, paths, context)
    identity = Identity({"purpose": "measure"})
    fit(stage, context, recorder, name="m", identity=identity)
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    sizes = {path.name: path.stat().st_size for path in sorted(checkpoint.iterdir())}
    trained = [
        p for player in stage.state.players for group in player.optimizer.param_groups for p in group["params"]
    ]
    return checkpoint, {
        "parameters": sum(p.numel() for p in trained),
        "checkpoint_bytes": sum(sizes.values()),
        "checkpoint_files": sizes,
        "metrics_per_record": recorder.counts["train"],
        "metrics_per_validation": recorder.counts["val"],
        "terms_off": list(stage.terms_off),
    }


def upload(checkpoint: Path) -> dict[str, int]:
    """S3 requests by method for storing a checkpoint and dropping the one before the last, as Ray Train does."""
    from moto.server import ThreadedMotoServer

    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_EC2_METADATA_DISABLED="true")
    counted: collections.Counter[str] = collections.Counter()

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if match := re.search(r'"(GET|HEAD|PUT|POST|DELETE) /', record.getMessage()):
                counted[match[1]] += 1

    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(Count())
    (port,) = free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    server.start()
    try:
        storage = StorageConfig(
            endpoint=f"http://127.0.0.1:{port}", region="us-east-1", bucket="lgc", path_style=True
        )
        store = open_store(storage, "s3://lgc/runs").filesystem
        import boto3

        boto3.client("s3", endpoint_url=storage.endpoint, region_name="us-east-1").create_bucket(Bucket="lgc")
        here = pyarrow.fs.LocalFileSystem()
        for name in ("a", "b"):
            counted.clear()
            store.get_file_info("lgc/runs/.validate_storage_marker")
            store.create_dir(f"lgc/runs/{name}")
            pyarrow.fs.copy_files(
                str(checkpoint), f"lgc/runs/{name}", source_filesystem=here, destination_filesystem=store
            )
        store.delete_dir("lgc/runs/a")
        return dict(counted)
    finally:
        server.stop()


def main() -> None:
    """Print one line of JSON a model."""
    torch.set_num_threads(1)
    for model in sys.argv[1:] or ("tiny", "base"):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint, facts = train(model, Path(folder))
            print(json.dumps({"model": model, **facts, "s3_requests": upload(checkpoint)}), flush=True)


if __name__ == "__main__":
    main()
