"""Turns a data set in its official layout into shards (:mod:`lgc.data.shards`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.numpy import save_file

from lgc import digest, images
from lgc.atomic import replacing_file, replacing_folder
from lgc.data.celebamask_hq import MAPPING_FILE, SPLITS, Listing, Sample, check_fits, read_mask, scan
from lgc.data.labels import ATTRIBUTES, CLASSES
from lgc.data.processes import mapping
from lgc.data.shards import Manifest, ShardInfo, SplitInfo
from lgc.errors import DataError, ImageError


@dataclass(frozen=True)
class Row:
    """One picture ready for a shard."""

    key: str
    image: np.ndarray
    mask: np.ndarray | None
    attributes: np.ndarray
    pose: np.ndarray
    broken_mask: bool
    """Its mask files could not be read, or do not lie on the picture."""


def prepare(
    source: Path | str,
    out: Path | str,
    *,
    name: str,
    licence: str,
    image_size: int,
    mask_size: int,
    split_rule: Literal["official", "hash"] = "official",
    limit: int | None = None,
    shard_size: int = 1024,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write shards and manifest for the data set at ``source`` into the folder ``out``.

    Args:
        source: a folder in the official CelebAMask-HQ layout.
        out: replaced as a whole at the end; an interruption leaves the earlier content as it was.
        name: of the data set, for the manifest.
        licence: of the data set, for the manifest.
        image_size: side of the stored pictures, in pixels.
        mask_size: side of the stored label maps, in pixels.
        split_rule: see :func:`lgc.data.celebamask_hq.scan`.
        limit: at most so many pictures a split, annotated ones first (for trials).
        shard_size: pictures a shard.
        workers: processes that decode pictures.
        progress: called with (pictures done, pictures in all).

    Raises:
        DataError: nothing usable at ``source``, or a split stays empty.
    """
    listing = scan(source, split_rule)
    chosen = {split: _limited(listing.of(split), limit) for split in SPLITS}
    if empty := [split for split in SPLITS if not chosen[split]]:
        why = _why_empty(listing, split_rule)
        raise DataError(f"{source}: no pictures for {', '.join(empty)}; every split needs some ({why})")
    with replacing_folder(Path(out)) as folder, mapping(workers) as run:
        total, done, left_out, masks_left_out = sum(map(len, chosen.values())), 0, 0, 0
        splits: dict[str, SplitInfo] = {}
        load = partial(load_row, image_size=image_size, mask_size=mask_size)
        for split, samples in chosen.items():
            shards: list[ShardInfo] = []
            counts = np.zeros(4, np.int64)
            rows = run(load, samples)
            while batch := list(islice(rows, shard_size)):
                usable = [row for row in batch if row is not None]
                left_out += len(batch) - len(usable)
                masks_left_out += sum(row.broken_mask for row in usable)
                done += len(batch)
                if usable:
                    shards.append(_write_shard(folder, f"{split}-{len(shards):05d}.safetensors", usable))
                    counts += _annotated(usable)
                if progress:
                    progress(done, total)
            pictures, masks, attributes, pose = (int(count) for count in counts)
            if not pictures:
                raise DataError(f"{source}: none of the {len(samples)} pictures for {split} can be read")
            splits[split] = SplitInfo(pictures, masks, attributes, pose, tuple(shards))
        manifest = Manifest(
            name=name,
            licence=licence,
            split_rule=split_rule,
            image_size=image_size,
            mask_size=mask_size,
            classes=CLASSES,
            attributes=ATTRIBUTES,
            left_out=left_out,
            masks_left_out=masks_left_out,
            splits=splits,
        )
        manifest.write(folder)
    return manifest


def load_row(sample: Sample, image_size: int, mask_size: int) -> Row | None:
    """Read and resample one picture and its annotations; None when the picture is unreadable."""
    try:
        picture = images.read(sample.image)
    except ImageError:
        return None
    mask, broken_mask = None, False
    try:
        mask = read_mask(sample)
        if mask is not None:
            check_fits(sample, mask.shape, picture.shape)
    except DataError:
        mask, broken_mask = None, True
    return Row(
        key=sample.key,
        image=images.resize(picture, image_size),
        mask=None if mask is None else images.resize_mask(mask, mask_size, len(CLASSES)),
        attributes=np.full(len(ATTRIBUTES), -1, np.int8)
        if sample.attributes is None
        else np.array(sample.attributes, np.int8),
        pose=np.full(3, np.nan, np.float32) if sample.pose is None else np.array(sample.pose, np.float32),
        broken_mask=broken_mask,
    )


def _why_empty(listing: Listing, split_rule: Literal["official", "hash"]) -> str:
    """The cause and the remedy of a split without pictures."""
    if split_rule == "hash":
        return f"there are {len(listing.samples)} in all; add some"
    cause = listing.unmapped[0] if listing.unmapped else f"{MAPPING_FILE} puts none there"
    more = f", and {len(listing.unmapped) - 1} more" if len(listing.unmapped) > 1 else ""
    return f"{cause}{more}; set data.split_rule=hash, or see `lgc data check {listing.root}`"


def _limited(samples: Sequence[Sample], limit: int | None) -> Sequence[Sample]:
    return sorted(samples, key=lambda sample: not sample.parts)[:limit] if limit else samples


def _write_shard(folder: Path, file: str, rows: Sequence[Row]) -> ShardInfo:
    masks = [row.mask for row in rows if row.mask is not None]
    numbers = np.cumsum([row.mask is not None for row in rows]) - 1
    tensors = {
        "images": np.stack([row.image for row in rows]),
        "mask_rows": np.array(
            [number if row.mask is not None else -1 for row, number in zip(rows, numbers, strict=True)],
            np.int32,
        ),
        "attributes": np.stack([row.attributes for row in rows]),
        "pose": np.stack([row.pose for row in rows]),
    }
    if masks:
        tensors["masks"] = np.stack(masks)
    with replacing_file(folder / file) as partial:
        save_file(tensors, partial, metadata={"keys": "\n".join(row.key for row in rows)})
    written = folder / file
    return ShardInfo(file=file, count=len(rows), bytes=written.stat().st_size, sha256=digest.of_file(written))


def _annotated(rows: Sequence[Row]) -> np.ndarray:
    """Counts of (pictures, masks, attributes, pose)."""
    return np.array(
        [
            len(rows),
            sum(row.mask is not None for row in rows),
            sum(bool((row.attributes >= 0).any()) for row in rows),
            sum(bool(np.isfinite(row.pose).all()) for row in rows),
        ]
    )
