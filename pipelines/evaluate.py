"""Stage evaluate: models and shards -> outputs/evaluate/ (metrics.json, curves.csv, plots, sheet, .lgc files)."""

from lgc.launch.evaluate import run_evaluate
from lgc.launch.stage import main

if __name__ == "__main__":
    main(run_evaluate)
