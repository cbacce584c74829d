#!/usr/bin/env bash
# Runs stages (all that are out of date, if none is named) on the cluster with the params.yaml of the working
# directory:  infra/aws/submit.sh [--dry-run] [STAGE ...]
# It goes on when this terminal closes (tmux on the head). Results: S3, MLflow and the shared outputs/.
set -euo pipefail
# shellcheck source=infra/aws/common.sh
source "$(dirname "$0")/common.sh"

parse "$@"
need_cluster
[ -f params.yaml ] || fail "params.yaml is missing; run lgc compose in the project's root"
for stage in "${words[@]}"; do
  case "$stage" in *[!a-z_]*) fail "no stage $stage" ;; esac
done
run ray rsync-up "$state/cluster.yaml" "$PWD/params.yaml" /opt/lgc/params.yaml
run ray exec --tmux "$state/cluster.yaml" \
  "cd /opt/lgc && RAY_ADDRESS=auto lgc repro ${words[*]} 2>&1 | tee -a runs/submit.log"
