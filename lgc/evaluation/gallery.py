"""Pictures for people: originals, what each codec makes of them, and what machines read, as files with a list.

``gallery.json`` beside the pictures names for every picture its views, the bytes of each and its own metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from lgc.baselines.base import Codec
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import strip
from lgc.data.labels import IGNORE
from lgc.data.palette import colour_mask
from lgc.data.shards import Split
from lgc.evaluation.comparison import nearest
from lgc.evaluation.names import GALLERY_LIST
from lgc.evaluation.points import Point

_JUDGES: Final = ("ms_ssim", "ssim", "vif", "psnr")
"""Metrics by which a picture counts as badly coded, the first that was measured; all are better when higher."""


@dataclass(frozen=True)
class Pick:
    """A picture to show."""

    row: int
    why: str


@dataclass(frozen=True)
class View:
    """One codec's decoded pictures, or a label map, in the order of the picks."""

    name: str
    kind: str
    """``original``, ``ours``, ``baseline`` or ``mask``."""
    pictures: np.ndarray
    """uint8 (N, H, W, 3)."""
    sizes: Sequence[int] | None = None
    """Bytes of each file; None for label maps."""
    setting: str = ""
    key: str = ""
    """Of the :class:`Point` measured at this setting."""


def pick(split: Split, count: int, samples: int, worst: int, main: Point) -> list[Pick]:
    """Annotated pictures from the start of the first ``count`` of the split, then the worst of our codec.

    Worst twice: by the picture metric, and by wrongly labelled pixels in the mask read from the bytes.
    """
    annotated = split.has_mask[:count]
    picks = [Pick(int(row), "sample") for row in torch.argsort(~annotated, stable=True)[:samples]]
    judge = next((name for name in _JUDGES if name in main.values), None)
    if judge is not None:
        picks += [Pick(int(row), f"lowest {judge}") for row in np.argsort(main.values[judge])[:worst]]
    scores = main.tasks.get("both")
    rows = annotated.nonzero()[:, 0].numpy()
    if scores is not None and len(scores.confusion) == len(rows):  # else an annotation is empty, and rows unknown
        right = [np.trace(c) / c.sum() for c in scores.confusion]
        picks += [Pick(int(rows[place]), "most wrong pixels in the mask") for place in np.argsort(right)[:worst]]
    first_of: dict[int, Pick] = {}
    for found in picks:
        first_of.setdefault(found.row, found)
    return list(first_of.values())


def make_views(
    rows: Sequence[int],
    split: Split,
    codec: LayeredCodec,
    name: str,
    baselines: Sequence[tuple[Codec, Sequence[int]]],
    points: Sequence[Point],
    given: Mapping[str, LayeredCodec],
) -> tuple[list[View], list[bytes]]:
    """Every way to see the pictures ``rows``, and our files of them.

    A baseline shows the setting nearest in rate to our whole files, and its floor where that is another; models that
    were ``given`` show their whole files.
    """
    chosen = torch.tensor(list(rows))
    originals = split.images(chosen).numpy()
    files = codec.compress(list(originals))
    stripped = [strip(data) for data in files]
    sizes = [picture.size for picture in originals]
    views = [
        View("original", "original", originals, sizes, key="original"),
        View("lgc", "ours", np.stack(codec.decompress(files)), [len(f) for f in files], "both layers", name),
        View(
            "lgc base only", "ours", np.stack(codec.decompress(stripped)), [len(f) for f in stripped],
            "semantic layer", f"{name} base",
        ),
    ]  # fmt: skip
    for title, other in given.items():
        coded = other.compress(list(originals))
        views.append(
            View(title, "baseline", np.stack(other.decompress(coded)), [len(c) for c in coded], "both layers", title)
        )
    bpp = next(point.bpp for point in points if point.key == name)
    for baseline, _ in baselines:
        near = nearest(points, baseline.name, bpp)
        least = min((p for p in points if p.codec == baseline.name), key=lambda p: p.bpp, default=None)
        for point in dict.fromkeys(p.key for p in (near, least) if p is not None):
            quality = next(p.setting for p in points if p.key == point)
            coded = [baseline.encode(picture, int(quality)) for picture in originals]
            decoded = np.stack([baseline.decode(data) for data in coded])
            views.append(View(point, "baseline", decoded, [len(c) for c in coded], f"quality {quality}", point))
    return views + _masks(chosen, split, codec, stripped, originals.shape[1]), files


def _masks(rows: torch.Tensor, split: Split, codec: LayeredCodec, files: Sequence[bytes], size: int) -> list[View]:
    views = []
    if codec.model.analyzers:
        masks = [analysis.mask for analysis in codec.analyze(files)]
        if masks[0] is not None:
            read = np.stack([colour_mask(mask) for mask in masks if mask is not None])
            views.append(View("mask from semantic layer", "mask", read))
    if bool(split.has_mask[rows].any()):
        true = split.masks(rows, absent=IGNORE).numpy()
        at_size = [Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST) for mask in true]
        views.append(View("annotated mask", "mask", np.stack([colour_mask(np.asarray(mask)) for mask in at_size])))
    return views


def write_gallery(folder: Path, picks: Sequence[Pick], views: Sequence[View], points: Sequence[Point]) -> None:
    """Write lossless WebP pictures and ``gallery.json`` into ``folder``."""
    folder.mkdir(parents=True)
    by_key = {point.key: point for point in points}
    pictures = []
    for place, found in enumerate(picks):
        shown = []
        for number, view in enumerate(views):
            file = f"{found.row}-{number}.webp"
            Image.fromarray(view.pictures[place]).save(folder / file, "WEBP", lossless=True, quality=60, method=4)
            entry: dict[str, Any] = {
                "name": view.name, "kind": view.kind, "setting": view.setting, "file": file,
                "values": _values(by_key.get(view.key), found.row),
            }  # fmt: skip
            if view.sizes is not None:
                entry["bytes"] = view.sizes[place]
            shown.append(entry)
        pictures.append({"row": found.row, "why": found.why, "views": shown})
    size = int(views[0].pictures.shape[1])
    listed = {"size": size, "pictures": pictures}
    (folder / GALLERY_LIST).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def _values(point: Point | None, row: int) -> Mapping[str, float]:
    if point is None:
        return {}
    return {name: float(values[row]) for name, values in point.measures.items()}
