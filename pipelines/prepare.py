"""Stage prepare: params.yaml -> shards and manifest in outputs/data/."""

from lgc.launch.prepare import run_prepare
from lgc.launch.stage import main

if __name__ == "__main__":
    main(run_prepare)
