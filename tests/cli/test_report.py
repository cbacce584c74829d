from __future__ import annotations

from pathlib import Path

from tests.forked import lgc


def test_without_results_it_says_what_to_do(tmp_path: Path) -> None:
    done = lgc("report", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "run the evaluate stage first" in line
    assert not (tmp_path / "report").exists()
