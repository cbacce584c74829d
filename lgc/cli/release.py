"""``lgc release``: the evaluated model into MLflow's registry."""

from __future__ import annotations


def release() -> None:
    """Register the evaluated model in MLflow; it becomes the champion if it beats the present one (conf/release)."""
    from lgc.config.load import load
    from lgc.config.paths import Paths
    from lgc.launch.release import release as run

    done = run(load(), Paths.here())
    print(f"{done.name} version {done.version}: {'champion' if done.champion else 'not the champion'}")
    for line in done.reasons:
        print(f"  {line}")
