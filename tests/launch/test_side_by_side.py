"""Baselines measured in real processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch

from lgc.backbones import Absent
from lgc.baselines.make import make_codec
from lgc.data.shards import Split
from lgc.errors import LgcError
from lgc.evaluation.evaluate import Work
from lgc.evaluation.measure import Bench, measure_baseline
from lgc.launch.side_by_side import Workbench, side_by_side
from lgc.metrics.choose import Metrics
from lgc.metrics.image import psnr
from lgc.models.reference import RGBAnalyzer


class Dies:
    """Takes its process with it, as a lack of memory would."""

    name = "dies"

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        os._exit(9)

    def decode(self, data: bytes) -> np.ndarray:
        raise NotImplementedError

    def describe(self, quality: int) -> Mapping[str, str]:
        return {}


class Waits(Dies):
    """Never comes to an end."""

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        threading.Event().wait()
        raise AssertionError


def make(shards: Path, reference: RGBAnalyzer) -> Workbench:
    jpeg = make_codec("jpeg")
    assert not isinstance(jpeg, Absent)
    bench = Bench(Split(shards, "test"), None, Metrics(pictures={"psnr": psnr}), reference, torch.device("cpu"))
    return Workbench(bench, {"jpeg": jpeg, "dies": Dies(), "waits": Waits()})


def test_one_worker_needs_no_processes(shards: Path, reference: RGBAnalyzer) -> None:
    assert side_by_side(partial(make, shards, reference), 1) is None


@pytest.mark.slow
def test_processes_measure_what_this_one_would(shards: Path, reference: RGBAnalyzer) -> None:
    aside = side_by_side(partial(make, shards, reference), 2)
    assert aside is not None
    works = [Work("jpeg", quality, range(start, start + 2)) for quality in (10, 90) for start in (0, 2)]
    here = make(shards, reference)
    found = dict(aside(works))
    assert set(found) == set(works)
    for work, point in found.items():
        expected = measure_baseline(here.codecs["jpeg"], work.quality, here.bench, work.rows)
        assert point.key == f"jpeg {work.quality}"
        for name in ("bytes", "psnr"):
            np.testing.assert_array_equal(point.values[name], expected.values[name])


@pytest.mark.slow
def test_a_process_that_dies_is_one_clear_line(shards: Path, reference: RGBAnalyzer) -> None:
    aside = side_by_side(partial(make, shards, reference), 2)
    assert aside is not None
    with pytest.raises(LgcError, match=r"a measuring process died.*runtime\.evaluate_workers"):
        list(aside([Work("dies", 0, range(2))]))


@pytest.mark.slow
def test_what_nobody_waits_for_any_more_ends(shards: Path, reference: RGBAnalyzer) -> None:
    aside = side_by_side(partial(make, shards, reference), 2)
    assert aside is not None
    works = aside([Work("jpeg", 10, range(2)), Work("waits", 0, range(2))])
    next(works)
    works.close()  # type: ignore[attr-defined]
    for child in active_children():
        child.join(60)
        assert not child.is_alive()
