"""Refuses a ``params.yaml`` that asks for variants: run.sh and submit.sh know the pipeline's own stages alone.

Their evaluate would stop for want of the variants, after all other training.
"""

from __future__ import annotations

import sys

SETTINGS = {"rates": "rates", "leave_out": "evaluate.leave_out", "baselines": "train_baseline.networks"}
"""Kind of a variant -> what asks for it."""


def main() -> None:
    """End with one line where the configuration in the working directory cannot be run by these scripts."""
    try:
        from lgc.config.load import PARAMS, load
        from lgc.config.variants import all_variants
        from lgc.errors import ConfigError
    except ImportError as error:
        sys.exit(f"error: {sys.executable} cannot import lgc ({error}); activate its environment or set PYTHON")
    try:
        asked = dict.fromkeys(SETTINGS[variant.partition("/")[0]] for variant in all_variants(load()))
    except ConfigError as error:
        sys.exit(f"error: {error}")
    if asked:
        sys.exit(
            f"error: {PARAMS}: {' and '.join(asked)} must be empty here, this script trains no variants; "
            "`lgc repro` with runtime.address, or on Slurm, trains them"
        )


if __name__ == "__main__":
    main()
