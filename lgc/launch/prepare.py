"""Runs the prepare stage, with a progress line."""

from __future__ import annotations

from tqdm import tqdm

from lgc.build.data import prepare_data
from lgc.config.load import load
from lgc.config.paths import Paths
from lgc.launch.cores import cores
from lgc.progress import make_bar


def run_prepare() -> None:
    """Write the shards of the configured data set."""
    config, paths = load(), Paths.here()
    (paths.root / "outputs").mkdir(exist_ok=True)
    bars: dict[str, tqdm] = {}

    def progress(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = make_bar(total, description=what)
        bars[what].update(done - bars[what].n)

    try:
        manifest = prepare_data(config.data, paths, min(config.runtime.prepare_workers, cores()), progress)
    finally:
        for bar in bars.values():
            bar.close()
    splits = ", ".join(f"{name} {split.images} ({split.masks} masks)" for name, split in manifest.splits.items())
    unusable = f"{manifest.left_out} pictures, {manifest.masks_left_out} masks"
    print(f"prepare: {manifest.name} {manifest.hash}, licence {manifest.licence}: {splits}; unusable: {unusable}")
