#!/usr/bin/env bash
# Runs stages one after another on Kubernetes and waits for each:  infra/k8s/run.sh OVERLAY [STAGE ...]
# The configuration is params.yaml of the working directory (lgc compose); one that asks for variants is refused.
# fetch.sh brings the results home, where `lgc report` writes the report.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
all=(prepare train_codec train_reference train_analysis finetune_joint finetune_separate evaluate)
overlay=${1:-}
shift || true
if [ -z "$overlay" ] || [ ! -d "$here/overlays/$overlay/stages" ]; then
  echo "usage: $0 dev|gpu|spot [STAGE ...]" >&2
  exit 2
fi
stages=("${@:-${all[@]}}")
for stage in "${stages[@]}"; do
  case " ${all[*]} " in *" $stage "*) ;; *) echo "error: no stage $stage; there are ${all[*]}" >&2; exit 2 ;; esac
done
if [ ! -f params.yaml ]; then
  echo "error: params.yaml is missing; run lgc compose in the project's root" >&2
  exit 1
fi
"$python" "$here/../check_params.py"

kubectl -n lgc create configmap lgc-params --from-file=params.yaml --dry-run=client -o yaml | kubectl apply -f -
for stage in "${stages[@]}"; do
  job="rayjob/lgc-${stage//_/-}"
  kubectl -n lgc delete "$job" --ignore-not-found --wait
  kubectl apply -k "$here/overlays/$overlay/stages" -l "lgc/stage=$stage"
  while true; do
    state=$(kubectl -n lgc get "$job" -o jsonpath='{.status.jobDeploymentStatus} {.status.jobStatus}')
    echo "$stage: ${state:-waiting}"
    case "$state" in
      "Complete SUCCEEDED") break ;;
      Complete* | Failed*) echo "error: $stage ended as $state; see kubectl -n lgc describe $job" >&2; exit 1 ;;
    esac
    sleep "${LGC_POLL_SECONDS:-15}"
  done
done
