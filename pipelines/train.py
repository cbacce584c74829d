"""The training stages, of the pipeline itself or of one of its variants (see lgc/config/variants.py).

params.yaml -> one training run -> outputs/<stage>/ or outputs/variants/<variant>/<stage>/.
"""

import sys
from typing import get_args

from lgc.config.paths import TrainStage
from lgc.launch.stage import main, run_training

if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in get_args(TrainStage):
        sys.exit(f"usage: python pipelines/train.py {{{','.join(get_args(TrainStage))}}} [VARIANT]")
    stage: TrainStage = sys.argv[1]  # type: ignore[assignment]
    main(lambda: run_training(stage, *sys.argv[2:]))
