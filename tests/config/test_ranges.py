"""Numbers that would spoil a run are refused when it is composed, wherever they stand."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lgc.config.load import compose, parse
from lgc.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
SIGNED = {"evaluate.identity.mean"}


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    return compose(["experiment=paper"], CONF)


def numbers(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers stand: names and places in lists."""
    if isinstance(value, Mapping | list):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from numbers(inner, (*above, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield above


def changed(raw: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return put(raw, tuple(key.split(".")), value)


def put(raw: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    other = copy.deepcopy(raw)
    node: Any = other
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    return other


@pytest.mark.parametrize("value", [-2, math.nan, math.inf])
def test_no_number_is_negative_or_endless(raw: dict[str, Any], value: float) -> None:
    places = [place for place in numbers(raw) if ".".join(map(str, place)) not in SIGNED or math.isnan(value)]
    assert len(places) > 200
    for place in places:
        with pytest.raises(ConfigError) as error:
            parse(put(raw, place, value))
        assert str(place[0]) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("train_codec.weights.perceptual", -1.0, "train_codec.weights.perceptual = -1.0; it must be at least 0"),
        ("finetune_joint.codec.weights.tasks", -0.1, "finetune_joint.codec.weights.tasks = -0.1"),
        ("train_analysis.task_weights.pose", -1.0, "train_analysis.task_weights.pose = -1.0"),
        ("train_codec.lr", math.nan, "train_codec.lr = nan; it must be a finite number"),
        ("train_codec.lr", 10**400, "configuration: int too large"),
        ("train_codec.lr", 0.0, "train_codec.lr = 0.0; it must be above 0"),
        ("train_codec.discriminator_lr", 0.0, "it must be above 0"),
        ("finetune_joint.analyzer_lr", 0.0, "it must be above 0"),
        ("train_reference.learning_rates", [0.001, 0.0], "train_reference.learning_rates[1] = 0.0"),
        ("train_reference.learning_rates", [0.001, 0.0010000001], "it must be different numbers"),
        ("data.image_size", 16, "data.image_size = 16; it must be a multiple of 16 from 32"),
        ("model.widths.depth", 0, "model.widths.depth = 0; it must be at least 1"),
        ("model.reference.widths.depth", 0, "model.reference.widths.depth = 0; it must be at least 1"),
        ("train_codec.clip_norm", 0.0, "it must be above 0"),
        ("train_codec.ema_decay", 1.0, "it must be at least 0 and below 1"),
        ("train_codec.target_bpp.semantic", 0.0, "it must be null or above 0"),
        ("rates.low.reconstruction", 0.0, "rates.low.reconstruction = 0.0; it must be null or above 0"),
        ("train_codec.settings.warmup", -1, "it must be at least 0"),
        ("train_codec.settings.rollbacks", -1, "it must be at least 0"),
        ("train_codec.settings.log_every", -1, "it must be at least 0"),
        ("train_codec.settings.checkpoint_every", -1, "it must be at least 0"),
        ("train_codec.settings.lr_floor", 1.5, "it must be 0 to 1"),
        ("train_codec.settings.seed", -1, "train_codec.settings.seed = -1; it must be at least 0"),
        ("train_codec.settings.seed", 1 << 64, "below 2 ** 63"),
        ("train_codec.schedule.adversarial_from", 1.5, "it must be 0 to 1"),
        ("finetune_joint.annotated_share", 1.5, "it must be 0 to 1"),
        ("train_codec.augment.zoom", 1.0, "it must be at least 0 and below 1"),
        ("train_reference.augment.rotate", 181.0, "it must be 0 to 180 degrees"),
        ("train_codec.validation_images", 0, "train_codec.validation_images = 0; it must be above 0"),
        ("train_baseline.lr", -1.0, "train_baseline.lr = -1.0"),
        ("train_baseline.qualities", [100, 0], "train_baseline.qualities[1] = 0; it must be above 0"),
        ("train_baseline.perceptual_from", 2.0, "it must be 0 to 1"),
        ("data.synthetic.count", 0, "data.synthetic.count = 0; it must be above 0"),
        ("data.limit", 0, "data.limit = 0; it must be null or above 0"),
        ("model.semantic.hyper_channels", -1, "it must be at least 0"),
        ("model.reconstruction.hidden", 0, "model.reconstruction.hidden = 0; it must be above 0"),
        ("model.widths.channels", [32, 0, 96], "model.widths.channels[1] = 0; it must be above 0"),
        ("evaluate.baselines.jpeg", [0, 101], "[101]; it must be made of qualities from 0 to 100"),
        ("evaluate.baselines.jpeg2000", [0], "made of qualities from 10 to 100"),
        ("evaluate.baselines.mbt2018_mean_pretrained", [9], "made of qualities from 1 to 8"),
        ("runtime.workers", 0, "runtime.workers = 0; it must be above 0"),
        ("release.rule.bpp.tolerance", -0.1, "release.rule.bpp.tolerance = -0.1"),
    ],
)
def test_a_number_out_of_range_is_named(raw: dict[str, Any], key: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(changed(raw, key, value))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train_codec.ema_decay", 0.0),
        ("train_codec.target_bpp.semantic", None),
        ("train_codec.settings.checkpoint_every", 0),
        ("train_codec.settings.log_every", 0),
        ("train_codec.schedule.adversarial_from", 1.0),
        ("train_codec.weights.adversarial", 0.0),
        ("model.semantic.hyper_channels", 0),
        ("evaluate.identity.mean", -1.0),
        ("runtime.max_failures", -1),
        ("runtime.threads", None),
    ],
)
def test_numbers_that_mean_something(raw: dict[str, Any], key: str, value: Any) -> None:
    parse(changed(raw, key, value))


NOTHING = {"parsing": 0.0, "attributes": 0.0, "pose": 0.0}


@pytest.mark.parametrize("stage", ["train_reference", "train_analysis", "finetune_joint"])
def test_a_stage_without_a_task_learns_nothing(raw: dict[str, Any], stage: str) -> None:
    with pytest.raises(ConfigError, match=f"{stage}.task_weights = .*above 0 for parsing or attributes or pose"):
        parse(changed(raw, f"{stage}.task_weights", NOTHING))


def test_a_task_that_is_left_out_is_read_by_a_head_that_learns(raw: dict[str, Any]) -> None:
    weights = {"parsing": 1.0, "attributes": 0.0, "pose": 1.0}  # of a head that train_probe trains by itself
    with pytest.raises(ConfigError, match=r"train_analysis\.task_weights = .*above 0 for attributes, or nothing"):
        parse(changed(raw, "train_analysis.task_weights", weights))


def test_masks_can_be_learnt_from_the_reference_alone() -> None:
    off = [f"train_analysis.task_weights.{task}=0" for task in NOTHING]
    parse(compose([*off, "train_analysis.task_weights.taught=1"], CONF))


@pytest.mark.parametrize("stage", ["train_analysis", "finetune_joint"])
def test_a_teacher_of_masks_learns_them(stage: str) -> None:
    unlearnt, taught = "train_reference.task_weights.parsing=0", f"{stage}.task_weights.taught=1"
    told = rf"train_reference\.task_weights\.parsing = 0\.0; .*above 0 where {stage}\.task_weights\.taught is"
    with pytest.raises(ConfigError, match=told):
        compose([unlearnt, taught], CONF)
    compose([unlearnt], CONF)
    compose([unlearnt, taught, "model.analyzer.heads=[attributes,pose]"], CONF)


LOOKING = ("train_codec", "finetune_joint.codec", "train_baseline")


@pytest.mark.parametrize("key", [*(f"{stage}.perceptual.net" for stage in LOOKING), "evaluate.lpips_net"])
def test_alexnet_needs_larger_pictures(raw: dict[str, Any], key: str) -> None:
    small, large = (changed(raw, "data.image_size", side) for side in (32, 48))
    with pytest.raises(ConfigError, match=rf"data\.image_size = 32; it must be at least 48 where {key} is alex"):
        parse(changed(small, key, "alex"))
    parse(changed(large, key, "alex"))
    parse(changed(small, key, "vgg"))


def test_faces_are_not_drawn_smaller_than_they_are_kept() -> None:
    drawn = ["data.image_size=128", "data.synthetic.size=64"]
    with pytest.raises(
        ConfigError, match=r"data\.synthetic\.size = 64; it must be at least 128, as data\.image_size"
    ):
        compose(drawn, CONF)
    compose([*drawn, "data=celebamask_hq"], CONF)


BATCHES = ("train_codec", "train_reference", "train_analysis", "finetune_joint.codec", "train_baseline")


@pytest.mark.parametrize("stage", BATCHES)
@pytest.mark.parametrize("fewest", ["null", "2"])
def test_every_number_of_workers_shares_every_batch(stage: str, fewest: str) -> None:
    workers = ["experiment=paper", "runtime.workers=4", f"runtime.min_workers={fewest}"]
    twelve = [f"{each}.settings.batch_size=12" for each in BATCHES]
    compose([*workers, *twelve], CONF)
    batch = f"{stage}.settings.batch_size"
    count, size = (4, 6) if fewest == "null" else (3, 8)
    with pytest.raises(ConfigError) as error:
        compose([*workers, *twelve, f"{batch}={size}"], CONF)
    assert str(error.value) == (
        f"configuration: {batch} = {size}; it must be shared by {count} workers; choose a multiple, or other "
        "runtime.workers"
    )
    compose([*workers, *twelve, f"{batch}={size}", "runtime.engine=local"], CONF)


def test_a_batch_that_no_stage_trains_with_is_free() -> None:
    compose(["runtime.workers=4", "train_baseline.settings.batch_size=7"], CONF)
