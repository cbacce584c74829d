"""Every file in conf/ composes, validates and parses, so that a rename cannot rot one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.baselines import NAMES as BASELINES
from lgc.config.load import HEADER, compose, load, parse, read_raw, write_params
from lgc.config.schema import Config
from lgc.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml") if path.parent.name != "sweep"
)  # sweeps are no part of params.yaml: test_sweep.py
NEEDS = {"runtime=cluster": ["storage=s3"], "tracking=s3": ["storage=s3"]}
IN_USE = {"data", "model", "train", "budget", "evaluate", "runtime", "tracking", "storage", "profile"}


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{where}.{key}".lstrip("."))
    else:
        yield where, value


def test_every_group_has_options() -> None:
    assert {option.split("=")[0] for option in OPTIONS} >= IN_USE


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_usable(option: str) -> None:
    raw = compose([option, *NEEDS.get(option, [])], CONF)
    config = parse(raw)
    assert isinstance(config, Config)
    assert "???" not in [value for _, value in leaves(raw)]
    # what the schema does not check and a run would only find out late
    assert config.data.image_size % 16 == 0
    assert config.data.image_size % config.data.mask_size == 0
    assert sum(config.data.synthetic.splits) == pytest.approx(1)
    stages = [config.train_codec, config.train_reference, config.train_analysis, config.finetune_joint.codec]
    for stage in stages:
        assert 0 < stage.settings.checkpoint_every <= stage.settings.samples or option.endswith(("=smoke", "=golden"))
        assert stage.settings.samples % stage.settings.batch_size == 0
    assert set(config.evaluate.baselines) <= set(BASELINES)


def git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_params_are_composed_and_usable() -> None:
    assert (ROOT / "params.yaml").read_text(encoding="utf-8").startswith(HEADER)
    assert isinstance(load(ROOT / "params.yaml"), Config)


def test_params_are_up_to_date() -> None:
    """Of the project's own; yours are composed for your data, and with dvc.lock you commit them after a run."""
    if git("diff", "--quiet", "HEAD", "--", "params.yaml").returncode == 1:  # more than 1: Git does not know
        pytest.skip("params.yaml differs from the commit: it was composed for something else")
    if git("ls-files", "dvc.lock").stdout:
        pytest.skip("dvc.lock is in Git: params.yaml is that of a run of yours")
    assert read_raw(ROOT / "params.yaml") == compose([], CONF), "run `lgc compose`"


def test_an_option_changes_what_it_says() -> None:
    plain, other = parse(compose([], CONF)), parse(compose(["data=celebamask_hq", "model=base"], CONF))
    assert (plain.data.name, other.data.name) == ("synthetic", "celebamask_hq")
    assert other.model.widths.channels != plain.model.widths.channels
    assert other.train_codec == plain.train_codec


def test_overrides_reach_the_configuration() -> None:
    overrides = ["data.image_size=128", "model.widths.channels=[1,2,3]", "data.source=/a b", "data.name=own",
                 "train_codec.lr=1"]  # fmt: skip
    config = parse(compose(overrides, CONF))
    assert config.data.image_size == 128
    assert config.model.widths.channels == (1, 2, 3)
    assert config.data.source == "/a b"
    assert (config.train_codec.lr, type(config.train_codec.lr)) == (1.0, float)


def test_joint_training_holds_the_codecs_rates_unless_told_otherwise() -> None:
    overrides = ["train_codec.target_bpp.semantic=0.04", "finetune_joint.codec.target_bpp.reconstruction=0.03"]
    config = parse(compose(overrides, CONF))
    before, after = config.train_codec.target_bpp, config.finetune_joint.codec.target_bpp
    assert before.semantic == after.semantic == 0.04
    assert after.reconstruction == 0.03 != before.reconstruction


def test_composing_twice_is_the_same_and_leaves_no_state() -> None:
    assert compose(["data.image_size=128"], CONF) != compose([], CONF) == compose([], CONF)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.startswith(("data=", "profile="))])
def test_synthetic_faces_are_drawn_large_enough(option: str) -> None:
    data = parse(compose([option], CONF)).data
    assert data.source is not None or data.synthetic.size >= data.image_size


@pytest.mark.parametrize("option", ["runtime=cluster", "tracking=s3"])
def test_storage_on_s3_without_a_bucket_says_what_to_add(option: str) -> None:
    with pytest.raises(ConfigError, match=r"must be on a bucket: add storage=s3"):
        compose([option], CONF)


def test_write_params_says_whether_anything_changed(tmp_path: Path) -> None:
    path, raw = tmp_path / "params.yaml", compose([], CONF)
    assert write_params(raw, path)
    before = path.stat().st_mtime_ns
    assert not write_params(raw, path)
    assert path.stat().st_mtime_ns == before
    assert write_params(compose(["data.image_size=128"], CONF), path)
    assert load(path).data.image_size == 128
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]


def test_dvc_composes_the_same(tmp_path: Path) -> None:
    """`dvc exp run` does it by itself, in a process that knows of lgc what .dvc/config says."""
    code = f"""
from dvc.config import Config
from dvc.utils.hydra import compose_and_dump

said = Config({str(ROOT / ".dvc")!r})["hydra"]
conf, plugins = (f"{ROOT}/{{said[key]}}" for key in ("config_dir", "plugins_path"))
compose_and_dump({str(tmp_path / "params.yaml")!r}, conf, None, said["config_name"], plugins, ["budget=smoke"])
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)
    assert read_raw(tmp_path / "params.yaml") == compose(["budget=smoke"], CONF)
