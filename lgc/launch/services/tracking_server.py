"""The MLflow server: metadata in PostgreSQL, artifacts on S3, users with passwords."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping

from lgc.errors import ServiceError
from lgc.launch import ports
from lgc.launch.services import s3
from lgc.launch.services.layout import BUCKET, USER, Layout
from lgc.launch.services.postgres import DATABASE, ROLE
from lgc.launch.services.process import Service


def service(layout: Layout) -> Service:
    """The server; PostgreSQL and the S3 store must be up."""
    for module in ("mlflow", "flask_wtf", "psycopg2"):
        if importlib.util.find_spec(module) is None:
            raise ServiceError(f"mlflow: the package {module} is missing; pip install 'lgc[train,services]'")
    port = layout.ports.mlflow
    return Service(
        name="mlflow",
        command=[
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            # a name that resolves here but is none of these is another site's page in the user's browser
            "--allowed-hosts", f"127.0.0.1:{port},localhost:{port}",
            "--artifacts-destination", f"s3://{BUCKET}/mlflow", "--app-name", "basic-auth",
        ],
        port=port,
        ready=lambda: answers(layout),
        environment=_environment(layout),
    )  # fmt: skip


def credentials(layout: Layout) -> Mapping[str, str]:
    """What a client needs, as environment variables."""
    return {
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": layout.secret("mlflow-password"),
    }


def answers(layout: Layout) -> bool:
    """Whether the server is healthy."""
    return ports.answers(f"{layout.tracking_uri}/health")


def _environment(layout: Layout) -> dict[str, str]:
    """Secrets go through the environment and private files, never through arguments that `ps` shows."""
    postgres = f"127.0.0.1:{layout.ports.postgres}"
    password = layout.secret(f"postgres-{ROLE}")
    auth = "\n".join(
        [
            "[mlflow]",
            "default_permission = NO_PERMISSIONS",
            # without it each request hashes the password twice, 0.25 s of CPU time: docs/scaling.md
            "auth_cache_ttl_seconds = 60",
            f"database_uri = postgresql+psycopg2://{ROLE}@{postgres}/{DATABASE}",
            f"admin_username = {USER}",
            f"admin_password = {layout.secret('mlflow-password')}",
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
            "",
        ]
    )
    return {
        "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://{ROLE}@{postgres}/{DATABASE}",
        "PGPASSFILE": str(layout.file("pgpass", f"{postgres}:*:{ROLE}:{password}\n")),
        "MLFLOW_AUTH_CONFIG_PATH": str(layout.file("mlflow-auth.ini", auth)),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": layout.secret("mlflow-flask"),
        "MLFLOW_S3_ENDPOINT_URL": layout.endpoint,
        "AWS_ENDPOINT_URL": layout.endpoint,
        "AWS_DEFAULT_REGION": s3.REGION,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        # a request holds a connection while it asks for a second one, and 40 threads answer requests: the usual pool
        # of 15 stood still under 256 writers (docs/scaling.md)
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "50",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # evaluation jobs of the UI: more processes, not used here
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        **s3.keys(layout),
    }
