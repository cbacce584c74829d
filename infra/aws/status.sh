#!/usr/bin/env bash
# Nodes, resources and the last lines of the running job:  infra/aws/status.sh [--dry-run]
set -euo pipefail
# shellcheck source=infra/aws/common.sh
source "$(dirname "$0")/common.sh"

parse "$@"
need_cluster
run ray exec "$state/cluster.yaml" "ray status; tail -n 20 /opt/lgc/runs/submit.log"
