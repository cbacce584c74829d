#!/usr/bin/env bash
# Ends all machines of the cluster and checks that none is left:  infra/aws/down.sh [--dry-run]
# Bucket, registry and file system stay; `terraform -chdir=infra/aws/terraform destroy` removes those too.
set -euo pipefail
# shellcheck source=infra/aws/common.sh
source "$(dirname "$0")/common.sh"

parse "$@"
need_cluster
run ray down --yes "$state/cluster.yaml"
region=$(sed -n 's/^  region: //p' "$state/cluster.yaml")
name=$(sed -n 's/^cluster_name: //p' "$state/cluster.yaml")
left=(aws ec2 describe-instances --region "$region"
  --filters "Name=tag:ray-cluster-name,Values=$name" 'Name=instance-state-name,Values=pending,running,stopping,stopped'
  --query 'Reservations[].Instances[].InstanceId' --output text)
if $dry_run; then
  echo "would run: ${left[*]}"
  exit 0
fi
for _ in $(seq 1 "${LGC_DOWN_TRIES:-30}"); do
  found=$("${left[@]}")
  if [ -z "$found" ]; then
    rm -rf "$state"
    echo "nothing of the cluster is left"
    exit 0
  fi
  sleep "${LGC_POLL_SECONDS:-10}"
done
fail "these machines are still there: $found"
