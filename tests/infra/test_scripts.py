"""Shell scripts of infra/: they parse, stop at the first error, and pass shellcheck where it is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.project import program

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
SCRIPTS = sorted([*INFRA.rglob("*.sh"), *INFRA.rglob("*.sbatch"), ROOT / "requirements/lock.sh", ROOT / ".ci/run"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_script(script: Path) -> None:
    text = script.read_text()
    shell = "bash" if text.startswith("#!/usr/bin/env bash\n") else "sh"
    assert text.startswith(("#!/usr/bin/env bash\n", "#!/bin/sh\n"))
    assert ("set -euo pipefail" if shell == "bash" else "set -eu") in text
    assert os.access(script, os.X_OK)
    subprocess.run([shell, "-n", str(script)], check=True)


def test_shellcheck() -> None:
    tool = program("shellcheck")
    if tool is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([tool, "--shell=bash", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
