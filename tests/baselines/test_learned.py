"""CompressAI's networks as codecs, with tiny networks of random weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lgc.backbones import Absent
from lgc.baselines import NETWORKS, PRETRAINED, networks
from lgc.baselines.learned import LearnedCodec, Trained
from lgc.baselines.make import make_codec
from lgc.errors import LgcError


def released(path: Path, name: str, seed: int) -> Path:
    """A random network as training leaves it."""
    torch.manual_seed(seed)
    network = networks.make_network(name, 4, 6)
    with torch.no_grad():
        network.g_a[-1].weight.mul_(40)  # so that there is something to code
    state = {networks.PREFIX + key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, path)
    return path


@pytest.fixture(scope="module", params=NETWORKS)
def codec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LearnedCodec:
    folder = tmp_path_factory.mktemp("networks")
    sources = {
        quality: Trained(
            request.param,
            released(folder / f"{quality}.safetensors", request.param, quality),
            {"lambda": str(quality)},
        )
        for quality in (300, 100)
    }
    return LearnedCodec(request.param, sources)


@pytest.mark.parametrize("size", [(64, 64), (70, 130), (1, 1)])
def test_there_and_back_from_real_bytes(codec: LearnedCodec, size: tuple[int, int]) -> None:
    face = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    files = {quality: codec.encode(face, quality) for quality in (100, 300)}
    assert files[100] != files[300]
    for quality, data in files.items():
        decoded = codec.decode(data)
        assert (decoded.shape, decoded.dtype) == (face.shape, np.uint8)
        network = networks.ready(codec.sources[quality].load())
        assert np.array_equal(decoded, networks.decode(network, data))  # the file says which network


def test_the_head_of_a_file_is_not_coded_data(codec: LearnedCodec) -> None:
    face = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (y,), (z,) = networks.ready(codec.sources[100].load()).compress(
        torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255
    )["strings"]
    data = codec.encode(face, 100)
    assert codec.coded_bytes(data) == len(y) + len(z)
    assert len(data) - codec.coded_bytes(data) == 5 + (1 if len(z) < 128 else 2)


def test_what_is_decoded_is_what_the_network_makes_of_rounded_latents() -> None:
    torch.manual_seed(1)
    network = networks.make_network("mbt2018_mean", 4, 6)
    with torch.no_grad():
        network.g_a[-1].weight.mul_(40)
    network = networks.ready(network)
    face = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    x = torch.from_numpy(face).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network(x)["x_hat"].clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    decoded = networks.decode(network, networks.encode(network, face)).astype(float)
    assert np.abs(decoded - expected).max() < 1


def test_every_byte_of_the_file_counts_and_the_header_is_six(codec: LearnedCodec) -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    network = networks.ready(codec.sources[300].load())
    (y,), (z,) = network.compress(torch.zeros(1, 3, 64, 64))["strings"]
    assert len(codec.encode(face, 300)) == 6 + len(y) + len(z)


def test_settings_are_told(codec: LearnedCodec) -> None:
    about = codec.describe(100)
    assert about["library"].startswith("CompressAI 1.")
    assert about["lambda"] == "100"
    assert "length" in about["container"]
    with pytest.raises(LgcError, match="there is no network of quality 7; there are 300, 100"):
        codec.describe(7)


def test_it_can_be_sent_to_another_process(codec: LearnedCodec) -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    again = pickle.loads(pickle.dumps(codec))
    assert again.encode(face, 100) == codec.encode(face, 100)


def test_training_goes_on_from_a_network_that_was_looked_at() -> None:
    """Tables would change the shapes of buffers, and a checkpoint would not load."""
    network = networks.make_network("mbt2018_mean", 4, 6)
    before = {name: value.shape for name, value in network.state_dict().items()}
    networks.ready(network)
    assert {name: value.shape for name, value in network.state_dict().items()} == before
    assert network.training


@pytest.mark.parametrize("length", [0, 5, 127, 128, 16_384, 2**31])
def test_lengths(length: int) -> None:
    written = networks._leb128(length)
    assert networks._read_leb128(b"x" + written + b"rest", 1) == (length, 1 + len(written))


def test_a_file_that_ends_too_early() -> None:
    with pytest.raises(ValueError, match="ends within a number"):
        networks._read_leb128(b"\xff", 0)


@pytest.mark.parametrize("name", PRETRAINED)
def test_pretrained_weights_that_cannot_be_had(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    found = make_codec(name)
    assert isinstance(found, Absent)
    assert found.name == name
    assert "no download possible" in found.reason
    assert ".pth.tar" in found.reason


def test_pretrained_weights_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    file = networks.model_urls["mbt2018-mean"]["mse"][1].rpartition("/")[2]
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(networks.make_network("mbt2018_mean", 4, 6).state_dict(), folder / file)
    monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
    codec = make_codec("mbt2018_mean_pretrained")
    assert isinstance(codec, LearnedCodec)
    face = np.zeros((64, 64, 3), np.uint8)
    assert codec.decode(codec.encode(face, 1)).shape == face.shape
    monkeypatch.setattr("torch.hub.download_url_to_file", None)
    with pytest.raises(LgcError, match=r"^mbt2018_mean 2: no mbt2018-mean-2"):
        codec.encode(face, 2)
