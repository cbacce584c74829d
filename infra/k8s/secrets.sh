#!/usr/bin/env bash
# Creates the Secrets that the manifests name; those that exist are kept, and their random values go into those that are
# missing: after a failure run it again. Values are random unless given:
#   LGC_POSTGRES_URI       of the managed database, postgresql+psycopg2://USER:PASSWORD@HOST:5432/mlflow
#   AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; leave them out where the accounts in base/service-account.yaml have a
#   cloud role
# With --dev also the secrets of PostgreSQL and SeaweedFS inside the cluster (overlay dev).
# With --dry-run it prints the names and keys, no values, and changes nothing.
set -euo pipefail

dev=false dry_run=false
for argument in "$@"; do
  case "$argument" in
    --dev) dev=true ;;
    --dry-run) dry_run=true ;;
    *) echo "usage: $0 [--dev] [--dry-run]" >&2; exit 2 ;;
  esac
done

random() { od -An -tx1 -N24 /dev/urandom | tr -d ' \n'; }

# shared NAME KEY SED ...: the random value that secrets share, as sed prints it of the first that has it, or a new one.
# A cluster that does not answer ends the script: a value drawn then might not match.
shared() {
  local found=""
  while [ $# -gt 0 ] && [ -z "$found" ] && ! $dry_run; do
    found=$(kubectl -n lgc get secret "$1" --ignore-not-found -o "jsonpath={.data.${2//./\\.}}" |
      base64 -d | sed -n "$3") || return
    shift 3
  done
  printf '%s' "${found:-$(random)}"
}

# secret NAME KEY VALUE [KEY VALUE ...]; values go through standard input, never through arguments that ps shows
secret() {
  local name=$1
  shift
  if $dry_run; then
    local keys=""
    while [ $# -gt 0 ]; do keys+=" $1"; shift 2; done
    echo "$name:$keys"
    return
  fi
  if kubectl -n lgc get secret "$name" >/dev/null 2>&1; then
    echo "$name: exists, kept"
    return
  fi
  {
    printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: lgc}\ntype: Opaque\ndata:\n' "$name"
    while [ $# -gt 0 ]; do
      printf '  %s: %s\n' "$1" "$(printf '%s' "$2" | base64 | tr -d '\n')"
      shift 2
    done
  } | kubectl create -f -
}

if $dev; then
  postgres_password=$(shared lgc-postgres password p \
    lgc-mlflow-server MLFLOW_BACKEND_STORE_URI 's|.*://mlflow:\(.*\)@lgc-postgres:.*|\1|p')
  AWS_ACCESS_KEY_ID=$(shared lgc-s3-server config.json 's/.*"accessKey": "\([^"]*\)".*/\1/p' lgc-s3 AWS_ACCESS_KEY_ID p)
  AWS_SECRET_ACCESS_KEY=$(shared lgc-s3-server config.json 's/.*"secretKey": "\([^"]*\)".*/\1/p' \
    lgc-s3 AWS_SECRET_ACCESS_KEY p)
  LGC_POSTGRES_URI="postgresql+psycopg2://mlflow:$postgres_password@lgc-postgres:5432/mlflow"
  secret lgc-postgres password "$postgres_password"
  secret lgc-s3-server config.json "$(printf '{"identities": [{"name": "lgc", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}' \
    "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY")"
fi
if [ -z "${LGC_POSTGRES_URI:-}" ]; then
  echo "error: set LGC_POSTGRES_URI to the database of MLflow, or pass --dev" >&2
  exit 1
fi
if [ -n "${AWS_ACCESS_KEY_ID:-}" ]; then
  secret lgc-s3 AWS_ACCESS_KEY_ID "$AWS_ACCESS_KEY_ID" AWS_SECRET_ACCESS_KEY "${AWS_SECRET_ACCESS_KEY:?is not set}"
fi
mlflow_password=$(shared lgc-tracking MLFLOW_TRACKING_PASSWORD p lgc-mlflow-auth auth.ini 's/^admin_password = //p')
secret lgc-tracking MLFLOW_TRACKING_USERNAME lgc MLFLOW_TRACKING_PASSWORD "$mlflow_password"
secret lgc-mlflow-server MLFLOW_BACKEND_STORE_URI "$LGC_POSTGRES_URI" MLFLOW_FLASK_SERVER_SECRET_KEY "$(random)"
# MLflow reads this file with interpolation, where a % is written twice
secret lgc-mlflow-auth auth.ini "[mlflow]
default_permission = NO_PERMISSIONS
auth_cache_ttl_seconds = 60
database_uri = ${LGC_POSTGRES_URI//\%/%%}
admin_username = lgc
admin_password = $mlflow_password
authorization_function = mlflow.server.auth:authenticate_request_basic_auth"
