"""Fills ``cluster.yaml`` in:  render.py SETTINGS.json TOKEN_FILE CREDENTIALS_FILE IMAGE > FILE

SETTINGS.json is what ``terraform output -json`` prints, or a plain mapping of the same names.
"""

from __future__ import annotations

import json
import string
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = {"RAY_HEAD_IP": "$RAY_HEAD_IP"}
"""Names that the node's shell fills in later."""


def settings(path: Path) -> dict[str, Any]:
    """Names and values, out of Terraform's wrapping if there is one."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return {name: value["value"] if isinstance(value, dict) else value for name, value in raw.items()}


def render(values: dict[str, Any], token_file: Path, credentials_file: Path, image: str) -> str:
    """The launcher's configuration; KeyError names a setting that is missing."""
    text = (HERE / "cluster.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("#")]
    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
    given = {"token_file": token_file, "credentials_file": credentials_file, "image": image}
    return string.Template("".join(lines)).substitute(shown, **given, **KEPT)


def main() -> None:
    """Print the configuration."""
    try:
        given, *files = (Path(name).resolve() for name in sys.argv[1:4])
        print(render(settings(given), files[0], files[1], sys.argv[4]), end="")
    except (OSError, ValueError, KeyError, IndexError) as error:
        sys.exit(f"error: {type(error).__name__}: {error}; run `terraform output -json > settings.json` first")


if __name__ == "__main__":
    main()
