"""Throws damaged and forged files at the decoder and counts what happens.

    python -m tests.fuzz.hostile MODEL.safetensors --mutations 200000

First every cut and every single flipped bit of a few real files. Then files changed at random (bits, bytes,
insertions, deletions, cuts, splices of two files). Half of them stay as they are: an accident, none of which may
decode. The other half attacks what lies behind the checksums, in turns:

* ``resealed``: a damaged file as a forger would send it, with both checksums made right, so that parameter networks,
  tables and painting meet whatever the damaged payload decodes to;
* ``absurd``: latents of any magnitude up to a million, encoded properly.

Every file must end in one BitstreamError or ModelError, or decode.
"""

from __future__ import annotations

import argparse
import resource
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from unittest.mock import patch

import numpy as np
import torch

import lgc
from lgc.bitstream import container
from lgc.bitstream.codec import LayeredCodec
from lgc.errors import BitstreamError, ModelError

LIMIT = 1 << 16
"""Pixels a file may declare here; so forged sizes cost little time."""
_PAINTED = 4
"""Of so many random files that decode, one is also painted and analysed, which takes most of the time."""


def seeds(codec: LayeredCodec) -> list[bytes]:
    """A few real files: a usual size, an odd one, one pixel, a base-only one."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None]
    pictures = [
        np.broadcast_to(ramp, (64, 64, 3)).copy(),
        rng.integers(0, 256, (33, 47, 3), dtype=np.uint8),
        np.full((1, 1, 3), 200, np.uint8),
    ]
    files: list[bytes] = codec.compress(pictures)
    return [*files, container.strip(files[0])]


def damage(files: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """One random change, or several, to a random file."""
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(1 + rng.integers(3)):
        place = int(rng.integers(len(data))) if data else 0
        match int(rng.integers(7)):
            case 0 if data:
                data[place] ^= 1 << int(rng.integers(8))
            case 1 if data:
                data[place] = int(rng.integers(256))
            case 2:
                data[place:place] = rng.bytes(1 + int(rng.integers(4)))
            case 3:
                del data[place : place + 1 + int(rng.integers(4))]
            case 4:
                del data[place:]
            case 5:
                other = files[rng.integers(len(files))]
                data[place:] = other[int(rng.integers(len(other))) :]
            case 6:
                data[6:] = rng.bytes(int(rng.integers(60)))
    return bytes(data)


def forge(codec: LayeredCodec, rng: np.random.Generator) -> bytes:
    """A file of absurd latents whose every checksum is right."""
    model, coders = codec.model, codec.model.coders
    height, width = (int(side) for side in rng.integers(1, 65, 2))
    shape = (1, -1, -(-height // 16), -(-width // 16))
    magnitude = float(10.0 ** rng.uniform(-1, 6))

    def latent(channels: int) -> torch.Tensor:
        values = rng.standard_normal((1, channels, shape[2], shape[3])) * magnitude
        return torch.from_numpy(values).float()

    architecture = model.info.architecture
    with torch.no_grad():
        semantic, y_s, covered = coders["semantic"].encode(latent(architecture.semantic.channels), None)
        start = container.header_start(model.model_id, width, height)
        first = semantic[0].to_bytes(zlib.crc32(start + covered[0]))
        context = y_s if architecture.reconstruction.context_channels else None
        reconstruction, _, covered = coders["reconstruction"].encode(
            latent(architecture.reconstruction.channels), context
        )
        second = reconstruction[0].to_bytes(zlib.crc32(start + first + covered[0]))
    header = container.Header(model.model_id, width, height, len(first))
    return container.Container(header, first, second).to_bytes()


def outcome(codec: LayeredCodec, data: bytes, paint: bool = True) -> str:
    """What became of a file: ``decoded``, or the class of its one error. Anything else propagates."""
    try:
        codec.latents(data)
        if paint:
            assert codec.decompress(data).dtype == np.uint8
            codec.analyze(data)
    except (BitstreamError, ModelError) as error:
        if "\n" in str(error):
            raise AssertionError(f"more than one line: {error}") from error
        return type(error).__name__
    return "decoded"


def resealed(codec: LayeredCodec, data: bytes, paint: bool = True) -> str:
    """As :func:`outcome` of a file whose checksums a forger made right."""
    with patch("lgc.bitstream.codec.expect_check", lambda *_: None):
        return outcome(codec, data, paint)


def systematic(codec: LayeredCodec) -> dict[str, Counter[str]]:
    """Every cut and every flipped bit of real files; raises when one goes unnoticed."""
    counts: dict[str, Counter[str]] = {"cut": Counter(), "flipped": Counter()}
    for data in seeds(codec):
        for length in range(len(data)):
            counts["cut"][_damaged(codec, data[:length], valid={container.strip(data)})] += 1
        for place in range(8 * len(data)):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            counts["flipped"][_damaged(codec, bytes(changed), valid=set())] += 1
    return counts


def run(codec: LayeredCodec, mutations: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Counts of outcomes of random files. Raises on a crash, and when damage goes unnoticed."""
    rng = np.random.default_rng(seed)
    files = seeds(codec)
    valid = {*files, *(container.strip(data) for data in files)}
    kinds: tuple[tuple[str, Callable[[bool], str]], ...] = (
        ("damaged", lambda _: _damaged(codec, damage(files, rng), valid)),
        ("resealed", lambda paint: resealed(codec, damage(files, rng), paint)),
        ("damaged", lambda _: _damaged(codec, damage(files, rng), valid)),
        ("absurd", lambda paint: outcome(codec, forge(codec, rng), paint)),
    )
    counts: dict[str, Counter[str]] = {name: Counter() for name, _ in kinds}
    for number in range(mutations):
        name, attack = kinds[number % len(kinds)]
        counts[name][attack(number // len(kinds) % _PAINTED == 0)] += 1
    return counts


def _damaged(codec: LayeredCodec, data: bytes, valid: set[bytes]) -> str:
    result = outcome(codec, data)
    if data in valid:
        assert result == "decoded"
        return "still valid"
    if result == "decoded":
        raise AssertionError(f"damage went unnoticed: {data.hex()}")
    return result


def main() -> None:
    """Run from the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--mutations", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    codec = LayeredCodec(lgc.load(arguments.model, "cpu").model, max_pixels=LIMIT)
    start = time.perf_counter()
    counts = systematic(codec) | run(codec, arguments.mutations, arguments.seed)
    for name, results in counts.items():
        print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in sorted(results.items())))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.perf_counter() - start:.0f} s, at most {peak:.0f} MiB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
