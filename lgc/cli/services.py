"""``lgc services up | status | down``: PostgreSQL, an S3 store and MLflow on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lgc.launch.services.layout import FOLDER, Ports

app = typer.Typer(no_args_is_help=True, help="PostgreSQL, an S3 store and MLflow, for pipelines that use servers.")

Folder = Annotated[Path, typer.Option(help="Where data, logs, pid files and secrets are.")]


def _port(default: int) -> Any:
    return typer.Option(min=1, max=65535, help="Port on 127.0.0.1.", show_default=f"as last started, else {default}")


@app.command()
def up(
    folder: Folder = FOLDER,
    mlflow_port: Annotated[int | None, _port(Ports.mlflow)] = None,
    s3_port: Annotated[int | None, _port(Ports.s3)] = None,
    postgres_port: Annotated[int | None, _port(Ports.postgres)] = None,
) -> None:
    """Start what does not run yet, on loopback only, with random passwords."""
    from lgc.launch.services import s3
    from lgc.launch.services.layout import last_ports
    from lgc.launch.services.manage import up as start_all

    print(f"s3 store: {s3.store_name()}")
    given = {"mlflow": mlflow_port, "s3": s3_port, "postgres": postgres_port}
    ports = replace(last_ports(folder) or Ports(), **{name: port for name, port in given.items() if port is not None})
    layout = start_all(folder, ports, lambda line: print(line, flush=True))
    overrides = "tracking=server storage=services"
    if layout.ports.mlflow != Ports.mlflow:
        overrides += f" tracking.uri={layout.tracking_uri}"
    if layout.ports.s3 != Ports.s3:
        overrides += f" storage.endpoint={layout.endpoint}"
    print(f"use them:  . {folder}/secrets/env && lgc compose {overrides} && lgc repro")
    print(f"look:      {layout.tracking_uri} as user lgc, password in {folder}/secrets/mlflow-password")


@app.command()
def status(folder: Folder = FOLDER) -> None:
    """Say how each service is; exit code 1 unless all are healthy."""
    from lgc.launch.services.manage import status as look

    found = look(folder)
    for one in found:
        state = "healthy" if one.healthy else "not running" if one.pid is None else "does not answer"
        process = "" if one.pid is None else f", process {one.pid}"
        print(f"{one.name}: {state} (127.0.0.1:{one.port}{process})")
    raise typer.Exit(0 if all(one.healthy for one in found) else 1)


@app.command()
def down(
    folder: Folder = FOLDER,
    delete: Annotated[bool, typer.Option("--delete", help="Remove data and passwords too.")] = False,
) -> None:
    """End the services that `up` started, and nothing else; data stays."""
    from lgc.launch.services.manage import down as stop_all

    ended = stop_all(folder, delete)
    print(f"ended: {', '.join(ended) or 'none ran'}{'; data removed' if delete else ''}")
