"""``lgc compose | repro``: the pipeline of the project in the working directory."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lgc.errors import ConfigError, LgcError

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OVERRIDES]...", help="Hydra overrides, e.g. model=base.", show_default=False),
]


def compose(
    overrides: Overrides = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare; exit code 1 when params.yaml differs.")
    ] = False,
) -> None:
    """Compose conf/ with OVERRIDES into params.yaml, which the pipeline reads."""
    from lgc.config.load import PARAMS, read_raw, write_params
    from lgc.config.load import compose as compose_config

    raw = compose_config(overrides or ())
    if check:
        if read_raw() != raw:
            raise ConfigError(f"{PARAMS} is not what conf/ composes to; run `lgc compose`")
        print(f"{PARAMS} is up to date")
        return
    print(f"{PARAMS} {'written' if write_params(raw) else 'unchanged'}")


def repro(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DVC ARGUMENTS]...", help="For `dvc repro`, options too.", show_default=False),
    ] = None,
) -> None:
    """Run the pipeline: `dvc repro`, with one Ray for all stages when the configuration asks for a local one.

    Without arguments, stages that need nothing of one another run side by side (`runtime.stages`).
    """
    if not Path("dvc.yaml").is_file():
        raise LgcError("no dvc.yaml here; run this in the project's root")
    command, environment = [program("dvc"), "repro", *(arguments or [])], dvc_environment()
    if not arguments and up_to_date():  # before anything that takes seconds to import
        print("Data and pipelines are up to date.")
        _replay_records()
        return
    from lgc.config.load import load
    from lgc.launch.room import check_room, joins_cluster, stages_at_once

    config = load()
    runtime = config.runtime
    if joins_cluster(runtime):
        from lgc.cli.doctor import is_healthy
        from lgc.config.paths import Paths

        if not is_healthy(config, Paths.here()):
            raise LgcError("the cluster is not ready (see above); nothing was started")
    check_room(runtime)
    at_once = 1 if arguments else stages_at_once(runtime)
    with contextlib.ExitStack() as stack:
        if runtime.engine == "ray" and not joins_cluster(runtime):
            from lgc.launch.cluster import local_cluster

            environment |= stack.enter_context(local_cluster())
        raise typer.Exit(_run(command, at_once, environment))


def _run(command: list[str], at_once: int, environment: Mapping[str, str]) -> int:
    """Exit code of DVC: once for all stages, or once for each where several may run together."""
    from lgc.launch.pipeline import run_stages, stages_to_run

    if at_once == 1:
        return run_stages({"all": set()}, lambda _: command, 1, environment)
    one = [program("dvc"), "--wait-for-lock", "repro", "--single-item"]
    return run_stages(stages_to_run(), lambda name: [*one, name], at_once, environment)


def up_to_date() -> bool:
    """Whether no stage would run."""
    command = [program("dvc"), "status", "--quiet"]  # with --json the exit code would say nothing
    return subprocess.run(command, env=dvc_environment(), check=False, capture_output=True).returncode == 0


def _replay_records() -> None:
    """Deliver what the tracking server missed when the last stage ended."""
    import yaml

    from lgc.tracking.journal import unsent_journals

    place = str(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["runtime"]["storage"])
    folder = Path("runs" if "://" in place else place) / "journal"
    if unsent_journals(folder):
        from lgc.config.load import load
        from lgc.launch import storage
        from lgc.tracking.mlflow import replay

        storage.apply(load().storage)  # where the server's artifacts go
        for line in replay(folder):
            print(line, file=sys.stderr)


def time_without_changes(times: int) -> list[float] | None:
    """Seconds of whole `lgc repro` commands with nothing to do; None when there is something to do."""
    if not Path("dvc.yaml").is_file() or not up_to_date():
        return None
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run([program("lgc"), "repro"], env=dvc_environment(), check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def dvc_environment() -> dict[str, str]:
    """Variables for DVC and its stages: this environment's programs come first, and stages run in bash.

    Bash becomes a stage's command. Other shells, Debian's ``sh`` among them, stay and die of a Ctrl-C that the
    command outlives: DVC would then call a stage failed that came to its end.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = shutil.which("bash")
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": path, **({"SHELL": shell} if shell else {})}


def program(name: str) -> str:
    """Path of a program of this environment."""
    return str(Path(sys.executable).with_name(name))
