from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lgc
from lgc.backbones import Absent
from lgc.baselines.make import make_codec
from lgc.bitstream.codec import LayeredCodec
from lgc.data.palette import colour_mask
from lgc.data.prepare import prepare
from lgc.data.shards import Split
from lgc.evaluation.evaluate import Layered, Plan, evaluate
from lgc.evaluation.gallery import make_views, pick, write_gallery
from lgc.evaluation.measure import Bench
from lgc.evaluation.points import Point
from lgc.metrics.choose import Metrics
from lgc.metrics.image import psnr
from lgc.models.layered import Architecture
from lgc.models.reference import RGBAnalyzer


def test_samples_worst_and_every_view(
    shards: Path, reference: RGBAnalyzer, codec: LayeredCodec, tmp_path: Path
) -> None:
    split = Split(shards, "test")
    bench = Bench(split, None, Metrics(pictures={"psnr": psnr}), reference, torch.device("cpu"))
    jpeg = make_codec("jpeg")
    assert not isinstance(jpeg, Absent)
    baselines = [(jpeg, [0, 5, 90])]
    points = evaluate(
        Plan(bench, {"ours": Layered(codec)}, baselines, {}), tmp_path / "cache", lambda name: lambda n: None
    )
    main = next(point for point in points if point.key == "ours")
    picks = pick(split, len(bench), 2, 1, main)
    assert [found.why for found in picks[:2]] == ["sample", "sample"]
    assert len({found.row for found in picks}) == len(picks) <= 4
    worst = int(np.argmin(main.values["psnr"]))
    assert worst in [found.row for found in picks]

    views, files = make_views([found.row for found in picks], split, codec, "ours", baselines, points, {})
    names = [view.name for view in views]
    assert names[:3] == ["original", "lgc", "lgc base only"]
    assert names[-2:] == ["mask from semantic layer", "annotated mask"]
    shown = [name for name in names if name.startswith("jpeg")]
    assert shown[-1] == "jpeg 0"  # the floor is always there, once
    assert len(shown) == len(set(shown)) <= 2
    assert len(files) == len(picks)

    write_gallery(tmp_path / "gallery", picks, views, points)
    listed = json.loads((tmp_path / "gallery/gallery.json").read_text())
    assert listed["size"] == 32
    for found, picture in zip(picks, listed["pictures"], strict=True):
        assert picture["row"] == found.row
        original, ours = picture["views"][:2]
        pixels = np.array(Image.open(tmp_path / "gallery" / original["file"]))
        assert np.array_equal(pixels, split.images(torch.tensor([found.row])).numpy()[0])
        assert ours["bytes"] == main.values["bytes"][found.row]
        assert ours["values"] == {"psnr": main.values["psnr"][found.row]}
        assert "bytes" not in picture["views"][-1]


def test_a_given_model_is_shown_beside_ours(
    shards: Path,
    reference: RGBAnalyzer,
    codec: LayeredCodec,
    small_architecture: Architecture,
    write_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    other = lgc.load(write_model(tmp_path / "other.safetensors", small_architecture, seed=1), "cpu")
    split = Split(shards, "test")
    bench = Bench(split, 2, Metrics(pictures={"psnr": psnr}), reference, torch.device("cpu"))
    plan = Plan(bench, {"ours": Layered(codec), "other": Layered(other)}, [], {})
    points = evaluate(plan, tmp_path / "cache", lambda name: lambda n: None)
    views, _ = make_views([0, 1], split, codec, "ours", [], points, {"other": other})
    (view,) = [view for view in views if view.name == "other"]
    (point,) = [point for point in points if point.key == view.key]
    assert list(view.sizes or ()) == point.values["bytes"].tolist()
    assert np.array_equal(
        view.pictures[1], other.decompress(other.compress(split.images(torch.tensor([1])).numpy()[0]))
    )


@pytest.mark.parametrize("mask_size", [16, 24, 48])
def test_annotated_masks_have_the_size_of_the_pictures(
    codec: LayeredCodec, faces: Path, tmp_path: Path, mask_size: int
) -> None:
    """Labels may be stored smaller, larger, or at no multiple of the pictures' side."""
    prepare(faces, tmp_path / "shards", name="faces", licence="CC0-1.0", image_size=32, mask_size=mask_size)
    split = Split(tmp_path / "shards", "test")
    views, _ = make_views([0], split, codec, "ours", [], [Point("ours", "", 32 * 32, {"bytes": np.ones(1)})], {})
    shown = views[-1]
    assert shown.name == "annotated mask"
    assert shown.pictures.shape == (1, 32, 32, 3)
    corner = colour_mask(split.masks(torch.tensor([0]), absent=255).numpy()[0])
    assert np.array_equal(shown.pictures[0, 0, 0], corner[0, 0])
