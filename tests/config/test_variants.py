from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.config.variants import all_variants, vary
from lgc.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture(scope="module")
def plain() -> Config:
    return parse(compose([], CONF))


@pytest.fixture(scope="module")
def config() -> Config:
    return parse(compose(["experiment=paper"], CONF))


def test_none_by_default(plain: Config) -> None:
    assert all_variants(plain) == []
    with pytest.raises(ConfigError, match="unknown variant 'rates/low'; configured: none"):
        vary(plain, "rates/low", "train_codec")


def test_all_that_the_papers_tables_need(config: Config) -> None:
    found = all_variants(config)
    assert found[:4] == ["rates/low", "rates/high", "leave_out/attributes", "leave_out/parsing"]
    assert len(found) == 4 + 2 * len(config.train_baseline.qualities)
    assert "baselines/mbt2018_mean-100" in found


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=[faces,paper]"],
        ["experiment=[faces_256,paper]", "rates=three_256"],
        ["experiment=[faces_gpu,paper]", "rates=three_256"],
    ],
)
def test_a_rate_lies_below_the_main_models_and_one_above(overrides: list[str]) -> None:
    config = parse(compose(overrides, CONF))
    low, main, high = config.rates["low"], config.train_codec.target_bpp, config.rates["high"]
    for layer in ("semantic", "reconstruction"):
        assert getattr(low, layer) < getattr(main, layer) < getattr(high, layer)


def test_the_pipeline_itself_is_not_varied(config: Config) -> None:
    assert vary(config, "", "finetune_joint") is config
    with pytest.raises(ConfigError, match="train_probe: needs a variant, one of rates/low"):
        vary(config, "", "train_probe")


def test_a_rate_point_changes_targets_alone(config: Config) -> None:
    low = vary(config, "rates/low", "finetune_joint")
    assert low.train_codec.target_bpp == low.finetune_joint.codec.target_bpp == config.rates["low"]
    assert replace(low.train_codec, target_bpp=config.train_codec.target_bpp) == config.train_codec
    with pytest.raises(ConfigError, match="rates/low: has no stage train_reference of its own"):
        vary(config, "rates/low", "train_reference")


def test_a_task_is_left_out_and_then_read_by_heads_of_the_same_training(config: Config) -> None:
    joint = vary(config, "leave_out/parsing", "finetune_joint")
    assert joint.model.analyzer.heads == ("attributes", "pose")
    assert joint.finetune_joint == config.finetune_joint
    probe = vary(config, "leave_out/parsing", "train_probe")
    assert probe.model.analyzer.heads == ("parsing",)
    spent = config.train_analysis.settings.samples + config.finetune_joint.codec.settings.samples
    assert probe.train_analysis.settings.samples == spent


def test_a_baseline_is_one_network_for_as_long_as_the_codec_trains(config: Config) -> None:
    one = vary(config, "baselines/mbt2018_mean-300", "train_baseline").train_baseline
    assert (one.networks, one.qualities) == (("mbt2018_mean",), (300,))
    spent = config.train_codec.settings.samples + config.finetune_joint.codec.settings.samples
    assert one.settings.samples == spent
    assert (one.lr, one.augment, one.perceptual) == (
        config.train_codec.lr, config.train_codec.augment, config.train_codec.perceptual,
    )  # fmt: skip


def test_budgets_of_baselines_follow_overrides() -> None:
    changed = parse(compose(["train_codec.settings.samples=1000", "budget=smoke"], CONF))
    assert changed.train_baseline.settings.samples == 1000 + changed.finetune_joint.codec.settings.samples
    assert changed.train_baseline.settings.batch_size == changed.train_codec.settings.batch_size


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("evaluate.leave_out=[hair]", "evaluate.leave_out = ('hair',); it must be some of the heads parsing"),
        (
            "+rates.base={semantic: 0.1, reconstruction: 0.1}",
            "named with letters, digits and underscores, and not base",
        ),
        (
            "+evaluate.models={a-b: m.safetensors}",
            "evaluate.models.a-b = 'a-b'; it must be named with letters, digits",
        ),
        ("train_baseline.networks=[elic]", "it must be made of bmshj2018_hyperprior, mbt2018_mean"),
    ],
)
def test_variants_that_cannot_be_are_named(override: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(compose([override], CONF))
    assert says in str(error.value)


def test_own_stages_have_own_folders_and_see_the_rest_of_the_pipeline(tmp_path: Path) -> None:
    paths = Paths(tmp_path).of("leave_out/parsing")
    own = tmp_path / "outputs" / "variants" / "leave_out" / "parsing"
    assert paths.stage("finetune_joint") == own / "finetune_joint"
    assert paths.model("train_probe") == own / "train_probe" / "model.safetensors"
    assert paths.weights("train_codec") == Paths(tmp_path).weights("train_codec")
    assert paths.data == Paths(tmp_path).data
