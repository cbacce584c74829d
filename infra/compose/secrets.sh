#!/usr/bin/env bash
# Makes the random secrets that compose.yaml reads, in infra/compose/secrets/ (ignored by Git); keeps those there.
# The folder is closed to other users; the files are readable, because users inside containers have other numbers.
set -euo pipefail

folder=${1:-"$(cd "$(dirname "$0")" && pwd)/secrets"}
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -tx1 -N24 /dev/urandom | tr -d ' \n'; }
write() { if [ ! -s "$folder/$1" ]; then printf '%s' "$2" >"$folder/$1"; chmod 444 "$folder/$1"; fi; }
value() { cat "$folder/$1"; }

for name in postgres_password s3_access s3_secret mlflow_flask mlflow_password; do write "$name" "$(random)"; done
write s3_config "$(printf '{"identities": [{"name": "lgc", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}' \
  "$(value s3_access)" "$(value s3_secret)")"
write mlflow_auth "[mlflow]
default_permission = NO_PERMISSIONS
auth_cache_ttl_seconds = 60
database_uri = postgresql+psycopg2://mlflow@postgres:5432/mlflow
admin_username = lgc
admin_password = $(value mlflow_password)
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"
