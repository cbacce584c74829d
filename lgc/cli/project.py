"""``lgc compose | repro``: the pipeline of the project in the working directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lgc.errors import ConfigError, LgcError

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OVERRIDES]...", help="Hydra overrides, e.g. model=base.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(compose)
    app.command()(repro)


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
        typer.Argument(metavar="[DVC ARGUMENTS]...", help="Passed on to `dvc repro`.", show_default=False),
    ] = None,
) -> None:
    """Run the pipeline: `dvc repro`, with one Ray for all stages when the configuration asks for a local one."""
    from lgc.config.load import load

    if not Path("dvc.yaml").is_file():
        raise LgcError("no dvc.yaml here; run this in the project's root")
    config = load()
    command = [_program("dvc"), "repro", *(arguments or [])]
    environment = _environment()
    if config.runtime.address and not up_to_date(command, environment):
        from lgc.cli.doctor import is_healthy
        from lgc.config.paths import Paths

        if not is_healthy(config, Paths.here()):
            raise LgcError("the cluster is not ready (see above); nothing was started")
    wants_ray = config.runtime.engine == "ray" and not (config.runtime.address or os.environ.get("RAY_ADDRESS"))
    if not wants_ray or up_to_date(command, environment):
        raise typer.Exit(subprocess.call(command, env=environment))
    from lgc.launch.cluster import local_cluster

    with local_cluster() as variables:
        raise typer.Exit(subprocess.call(command, env={**environment, **variables}))


def up_to_date(command: list[str], environment: dict[str, str]) -> bool:
    """Whether no training stage would run, so that starting Ray would be waste."""
    status = [command[0], "status", "--quiet"]  # with --json the exit code would say nothing
    if command[2:]:
        return False
    return subprocess.run(status, env=environment, check=False, capture_output=True).returncode == 0


def _environment() -> dict[str, str]:
    binaries = Path(sys.executable).parent
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": f"{binaries}:{os.environ['PATH']}"}


def _program(name: str) -> str:
    """Of this environment."""
    return str(Path(sys.executable).with_name(name))
