"""Where the local services keep their files, ports and secrets."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

from lgc.errors import ServiceError
from lgc.launch.ports import free_ports

FOLDER: Final = Path("runs/services")
BUCKET: Final = "lgc"
USER: Final = "lgc"
_STATE: Final = "services.json"


@dataclass(frozen=True)
class Ports:
    """Loopback ports. The defaults are those in ``conf/tracking/server.yaml`` and ``conf/storage/services.yaml``."""

    mlflow: int = 5000
    s3: int = 8333
    postgres: int = 5433


@dataclass(frozen=True)
class Layout:
    """One set of services."""

    folder: Path
    ports: Ports
    inner: tuple[int, ...] = ()
    """Ports between the parts of the S3 store; chosen once, because it remembers them."""

    def secret(self, name: str) -> str:
        """A random secret, made on first use and kept in a file that only its owner reads."""
        path = self.folder / "secrets" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            write_private(path, secrets.token_hex(24))
        return path.read_text(encoding="utf-8")

    def file(self, name: str, text: str) -> Path:
        """Write a generated file with secrets in it."""
        path = self.folder / "secrets" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        write_private(path, text)
        return path

    @property
    def tracking_uri(self) -> str:
        """Address of the MLflow server."""
        return f"http://127.0.0.1:{self.ports.mlflow}"

    @property
    def endpoint(self) -> str:
        """Address of the S3 store."""
        return f"http://127.0.0.1:{self.ports.s3}"


def create(folder: Path, ports: Ports) -> Layout:
    """Make the folder, or take up what an earlier one left; ports given now win."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    inner = tuple(free_ports(7)) if not (folder / _STATE).exists() else read(folder).inner
    layout = Layout(folder, ports, inner)
    state = {"ports": asdict(ports), "inner": list(inner)}
    (folder / _STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    return layout


def last_ports(folder: Path) -> Ports | None:
    """Those of the last start from ``folder``; None before the first.

    Raises:
        ServiceError: the state is damaged.
    """
    return read(folder).ports if (folder / _STATE).exists() else None


def read(folder: Path) -> Layout:
    """The services that were started in ``folder``."""
    path = folder.resolve() / _STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(Ports)}
        ports = replace(Ports(), **{name: int(port) for name, port in state["ports"].items() if name in known})
        return Layout(path.parent, ports, tuple(int(port) for port in state["inner"]))
    except FileNotFoundError:
        raise ServiceError(f"{folder}: no services here; start them with `lgc services up`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"{path}: unreadable ({error}); remove it and run `lgc services up`") from error


def write_private(path: Path, text: str) -> None:
    """Create a file that only its owner reads, with no moment in which others could."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
