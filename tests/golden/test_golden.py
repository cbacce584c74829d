"""Files written once decode to the same symbols for ever: threads, batches, compilers, precisions, devices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from string import ascii_lowercase
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

import lgc
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import parse
from lgc.entropy.exact import IntegerNetwork
from lgc.models.latents import Steps
from tests.golden.annotate import DOCUMENT, with_example
from tests.golden.fingerprint import latents_hash

HERE = Path(__file__).resolve().parent
VERSIONS = sorted(path.stem for path in HERE.glob("v*.json"))
FILES = {name: (HERE / f"{name}.lgc") for v in VERSIONS for name in json.loads((HERE / f"{v}.json").read_text())}
EXPECTED = {k: v for version in VERSIONS for k, v in json.loads((HERE / f"{version}.json").read_text()).items()}


def load(version: str, device: str = "cpu") -> LayeredCodec:
    return lgc.load(HERE / f"{version}.safetensors", device)


@pytest.fixture(scope="module", params=VERSIONS)
def golden(request: pytest.FixtureRequest) -> tuple[str, LayeredCodec]:
    return request.param, load(request.param)


def check(codec: LayeredCodec, version: str) -> None:
    """Symbols of every golden file of a version."""
    for name, path in FILES.items():
        if name.startswith(f"{version}-"):
            found = {layer: latents_hash(y) for layer, y in codec.latents(path.read_bytes()).items()}
            assert found == EXPECTED[name]["latents"], name


def test_there_are_golden_files_of_the_present_version() -> None:
    assert {"v1", "v1b"} <= set(VERSIONS)
    assert len(FILES) >= 16


@pytest.mark.parametrize("number", sorted({int(stem.strip(ascii_lowercase)) for stem in VERSIONS}))
def test_those_of_a_version_use_all_its_ways_of_coding(number: int) -> None:
    stems = [stem for stem in VERSIONS if stem.strip(ascii_lowercase) == str(number)]
    shapes = [load(stem).model.info.architecture for stem in stems]
    assert {layer.steps for shape in shapes for layer in (shape.semantic, shape.reconstruction)} == set(
        get_args(Steps)
    )
    for layer in ("semantic", "reconstruction"):
        assert {bool(getattr(shape, layer).hyper_channels) for shape in shapes} == {True, False}


def test_symbols_pictures_and_answers(golden: tuple[str, LayeredCodec]) -> None:
    version, codec = golden
    check(codec, version)
    for name, path in FILES.items():
        if not name.startswith(f"{version}-"):
            continue
        data = path.read_bytes()
        picture = np.array(Image.open(path.with_suffix(".png")).convert("RGB")).astype(int)
        # the float part may round differently elsewhere: one level in 255
        assert np.abs(codec.decompress(data).astype(int) - picture).max() <= 1
        assert codec.analyze(data).attributes["Smiling"] == pytest.approx(EXPECTED[name]["smiling"], abs=1e-4)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_threads(golden: tuple[str, LayeredCodec], threads: Callable[[int], None], count: int) -> None:
    threads(count)
    check(golden[1], golden[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_inside_an_autocast_context(golden: tuple[str, LayeredCodec], dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype):
        check(golden[1], golden[0])


def test_with_denormals_flushed(golden: tuple[str, LayeredCodec]) -> None:
    torch.set_flush_denormal(True)
    try:
        check(golden[1], golden[0])
    finally:
        torch.set_flush_denormal(False)


def test_batch_of_one_and_of_eight(golden: tuple[str, LayeredCodec]) -> None:
    version, codec = golden
    parsed = parse(FILES[f"{version}-0"].read_bytes())
    (group,) = codec._groups([(parsed.header.width, parsed.header.height)])
    y_s = codec._decode_semantic(group, [parsed] * 8)
    y_r = codec._decode_reconstruction(group, [parsed] * 8, y_s)
    for layer, latents in (("semantic", y_s), ("reconstruction", y_r)):
        for one in latents:
            assert latents_hash(one.numpy()) == EXPECTED[f"{version}-0"]["latents"][layer]


@pytest.mark.slow
def test_compiled(golden: tuple[str, LayeredCodec], monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameter networks through torch.compile."""
    version, codec = golden
    monkeypatch.setattr(IntegerNetwork, "_run", torch.compile(IntegerNetwork._run, dynamic=True))
    check(codec, version)


@pytest.mark.gpu
def test_on_a_gpu(golden: tuple[str, LayeredCodec]) -> None:
    version, _ = golden
    check(load(version, "cuda"), version)


@pytest.fixture
def one_step_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One output of every parameter network differs by one step, as on a machine that computes differently."""
    run = IntegerNetwork._run

    def wrong(self: IntegerNetwork, x: torch.Tensor) -> torch.Tensor:
        out = run(self, x)
        out[..., 0, 0] += 1
        return out

    monkeypatch.setattr(IntegerNetwork, "_run", wrong)
    return None


@pytest.mark.usefixtures("one_step_off")
def test_a_decoder_that_diverges_reports_itself(golden: tuple[str, LayeredCodec]) -> None:
    version, codec = golden
    with pytest.raises(lgc.BitstreamError, match="checksum mismatch"):
        codec.decompress(FILES[f"{version}-0"].read_bytes())


def test_the_annotated_example_in_the_specification() -> None:
    """Made anew by ``python -m tests.golden.annotate``."""
    document = DOCUMENT.read_text(encoding="utf-8")
    assert with_example(document) == document
