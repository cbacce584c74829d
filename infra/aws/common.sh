#!/usr/bin/env bash
# shellcheck disable=SC2034  # the names are used by the scripts that source this one
# What up.sh, submit.sh, status.sh and down.sh share; sourced by them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${LGC_AWS:-runs/aws}
python=${PYTHON:-python}
dry_run=false

fail() { echo "error: $*" >&2; exit 1; }

# run COMMAND...: do it, or with --dry-run only show it
run() {
  if $dry_run; then echo "would run: $*"; else "$@"; fi
}

# take --dry-run out of the arguments, the rest is in the array `words`
words=()
parse() {
  local argument
  for argument in "$@"; do
    if [ "$argument" = --dry-run ]; then dry_run=true; else words+=("$argument"); fi
  done
}

need_cluster() { [ -s "$state/cluster.yaml" ] || fail "$state/cluster.yaml is missing; run infra/aws/up.sh first"; }
