#!/usr/bin/env bash
# Brings what stages wrote from the project's volume to the working directory:  infra/k8s/fetch.sh OVERLAY [STAGE ...]
# Without stages: evaluate, from which `lgc report` writes the report, and finetune_joint, whose model it is about.
# The head of the interactive cluster reads the volume; it is started for this and removed, unless it runs already.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
all=(train_codec train_reference train_analysis finetune_joint finetune_separate evaluate)
overlay=${1:-}
shift || true
if [ -z "$overlay" ] || [ ! -d "$here/overlays/$overlay/cluster" ]; then
  echo "usage: $0 dev|gpu|spot [STAGE ...]" >&2
  exit 2
fi
stages=("${@:-evaluate}")
if [ $# -eq 0 ]; then stages+=(finetune_joint); fi
for stage in "${stages[@]}"; do
  case " ${all[*]} " in *" $stage "*) ;; *) echo "error: no stage $stage; there are ${all[*]}" >&2; exit 2 ;; esac
  if [ -e "outputs/$stage" ]; then
    echo "error: outputs/$stage is here already; go to another folder, or move it away" >&2
    exit 1
  fi
done

found=$(kubectl -n lgc get raycluster lgc --ignore-not-found -o name)
partial=""
end() {
  if [ -n "$partial" ]; then rm -rf "$partial"; fi
  if [ -z "$found" ]; then kubectl -n lgc delete raycluster lgc --wait=false >&2; fi
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -z "$found" ]; then kubectl apply -k "$here/overlays/$overlay/cluster"; fi
head=""
for _ in $(seq 1 "${LGC_POLL_TRIES:-60}"); do
  head=$(kubectl -n lgc get pod -l ray.io/cluster=lgc,ray.io/node-type=head -o name)
  if [ -n "$head" ]; then break; fi
  sleep "${LGC_POLL_SECONDS:-5}"
done
if [ -z "$head" ]; then
  echo "error: no head came; see kubectl -n lgc describe raycluster lgc" >&2
  exit 1
fi
kubectl -n lgc wait --for=condition=Ready --timeout=15m "$head" >&2
# what comes only in part stays out of outputs/, where it would pass for a result
mkdir -p outputs
partial=$(mktemp -d outputs/.fetch-XXXXXX)
kubectl -n lgc exec "$head" -c ray-head -- tar -C /opt/lgc -cf - "${stages[@]/#/outputs/}" | tar -C "$partial" -xf -
for stage in "${stages[@]}"; do mv "$partial/outputs/$stage" outputs/; done
printf '%s written\n' "${stages[@]/#/outputs/}"
