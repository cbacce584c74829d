from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lgc.bench.commands import LIBRARIES, bench_commands, measure_command
from lgc.cli.main import app
from lgc.errors import LgcError
from lgc.models.layered import Architecture


def test_whole_commands_are_measured(
    write_model: Callable[..., Path], small_architecture: Architecture, tmp_path: Path
) -> None:
    rows = bench_commands(write_model(tmp_path / "m.safetensors", small_architecture), [(64, 48)], rounds=2)
    assert [row.command for row in rows] == [LIBRARIES, "lgc compress", "lgc analyze", "lgc decompress"]
    assert all(row.seconds.low > 0 for row in rows)
    assert all(30 < row.peak_mib < 4000 for row in rows)


def test_a_command_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(LgcError, match=r"lgc compress failed: error: .*none\.safetensors"):
        bench_commands(tmp_path / "none.safetensors", [(64, 48)], rounds=2)


def test_what_this_process_took_is_not_its_commands_peak() -> None:
    np.ones(400 << 20, np.uint8)
    assert measure_command([sys.executable, "-c", "pass"])[1] < 100


@pytest.mark.parametrize("count", ["0", "-1"])
def test_a_batch_has_pictures(count: str) -> None:
    done = CliRunner().invoke(app, ["bench", "codec", "--batch", count])
    assert done.exit_code == 2
    assert "batch" in done.output


@pytest.mark.parametrize("command", [["codec"], ["train"], ["sweep", "sweep=tiny"]])
def test_an_output_that_cannot_be_written_shows_before_the_measuring(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ["bench", *command, "-o", str(tmp_path / "file" / "x.json")]
    with pytest.raises(LgcError, match=r"x\.json: cannot be written \(.*file is a file, not a folder\)"):
        CliRunner().invoke(app, words, catch_exceptions=False)
