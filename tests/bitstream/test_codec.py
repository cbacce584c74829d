from __future__ import annotations

import copy
import io
import pickle
import re
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

import lgc
from lgc import images
from lgc.bitstream import codec as codec_module
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import Container, parse, strip
from lgc.entropy.coder import longest_payload, stack_from_bytes
from lgc.entropy.exact import IntegerNetwork
from lgc.errors import BitstreamError, ModelError
from lgc.models.fusion import FusionKind
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def worst(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


def decoded_latents(codec: LayeredCodec, data: bytes) -> tuple[torch.Tensor, torch.Tensor]:
    """Both layers of one file, in fixed point."""
    parsed = parse(data)
    (group,) = codec._groups([(parsed.header.width, parsed.header.height)])
    y_s = codec._decode_semantic(group, [parsed])
    return y_s, codec._decode_reconstruction(group, [parsed], y_s)


def encoded_latents(codec: LayeredCodec, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """What the encoder believes a decoder will find."""
    x = images.pad(images.to_float(torch.from_numpy(pixels[None])), 16)
    with torch.no_grad():
        y_s, y_r = codec.model.compressor.g_a(x)
    _, y_s_hat, _ = codec.model.coders["semantic"].encode(y_s, None)
    _, y_r_hat, _ = codec.model.coders["reconstruction"].encode(y_r, codec.model.compressor.context(y_s_hat))
    return y_s_hat, y_r_hat


class TestSizes:
    @pytest.mark.parametrize("size", [(1, 1), (1, 17), (17, 1), (16, 16), (37, 81), (128, 128)])
    def test_any_size(self, codec: LayeredCodec, size: tuple[int, int]) -> None:
        pixels = noise(*size)
        data = codec.compress(pixels)
        assert codec.decompress(data).shape == (*size, 3)
        for encoded, decoded in zip(encoded_latents(codec, pixels), decoded_latents(codec, data), strict=True):
            assert torch.equal(encoded, decoded)

    def test_several_sizes_keep_their_order(self, codec: LayeredCodec) -> None:
        pictures = [
            noise(*size, seed=number) for number, size in enumerate([(20, 30), (8, 8), (20, 30), (33, 8), (8, 8)])
        ]
        files = codec.compress(pictures)
        assert files == [codec.compress(picture) for picture in pictures]
        for decoded, alone in zip(codec.decompress(files), map(codec.decompress, files), strict=True):
            assert decoded.shape == alone.shape
            assert worst(decoded, alone) <= 1

    def test_more_pictures_than_a_batch_holds(self, model_file: Path) -> None:
        codec = LayeredCodec(lgc.load(model_file, "cpu").model, batch_size=2)
        pictures = [noise(20, 20, seed) for seed in range(5)]
        files = codec.compress(pictures)
        assert len({*files}) == 5
        assert [codec.compress(picture) for picture in pictures] == files
        assert [picture.shape for picture in codec.decompress(files)] == [(20, 20, 3)] * 5


class TestLayers:
    def test_base_only_file_is_the_semantic_layer(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        data = codec.compress(pictures[0])
        base = codec.decompress(data, layers="semantic")
        np.testing.assert_array_equal(codec.decompress(strip(data)), base)
        assert worst(base, codec.decompress(data)) > 10

    def test_files_with_and_without_second_layer_together(
        self, codec: LayeredCodec, pictures: list[np.ndarray]
    ) -> None:
        files = codec.compress(pictures[:4])
        mixed = [files[0], strip(files[1]), strip(files[2]), files[3]]
        for data, decoded in zip(mixed, codec.decompress(mixed), strict=True):
            assert worst(decoded, codec.decompress(data)) <= 1

    def test_analysis_of_a_cut_file_is_the_same(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        data = codec.compress(pictures[0])
        whole, cut = codec.analyze(data), codec.analyze(strip(data))
        np.testing.assert_array_equal(whole.mask, cut.mask)
        assert whole.attributes == cut.attributes
        assert whole.pose == cut.pose

    def test_analysis_never_looks_at_the_second_layer(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        data = codec.compress(pictures[0])
        damaged = strip(data) + b"\xff" * 20
        assert codec.analyze(damaged).pose == codec.analyze(data).pose
        np.testing.assert_array_equal(
            codec.decompress(damaged, layers="semantic"), codec.decompress(data, layers="semantic")
        )

    def test_both_layers_of_a_base_only_file(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        with pytest.raises(BitstreamError, match="reconstruction layer: absent, the file is base-only"):
            codec.analyze(strip(codec.compress(pictures[0])), layers="both")

    def test_the_second_layer_brings_detail(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        """Random networks paint nothing alike, but latents must be nearer than their prediction."""
        y_s, y_r = decoded_latents(codec, codec.compress(pictures[0]))
        base = codec.model.coders["reconstruction"].base(y_s)
        assert base is not None
        assert not torch.equal(base, y_r)
        assert ((y_r - base) % 256 == 0).all()  # whole symbols around the mean


class TestSameEverywhere:
    """A file decodes to the same symbols in any company."""

    @pytest.fixture(scope="class")
    def files(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> list[bytes]:
        return codec.compress(pictures)

    def test_batch_of_one_and_of_eight(
        self, codec: LayeredCodec, pictures: list[np.ndarray], files: list[bytes]
    ) -> None:
        together = codec.decompress(files)
        for data, picture in zip(files, together, strict=True):
            assert worst(codec.decompress(data), picture) <= 1
        analyses = codec.analyze(files)
        for data, analysis in zip(files, analyses, strict=True):
            alone = codec.analyze(data)
            assert (alone.mask != analysis.mask).mean() < 0.01
            assert alone.pose == pytest.approx(analysis.pose, abs=1e-3)

    def test_one_thread_and_two(
        self, codec: LayeredCodec, files: list[bytes], threads: Callable[[int], None]
    ) -> None:
        found = []
        for count in (1, 2):
            threads(count)
            found.append([decoded_latents(codec, data) for data in files])
        for one, two in zip(*found, strict=True):
            assert torch.equal(one[0], two[0])
            assert torch.equal(one[1], two[1])

    def test_threads_share_a_codec(self, codec: LayeredCodec, files: list[bytes]) -> None:
        one_by_one = [(codec.decompress(data), codec.analyze(data)) for data in files]
        # one thread each for its sums, as here: others may add in another order
        with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            pictures, analyses = pool.map(codec.decompress, files), pool.map(codec.analyze, files)
            together = list(zip(pictures, analyses, strict=True))
        for (picture, analysis), (same, alike) in zip(together, one_by_one, strict=True):
            np.testing.assert_array_equal(picture, same)
            np.testing.assert_array_equal(analysis.mask, alike.mask)
            assert (analysis.attributes, analysis.pose) == (alike.attributes, alike.pose)

    def test_denormals_flushed(self, codec: LayeredCodec, files: list[bytes]) -> None:
        before = decoded_latents(codec, files[0])
        try:
            torch.set_flush_denormal(True)
            after = decoded_latents(codec, files[0])
        finally:
            torch.set_flush_denormal(False)
        assert torch.equal(before[0], after[0])
        assert torch.equal(before[1], after[1])

    def test_under_autocast(self, codec: LayeredCodec, pictures: list[np.ndarray], files: list[bytes]) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            found = decoded_latents(codec, files[0])
        for inside, outside in zip(found, decoded_latents(codec, files[0]), strict=True):
            assert torch.equal(inside, outside)

    def test_a_callers_autocast_changes_nothing(
        self, codec: LayeredCodec, pictures: list[np.ndarray], files: list[bytes]
    ) -> None:
        outside = codec.decompress(files), codec.analyze(files, "both")
        with torch.autocast("cpu", torch.bfloat16):
            assert codec.compress(pictures) == files
            inside = codec.decompress(files), codec.analyze(files, "both")
            assert codec.predict(files[:1]).parsing.dtype == torch.float32
        np.testing.assert_array_equal(inside[0], outside[0])
        for one, other in zip(inside[1], outside[1], strict=True):
            np.testing.assert_array_equal(one.mask, other.mask)
            assert (one.attributes, one.pose) == (other.attributes, other.pose)

    @pytest.mark.gpu
    def test_on_a_gpu(self, model_file: Path, codec: LayeredCodec, files: list[bytes]) -> None:
        gpu = lgc.load(model_file, "cuda")
        for data in files:
            for here, there in zip(decoded_latents(codec, data), decoded_latents(gpu, data), strict=True):
                assert torch.equal(here, there.cpu())
            assert worst(codec.decompress(data), gpu.decompress(data)) <= 1

    def test_calls_leave_no_trace(self, codec: LayeredCodec, pictures: list[np.ndarray], files: list[bytes]) -> None:
        codec.analyze(files[3])
        codec.decompress(files[::-1])
        assert codec.compress(pictures) == files


class OffByOne:
    """An integer network one of whose outputs is one step off, as a careless decoder's would be."""

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out = self._network(x).clone()
        out[0, 0, 0, 0] += 1
        return out


class TestDivergence:
    def test_one_step_in_the_prior_is_reported(
        self, codec: LayeredCodec, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = codec.compress(pictures[0])
        coder = codec.model.coders["reconstruction"]
        monkeypatch.setattr(coder, "_predict", OffByOne(coder._predict))
        with pytest.raises(BitstreamError, match="reconstruction layer: checksum mismatch"):
            codec.decompress(data)
        codec.analyze(data)  # the first layer does not depend on it

    def test_one_step_in_the_hyperprior_is_reported(
        self,
        small_architecture: Architecture,
        write_model: Callable[..., Path],
        tmp_path: Path,
        pictures: list[np.ndarray],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        architecture = replace(small_architecture, semantic=LayerConfig(4, hyper_channels=3, hidden=8))
        codec = lgc.load(write_model(tmp_path / "m.safetensors", architecture), "cpu")
        data = codec.compress(pictures[0])
        coder = codec.model.coders["semantic"]
        monkeypatch.setitem(coder._refine, 0, OffByOne(coder._refine[0]))
        with pytest.raises(BitstreamError, match="semantic layer: checksum mismatch"):
            codec.analyze(data)

    def test_one_step_in_a_median_is_reported(
        self, codec: LayeredCodec, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = codec.compress(pictures[0])
        coder = codec.model.coders["semantic"]
        monkeypatch.setattr(coder, "_medians", coder._medians + torch.tensor([0, 0, 1, 0]))
        with pytest.raises(BitstreamError, match="semantic layer: checksum mismatch"):
            codec.decompress(data)


class TestWrongModel:
    @pytest.fixture(scope="class")
    def other(
        self,
        small_architecture: Architecture,
        write_model: Callable[..., Path],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> LayeredCodec:
        return lgc.load(
            write_model(tmp_path_factory.mktemp("other") / "m.safetensors", small_architecture, seed=1), "cpu"
        )

    def test_both_models_are_named(self, codec: LayeredCodec, other: LayeredCodec) -> None:
        data = other.compress(noise(8, 8))
        for read in (codec.decompress, codec.analyze):
            with pytest.raises(ModelError) as error:
                read(data)
            assert codec.model.model_id.hex() in str(error.value)
            assert other.model.model_id.hex() in str(error.value)
            assert "\n" not in str(error.value)

    def test_one_wrong_file_among_others(self, codec: LayeredCodec, other: LayeredCodec) -> None:
        with pytest.raises(ModelError, match=r"^file 1: written by model"):
            codec.decompress([codec.compress(noise(8, 8)), other.compress(noise(8, 8))])

    def test_relabelled_file_is_still_an_error(self, codec: LayeredCodec, other: LayeredCodec) -> None:
        data = other.compress(noise(40, 40))
        with pytest.raises(BitstreamError):
            codec.decompress(data[:2] + codec.model.model_id + data[6:])


def test_second_layer_of_another_picture(
    small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Even where it would decode: nothing predicts it, and both pictures have the same size."""
    architecture = replace(small_architecture, reconstruction=LayerConfig(6, hidden=8))
    codec = lgc.load(write_model(tmp_path / "m.safetensors", architecture), "cpu")
    one, other = codec.compress([noise(20, 30, 1), noise(20, 30, 2)])
    with pytest.raises(BitstreamError, match="reconstruction layer: checksum mismatch"):
        codec.decompress(strip(one) + other[len(strip(other)) :])


class TestHeads:
    def test_model_without_analyzers(
        self, small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
    ) -> None:
        codec = lgc.load(write_model(tmp_path / "m.safetensors", small_architecture, heads=()), "cpu")
        data = codec.compress(noise(20, 20))
        assert codec.decompress(data).shape == (20, 20, 3)
        with pytest.raises(ModelError, match="has no analyzer"):
            codec.analyze(data)

    @pytest.mark.parametrize("head", ["parsing", "attributes", "pose"])
    def test_a_single_head(
        self, small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path, head: str
    ) -> None:
        codec = lgc.load(write_model(tmp_path / "m.safetensors", small_architecture, heads=(head,)), "cpu")
        analysis = codec.analyze(codec.compress(noise(20, 28)))
        present = {"parsing": analysis.mask, "attributes": analysis.attributes, "pose": analysis.pose}
        assert [name for name, value in present.items() if value is not None] == [head]

    def test_predict_gives_logits_in_order(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        files = codec.compress(pictures[:3])
        predictions = codec.predict(files)
        assert predictions.parsing is not None
        assert predictions.attributes is not None
        assert predictions.parsing.shape == (3, 19, 32, 32)
        for row, analysis in zip(predictions.attributes.sigmoid(), codec.analyze(files), strict=True):
            assert analysis.attributes is not None
            assert row.tolist() == pytest.approx(list(analysis.attributes.values()), abs=1e-5)

    def test_predict_takes_one_size(self, codec: LayeredCodec) -> None:
        with pytest.raises(ValueError, match="one picture size"):
            codec.predict(codec.compress([noise(8, 8), noise(8, 9)]))


class TestHostilePayload:
    """Payloads that no picture of the declared size can need."""

    @pytest.fixture(scope="class")
    def data(self, codec: LayeredCodec) -> bytes:
        return bytes(codec.compress(noise(17, 1)))

    @pytest.fixture(scope="class")
    def long(self, codec: LayeredCodec, data: bytes) -> dict[str, bytes]:
        """By the layer that is one byte too long."""
        parsed = parse(data)
        payloads = {
            layer: b"\1" * (longest_payload(codec.model.coders[layer].symbols(2, 1)) + 1)
            for layer in ("semantic", "reconstruction")
        }
        header = replace(parsed.header, semantic_length=len(payloads["semantic"]))
        return {
            "semantic": Container(header, payloads["semantic"], None).to_bytes(),
            "reconstruction": replace(parsed, reconstruction=payloads["reconstruction"]).to_bytes(),
        }

    @pytest.mark.parametrize("layer", ["semantic", "reconstruction"])
    def test_is_refused_before_it_is_read(
        self, codec: LayeredCodec, long: dict[str, bytes], layer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[str] = []

        def note(data: bytes, where: str) -> Any:
            read.append(where)
            return stack_from_bytes(data, where)

        monkeypatch.setattr(codec_module, "stack_from_bytes", note)
        for decode in (codec.decompress, codec.latents, lambda data: codec.analyze(data, layers="both")):
            with pytest.raises(BitstreamError) as error:
                decode(long[layer])
            told = rf"{layer} layer: \d+ bytes are more than the \d+ that 1 x 17 pixels can need"
            assert re.fullmatch(told, str(error.value))
        assert f"{layer} layer" not in read

    def test_one_byte_less_is_read(self, codec: LayeredCodec, long: dict[str, bytes]) -> None:
        with pytest.raises(BitstreamError, match="reconstruction layer: checksum mismatch"):
            codec.decompress(long["reconstruction"][:-1])

    def test_the_second_layer_does_not_count_where_it_is_not_read(
        self, codec: LayeredCodec, data: bytes, long: dict[str, bytes]
    ) -> None:
        assert codec.analyze(long["reconstruction"]).pose == codec.analyze(data).pose

    def test_absurd_latents_are_never_refused(self, codec: LayeredCodec) -> None:
        """Values that tables expect least."""
        coder = codec.model.coders["semantic"]
        for height, width in ((1, 1), (1, 2), (9, 5)):
            y = torch.randn(1, 4, height, width) * 1e6
            (coded,), _, _ = coder.encode(y, None)
            assert len(coded.to_bytes(check=0xFFFFFFFF)) <= longest_payload(coder.symbols(height, width))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda codec: pickle.loads(pickle.dumps(codec))])
def test_copies_decode_alike(codec: LayeredCodec, copied: Callable[[LayeredCodec], LayeredCodec]) -> None:
    other, pixels = copied(codec), noise(40, 50)
    for data in (codec.compress(pixels), other.compress(pixels)):
        for found, expected in zip(decoded_latents(other, data), decoded_latents(codec, data), strict=True):
            assert torch.equal(found, expected)
        assert worst(other.decompress(data), codec.decompress(data)) <= 1
        assert other.analyze(data).pose == pytest.approx(codec.analyze(data).pose, abs=1e-3)


def test_another_default_device(codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
    """Where tensors lie is the model's choice, not that of whoever calls."""
    files = codec.compress(pictures[:2])
    mixed = [files[0], strip(files[1])]
    expected = codec.decompress(mixed), [codec.analyze(data).pose for data in mixed], codec.latents(files[0])
    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        assert codec.compress(pictures[:2]) == files
        found = codec.decompress(mixed), [codec.analyze(data).pose for data in mixed], codec.latents(files[0])
        codec.analyze(files, layers="both")
    finally:
        torch.set_default_device(None if before == torch.device("cpu") else before)
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1] == expected[1]
    for name, latents in expected[2].items():
        np.testing.assert_array_equal(found[2][name], latents)


def test_compressing_many_keeps_their_bytes_alone(
    model_file: Path, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their symbols would take nearly as much memory as the pictures."""
    codec = LayeredCodec(lgc.load(model_file, "cpu").model, batch_size=1)
    encode_group, alive = codec._encode_group, []
    accounts: list[weakref.ref] = []

    def watched(*arguments: Any) -> Iterator[Any]:
        for encoded in encode_group(*arguments):
            accounts.append(weakref.ref(encoded.semantic))
            alive.append(sum(account() is not None for account in accounts))
            yield encoded

    monkeypatch.setattr(codec, "_encode_group", watched)
    assert len(codec.compress(pictures)) == len(pictures) == len(alive)
    assert max(alive) <= 3


@pytest.mark.parametrize("method", ["decompress", "analyze", "predict"])
def test_of_several_files_the_damaged_one_is_named(codec: LayeredCodec, method: str) -> None:
    good = codec.compress(noise(40, 40))
    bad = bytearray(good)
    bad[len(strip(good)) - 1] ^= 1  # in the semantic layer
    read = getattr(codec, method)
    with pytest.raises(BitstreamError, match=r"^file 2: semantic layer"):
        read([good, good, bytes(bad), good])
    with pytest.raises(BitstreamError, match=r"^file 1: offset"):
        read([good, good[:9]])
    with pytest.raises(BitstreamError, match=r"^semantic layer"):
        read([bytes(bad)])


def test_a_damaged_file_is_decoded_once(codec: LayeredCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may say that it is large."""
    bad = bytearray(codec.compress(noise(40, 40)))
    bad[len(strip(bytes(bad))) - 1] ^= 1
    decode, calls = LayeredCodec._decode_semantic, []
    monkeypatch.setattr(LayeredCodec, "_decode_semantic", lambda *args: (calls.append(1), decode(*args))[1])
    with pytest.raises(BitstreamError):
        codec.decompress([bytes(bad)])
    assert len(calls) == 1


def test_pictures_are_read_one_by_one(codec: LayeredCodec) -> None:
    """Each may be a file, and so many must not be open together."""
    taken: list[int] = []

    def pictures() -> Iterator[Image.Image]:
        for number in range(3):
            assert all(earlier.fp is None for earlier in given)
            taken.append(number)
            given.append(Image.open(io.BytesIO(png)))
            yield given[-1]

    given: list[Any] = []
    buffer = io.BytesIO()
    Image.fromarray(noise(8, 8)).save(buffer, "PNG")
    png = buffer.getvalue()
    assert len(codec.compress(pictures())) == len(taken) == 3


def test_a_picture_keeps_nothing_but_itself(codec: LayeredCodec) -> None:
    for picture in codec.decompress([codec.compress(noise(32, 32))] * 3):
        assert picture.base is None or picture.base.nbytes <= picture.nbytes


class TestAccount:
    def test_bytes_add_up(self, codec: LayeredCodec, pictures: list[np.ndarray]) -> None:
        for encoded, data in zip(codec.encode(pictures), codec.compress(pictures), strict=True):
            assert encoded.data == data
            layers = (encoded.semantic, encoded.reconstruction)
            assert encoded.header_bytes + sum(layer.payload_bytes for layer in layers) == len(data)
            parsed = parse(data)
            assert len(parsed.semantic) == encoded.semantic.payload_bytes
            for layer in layers:
                assert layer.ideal_bits > 50
                assert -8 < layer.termination_bits < 40
                assert 8 * layer.payload_bytes == pytest.approx(32 + layer.ideal_bits + layer.termination_bits)


ARCHITECTURES = {
    "hyper": (LayerConfig(4, hyper_channels=3, hidden=8), LayerConfig(6, hyper_channels=2, hidden=8), True),
    "hyper below": (LayerConfig(4, hyper_channels=3, hidden=8), LayerConfig(6, hidden=8), True),
    "checkerboard": (
        LayerConfig(4, steps="checkerboard", hidden=8),
        LayerConfig(6, steps="checkerboard", hidden=8),
        True,
    ),
    "groups2": (LayerConfig(4, steps="groups2", hidden=8), LayerConfig(6, steps="groups2", hidden=8), True),
    "groups4": (LayerConfig(4, steps="groups4", hidden=8), LayerConfig(6, steps="groups4", hidden=8), True),
    "hyper and groups4": (
        LayerConfig(5, hyper_channels=3, steps="groups4", hidden=8),
        LayerConfig(6, hyper_channels=2, steps="groups4", hidden=8),
        True,
    ),
    "hyper and checkerboard": (
        LayerConfig(4, hyper_channels=3, steps="checkerboard", hidden=8),
        LayerConfig(6, hyper_channels=2, steps="checkerboard", hidden=8),
        False,
    ),
    "unconditioned": (LayerConfig(4, hidden=8), LayerConfig(6, hidden=8), False),
    "unconditioned hyper": (LayerConfig(4, hidden=8), LayerConfig(6, hyper_channels=2, hidden=8), False),
    "unconditioned groups4": (LayerConfig(4, hidden=8), LayerConfig(6, steps="groups4", hidden=8), False),
    "unconditioned checkerboard": (LayerConfig(4, hidden=8), LayerConfig(6, steps="checkerboard", hidden=8), False),
}  # fmt: skip


@pytest.mark.parametrize("fusion", get_args(FusionKind))
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_configuration_decodes_what_it_encoded(
    name: str,
    fusion: str,
    small_architecture: Architecture,
    write_model: Callable[..., Path],
    tmp_path: Path,
    pictures: list[np.ndarray],
) -> None:
    semantic, reconstruction, conditioned = ARCHITECTURES[name]
    architecture = Architecture(
        widths=small_architecture.widths,
        semantic=semantic,
        reconstruction=replace(reconstruction, context_channels=semantic.channels if conditioned else 0),
        fusion=fusion,  # type: ignore[arg-type]
    )
    codec = lgc.load(write_model(tmp_path / "m.safetensors", architecture), "cpu")
    inputs = [pictures[0], noise(37, 81), noise(1, 1)]
    files = codec.compress(inputs)
    for pixels, data, picture in zip(inputs, files, codec.decompress(files), strict=True):
        assert picture.shape == pixels.shape
        for encoded, decoded in zip(encoded_latents(codec, pixels), decoded_latents(codec, data), strict=True):
            assert torch.equal(encoded, decoded)
            assert pixels.size < 10 or decoded.unique().numel() > 5
        assert codec.analyze(data).pose == codec.analyze(strip(data)).pose
        assert codec.decompress(strip(data)).shape == pixels.shape
