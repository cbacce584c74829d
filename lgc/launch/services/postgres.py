"""PostgreSQL, from the system's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from lgc.errors import ServiceError, last_line, one_line
from lgc.launch.services.layout import Layout, write_private
from lgc.launch.services.process import Service, account

OWNER: Final = "postgres"
ROLE: Final = "mlflow"
DATABASE: Final = "mlflow"
_DEBIAN: Final = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """Folder with the server's programs: on the PATH, or where Debian keeps them."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres", path=str(Path(found).parent)):
        return Path(found).parent
    versions = [path for path in _DEBIAN.glob("*/bin") if (path / "initdb").is_file()]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def service(layout: Layout) -> Service:
    """The server, its data folder made if it is not there yet."""
    folder = binaries()
    if folder is None:
        raise ServiceError("postgres: no server programs (initdb); install them, e.g. `apt-get install postgresql`")
    data, user = layout.folder / "postgres", _unprivileged_user()
    if not (data / "PG_VERSION").is_file():
        _initialise(folder, data, layout, user)
    return Service(
        name="postgres",
        command=[
            str(folder / "postgres"), "-D", str(data),
            "-c", "listen_addresses=127.0.0.1", "-c", f"port={layout.ports.postgres}",
            "-c", "unix_socket_directories=", "-c", "password_encryption=scram-sha-256",
            "-c", "max_connections=250",  # MLflow's pools, of runs and of users
        ],
        port=layout.ports.postgres,
        ready=lambda: answers(layout),
        user=user,
        stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown: ends sessions, loses nothing
    )  # fmt: skip


def connect(layout: Layout, database: str = "postgres", role: str = OWNER) -> Any:
    """A connection that commits each statement."""
    connection = _client().connect(
        host="127.0.0.1",
        port=layout.ports.postgres,
        user=role,
        dbname=database,
        password=layout.secret(f"postgres-{role}"),
        connect_timeout=5,
    )
    connection.autocommit = True
    return connection


def answers(layout: Layout) -> bool:
    """Whether the server takes our password and a query."""
    failure = _client().Error
    try:
        connection = connect(layout)
    except failure:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except failure:
        return False
    finally:
        connection.close()
    return True


def create_database(layout: Layout) -> None:
    """MLflow's role, which is no superuser, and the database it owns.

    Raises:
        ServiceError: the server does not take our password, or refuses.
    """
    failure = _client().Error
    try:
        connection = connect(layout)
        try:
            with connection.cursor() as cursor:
                _create_database(cursor, layout)
        finally:
            connection.close()
    except failure as error:
        said = one_line(error, 200)
        raise ServiceError(f"postgres: no database on 127.0.0.1:{layout.ports.postgres} ({said})") from error


def _client() -> Any:
    try:
        import psycopg2
    except ImportError:
        raise ServiceError("postgres: the client is missing; pip install 'lgc[services]'") from None
    return psycopg2


def _create_database(cursor: Any, layout: Layout) -> None:
    from psycopg2 import sql

    cursor.execute("select 1 from pg_roles where rolname = %s", (ROLE,))
    if cursor.fetchone() is None:
        password = layout.secret(f"postgres-{ROLE}")
        cursor.execute(
            sql.SQL("create role {} login password {}").format(sql.Identifier(ROLE), sql.Literal(password))
        )
    cursor.execute("select 1 from pg_database where datname = %s", (DATABASE,))
    if cursor.fetchone() is None:
        owned = sql.SQL("create database {} owner {}")
        cursor.execute(owned.format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))


def _initialise(folder: Path, data: Path, layout: Layout, user: str | None) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    password = data.with_name("postgres.password")
    password.unlink(missing_ok=True)
    write_private(password, layout.secret(f"postgres-{OWNER}"))
    try:
        if user is not None:
            for path in (data, password):
                shutil.chown(path, user)
            _check_reachable(data, user)
        done = subprocess.run(
            [
                str(folder / "initdb"), "-D", str(data), "-U", OWNER, f"--pwfile={password}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
            ],
            capture_output=True, text=True, check=False, cwd="/", **account(user),
        )  # fmt: skip
    finally:
        password.unlink(missing_ok=True)
    if done.returncode:
        raise ServiceError(f"postgres: initdb failed: {last_line(done.stderr.strip() or done.stdout, 'no output')}")


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: root lends it another account."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    raise ServiceError("postgres: it does not run as root, and there is no account `postgres` to lend it")


def _check_reachable(data: Path, user: str) -> None:
    done = subprocess.run(["test", "-w", str(data)], check=False, cwd="/", **account(user))
    if done.returncode:
        raise ServiceError(
            f"postgres: runs as {user} (it refuses root), who cannot enter {data}; choose another --folder"
        )
