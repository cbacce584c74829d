#!/usr/bin/env bash
# Runs stages, all of them if none is named, on the cluster with the params.yaml of the working directory:
#   infra/aws/submit.sh [--dry-run] [STAGE ...]
# It goes on when this terminal closes (tmux on the head). A stage that has finished is not trained again. Results: S3,
# MLflow and the shared outputs/, from where infra/README.md fetches them. A params.yaml that asks for variants is refused.
set -euo pipefail
# shellcheck source=infra/aws/common.sh
source "$(dirname "$0")/common.sh"

all=(prepare train_codec train_reference train_analysis finetune_joint finetune_separate evaluate)
parse "$@"
need_cluster
[ -f params.yaml ] || fail "params.yaml is missing; run lgc compose in the project's root"
if [ ${#words[@]} -eq 0 ]; then words=("${all[@]}"); fi
command="cd /opt/lgc && set -a && . ./credentials && set +a && export RAY_ADDRESS=auto"
for stage in "${words[@]}"; do
  case " ${all[*]} " in *" $stage "*) ;; *) fail "no stage $stage; there are ${all[*]}" ;; esac
  case "$stage" in
    prepare | evaluate) command+=" && python pipelines/$stage.py" ;;
    *) command+=" && python pipelines/train.py $stage" ;;
  esac
done
"$python" "$here/../check_params.py"
run ray rsync-up "$state/cluster.yaml" "$PWD/params.yaml" /opt/lgc/params.yaml
run ray exec --tmux "$state/cluster.yaml" "{ $command; } 2>&1 | tee -a /opt/lgc/runs/submit.log"
