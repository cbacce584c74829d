"""The bench of training at its smallest; what it measures is for people, that it measures is for this test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lgc.config.load import parse, read_raw
from lgc.errors import LgcError
from lgc.launch.bench_train import (
    BARE,
    BASES,
    DIRECT,
    FIRST_STEP,
    FULL,
    LOADER,
    LOCAL,
    RAY,
    S3,
    S3_BARE,
    STAGE,
    _settings,
    _tracked,
    _wanted,
)  # fmt: skip
from tests.project import copy_project, runner

ROOT = Path(__file__).resolve().parents[2]


def test_rows_differ_in_nothing_but_their_way() -> None:
    raw = read_raw(ROOT / "params.yaml")
    plain, full = (parse(made(raw, 64, 1, "ray", *more)) for made, more in ((_settings, ()), (_tracked, (20,))))
    assert plain.train_codec.settings.samples == full.train_codec.settings.samples == 64
    assert plain.runtime == full.runtime
    assert plain.runtime.threads == 1
    assert full.tracking.enabled > plain.tracking.enabled
    assert full.train_codec.settings.checkpoint_every == 16
    assert raw == read_raw(ROOT / "params.yaml")
    assert parse(raw).model == plain.model


def test_only_some_rows_are_measured_with_what_they_are_compared_with() -> None:
    assert _wanted("mlflow") == {FULL, RAY}
    assert _wanted("") == {*BASES, *BASES.values(), *FIRST_STEP}
    with pytest.raises(LgcError, match=r"--only nothing: no row .* bare loop"):
        _wanted("nothing")
    assert _wanted("shards") == {S3, S3_BARE}
    assert _wanted("not recorded") == {DIRECT, LOCAL}
    with pytest.raises(LgcError, match=r"--only not recorded: no row"):
        _wanted("not recorded", gpu=False)
    with pytest.raises(LgcError, match=r"--only shards: no row"):
        _wanted("shards", s3=False)
    with pytest.raises(LgcError, match=r"--only mlflow: no row"):
        _wanted("mlflow", ray=False)


@pytest.mark.slow
def test_loader_beside_the_bare_loop(tmp_path: Path) -> None:
    run = runner(copy_project(tmp_path / "project"))
    run(["lgc", "compose", "profile=smoke"])
    run(["python", "pipelines/prepare.py"])
    out = tmp_path / "bench.json"
    said = run(["lgc", "bench", "train", "--steps", "4", "--turns", "2", "--no-ray", "-o", str(out)]).stdout
    found = json.loads(out.read_text())
    rows = {row["subject"]: row for row in found["rows"]}
    assert rows.keys() == {BARE, LOADER, LOCAL}
    assert all(row["rate"]["median"] > 0 for row in rows.values())
    assert rows[LOADER]["ratio"]["median"] > 0
    assert found["first_step"]["without Ray"]["median"] > 0
    assert found["no_change_seconds"] is None
    assert STAGE in said
    assert "not up to date" in said
