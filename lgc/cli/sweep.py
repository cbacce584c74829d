"""``lgc sweep | promote``: search the trade-off, and train what was found at full length."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer


def sweep(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="sweep=NAME [OVERRIDES]...",
            help="A file of conf/sweep/, and e.g. sweep.trials=32 or train_codec.lr=0.001 (of every trial).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Search weights with many short trainings that start from params.yaml; run again to go on after a kill."""
    from lgc.cli.project import dvc_environment, program
    from lgc.config.load import read_raw
    from lgc.config.sweep import compose_sweep
    from lgc.errors import LgcError

    compose_sweep(overrides or (), read_raw())  # a mistake shows at once
    if subprocess.call([program("dvc"), "repro", "prepare"], env=dvc_environment()):
        raise LgcError("the prepare stage failed; nothing was searched")
    from lgc.launch.sweep.run import run_sweep
    from lgc.launch.sweep.tables import print_findings

    try:
        print_findings(run_sweep(overrides or ()))
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        raise typer.Exit(130) from None


def promote(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="Name of a sweep that was run.")],
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="Number of a finished trial.")],
    name: Annotated[
        str | None, typer.Option(help="Of the file in conf/experiment/.", show_default="SWEEP_TRIAL")
    ] = None,
) -> None:
    """Write a trial's weights into conf/experiment/ and params.yaml, to be trained at full length."""
    from lgc.launch.sweep.promote import promote as promote_trial

    done = promote_trial(sweep, trial, name)
    print(f"{done.path} written; params.yaml is now as composed with experiment={done.experiment}")
    for key, (before, now) in done.changed.items():
        print(f"  {key}: {before} -> {now}")
    print("lgc repro trains it at full length")
