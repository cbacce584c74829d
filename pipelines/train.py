"""Stages train_codec, train_reference, train_analysis, finetune_joint and finetune_separate.

params.yaml -> one training run -> outputs/<stage>/.
"""

import sys
from typing import get_args

from lgc.config.paths import TrainStage
from lgc.launch.stage import main, run_training

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in get_args(TrainStage):
        sys.exit(f"usage: python pipelines/train.py {{{','.join(get_args(TrainStage))}}}")
    stage: TrainStage = sys.argv[1]  # type: ignore[assignment]
    main(lambda: run_training(stage))
