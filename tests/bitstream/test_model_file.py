from __future__ import annotations

import json
import os
import resource
import struct
from collections.abc import Callable, Mapping
from dataclasses import asdict, make_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lgc.bitstream import model_file as module
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.model_file import ModelInfo, load_model, read_info, rewrite_about, save_model
from lgc.errors import ModelError
from lgc.models.analysis import AnalyzerConfig
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.models.transforms import Widths
from lgc.training.codec import TrainableCodec
from lgc.training.export import codec_tables


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["lgc"])  # noqa: SIM118


def write(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> Path:
    save_file(dict(tensors), path, {"lgc": json.dumps(about)})
    return path


def flip_bit_in(path: Path, name: str) -> None:
    """Flip one bit of a tensor's bytes within the file."""
    data = bytearray(path.read_bytes())
    (header_length,) = struct.unpack("<Q", data[:8])
    start, _ = json.loads(data[8 : 8 + header_length])[name]["data_offsets"]
    data[8 + header_length + start] ^= 0x40
    path.write_bytes(data)


@pytest.fixture
def own(model_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "own.safetensors"
    path.write_bytes(model_file.read_bytes())
    return path


@pytest.fixture
def forge(own: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes what declares itself rightly, as a file made on purpose does."""

    def write_own(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> Path:
        monkeypatch.setattr(module, "_model_id", lambda architecture, tensors: bytes.fromhex(about["id"]))
        return write(own, tensors, {**about, "sha256": module._digest(tensors, "").hexdigest()})

    return write_own


class TestRoundTrip:
    def test_what_it_says_of_itself(self, model_file: Path, small_architecture: Architecture) -> None:
        info, model_id = read_info(model_file)
        assert info.architecture == small_architecture
        assert info.analyzer == AnalyzerConfig(8, 1, ("parsing", "attributes", "pose"))
        assert info.about == {"note": "random"}
        assert len(model_id) == 4
        model = load_model(model_file)
        assert (model.info, model.model_id) == (info, model_id)
        assert sorted(model.analyzers) == ["both", "semantic"]

    def test_same_weights_same_id(
        self, small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
    ) -> None:
        ids = [
            read_info(write_model(tmp_path / f"{number}.safetensors", small_architecture, **options))[1]
            for number, options in enumerate([{}, {}, {"heads": ()}, {"seed": 1}])
        ]
        assert ids[0] == ids[1] == ids[2]
        assert ids[3] != ids[0]

    def test_the_main_line_is_part_of_the_id(
        self, small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
    ) -> None:
        linear = replace(small_architecture, main_line="linear")
        paths = [write_model(tmp_path / f"{a.main_line}.safetensors", a) for a in (small_architecture, linear)]
        assert load_model(paths[1]).info.architecture == linear
        assert read_info(paths[0])[1] != read_info(paths[1])[1]

    def test_a_loaded_model_needs_its_file_no_more(self, own: Path) -> None:
        codec = LayeredCodec(load_model(own))
        picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        before = codec.compress(picture)
        size = own.stat().st_size
        with own.open("r+b") as file:  # in place, as `cp` does it
            file.write(bytes(size))
        assert codec.compress(picture) == before
        np.testing.assert_array_equal(codec.decompress(before), LayeredCodec(codec.model).decompress(before))
        assert np.any(codec.decompress(before))

    def test_loaded_networks_are_frozen(self, model_file: Path) -> None:
        model = load_model(model_file)
        for network in (model.compressor, *model.analyzers.values()):
            assert not network.training
            assert not any(parameter.requires_grad for parameter in network.parameters())
            assert not any(parameter.is_meta for parameter in network.parameters())

    def test_float_copies_of_exact_networks_are_not_in_the_file(self, model_file: Path) -> None:
        tensors, _ = read(model_file)
        assert not [
            name for name in tensors if name.startswith("net.") and (".predict." in name or ".refine." in name)
        ]
        assert tensors["exact.reconstruction.predict.0.weight"].dtype == torch.int16

    def test_files_of_before_there_was_a_choice_of_main_line(self, own: Path) -> None:
        tensors, about = read(own)
        assert about["architecture"].pop("main_line") == "activated"
        assert load_model(write(own, tensors, about)).model_id == load_model(own).model_id

    def test_a_choice_added_later_leaves_ids_as_they_are(self, own: Path, small_architecture: Architecture) -> None:
        layer = make_dataclass("Layer", [("later", int, 0)], bases=(LayerConfig,), frozen=True)
        later = make_dataclass("Later", [("choice", str, "as before")], bases=(Architecture,), frozen=True)
        tensors, _ = read(own)

        def model_id(choice: str = "as before", number: int = 0) -> bytes:
            semantic = layer(**asdict(small_architecture.semantic), later=number)
            return module._model_id(
                later(**{**vars(small_architecture), "semantic": semantic}, choice=choice), tensors
            )

        assert model_id() == read_info(own)[1]
        assert len({model_id(), model_id(choice="another"), model_id(number=1)}) == 3

    def test_a_choice_of_a_newer_lgc_is_named(self, own: Path) -> None:
        tensors, about = read(own)
        architecture = about["architecture"]
        for part in (architecture, architecture["semantic"], architecture["widths"], about["analyzer"]):
            part["of_tomorrow"] = 1
            with pytest.raises(ModelError, match=r"newer lgc, this one does not know \w+'s of_tomorrow; update lgc$"):
                read_info(write(own, tensors, about))
            del part["of_tomorrow"]

    def test_parents_are_made(
        self, small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
    ) -> None:
        assert write_model(tmp_path / "a" / "b" / "m.safetensors", small_architecture).is_file()


class TestIdentity:
    """What a decoder needs is in the id; everything else may change without making files unreadable."""

    @pytest.mark.parametrize(
        "name",
        [
            "net.g_s.to_rgb.weight",
            "exact.reconstruction.predict.1.bias",
            "tables.gaussian.frequencies",
            "tables.semantic.medians",
            "tables.semantic.factorised.radius",
        ],
    )
    def test_tampered_bytes_are_refused(self, own: Path, name: str) -> None:
        flip_bit_in(own, name)
        with pytest.raises(ModelError, match=r"own\.safetensors: damaged, its content is not the model"):
            load_model(own)

    def test_tampered_architecture_is_refused(self, own: Path) -> None:
        tensors, about = read(own)
        about["architecture"]["fusion"] = "global"
        with pytest.raises(ModelError, match="damaged"):
            load_model(write(own, tensors, about))

    @pytest.mark.parametrize("name", ["net.g_a.trunk.body.1.weight", "analyzer.semantic.heads.pose.body.0.weight"])
    def test_tampered_encoder_or_analyzer_is_refused(self, own: Path, name: str) -> None:
        flip_bit_in(own, name)
        with pytest.raises(ModelError):
            load_model(own)


class TestRefuses:
    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        for path, told in ((tmp_path / "none", "no such model file; train one"), (tmp_path, "is a folder")):
            for read_one in (load_model, read_info):
                with pytest.raises(ModelError, match=told):
                    read_one(path)

    @pytest.mark.parametrize("name", ["fusion", "main_line"])
    def test_unknown_forms(self, own: Path, name: str) -> None:
        tensors, about = read(own)
        about["architecture"][name] = "curved"
        with pytest.raises(ModelError, match=rf"not an lgc model.*unknown {name} 'curved'"):
            load_model(write(own, tensors, about))

    @pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 200, struct.pack("<Q", 1 << 60) + b"{}"])
    def test_what_is_no_model_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "m.safetensors"
        path.write_bytes(content)
        for read_one in (load_model, read_info):
            with pytest.raises(ModelError, match="not a model file") as error:
                read_one(path)
            assert "\n" not in str(error.value)

    def test_every_cut(self, own: Path) -> None:
        data = own.read_bytes()
        for length in [*range(0, 200, 20), len(data) // 2, len(data) - 1]:
            own.write_bytes(data[:length])
            with pytest.raises(ModelError):
                load_model(own)

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"lgc": "5"}, {"lgc": "{}"}, {"lgc": "no json"}])
    def test_other_safetensors_files(self, tmp_path: Path, metadata: dict | None) -> None:
        path = tmp_path / "m.safetensors"
        save_file({"a": torch.zeros(2)}, path, metadata)
        for read_one in (load_model, read_info):
            with pytest.raises(ModelError, match="a safetensors file, but not an lgc model"):
                read_one(path)

    def test_newer_format(self, own: Path) -> None:
        tensors, about = read(own)
        with pytest.raises(ModelError, match="model format 2, this lgc reads 1; update lgc"):
            load_model(write(own, tensors, {**about, "format": 2}))

    @pytest.mark.parametrize(
        "name",
        [
            "net.g_s.to_rgb.weight",
            "net.g_a.trunk.body.1.bias",
            "exact.reconstruction.predict.0.weight",
            "tables.gaussian.radius",
            "analyzer.both.heads.pose.body.2.bias",
        ],
    )
    def test_missing_tensor(self, forge: Callable[..., Path], own: Path, name: str) -> None:
        tensors, about = read(own)
        del tensors[name]
        with pytest.raises(ModelError, match=r"not a usable model file|lacks networks"):
            load_model(forge(tensors, about))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tables.gaussian.radius", torch.zeros(64, dtype=torch.int32)),
            ("exact.reconstruction.predict.0.weight", torch.zeros(8, 4, 1, 1, dtype=torch.int16)),
            ("net.g_s.to_rgb.weight", torch.zeros(3, 13, 3, 3)),
        ],
    )
    def test_tensor_of_the_wrong_shape(
        self, forge: Callable[..., Path], own: Path, name: str, value: torch.Tensor
    ) -> None:
        tensors, about = read(own)
        with pytest.raises(ModelError, match="not a usable model file"):
            load_model(forge({**tensors, name: value}, about))

    @pytest.mark.parametrize(("part", "key", "value"), [("widths", "depth", "2"), ("semantic", "steps", "1")])
    def test_shapes_that_are_no_numbers(
        self, forge: Callable[..., Path], own: Path, part: str, key: str, value: Any
    ) -> None:
        tensors, about = read(own)
        about["architecture"][part][key] = value
        with pytest.raises(ModelError, match="not a usable model file"):
            load_model(forge(tensors, about))

    def test_numbers_of_a_type_without_arrays(self, own: Path) -> None:
        tensors, about = read(own)
        with pytest.raises(ModelError, match="not a usable model file"):
            load_model(write(own, {**tensors, "net.g_s.to_rgb.weight": torch.zeros(3).bfloat16()}, about))

    def test_a_device_without_room_is_no_damage(self, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.\nMore of it.")

        monkeypatch.setattr(module, "IntegerNetwork", refuse)
        says = r"no room on cpu \(CUDA out of memory\. Tried to allocate 2\.00 MiB\.\)"
        with pytest.raises(ModelError, match=says):
            load_model(own)


class TestWriting:
    @pytest.fixture
    def parts(
        self, small_architecture: Architecture, random_codec: Callable[..., TrainableCodec]
    ) -> tuple[ModelInfo, TrainableCodec]:
        return ModelInfo(small_architecture, None, {}), random_codec(small_architecture)

    def test_failure_keeps_the_old_file(
        self, parts: tuple[ModelInfo, TrainableCodec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        info, codec = parts
        path = tmp_path / "m.safetensors"
        path.write_bytes(b"old")

        def fill_up(tensors: object, target: Path, metadata: object) -> None:
            target.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "save_file", fill_up)
        with pytest.raises(ModelError, match="cannot be written"):
            save_model(path, info, codec.compressor, codec_tables(codec), {})
        assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]
        assert path.read_bytes() == b"old"

    def test_parent_that_is_a_file(self, parts: tuple[ModelInfo, TrainableCodec], tmp_path: Path) -> None:
        info, codec = parts
        (tmp_path / "file").write_text("x")
        with pytest.raises(ModelError, match="cannot be written"):
            save_model(tmp_path / "file" / "m.safetensors", info, codec.compressor, codec_tables(codec), {})

    def test_writing_leaves_the_codec_as_it_was(
        self, parts: tuple[ModelInfo, TrainableCodec], tmp_path: Path
    ) -> None:
        info, codec = parts
        before = {name: value.clone() for name, value in codec.state_dict().items()}
        save_model(tmp_path / "m.safetensors", info, codec.compressor, codec_tables(codec), {})
        assert all(torch.equal(value, before[name]) for name, value in codec.state_dict().items())


def test_files_outlive_retrained_encoders(own: Path, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
    """A model with another g_a reads the files of this one."""
    tensors, about = read(own)
    tensors["net.g_a.semantic.1.bias"] = tensors["net.g_a.semantic.1.bias"] + 1
    about["sha256"] = module._digest(tensors, "").hexdigest()
    other = LayeredCodec(load_model(write(own, tensors, about)))
    data = codec.compress(pictures[0])
    assert other.compress(pictures[0]) != data
    np.testing.assert_array_equal(other.decompress(data), codec.decompress(data))


def test_architecture_is_part_of_the_id(small_architecture: Architecture) -> None:
    wider = replace(small_architecture, widths=Widths((8, 12, 17), 1))
    assert module._model_id(small_architecture, {}) != module._model_id(wider, {})


class TestWrites:
    def test_others_may_read_what_this_process_lets_them(self, own: Path, tmp_path: Path) -> None:
        rewrite_about(own, tmp_path / "out.safetensors", {})
        umask = os.umask(0)
        os.umask(umask)
        assert (tmp_path / "out.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask

    @pytest.mark.parametrize("target", ["/proc/out.safetensors", "file/out.safetensors"])
    def test_where_nothing_can_be_written(self, own: Path, tmp_path: Path, target: str) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ModelError, match=r"out\.safetensors: cannot be written"):
            rewrite_about(own, tmp_path / target, {})

    def test_a_full_disk(self, own: Path, tmp_path: Path) -> None:
        """A limit on the size of files fails the same system call at the same place."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        try:
            with pytest.raises(ModelError, match=r"cannot be written \(.*File too large"):
                rewrite_about(own, tmp_path / "new" / "out.safetensors", {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list((tmp_path / "new").iterdir()) == []
