from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LGC = [sys.executable, "-c", "from lgc.cli.main import main; main()"]


def lgc(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LGC, *words], capture_output=True, text=True, cwd=cwd, check=False)


def test_without_results_it_says_what_to_do(tmp_path: Path) -> None:
    done = lgc(tmp_path, "report")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "run the evaluate stage first" in line
    assert not (tmp_path / "report").exists()
