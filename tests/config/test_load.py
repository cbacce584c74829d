from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from lgc.config.load import compose, load, parse, read_raw, write_params
from lgc.config.paths import TRAIN_STAGES, Paths
from lgc.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"


def options(group: str) -> str:
    """What there is to choose, yours too, as a message lists it."""
    return ", ".join(sorted(path.stem for path in CONF.glob(f"{group}/*.yaml")))


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    return compose([], CONF)


def changed(raw: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(raw)
    *above, last = key.split(".")
    node = other
    for name in above:
        node = node[name]
    node[last] = value
    return other


def without(raw: dict[str, Any], key: str) -> dict[str, Any]:
    other = copy.deepcopy(raw)
    *above, last = key.split(".")
    node = other
    for name in above:
        node = node[name]
    del node[last]
    return other


class TestParse:
    @pytest.mark.parametrize(
        ("key", "value", "told"),
        [
            ("data.image_size", "64", "must be a whole number, not '64'"),
            ("data.image_size", 64.5, "must be a whole number, not 64.5"),
            ("data.image_size", True, "must be a whole number, not True"),
            ("data.image_size", None, "must be a whole number, not None"),
            ("train_codec.lr", "1e-3", "must be a number, not '1e-3'"),
            ("data.split_rule", "random", "must be one of official, hash, not 'random'"),
            ("model.semantic.steps", "groups3", "must be one of single, checkerboard, groups2, groups4"),
            ("model.fusion", None, "must be one of global, spatial, additive, not None"),
            ("train_codec.perceptual.net", "resnet", "must be one of squeeze, alex, vgg"),
            ("model", None, "must be a mapping, not None"),
            ("model.semantic", 5, "must be a mapping, not 5"),
            ("data.name", 5, "5"),
            ("data.limit", "x", "x"),
            ("data.source", 5, "5"),
            ("train_codec.augment.flip", "yes", "yes"),
            ("model.widths.channels", [1, 2], "must be a list of 3, not [1, 2]"),
            ("data.synthetic.splits", [0.5, 0.5], "must be a list of 3, not [0.5, 0.5]"),
            ("evaluate.baselines", {"jpeg": 5}, "5"),
            ("runtime.threads", 1.5, "1.5"),
        ],
    )
    def test_wrong_value(self, raw: dict[str, Any], key: str, value: Any, told: str) -> None:
        with pytest.raises(ConfigError) as error:
            parse(changed(raw, key, value))
        assert key in str(error.value)
        assert told in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "key", ["data", "data.image_size", "train_codec.settings.samples", "model.semantic.steps"]
    )
    def test_missing_key(self, raw: dict[str, Any], key: str) -> None:
        with pytest.raises(ConfigError, match=f"{key} is missing"):
            parse(without(raw, key))

    @pytest.mark.parametrize(
        ("key", "told"),
        [
            ("data.image_sise", "unknown key data.image_sise; did you mean image_size?"),
            ("train_codec.weights.percptual", "unknown key train_codec.weights.percptual; did you mean perceptual?"),
            ("modell", "unknown key modell; did you mean model?"),
            ("data.zzz", "unknown key data.zzz; known: name, licence, source"),
        ],
    )
    def test_unknown_key(self, raw: dict[str, Any], key: str, told: str) -> None:
        with pytest.raises(ConfigError) as error:
            parse(changed(raw, key, 1))
        assert told in str(error.value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("train_codec.target_bpp.semantic", "x"),
            ("model.widths.channels", 5),
            ("train_reference.learning_rates", ["x"]),
        ],
    )
    def test_wrong_value_names_its_key(self, raw: dict[str, Any], key: str, value: Any) -> None:
        with pytest.raises(ConfigError, match=key):
            parse(changed(raw, key, value))

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("model.reference.depth", -1),
            ("model.analyzer.heads", "pose"),
            ("model.analyzer.heads", ["age"]),
            ("data.image_size", 60),
            ("data.image_size", -64),
            ("train_codec.settings.batch_size", 0),
            ("train_reference.learning_rates", []),
            ("train_reference.task_weights.taught", 1.0),
            ("evaluate.baselines", {"jpegg": [5]}),
            ("data.limit", True),
        ],
    )
    def test_unusable_value(self, raw: dict[str, Any], key: str, value: Any) -> None:
        with pytest.raises(ConfigError):
            parse(changed(raw, key, value))

    @pytest.mark.parametrize(
        ("key", "value"),
        [("data.limit", None), ("data.limit", 5), ("train_codec.target_bpp.semantic", None), ("train_codec.lr", 1)],
    )
    def test_values_that_are_fine(self, raw: dict[str, Any], key: str, value: Any) -> None:
        parse(changed(raw, key, value))

    def test_defaults_of_leaves(self, raw: dict[str, Any]) -> None:
        assert parse(without(raw, "finetune_joint.task_weights")).finetune_joint.task_weights.pose == 1


class TestCompose:
    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("data=nope", "Could not find 'data/nope' Available options in 'data'"),
            *(
                (f"{group}=null", f"{group}=null: must be one of {options(group)}; leave it out for the default")
                for group in ("data", "experiment")
            ),
            ("model=3", "Config group override must be a string or a list. Got int"),
            ("nope=3", "unknown key nope; known: data, model, train_codec"),
            ("data.nope=3", "unknown key data.nope; known: name, licence"),
            ("modle=base", "unknown key modle; did you mean model?"),
            ("budgt=smoke", "unknown key budgt; did you mean budget?"),
            ("~modle", "unknown key modle; did you mean model?"),
            (
                "train_codec.weights.perceptul=2",
                "unknown key train_codec.weights.perceptul; did you mean train_codec.weights.perceptual?",
            ),
            ("train_codec.lr.x=2", "unknown key train_codec.lr.x; train_codec.lr is a single value"),
            ("model={a: 1}", "model has no such key; known: widths, fusion"),
            ("rates={mid: {semantic: 1}}", "rates has no such key; to add one: +rates.NAME=..."),
            (
                "evaluate.baselines={jpg: [3]}",
                "evaluate.baselines has no such key; to add one: +evaluate.baselines.NAME=",
            ),
            (
                "evaluate.models.theirs=/m",
                "unknown key evaluate.models.theirs; to add it: +evaluate.models.theirs=...",
            ),
            (
                "evaluate.baselines.jpg=[3]",
                "did you mean evaluate.baselines.jpeg? To add it: +evaluate.baselines.jpg=",
            ),
            ("+data.nope=3", "unknown key data.nope"),
            ("data.image_size=abc", "data.image_size must be a whole number, not 'abc'"),
            ("data.image_size", "data.image_size"),
            ("model.semantic.steps=x", "model.semantic.steps must be one of"),
            ("data.limit=abc", "data.limit"),
            ("data.source=${nope}", "data.source"),
            ("train_codec.settings.samples=???", "train_codec.settings.samples"),
            ("~data.image_size", "data.image_size"),
        ],
    )
    def test_bad_override(self, override: str, told: str) -> None:
        with pytest.raises(ConfigError) as error:
            compose([override], CONF)
        assert told in str(error.value)
        assert "\n" not in str(error.value)
        assert "search path" not in str(error.value)
        assert "append" not in str(error.value)

    def test_one_override_says_rates_and_perceptual_for_both_stages(self) -> None:
        said = {"perceptual": 2.0, "rate_semantic": 3.0, "rate_reconstruction": 4.0}
        raw = compose([f"train_codec.weights.{name}={value}" for name, value in said.items()], CONF)
        assert said.items() <= raw["finetune_joint"]["codec"]["weights"].items()

    def test_of_several_mistakes_each_is_named(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown key train_codec\.lrr; did you mean train_codec\.lr\?"):
            compose(["modle=base", "train_codec.lrr=2"], CONF)

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none: no such folder; run this in the project's root"):
            compose([], tmp_path / "none")

    def test_a_file_that_is_no_yaml(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("a: [")
        with pytest.raises(ConfigError, match=r"config\.yaml") as error:
            compose([], tmp_path)
        assert "\n" not in str(error.value)

    def test_an_error_leaves_hydra_usable(self, raw: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            compose(["data=nope"], CONF)
        assert compose([], CONF) == raw


class TestReadRaw:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"params\.yaml: missing; run `lgc compose`"):
            load(tmp_path / "params.yaml")

    @pytest.mark.parametrize("text", ["", "[]", "5", "just text"])
    def test_no_mapping(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(ConfigError, match="not a mapping; run `lgc compose`"):
            read_raw(tmp_path / "params.yaml")

    @pytest.mark.parametrize("text", ["a: [", "a: b: c", "\tx: 1", "<<<<<<< HEAD\na: 1\n=======\n"])
    def test_broken_yaml(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"params\.yaml: unreadable") as error:
            read_raw(tmp_path / "params.yaml")
        assert "\n" not in str(error.value)

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="unreadable"):
            read_raw(tmp_path)

    def test_binary(self, tmp_path: Path) -> None:
        (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError):
            read_raw(tmp_path / "params.yaml")


class TestWriteParams:
    @pytest.mark.parametrize("method", ["read_bytes", "write_bytes"])
    def test_without_the_right_to_it(
        self, method: str, raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "params.yaml"
        path.write_text("# an earlier one\n")

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, method, refuse)
        with pytest.raises(ConfigError, match=r"params\.yaml: cannot be written \(Permission denied\); look at"):
            write_params(raw, path)
        assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]

    def test_where_a_folder_lies(self, raw: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "params.yaml").mkdir()
        with pytest.raises(ConfigError, match=r"params\.yaml: cannot be written \(Is a directory\)"):
            write_params(raw, tmp_path / "params.yaml")

    def test_what_is_no_text_is_replaced(self, raw: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
        assert write_params(raw, tmp_path / "params.yaml")
        assert read_raw(tmp_path / "params.yaml") == raw


def test_paths_are_absolute_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = Paths.here()
    assert paths.root == tmp_path.resolve()
    assert paths.data == tmp_path / "outputs" / "data"
    found = {paths.stage(name) for name in TRAIN_STAGES}
    assert len(found) == 5
    assert paths.weights("train_codec") == tmp_path / "outputs" / "train_codec" / "weights.safetensors"
    assert paths.model("finetune_joint") == tmp_path / "outputs" / "finetune_joint" / "model.safetensors"
