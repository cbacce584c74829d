"""Looks at everything a pipeline relies on before hours are spent: each finding with its remedy."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

from lgc.backbones import lpips_weights
from lgc.config.paths import Paths
from lgc.config.schema import Config, RuntimeConfig, StorageConfig
from lgc.data.shards import read_manifest
from lgc.errors import LgcError, first_line
from lgc.launch import storage
from lgc.launch.doctor_project import project
from lgc.launch.finding import Finding
from lgc.launch.jobs import is_job_server
from lgc.launch.room import gpus_here, joins_cluster
from lgc.launch.stage import absolute_uri, storage_folder
from lgc.tracking.mlflow import describe

GIB: Final = 1 << 30
DISK_GIB: Final = 2.0
"""Free space below which a run may not get to its end."""
SHARED_MIB: Final = 64
"""Ray's object store and data-parallel workers share memory through here; containers often have 64 MiB."""


def examine(config: Config, paths: Paths) -> Iterator[Finding]:
    """Look at this machine, the data, the tracking server, the store and, where there is one to join, the cluster."""
    storage.apply(config.storage)
    yield disk(storage_folder(config, paths))
    yield shared_memory()
    yield device(config.runtime)
    yield from project(config, paths)
    yield data(config, paths)
    yield from weights(config)
    if config.tracking.enabled:
        yield tracking(absolute_uri(config.tracking.uri, paths))
    if config.storage.bucket is not None:
        yield store("S3 from here", config.storage)
    if joins_cluster(config.runtime):
        from lgc.launch.doctor_ray import cluster

        shared = paths.root  # joined workers read the project itself, those of jobs what was put into the storage
        if is_job_server(config.runtime.address):
            shared = storage_folder(config, paths)
            with contextlib.suppress(OSError):  # reported above; the nodes say that they see none
                shared.mkdir(parents=True, exist_ok=True)
        yield from cluster(config, shared)


def disk(folder: Path) -> Finding:
    """Free space where checkpoints go."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / GIB
    if free < DISK_GIB:
        return Finding("disk", "failed", f"{free:.1f} GiB free at {there}", f"free {DISK_GIB:.0f} GiB or more")
    return Finding("disk", "ok", f"{free:.0f} GiB free at {there}")


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:
    """Memory that processes share."""
    if not folder.is_dir():
        return Finding("shared memory", "ok", f"no {folder} on this system; files are used")
    total = shutil.disk_usage(folder).total / (1 << 20)
    if total <= SHARED_MIB:
        remedy = "give the container more, e.g. docker run --shm-size=2g"
        return Finding("shared memory", "warning", f"{total:.0f} MiB at {folder}", remedy)
    return Finding("shared memory", "ok", f"{total:,.0f} MiB at {folder}")


def device(runtime: RuntimeConfig) -> Finding:
    """The accelerator that this process sees."""
    if gpus_here():
        names = {torch.cuda.get_device_name(i) for i in range(gpus_here())}
        return Finding("device", "ok", f"{gpus_here()} x {', '.join(sorted(names))}")
    if runtime.device == "cuda":
        detail = f"no GPU here (torch {torch.__version__}), runtime.device is cuda"
        if joins_cluster(runtime):
            return Finding("device", "ok", f"{detail}: the cluster's nodes train, this CPU measures")
        remedy = "install a CUDA build of torch and a driver, or set runtime.device=auto"
        return Finding("device", "failed", detail, remedy)
    return Finding("device", "ok", f"CPU, {torch.get_num_threads()} threads")


def data(config: Config, paths: Paths) -> Finding:
    """The prepared data set, or what it would be made of."""
    try:
        manifest = read_manifest(paths.data)
    except LgcError:
        source = config.data.source
        if source is not None and not Path(source).is_dir():
            remedy = "set data.source to a folder in the CelebAMask-HQ layout"
            return Finding("data", "failed", f"data.source {source}: no such folder", remedy)
        return Finding("data", "ok", f"not prepared yet; will be made from {source or 'generated faces'}")
    counts = ", ".join(f"{name} {split.images:,}" for name, split in manifest.splits.items())
    return Finding("data", "ok", f"{manifest.name}, {manifest.image_size} pixels: {counts}")


def weights(config: Config) -> Iterator[Finding]:
    """Backbones that the configuration asks for; nothing is downloaded."""
    for net in sorted({*perceptual_nets(config), config.evaluate.lpips_net}):
        path = lpips_weights(net)
        if path.is_file():
            yield Finding(f"LPIPS {net}", "ok", str(path))
        else:
            remedy = "put it there, set LGC_WEIGHTS, or let the run download it; without it the term is off"
            yield Finding(f"LPIPS {net}", "warning", f"no {path}", remedy)


def perceptual_nets(config: Config) -> set[str]:
    """Backbones of the training losses: those of stages whose LPIPS term counts at all."""
    codecs, baseline = (config.train_codec, config.finetune_joint.codec), config.train_baseline
    nets: set[str] = {one.perceptual.net for one in codecs if one.weights.perceptual or one.weights.base_perceptual}
    if baseline.networks and baseline.perceptual_ratio:
        nets.add(baseline.perceptual.net)
    return nets


def tracking(uri: str) -> Finding:
    """That the tracking store answers."""
    try:
        answer = describe(uri)
    except Exception as error:  # whatever the client and its transport raise
        remedy = "check tracking.uri and that the server runs (make services), or set tracking=off"
        return Finding("MLflow", "failed", f"{uri}: {first_line(error)}", remedy)
    return Finding("MLflow", "ok", f"{uri}: {answer}")


def store(name: str, config: StorageConfig) -> Finding:
    """That one can write, read and delete in the bucket."""
    where = f"s3://{config.bucket} at {config.endpoint or 'AWS'}"
    try:
        probe_s3(config)
    except Exception as error:  # boto3 makes its exception classes at run time
        remedy = "check storage.endpoint, storage.bucket and the AWS_* variables"
        return Finding(name, "failed", f"{where}: {first_line(error)}", remedy)
    return Finding(name, "ok", f"{where}: wrote, read, deleted")


def probe_s3(config: StorageConfig) -> None:
    """Write, read and delete one small object; raises whatever goes wrong."""
    import boto3
    from botocore.config import Config as Options

    client = boto3.client(
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        config=Options(
            connect_timeout=5, read_timeout=10, retries={"max_attempts": 1},
            s3={"addressing_style": "path" if config.path_style else "auto"},
        ),
    )  # fmt: skip
    key = f"lgc-doctor/{uuid.uuid4().hex}"
    client.put_object(Bucket=config.bucket, Key=key, Body=key.encode())
    try:
        if client.get_object(Bucket=config.bucket, Key=key)["Body"].read() != key.encode():
            raise OSError(f"{key} reads back differently")
    finally:
        client.delete_object(Bucket=config.bucket, Key=key)
