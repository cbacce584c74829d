"""``lgc doctor``: what a run needs, looked at before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from lgc.config.paths import Paths
    from lgc.config.schema import Config


def doctor() -> None:
    """Check disk, memory, device, folders, data, models, MLflow, S3 and every node of the cluster; 1 if one fails."""
    from lgc.config.load import load
    from lgc.config.paths import Paths

    raise typer.Exit(0 if is_healthy(load(), Paths.here()) else 1)


def is_healthy(config: Config, paths: Paths) -> bool:
    """Print a table of the findings, each as it comes; False when one of them would stop a run."""
    from lgc.launch.doctor import examine

    healthy = True
    for finding in examine(config, paths):
        print(f"{finding.state:9}{finding.name:26}{finding.detail}", flush=True)
        if finding.remedy:
            print(f"{'':9}{'':26}-> {finding.remedy}", flush=True)
        healthy = healthy and finding.state != "failed"
    return healthy
