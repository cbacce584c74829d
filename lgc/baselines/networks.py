"""CompressAI's networks, and a minimal file around what their entropy coder writes.

=========  =====================================================================
1 byte     which of the codec's networks wrote it
2 bytes    height in pixels, big-endian
2 bytes    width in pixels
1-5 bytes  length of the hyper-latent's payload, LEB128
...        the hyper-latent's payload
...        the latent's payload, to the end
=========  =====================================================================

Every byte counts as the codec's rate. There is no checksum, version or model id: 6 bytes are beside the payloads,
17 in a small file of ours. CompressAI's coder ends a payload with some 6 bytes that carry nothing, ours with less
than one.
"""

from __future__ import annotations

import copy
import struct
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from lgc import images
from lgc.backbones import Absent, quiet_imports, with_weights

with quiet_imports():
    from compressai import __version__ as compressai_version
    from compressai import zoo
    from compressai.models import CompressionModel, MeanScaleHyperprior, ScaleHyperprior
    from compressai.zoo.image import model_urls

STRIDE: Final = 64
"""Pictures are padded to multiples of it: the hyper-latent lies at 1/64."""
DENSITY: Final = "entropy_bottleneck."
"""What names of the factorised density's parameters start with."""
LIBRARY: Final = f"CompressAI {compressai_version}"
PREFIX: Final = "network."
"""Of the network's tensors in the file that training releases."""
_CLASSES: Final = {"bmshj2018_hyperprior": ScaleHyperprior, "mbt2018_mean": MeanScaleHyperprior}
CONTAINER: Final = "1 byte network, 2 x 2 bytes size, 1-5 bytes length, two payloads"
_HEAD: Final = struct.Struct(">BHH")


def make_network(name: str, channels: int, latent_channels: int) -> CompressionModel:
    """An untrained network of N = ``channels`` and M = ``latent_channels``.

    Sources: Balle et al., ICLR 2018 (arXiv 1802.01436); Minnen et al., NeurIPS 2018 (arXiv 1809.02736), without
    its autoregressive part.
    """
    return _CLASSES[name](channels, latent_channels)


def load_network(name: str, path: Path) -> CompressionModel:
    """A network from the file that ``train_baseline`` released, ready to code."""
    state = {key.removeprefix(PREFIX): value for key, value in load_file(path).items() if key.startswith(PREFIX)}
    return ready(_CLASSES[name].from_state_dict(state))


def load_pretrained(name: str, quality: int) -> CompressionModel | Absent:
    """CompressAI's own network for distortion, ``quality`` 1 to 8, ready to code."""
    make = getattr(zoo, name)
    file = model_urls[name.replace("_", "-", 1)]["mse"][quality].rpartition("/")[2]
    found = with_weights(f"{name} {quality}", (file,), lambda: make(quality, "mse", pretrained=True, progress=False))
    return found if isinstance(found, Absent) else ready(found)


def ready(network: nn.Module) -> CompressionModel:
    """A copy with entropy coding tables, in evaluation mode."""
    prepared: CompressionModel = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    prepared.update(force=True)
    return prepared


@torch.no_grad()
def encode(network: CompressionModel, pixels: np.ndarray, number: int = 0) -> bytes:
    """uint8 RGB (H, W, 3) -> file that says it is of network ``number``, 0 to 255."""
    x = images.pad(images.to_float(torch.from_numpy(np.ascontiguousarray(pixels))[None]), STRIDE)
    (y,), (z,) = network.compress(x)["strings"]
    return _HEAD.pack(number, *pixels.shape[:2]) + _leb128(len(z)) + z + y


def number_of(data: bytes) -> int:
    """Which network a file is for."""
    return data[0]


@torch.no_grad()
def decode(network: CompressionModel, data: bytes) -> np.ndarray:
    """File -> uint8 RGB (H, W, 3)."""
    _, height, width = _HEAD.unpack_from(data)
    length, start = _read_leb128(data, _HEAD.size)
    z, y = data[start : start + length], data[start + length :]
    x_hat = network.decompress([[y], [z]], (-(-height // STRIDE), -(-width // STRIDE)))["x_hat"]
    return images.to_uint8(images.crop(x_hat, height, width))[0].numpy()


def _leb128(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def _read_leb128(data: bytes, start: int) -> tuple[int, int]:
    """The number, and where it ends."""
    number = shift = 0
    for place in range(start, len(data)):
        number |= (data[place] & 127) << shift
        if data[place] < 128:
            return number, place + 1
        shift += 7
    raise ValueError("the file ends within a number")
