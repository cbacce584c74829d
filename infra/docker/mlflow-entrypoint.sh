#!/bin/sh
# Starts `mlflow server` with the given arguments. Secrets come as files (compose) or variables (Kubernetes): each
# NAME_FILE that is set becomes NAME, so that no secret stands in an image, an argument or a compose file.
# PGPASSWORD is what PostgreSQL's client library takes when the address names no password.
set -eu

for name in PGPASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ]; then
    value=$(cat "$file")
    export "$name=$value"
  fi
done
exec mlflow server "$@"
