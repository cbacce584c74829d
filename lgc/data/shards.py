"""Shards: the form in which pictures wait for training. No picture is decoded after this point.

A shard is one safetensors file, so it is read through a memory map and streams from any object store:

==============  ==================  =========================================================
tensor          shape, type         content
==============  ==================  =========================================================
``images``      (N, S, S, 3) uint8  RGB
``masks``       (K, M, M) uint8     class indices of the K annotated pictures
``mask_rows``   (N,) int32          row in ``masks``, -1 where a picture has none
``attributes``  (N, 40) int8        0 or 1; -1 where unknown
``pose``        (N, 3) float32      yaw, pitch, roll in degrees; NaN where unknown
==============  ==================  =========================================================

Beside the shards lies ``manifest.json`` (:class:`Manifest`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from lgc import digest
from lgc.data.celebamask_hq import SPLITS
from lgc.data.labels import ATTRIBUTES
from lgc.errors import DataError

MANIFEST: Final = "manifest.json"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class ShardInfo:
    """One shard file and how to tell that it is whole."""

    file: str
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SplitInfo:
    """What a split holds: pictures, and how many of them carry each annotation."""

    images: int
    masks: int
    attributes: int
    pose: int
    shards: tuple[ShardInfo, ...]


@dataclass(frozen=True)
class Manifest:
    """Provenance and content of a prepared data set."""

    name: str
    licence: str
    split_rule: str
    """``official`` (identity-disjoint) or ``hash``."""
    image_size: int
    mask_size: int
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    left_out: int
    """Pictures that could not be read."""
    masks_left_out: int
    """Annotations whose mask files could not be read; their pictures count as not annotated."""
    splits: Mapping[str, SplitInfo]
    version: int = FORMAT_VERSION

    @property
    def hash(self) -> str:
        """First 16 hex digits of a SHA-256 over every shard's SHA-256, the sizes and the names."""
        return digest.of_value(asdict(self))

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` into ``folder``."""
        text = json.dumps({**asdict(self), "hash": self.hash}, indent=2)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path | str) -> Manifest:
    """Read the manifest of a prepared data set; :class:`DataError` when absent or unusable."""
    path = Path(folder) / MANIFEST
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        declared = raw.pop("hash")
        if raw["version"] != FORMAT_VERSION:
            raise DataError(f"{path}: shard format {raw['version']}, this lgc reads {FORMAT_VERSION}; prepare again")
        raw["splits"] = {
            name: SplitInfo(**{**split, "shards": tuple(ShardInfo(**shard) for shard in split["shards"])})
            for name, split in raw["splits"].items()
        }
        raw["classes"], raw["attributes"] = tuple(raw["classes"]), tuple(raw["attributes"])
        manifest = Manifest(**raw)
        if manifest.hash != declared:
            raise DataError(f"{path}: changed since it was written; run the prepare stage again")
        return manifest
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run the prepare stage first") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a usable manifest ({error}); run the prepare stage again") from error


class Split:
    """All shards of one split behind one index; rows are gathered straight from the memory maps."""

    def __init__(self, folder: Path | str, name: str) -> None:
        """Open the split ``name`` (train, val or test) of the prepared data set at ``folder``."""
        if name not in SPLITS:
            raise DataError(f"no split {name!r}; there are {', '.join(SPLITS)}")
        self.manifest = read_manifest(folder)
        info = self.manifest.splits[name]
        self.name = name
        self._shards = [_open_shard(Path(folder) / shard.file, shard) for shard in info.shards]
        counts = [len(shard["images"]) for shard in self._shards]
        self._shard_of = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.long))
        starts = torch.tensor([0, *counts]).cumsum(0)[:-1]
        self._row_of = torch.arange(sum(counts)) - starts[self._shard_of]

    def __len__(self) -> int:
        return len(self._shard_of)

    @property
    def has_mask(self) -> torch.Tensor:
        """bool (N,): which pictures carry a parsing annotation."""
        return torch.cat([shard["mask_rows"] for shard in self._shards]) >= 0

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """uint8 (B, S, S, 3) for int64 ``rows`` (B,)."""
        size = self.manifest.image_size
        return self._gather("images", rows, torch.empty((len(rows), size, size, 3), dtype=torch.uint8))

    def masks(self, rows: torch.Tensor, absent: int) -> torch.Tensor:
        """uint8 (B, M, M) for ``rows``; pictures without annotation are filled with ``absent``."""
        size = self.manifest.mask_size
        out = torch.full((len(rows), size, size), absent, dtype=torch.uint8)
        for shard, places, inner in self._by_shard(rows):
            mask_rows = shard["mask_rows"][inner].long()
            known = mask_rows >= 0
            if bool(known.any()):  # a shard without any annotated picture has no such tensor
                out[places[known]] = shard["masks"][mask_rows[known]]
        return out

    def attributes(self, rows: torch.Tensor) -> torch.Tensor:
        """int8 (B, 40); -1 where unknown."""
        return self._gather("attributes", rows, torch.empty((len(rows), len(ATTRIBUTES)), dtype=torch.int8))

    def pose(self, rows: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3) in degrees; NaN where unknown."""
        return self._gather("pose", rows, torch.empty((len(rows), 3)))

    def _gather(self, name: str, rows: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        for shard, places, inner in self._by_shard(rows):
            out[places] = shard[name][inner]
        return out

    def _by_shard(
        self, rows: torch.Tensor
    ) -> Sequence[tuple[Mapping[str, torch.Tensor], torch.Tensor, torch.Tensor]]:
        shard_of, inner = self._shard_of[rows], self._row_of[rows]
        groups = []
        for number in shard_of.unique().tolist():
            places = (shard_of == number).nonzero()[:, 0]
            groups.append((self._shards[number], places, inner[places]))
        return groups


def _open_shard(path: Path, info: ShardInfo) -> Mapping[str, torch.Tensor]:
    try:
        if path.stat().st_size != info.bytes:
            raise DataError(f"{path}: {path.stat().st_size} bytes, the manifest says {info.bytes}; prepare again")
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: unreadable shard ({error}); run the prepare stage again") from error
