#!/usr/bin/env bash
# Builds the images on a base whose digest is resolved now:  infra/docker/build.sh [cpu|cuda|mlflow ...]
# LGC_REGISTRY=registry.example.org/team names them for pushing; --push pushes them, with provenance and SBOM. Without
# it they are kept here, where Docker has no place for the two.
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

base=$(infra/docker/digests.sh "$(sed -n 's/^ARG PYTHON_IMAGE=//p' infra/docker/Dockerfile)")
echo "base: $base"
for kind in "${kinds[@]}"; do
  case "$kind" in
    mlflow) file=infra/docker/mlflow.Dockerfile tag="${prefix}lgc-mlflow:$version" arguments=() ;;
    *) file=infra/docker/Dockerfile tag="${prefix}lgc:$version-$kind" arguments=(--build-arg "VARIANT=$kind") ;;
  esac
  docker buildx build --file "$file" --tag "$tag" --build-arg "PYTHON_IMAGE=$base" \
    "${arguments[@]}" "${ends[@]}" .
done
