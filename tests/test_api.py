from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_overloads, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import lgc
from lgc import images
from lgc.bitstream.codec import Analysis, LayeredCodec
from lgc.data.labels import ATTRIBUTES


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return images.to_float(torch.from_numpy(pixels[None]))[0]


class TestLoad:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_string_or_path(self, model_file: Path, kind: type) -> None:
        assert isinstance(lgc.load(kind(model_file), device="cpu"), LayeredCodec)

    def test_auto_takes_what_is_there(self, model_file: Path) -> None:
        expected = "cuda" if torch.cuda.is_available() else "cpu"
        assert lgc.load(model_file).model.device.type == expected

    def test_missing_model(self, tmp_path: Path) -> None:
        with pytest.raises(lgc.ModelError, match="no such model file"):
            lgc.load(tmp_path / "none.safetensors")

    def test_a_user_without_a_home_folder(self, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def none() -> Path:
            raise RuntimeError("Could not determine home directory.")

        for name in ("LGC_HOME", "XDG_DATA_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Path, "home", none)
        assert isinstance(lgc.load(model_file, "cpu"), LayeredCodec)
        with pytest.raises(lgc.ModelError, match="set LGC_HOME to a folder"):
            lgc.load("face", "cpu")

    @pytest.mark.parametrize(("model", "told"), [("", "is empty"), (".", r"\.: is a folder, not a model file")])
    def test_what_names_no_model(self, model: str, told: str) -> None:
        with pytest.raises(lgc.ModelError, match=told):
            lgc.load(model, "cpu")

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", "mps", "", "cuda:", "cpu:0"])
    def test_impossible_device(self, model_file: Path, device: str) -> None:
        with pytest.raises(lgc.ModelError, match="choose auto, cpu, cuda or cuda:N") as error:
            lgc.load(model_file, device)
        assert len(str(error.value)) < 200

    def test_limits_are_handed_on(self, model_file: Path, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        limited = lgc.load(model_file, "cpu", batch_size=2, max_pixels=64 * 64 - 1)
        assert limited.compress(pictures[:3]) == codec.compress(pictures[:3])
        with pytest.raises(lgc.BitstreamError, match="more than the limit of 4095 set here"):
            limited.decompress(codec.compress(pictures[0]))

    def test_importing_the_package_does_not_import_torch(self) -> None:
        code = "import sys, lgc; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_inference_needs_no_training_package_and_no_compiler(self, project: Path) -> None:
        """torch's compiler and sympy take longer to load than torch itself."""
        code = """
import sys
for name in ("compressai", "lpips", "torchvision", "ray", "mlflow", "hydra", "omegaconf", "dvc", "yaml"):
    sys.modules[name] = None
import lgc
codec = lgc.load("v1.safetensors", "cpu")
with open("v1-3.lgc", "rb") as file:
    data = file.read()
codec.analyze(data)
codec.compress(codec.decompress(data))
loaded = {"torch._dynamo", "sympy"} & set(sys.modules)
sys.exit(f"loaded needlessly: {loaded}" if loaded else 0)
"""
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            cwd=project / "tests" / "golden",
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("error", [lgc.BitstreamError, lgc.ImageError, lgc.ModelError])
    def test_one_base_for_all_errors(self, error: type[Exception]) -> None:
        assert issubclass(error, lgc.LgcError)


class TestTypes:
    """The package says that it is typed."""

    @pytest.mark.parametrize(
        ("method", "one", "several"),
        [
            (LayeredCodec.compress, bytes, list[bytes]),
            (LayeredCodec.decompress, NDArray[np.uint8], list[NDArray[np.uint8]]),
            (LayeredCodec.analyze, Analysis, list[Analysis]),
        ],
    )
    def test_one_or_several(self, method: Callable[..., Any], one: object, several: object) -> None:
        assert [get_type_hints(overload)["return"] for overload in get_overloads(method)] == [one, several]

    def test_nothing_public_takes_or_gives_anything(self) -> None:
        public = [value for name, value in vars(LayeredCodec).items() if callable(value) and name[0] != "_"]
        assert len(public) >= 6
        for method in [LayeredCodec.__init__, *public]:
            assert Any not in get_type_hints(method).values()

    def test_what_annotations_name(self) -> None:
        assert (lgc.LayeredCodec, lgc.Analysis) == (LayeredCodec, Analysis)
        assert all(hasattr(lgc, name) for name in lgc.__all__)
        assert not hasattr(lgc, "Analyses")
        hints = get_type_hints(lgc.load, {"Path": Path, "LayeredCodec": LayeredCodec})
        assert hints["return"] is LayeredCodec


class TestCompress:
    def test_every_form_of_a_picture_gives_the_same_bytes(
        self, codec: LayeredCodec, pictures: list[np.ndarray]
    ) -> None:
        pixels = pictures[0]
        expected = codec.compress(pixels)
        assert isinstance(expected, bytes)
        assert codec.compress(Image.fromarray(pixels)) == expected
        assert codec.compress(as_tensor(pixels)) == expected
        assert codec.compress([pixels]) == [expected]
        assert codec.compress((Image.fromarray(pixels),)) == [expected]

    def test_a_batch_tensor_is_several_pictures(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        batch = torch.stack([as_tensor(pixels) for pixels in pictures[:3]])
        files = codec.compress(batch)
        assert len(files) == 3
        for data, pixels in zip(files, pictures, strict=False):
            error = np.abs(codec.decompress(data).astype(int) - codec.decompress(codec.compress(pixels)))
            assert error.max() <= 1

    def test_a_batch_array_is_several_pictures(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        assert codec.compress(np.stack(pictures[:2])) == codec.compress(pictures[:2])

    def test_mixed_forms_and_sizes(self, codec: LayeredCodec) -> None:
        mixed = [np.zeros((5, 9), np.uint8), Image.new("RGBA", (7, 3)), torch.rand(3, 20, 18)]
        shapes = [picture.shape for picture in codec.decompress(codec.compress(mixed))]
        assert shapes == [(5, 9, 3), (3, 7, 3), (20, 18, 3)]

    def test_grey_is_rgb_with_three_equal_channels(self, codec: LayeredCodec) -> None:
        grey = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
        assert codec.compress(grey) == codec.compress(np.repeat(grey[..., None], 3, axis=2))

    def test_nothing_gives_nothing(self, codec: LayeredCodec) -> None:
        assert codec.compress([]) == codec.decompress([]) == codec.analyze([]) == []

    @pytest.mark.parametrize(
        ("picture", "told"),
        [
            (np.zeros((4, 4, 3)), r"uint8 \(H, W, 3\) or \(H, W\), not float64 \(4, 4, 3\)"),
            (np.zeros((4, 4, 4), np.uint8), r"not uint8 \(4, 4, 4\)"),
            (np.zeros((4, 4, 1), np.uint8), r"not uint8 \(4, 4, 1\)"),
            (np.zeros((3, 4, 4), np.uint8), r"not uint8 \(3, 4, 4\)"),
            (np.zeros((4, 4), np.int64), "not int64"),
            ([np.zeros(4, np.uint8)], r"not uint8 \(4,\)"),
            (np.zeros((0, 4, 3), np.uint8), "4 x 0 pixels"),
            (np.zeros((1, 8193, 3), np.uint8), "8193 x 1 pixels"),
            (torch.zeros(3, 4, 4, dtype=torch.uint8), r"float \(3, H, W\) in \[0, 1\], not torch.uint8 \(3, 4, 4\)"),
            (torch.zeros(1, 4, 4), r"not torch.float32 \(1, 4, 4\)"),
            (torch.zeros(4, 4, 3), r"not torch.float32 \(4, 4, 3\)"),
            ([torch.zeros(4, 4)], r"not torch.float32 \(4, 4\)"),
            (torch.zeros(3, 0, 4), "4 x 0 pixels"),
            (torch.full((3, 4, 4), float("nan")), "not finite"),
            (torch.full((3, 4, 4), 255.0), r"in \[0, 1\]; this one goes from 255 to 255"),
            (torch.linspace(-1, 0, 48).reshape(3, 4, 4), r"in \[0, 1\]; this one goes from -1 to 0"),
            (torch.linspace(0, 1.01, 48).reshape(3, 4, 4).half(), "this one goes from 0 to 1.01"),
            (torch.full((2, 3, 4, 4), 255.0), "this one goes from 255 to 255"),
            (Image.new("1", (8193, 1)), "8193 x 1 pixels"),
            ("face.jpg", r"not the name of a file; read it first: PIL\.Image\.open"),
            (Path("face.jpg"), "not the name of a file"),
            (["face.jpg"], "not the name of a file"),
            (b"\xff\xd8", r"not a file's content; read it first: PIL\.Image\.open"),
            (io.BytesIO(b"a\nb"), "not a file's content"),
            ([io.BytesIO(b"a\nb")], "not a file's content"),
            ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3))], r"^picture 1: an array must be uint8"),
            (Image.new("F", (4, 4), 1.0), "float values, and nothing says which of them is white"),
        ],
    )
    def test_what_is_no_picture(self, codec: LayeredCodec, picture: object, told: str) -> None:
        with pytest.raises(lgc.ImageError, match=told):
            codec.compress(picture)

    def test_the_account_of_one_picture(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        for one in (pictures[0], Image.fromarray(pictures[0])):
            (encoded,) = codec.encode(one)
            assert encoded.data == codec.compress(pictures[0])

    def test_a_tensor_may_miss_its_range_by_rounding(self, codec: LayeredCodec) -> None:
        x = torch.tensor([-5e-4, 1 + 5e-4]).repeat(3, 4, 2)
        assert codec.compress(x) == codec.compress(x.clamp(0, 1))

    def test_cut_pillow_picture(self, codec: LayeredCodec, tmp_path: Path) -> None:
        Image.effect_noise((40, 40), 90).save(tmp_path / "a.jpg")
        (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-300])
        with Image.open(tmp_path / "a.jpg") as picture, pytest.raises(lgc.ImageError):
            codec.compress(picture)


class TestDecompress:
    def test_one_and_several(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        data = codec.compress(pictures[0])
        one = codec.decompress(data)
        assert one.shape == (64, 64, 3)
        assert one.dtype == np.uint8
        assert one.flags["C_CONTIGUOUS"]
        several = codec.decompress([data, data])
        assert isinstance(several, list)
        np.testing.assert_array_equal(several[1], one)

    def test_unknown_layers(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        with pytest.raises(ValueError, match="layers must be semantic or both, not 'everything'"):
            codec.decompress(codec.compress(pictures[0]), layers="everything")  # type: ignore[arg-type]


class TestNoBytes:
    @pytest.mark.parametrize(
        ("given", "kind"),
        [
            ("a.lgc", "str"),
            (Path("a.lgc"), "PosixPath"),
            (["a.lgc"], "str"),
            (7, "int"),
            ([7], "int"),
            (io.BytesIO(b"a\nb"), "BytesIO"),
        ],
    )
    @pytest.mark.parametrize("method", ["decompress", "analyze", "latents", "predict"])
    def test_says_what_is_wanted(self, codec: LayeredCodec, method: str, given: object, kind: str) -> None:
        if method == "latents" and isinstance(given, list):
            kind = "list"
        told = rf"content is wanted, as bytes, not {kind}; read it first: Path\(\.\.\.\)\.read_bytes"
        with pytest.raises(TypeError, match=told):
            getattr(codec, method)(given)

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_any_kind_of_bytes(self, codec: LayeredCodec, pictures: list[np.ndarray], kind: Callable) -> None:
        data = codec.compress(pictures[0])
        np.testing.assert_array_equal(codec.decompress(kind(data)), codec.decompress([kind(data)])[0])


class TestAnalyze:
    def test_one_and_several(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        files = codec.compress([pictures[0], pictures[1][:40, :50]])
        one, other = codec.analyze(files)
        assert isinstance(codec.analyze(files[0]), Analysis)
        np.testing.assert_array_equal(codec.analyze(files[0]).mask, one.mask)
        assert (one.mask.shape, one.mask.dtype) == ((64, 64), np.uint8)
        assert other.mask.shape == (40, 50)
        assert int(one.mask.max()) < 19
        assert tuple(one.attributes) == ATTRIBUTES
        assert all(0 <= value <= 1 for value in one.attributes.values())
        assert list(one.pose) == ["yaw", "pitch", "roll"]

    def test_both_layers(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        data = codec.compress(pictures[0])
        assert codec.analyze(data, layers="both").pose != codec.analyze(data).pose

    def test_unknown_layers(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        with pytest.raises(ValueError, match="layers must be semantic or both, not 'everything'"):
            codec.analyze(codec.compress(pictures[0]), layers="everything")  # type: ignore[arg-type]
