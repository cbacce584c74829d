"""No secret is in a tracked file or could get into params.yaml."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from lgc.config.schema import Config
from lgc.launch.identity import UNTRACKED
from tests.project import ROOT

PATTERNS = {
    "AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "token of a forge": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36}|glpat-[\w-]{20})\b"),
    "password in an address": re.compile(r"\b[a-z0-9+]+://[^/\s:@${%<\"'`]+:(?!PASSWORD\b)[^/\s:@${%<\"'`]+@"),
    "password that is assigned": re.compile(
        r"(?i)\b\w*(password|secret_access_key|auth_token)\"?\s*[:=]\s*[\"']?[A-Za-z0-9+/]{16,}[\"']?\s*$", re.M
    ),
}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("no Git repository here: what is tracked is not known")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def findings(text: str) -> list[str]:
    return [f"{name}: {match.group()[:12]}..." for name, rule in PATTERNS.items() for match in rule.finditer(text)]


def test_no_secret_is_tracked() -> None:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:4096] and path.name != "test_secrets.py":
            found += [f"{path.relative_to(ROOT)}: {line}" for line in findings(data.decode(errors="replace"))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "key = AKIA" + "ABCDEFGHIJKLMNOP",
        "-----BEGIN RSA PRIVATE KEY-----",
        "postgresql://mlflow:hunter2hunter2@db/x",
        "password: 0123456789abcdef0123",
        'AWS_SECRET_ACCESS_KEY="abcdefghijklmnopqrstuvwx"',
    ],
)
def test_the_scan_finds_secrets(text: str) -> None:
    assert findings(text)


def keys(kind: type, where: str = "") -> Iterator[str]:
    hints = get_type_hints(kind)
    for field in fields(kind):  # type: ignore[arg-type]
        yield f"{where}{field.name}"
        if is_dataclass(hints[field.name]):
            yield from keys(hints[field.name], f"{where}{field.name}.")


def test_the_configuration_has_no_place_for_secrets() -> None:
    """``params.yaml`` is in Git and with every MLflow run; credentials come from the environment."""
    assert not [key for key in keys(Config) if re.search(r"password|secret|token|credential|access_key", key)]
    assert {"runtime", "tracking", "storage"} <= set(UNTRACKED)
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert "oc.env" not in path.read_text()
