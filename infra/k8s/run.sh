#!/usr/bin/env bash
# Runs stages one after another on Kubernetes and waits for each:  infra/k8s/run.sh OVERLAY [STAGE ...]
# The configuration is params.yaml of the working directory (lgc compose); one that asks for variants is refused.
# fetch.sh brings the results home, where `lgc report` writes the report.
# Run again after it was ended, it watches the stage that is under way and goes on from there: the stages before that
# one made what it reads, and are left out. Others run again, also those that succeeded, for it is not known with what;
# a training that has finished sees that and is not trained again.
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

jobs='{range .items[*]}{.metadata.name} {.status.jobDeploymentStatus}{"\n"}{end}'
one='{.metadata.name} {.status.jobDeploymentStatus} {.status.jobStatus}'
params='{.data.params\.yaml}'

# ask KUBECTL-ARGUMENTS...: what kubectl prints; it is asked again while the control plane does not answer
ask() {
  local patience=${LGC_POLL_PATIENCE:-900} began=$SECONDS
  until kubectl -n lgc "$@"; do
    if [ $((SECONDS - began)) -ge "$patience" ]; then
      echo "error: kubectl has failed for $patience s; what runs goes on, run $0 again to watch it" >&2
      return 1
    fi
    sleep "${LGC_POLL_SECONDS:-15}"
  done
}

ended() { case "$1" in Complete* | Failed* | ValidationFailed*) ;; *) return 1 ;; esac; }

found=$(kubectl -n lgc get rayjob -o jsonpath="$jobs")
live=""
while read -r job state; do
  stage=${job#lgc-} stage=${stage//-/_}
  case " ${all[*]} " in *" $stage "*) if ! ended "$state"; then live+=" $stage"; fi ;; esac
done <<<"$found"
first=0
for number in "${!stages[@]}"; do
  case "$live " in *" ${stages[number]} "*) first=$number; break ;; esac
done
if [ -z "$live" ]; then
  kubectl -n lgc create configmap lgc-params --from-file=params.yaml --dry-run=client -o yaml | kubectl apply -f -
else # pods that are still to come would read other settings than those that run
  given=$(kubectl -n lgc get configmap lgc-params --ignore-not-found -o jsonpath="$params")
  if [ "$given" != "$(cat params.yaml)" ]; then
    names=${live//_/-}
    echo "error: under way with another params.yaml:$live; wait, or kubectl -n lgc delete rayjob${names// / lgc-}" >&2
    exit 1
  fi
fi

for number in "${!stages[@]}"; do
  stage=${stages[number]}
  if [ "$number" -lt "$first" ]; then
    echo "$stage: left out, ${stages[first]} is under way"
    continue
  fi
  job="rayjob/lgc-${stage//_/-}"
  found=$(ask get "$job" --ignore-not-found -o jsonpath="$one")
  read -r _ state <<<"$found"
  if [ -z "$found" ] || ended "$state"; then
    kubectl -n lgc delete "$job" --ignore-not-found --wait
    kubectl apply -k "$here/overlays/$overlay/stages" -l "lgc/stage=$stage"
  fi
  while true; do
    found=$(ask get "$job" --ignore-not-found -o jsonpath="$one")
    if [ -z "$found" ]; then echo "error: $stage: somebody removed $job" >&2; exit 1; fi
    read -r _ state <<<"$found"
    echo "$stage: ${state:-waiting}"
    if [ "$state" = "Complete SUCCEEDED" ]; then break; fi
    if ended "$state"; then
      echo "error: $stage ended as $state; see kubectl -n lgc describe $job" >&2
      exit 1
    fi
    sleep "${LGC_POLL_SECONDS:-15}"
  done
done
