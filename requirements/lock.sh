#!/usr/bin/env bash
# Writes requirements/*.lock: what the images install, each file by its SHA-256 (`make lock`).
# constraints.txt says which versions; the index says which files a version has. What constraints.txt does not name
# (CUDA's libraries, setuptools, wheel) keeps the version that the locks have.
set -euo pipefail

cd "$(dirname "$0")/.."
UV=${UV:-uv}
full=$(mktemp)
trap 'rm -f "$full"' EXIT

compile() { # compile OUT ARGUMENTS...: for the images' Python and platform
  "$UV" pip compile --quiet --no-config --no-annotate --no-emit-index-url --generate-hashes \
    --custom-compile-command "make lock" --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --constraints requirements/constraints.txt --output-file "$@"
}

compile requirements/mlflow.lock - < <(printf "%s\n" mlflow psycopg2-binary flask-wtf boto3)

cat requirements/{train,torch-cuda,build}.lock >"$full" 2>/dev/null || true
compile "$full" --extra s3 --extra train --extra eval pyproject.toml
# torch's build is chosen by the image: PyPI's with CUDA's libraries, or PyTorch's own for CPUs, which is another index;
# what builds comes first, because one package is only to be had as source
for lock in train torch-cuda build; do grep '^#' "$full" >"requirements/$lock.lock"; done
awk '
  /^#/ { next }
  /^[a-z0-9]/ {
    lock = /^(setuptools|wheel)==/ ? "build" : /^(torch|torchvision|triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+)==/ ? "torch-cuda" : "train"
  }
  { print >>("requirements/" lock ".lock") }
' "$full"
