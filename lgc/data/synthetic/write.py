"""Writes synthetic faces to disk in the layout that :mod:`lgc.data.celebamask_hq` reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lgc.atomic import replacing_folder
from lgc.data import celebamask_hq as layout
from lgc.data.labels import ATTRIBUTES, CLASSES
from lgc.data.processes import mapping
from lgc.data.synthetic.draw import draw_face, identity_of
from lgc.errors import DataError

JPEG_QUALITY: Final = 95


@dataclass(frozen=True)
class _Job:
    """One picture to draw; travels to worker processes."""

    root: Path
    seed: int
    index: int
    size: int


@dataclass(frozen=True)
class _Row:
    """What the annotation files say about one picture."""

    index: int
    attributes: tuple[int, ...]
    pose: tuple[float, float, float]


def write_dataset(
    root: Path,
    count: int,
    seed: int,
    size: int = 256,
    splits: tuple[float, float, float] = (0.8, 0.1, 0.1),
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write pictures 0 to ``count - 1`` of collection ``seed`` to ``root``, which must not exist.

    ``splits`` are the shares of train, val and test; they are met as nearly as whole identities allow,
    since no identity spans two splits. ``progress`` gets the number of pictures done so far. Files
    appear under ``root`` all at once at the end: an interrupted run leaves nothing.

    Raises :class:`DataError` when ``root`` exists or an argument cannot be met.
    """
    root = Path(root)
    if root.exists():
        raise DataError(f"{root}: exists already; remove it or choose another folder")
    if count < 1 or size < 16 or workers < 1:
        raise DataError(f"count={count}, size={size}, workers={workers}: need at least 1, 16 and 1")
    originals = _originals(seed, count, splits)
    with replacing_folder(root) as unfinished:
        _make_folders(unfinished, count)
        jobs = [_Job(unfinished, seed, index, size) for index in range(count)]
        rows = []
        with mapping(workers) as run:
            for row in run(_write_one, jobs):
                rows.append(row)
                if progress is not None:
                    progress(len(rows))
        _write_annotations(unfinished, rows, originals)


def _originals(seed: int, count: int, splits: tuple[float, float, float]) -> list[int]:
    """The index of each picture in CelebA, by which the reader assigns the split."""
    identities = [identity_of(seed, index) for index in range(count)]
    split_of = _assign_splits(seed, identities, splits)
    free = [0, layout.FIRST_VAL, layout.FIRST_TEST]
    originals = []
    for identity in identities:
        split = split_of[identity]
        originals.append(free[split])
        free[split] += 1
    if free[0] > layout.FIRST_VAL or free[1] > layout.FIRST_TEST:
        raise DataError(f"count={count}: CelebA's numbering has no room for so many train or val images")
    return originals


def _assign_splits(seed: int, identities: list[int], splits: tuple[float, float, float]) -> dict[int, int]:
    """Identity -> 0 train, 1 val, 2 test: identities in random order, cut where the shares are reached."""
    if len(splits) != 3 or min(splits) < 0 or not math.isclose(sum(splits), 1.0, abs_tol=1e-6):
        raise DataError(f"splits={splits}: need three shares that add up to 1")
    people, sizes = np.unique(identities, return_counts=True)
    wanted = [split for split, share in enumerate(splits) if share > 0]
    if len(people) < len(wanted):
        raise DataError(f"count={len(identities)}: {len(people)} people cannot fill {len(wanted)} splits")
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 5)))).permutation(len(people))
    sizes = sizes[order]
    middle = (np.cumsum(sizes) - sizes / 2) / len(identities)
    chosen = np.searchsorted(np.cumsum(splits)[:2], middle, side="right")
    if not set(wanted) <= set(chosen.tolist()):
        chosen[-len(wanted) :] = wanted  # so few people that a share rounds to nobody
    return dict(zip(people[order].tolist(), chosen.tolist(), strict=True))


def _make_folders(root: Path, count: int) -> None:
    (root / layout.IMAGES).mkdir(parents=True)
    for folder in range((count - 1) // layout.MASKS_PER_FOLDER + 1):
        (root / layout.MASKS / str(folder)).mkdir(parents=True)


def _write_one(job: _Job) -> _Row:
    face = draw_face(job.seed, job.index, job.size)
    Image.fromarray(face.image).save(job.root / layout.IMAGES / f"{job.index}.jpg", quality=JPEG_QUALITY)
    folder = job.root / layout.MASKS / str(job.index // layout.MASKS_PER_FOLDER)
    for part in np.unique(face.mask).tolist():
        if part:
            Image.fromarray(face.mask == part).save(folder / f"{job.index:05d}_{CLASSES[part]}.png")
    return _Row(job.index, face.attributes, face.pose)


def _write_annotations(root: Path, rows: list[_Row], originals: list[int]) -> None:
    attributes = [str(len(rows)), " ".join(ATTRIBUTES)]
    pose = [str(len(rows)), "Yaw Pitch Roll"]
    mapping = ["idx orig_idx orig_file"]
    for row, original in zip(rows, originals, strict=True):
        name = f"{row.index}.jpg"
        attributes.append(" ".join([name, *("1" if value else "-1" for value in row.attributes)]))
        pose.append(" ".join([name, *(f"{angle:.4f}" for angle in row.pose)]))
        mapping.append(f"{row.index} {original} {original + 1:06d}.jpg")
    files = {layout.ATTRIBUTE_FILE: attributes, layout.POSE_FILE: pose, layout.MAPPING_FILE: mapping}
    for file, lines in files.items():
        (root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
