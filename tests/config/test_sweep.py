"""Sweeps compose on params.yaml, and every mistake in one has a line that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgc.config.load import compose, parse
from lgc.config.sweep import Range, compose_sweep, nested, present_values, rounded, with_values
from lgc.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
SWEEPS = sorted(path.stem for path in CONF.glob("sweep/*.yaml"))
RECIPES = sorted(path.stem for path in CONF.glob("experiment/faces*.yaml"))


@pytest.fixture(scope="module")
def params() -> dict[str, Any]:
    return compose(["budget=standard"], CONF)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_composes_shortens_trials_and_starts_from_what_is_there(
    name: str, params: dict[str, Any]
) -> None:
    sweep, raw = compose_sweep([f"sweep={name}"], params, CONF)
    assert sweep.name == name
    config = parse(raw)
    assert config.train_codec.settings.samples < params["train_codec"]["settings"]["samples"] / 4
    for stage in (config.train_codec, config.train_analysis, config.finetune_joint.codec):
        assert stage.settings.samples % stage.settings.batch_size == 0
        assert stage.settings.samples % stage.settings.validate_every == 0
        assert stage.settings.checkpoint_every <= stage.settings.samples
    assert with_values(raw, sweep.ranges, present_values(raw, sweep)) == raw


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_sweep_starts_from_every_recipe_for_faces(recipe: str, name: str) -> None:
    sweep, raw = compose_sweep([f"sweep={name}"], compose([f"experiment={recipe}"], CONF), CONF)
    if recipe == "faces_distortion":  # without a perceptual term there is no trade-off to search
        with pytest.raises(ConfigError, match=r"sweep\.space\.perceptual: train_codec\.weights\.perceptual = 0\.0, "):
            present_values(raw, sweep)
        return
    assert with_values(raw, sweep.ranges, present_values(raw, sweep)) == raw


def test_overrides_are_the_sweeps_own_or_settings_of_every_trial(params: dict[str, Any]) -> None:
    sweep, raw = compose_sweep(
        ["sweep=rdp", "sweep.trials=5", "train_codec.lr=0.25", "++model.fusion=global"], params, CONF
    )
    assert sweep.trials == 5
    assert raw["train_codec"]["lr"] == 0.25
    assert raw["model"]["fusion"] == "global"
    assert params["train_codec"]["lr"] != 0.25


def test_the_target_rate_sweep_takes_the_rates_out_of_the_space(params: dict[str, Any]) -> None:
    pareto, _ = compose_sweep(["sweep=rdp"], params, CONF)
    target, _ = compose_sweep(["sweep=target_rate"], params, CONF)
    assert pareto.ranges.keys() - target.ranges.keys() == {"bpp_semantic", "bpp_reconstruction"}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([], f"no sweep chosen: add sweep=NAME; there are {', '.join(SWEEPS)}$"),
        (["sweep.trials=3"], f"no sweep chosen: add sweep=NAME; there are {', '.join(SWEEPS)}$"),
        (
            ["sweep=nonsense"],
            f"conf: Could not find 'sweep/nonsense' Available options in 'sweep': {' '.join(SWEEPS)}$",
        ),
        (["sweep=null"], f"sweep=null: must be one of {', '.join(SWEEPS)}; leave it out for the default$"),
        (["sweep=rdp", "data=celebamask_hq"], r"compose it first \(lgc compose data=celebamask_hq\)"),
        (["rdp"], r"rdp: is no KEY=VALUE; a sweep is chosen with lgc sweep sweep=rdp$"),
        (["sweep=rdp", "sweep.trials=0"], "sweep.trials = 0; it must be above 0"),
        (["sweep=rdp", "sweep.trails=3"], r"unknown key sweep\.trails; did you mean sweep\.trials\?"),
        (["sweep=rdp", "sweep.seed=-1"], "sweep.seed = -1; it must be at least 0"),
        (["sweep=rdp", "sweep.mode=both"], "sweep.mode must be one of pareto, target_rate"),
        (["sweep=rdp", "sweep.name=../up"], "sweep.name = '../up'"),
        (["sweep=rdp", "sweep.space.tasks.low=60"], r"sweep.space.tasks = \[60.0, 30.0\]"),
        (["sweep=rdp", "sweep.space.tasks.low=0"], "sweep.space.tasks.low = 0"),
        (["sweep=rdp", "sweep.space.tasks.keys=[train_codec.nothing]"], "no setting train_codec.nothing"),
        (["sweep=rdp", "sweep.space.tasks.keys=[train_codec.weights]"], "no setting train_codec.weights"),
        (["sweep=rdp", "sweep.space.tasks.keys=[train_codec.weights.distortion]"], "keys that no other range sets"),
        (["sweep=rdp", "train_codec.colour=3"], "unknown key train_codec.colour"),
        (["sweep=rdp", "train_codec.settings.samples=-1"], "train_codec.settings.samples = -1"),
    ],
)
def test_a_mistake_is_named(overrides: list[str], says: str, params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        compose_sweep(overrides, params, CONF)
    assert "\n" not in str(caught.value)


def test_present_values_outside_the_space_say_what_to_do(params: dict[str, Any]) -> None:
    sweep, raw = compose_sweep(["sweep=rdp"], params, CONF)
    changed = with_values(raw, sweep.ranges, {**present_values(raw, sweep), "tasks": 500.0})
    with pytest.raises(
        ConfigError, match=r"sweep.space.tasks: .*tasks = 500.0 in params.yaml .* sweep.present=false"
    ):
        present_values(changed, sweep)
    changed["train_codec"]["weights"]["perceptual"] = 2.0
    with pytest.raises(ConfigError, match=r"sweep\.space\.perceptual"):
        present_values(changed, sweep)


def test_a_sweep_is_no_part_of_params() -> None:
    with pytest.raises(ConfigError, match="lgc sweep sweep=NAME"):
        compose(["sweep=rdp"], CONF)


def test_values_are_rounded_and_reach_all_their_keys() -> None:
    space = {"w": Range(0.1, 1.0, True, ("a.b.c", "a.d"))}
    values = rounded({"w": 0.123456})
    assert values == {"w": 0.1235}
    assert rounded(values) == values
    assert nested(space, values) == {"a": {"b": {"c": 0.1235}, "d": 0.1235}}
    raw = {"a": {"b": {"c": 1.0, "other": 2}, "d": 3.0}}
    assert with_values(raw, space, values) == {"a": {"b": {"c": 0.1235, "other": 2}, "d": 0.1235}}
    assert raw["a"]["d"] == 3.0
