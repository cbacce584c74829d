"""The doctor's look at a Ray cluster: every node, and all workers together."""

from __future__ import annotations

import importlib.metadata
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from lgc.backbones import lpips_weights
from lgc.config.schema import Config
from lgc.errors import TrainingError, first_line
from lgc.launch import storage
from lgc.launch.doctor import disk, perceptual_nets, shared_memory, store, tracking
from lgc.launch.finding import Finding
from lgc.launch.growth import may_grow
from lgc.launch.jobs import ask_job, is_job_server
from lgc.launch.ray_train import connect
from lgc.launch.room import publishes

SKEW_SECONDS: Final = 5.0
NODE_SECONDS: Final = 60
FINDING: Final = "finding "
"""Before each finding, as JSON, in the log of a job that looks."""
PACKAGES: Final = ("lgc", "torch", "ray")


def cluster(config: Config, shared: Path) -> Iterator[Finding]:
    """Resources, then each node's packages, clock, disk and ways out, then all workers adding up numbers.

    ``shared`` is the folder that every node must see, unless ``runtime.address`` is set and the storage is on S3.
    """
    address, named = config.runtime.address, "runtime.address"
    if address and is_job_server(address):
        yield from _by_job(config, address, shared)
        return
    if not address:  # joined as the stages do
        address, named = os.environ["RAY_ADDRESS"], "RAY_ADDRESS"
    try:
        connect(address)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError, ValueError
        remedy = f"check {named}, that the cluster runs, and RAY_AUTH_TOKEN"
        yield Finding("Ray", "failed", f"{address}: {first_line(error)}", remedy)
        return
    import ray

    have, workers = ray.cluster_resources(), config.runtime.workers
    kind = "GPU" if config.runtime.device == "cuda" else "CPU"
    nodes = [node for node in ray.nodes() if node["Alive"]]
    detail = f"{address}: {len(nodes)} nodes, {have.get('CPU', 0):.0f} CPU, {have.get('GPU', 0):.0f} GPU"
    there, fewest = int(have.get(kind, 0)), config.runtime.min_workers or workers
    if there >= workers:
        yield Finding("Ray", "ok", detail)
    elif there >= fewest:
        detail += f"; {there} of {workers} {kind}s now"
        yield Finding("Ray", "warning", detail, f"stages begin with {there} workers, and more join as nodes do")
        workers = there
    elif may_grow():  # where GPUs cost, a cluster has none of them before a stage asks
        detail += f"; {there} of {workers} {kind}s now"
        yield Finding("Ray", "warning", detail, "an autoscaler may bring them, Ray waits; else lower runtime.workers")
    else:
        setting = "runtime.workers" if fewest == workers else "runtime.min_workers"
        yield Finding("Ray", "failed", f"{detail}; {setting} is {fewest}", f"add nodes or lower it ({kind})")
        return
    for node in nodes:
        if node["Resources"].get("CPU", 0) or node["Resources"].get("GPU", 0):
            yield _node(node, config, shared)
    if workers > 1:
        yield _all_reduce(config, kind, workers)


def _by_job(config: Config, address: str, shared: Path) -> Iterator[Finding]:
    """The same look, from inside the cluster."""
    plan = {"action": "examine", "config": asdict(config), "shared": str(shared)}
    try:
        environment = storage.worker_environment(config.storage, address)
        said = ask_job(address, plan, environment, f"lgc-doctor-{uuid.uuid4().hex[:12]}")
    except TrainingError as error:
        remedy = "check runtime.address, that the cluster runs, and RAY_AUTH_TOKEN"
        yield Finding("Ray", "failed", str(error), remedy)
        return
    for line in said.splitlines():
        if line.startswith(FINDING):
            yield Finding(**json.loads(line.removeprefix(FINDING)))


def _node(node: Mapping[str, Any], config: Config, shared: Path) -> Finding:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    name = f"node {node['NodeManagerAddress']} {node['NodeID'][:6]}"
    look = ray.remote(num_cpus=0)(_look).options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        runtime_env={"env_vars": storage.worker_environment(config.storage, config.runtime.address)},
    )
    present = [path.name for path in _backbones(config) if path.is_file()]
    before = time.time()
    try:
        seen = ray.get(look.remote(config, shared, present), timeout=NODE_SECONDS)
    except Exception as error:  # a task's own error, a node that died, a timeout
        return Finding(name, "failed", first_line(error), "install lgc there as it is here, or remove the node")
    after = time.time()
    for package in PACKAGES:
        if seen["versions"][package] != importlib.metadata.version(package):
            detail = f"{package} {seen['versions'][package]}, here {importlib.metadata.version(package)}"
            return Finding(name, "failed", detail, "use one image or one set of constraints everywhere")
    findings = sorted(seen["findings"], key=lambda finding: finding.state != "failed")
    if findings:
        return replace(findings[0], name=name, detail=f"{findings[0].name}: {findings[0].detail}")
    skew = max(before - seen["time"], seen["time"] - after, 0.0)
    if skew > SKEW_SECONDS:
        return Finding(
            name, "warning", f"clock off by {skew:.0f} s", "start a time service; S3 refuses such requests"
        )
    reached = [what for what, on in (("S3", config.storage.bucket), ("MLflow", _server(config))) if on]
    said = f"{' and '.join(reached)} reached; " if reached else ""
    return Finding(name, "ok", f"{said}{seen['disk']}; same versions; clock agrees")


def _look(config: Config, shared: Path, backbones: list[str]) -> dict[str, Any]:
    """Runs on a node: what is wrong there, its versions and time."""
    space = disk(Path(tempfile.gettempdir()))
    findings = [space, shared_memory()]
    if config.storage.bucket is not None:
        findings.append(store("S3", config.storage))
    if uri := _server(config):
        findings.append(tracking(uri))
    if not publishes(config.runtime) and not shared.is_dir():
        remedy = "share that folder with every node, or compose with runtime.address and runtime.storage on S3"
        findings.append(Finding("data", "failed", f"no {shared} there", remedy))
    for path in _backbones(config):
        if path.name in backbones and not path.is_file():
            remedy = "put it there or set LGC_WEIGHTS; without it that worker would train without the term"
            findings.append(Finding("backbone", "failed", f"no {path} there", remedy))
    return {
        "findings": [finding for finding in findings if finding.state != "ok"],
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "disk": space.detail,
        "time": time.time(),
    }


def _server(config: Config) -> str | None:
    """The tracking server that workers record to."""
    uri = config.tracking.uri
    return uri if config.tracking.enabled and uri.startswith(("http://", "https://")) else None


def _backbones(config: Config) -> list[Path]:
    """Networks of the training losses."""
    return [lpips_weights(net) for net in sorted(perceptual_nets(config))]


def _all_reduce(config: Config, kind: str, workers: int) -> Finding:
    """Each worker contributes its rank plus one; every worker must get the sum.

    Not tried where what the workers need of ``kind`` is not there, or others have it: Ray would wait for it.
    """
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from lgc.launch.process_group import NodeTorchConfig

    use_gpu = config.runtime.device == "cuda"
    backend = "nccl" if use_gpu else "gloo"
    if (free := ray.available_resources().get(kind, 0)) < workers:
        detail = f"not tried: {free:.0f} {kind} free for {workers} workers"
        remedy = "run `lgc doctor` again when they are there and free (`ray status`)"
        return Finding(backend, "warning", detail, remedy)
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="lgc-doctor-") as folder:
            TorchTrainer(
                _add_ranks,
                scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
                run_config=RunConfig(name=f"doctor-{os.getpid()}", storage_path=folder),  # type: ignore[call-arg]
                torch_config=NodeTorchConfig(backend=backend, timeout_s=NODE_SECONDS),
            ).fit()
    except Exception as error:  # Ray wraps whatever a worker raised
        remedy = "open the ports between the nodes, or name their network (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME)"
        return Finding(backend, "failed", first_line(error), remedy)
    return Finding(backend, "ok", f"{workers} workers added their ranks, {time.monotonic() - start:.0f} s")


def _add_ranks() -> None:
    import torch
    import torch.distributed
    from ray.train.torch import get_device

    size = torch.distributed.get_world_size()
    total = torch.tensor([torch.distributed.get_rank() + 1.0], device=get_device())
    torch.distributed.all_reduce(total)
    if int(total) != size * (size + 1) // 2:
        raise RuntimeError(f"{size} ranks add up to {int(total)}")
