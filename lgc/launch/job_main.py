"""What a submitted job does on the cluster: reads its plan, trains or examines, leaves the result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lgc.config.load import parse
from lgc.launch import storage
from lgc.launch.jobs import FINISHED, PLAN
from lgc.launch.ray_train import run_ray
from lgc.launch.stage import main
from lgc.launch.worker import Job, threads_for


def run() -> None:
    """Do what ``plan.json`` in the working directory says."""
    plan = json.loads(Path(PLAN).read_text(encoding="utf-8"))
    if plan["action"] == "train":
        _train(plan)
    else:
        _examine(plan)


def _train(plan: Mapping[str, Any]) -> None:
    job = Job.from_dict(plan["job"])
    config = parse(job.raw_config)
    storage.apply(config.storage)
    job = replace(job, threads=threads_for(config.runtime.threads, config.runtime.workers))
    store = storage.open_store(config.storage, plan["where"])
    place, copy = run_ray(job, config, plan["where"], plan["name"], address="auto")
    shutil.rmtree(copy, ignore_errors=True)
    with store.filesystem.open_output_stream(f"{store.folder}/{plan['name']}/{FINISHED}") as file:
        file.write(json.dumps({"checkpoint": place}).encode())


def _examine(plan: Mapping[str, Any]) -> None:
    from lgc.launch.doctor_ray import FINDING, cluster

    config = parse(plan["config"])
    storage.apply(config.storage)
    joined = replace(config, runtime=replace(config.runtime, address="auto"))
    for finding in cluster(joined, Path(plan["shared"])):
        print(f"{FINDING}{json.dumps(asdict(finding))}", flush=True)


if __name__ == "__main__":
    main(run)
