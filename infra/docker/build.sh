#!/usr/bin/env bash
# Builds the images on a base whose digest is resolved now:  infra/docker/build.sh [cpu|cuda|mlflow ...]
# LGC_REGISTRY=registry.example.org/team names them for pushing; --push pushes them, with provenance and SBOM. Without
# it they are kept here, where Docker has no place for the two.
# A tag names the version, the Git commit and, where what goes into images differs from that, its hash: no tag is ever
# used again for something else, so a node that has it need not ask for it. Kept here, an image also gets the tag
# without commit, which compose.yaml and the overlay dev name.
set -euo pipefail

cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
prefix=${LGC_REGISTRY:+$LGC_REGISTRY/}
ends=(--load --provenance=false) kinds=()
for argument in "$@"; do
  case "$argument" in
    --push) ends=(--push --provenance=true --sbom=true) ;;
    cpu | cuda | mlflow) kinds+=("$argument") ;;
    *) echo "usage: $0 [--push] [cpu|cuda|mlflow ...]" >&2; exit 2 ;;
  esac
done
if [ ${#kinds[@]} -eq 0 ]; then kinds=(cpu cuda mlflow); fi

mapfile -t inside < <(sed -n 's/^!//p' infra/docker/*.dockerignore)
inside+=(infra/docker)
changes() { # all that differs from the commit
  git diff --binary HEAD -- "${inside[@]}"
  git ls-files -z --others --exclude-standard -- "${inside[@]}" | sort -z | xargs -0r tail -v -n +1
}
if state=$(git rev-parse --short HEAD 2>/dev/null); then
  if [ -n "$(git status --porcelain -- "${inside[@]}")" ]; then
    state+=-dirty-$(changes | git hash-object --stdin | cut -c1-8)
  fi
else
  state=$(date -u +%Y%m%dT%H%M%S) # no Git here: the time tells images apart
fi

base=$(infra/docker/digests.sh "$(sed -n 's/^ARG PYTHON_IMAGE=//p' infra/docker/Dockerfile)")
echo "base: $base"
built=()
for kind in "${kinds[@]}"; do
  case "$kind" in
    mlflow) file=infra/docker/mlflow.Dockerfile image=lgc-mlflow tag=$version arguments=() ;;
    *) file=infra/docker/Dockerfile image=lgc tag=$version-$kind arguments=(--build-arg "VARIANT=$kind") ;;
  esac
  name=$prefix$image:$tag-$state
  tags=(--tag "$name")
  if [ "${ends[0]}" = --load ]; then tags+=(--tag "$prefix$image:$tag"); fi
  docker buildx build --file "$file" "${tags[@]}" --build-arg "PYTHON_IMAGE=$base" \
    "${arguments[@]}" "${ends[@]}" .
  built+=("$image=$name")
done
for one in "${built[@]}"; do
  printf 'image: %s\n  kustomize edit set image %s\n' "${one#*=}" "$one"
done
