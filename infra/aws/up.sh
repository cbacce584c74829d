#!/usr/bin/env bash
# Starts the cluster:  infra/aws/up.sh SETTINGS.json PRICES.yaml [--dry-run] [--yes]
# SETTINGS.json: terraform -chdir=infra/aws/terraform output -json > settings.json
# LGC_IMAGE is the image that `infra/docker/build.sh --push cuda` named.
# It prints what an hour costs and asks before anything starts.
set -euo pipefail
# shellcheck source=infra/aws/common.sh
source "$(dirname "$0")/common.sh"

yes=false
for argument in "$@"; do
  if [ "$argument" = --yes ]; then yes=true; else parse "$argument"; fi
done
if [ ${#words[@]} -ne 2 ]; then
  echo "usage: $0 SETTINGS.json PRICES.yaml [--dry-run] [--yes]" >&2
  exit 2
fi
[ -n "${LGC_IMAGE:-}" ] || fail "set LGC_IMAGE to the image that infra/docker/build.sh --push cuda named"
mkdir -p "$state"
chmod 700 "$state"
if [ ! -s "$state/token" ]; then (umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$state/token"); fi
# for an MLflow server of yours: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, if they are set here
(
  umask 077
  : >"$state/credentials"
  for name in MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD; do
    if [ -n "${!name:-}" ]; then printf '%s=%q\n' "$name" "${!name}" >>"$state/credentials"; fi
  done
)
"$python" "$here/render.py" "${words[0]}" "$state/token" "$state/credentials" "$LGC_IMAGE" >"$state/cluster.new"
"$python" "$here/cost.py" "$state/cluster.new" "${words[1]}"
mv "$state/cluster.new" "$state/cluster.yaml"
if ! $yes && ! $dry_run; then
  read -r -p "start it? [y/N] " answer
  [ "$answer" = y ] || fail "not started"
fi
run ray up --yes "$state/cluster.yaml"
