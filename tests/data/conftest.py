"""A hand-made data set in the official layout, every byte of it chosen by the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lgc.data import celebamask_hq as layout
from lgc.data.labels import ATTRIBUTES


@dataclass(frozen=True)
class Layout:
    """Writes files of one data set below ``root``."""

    root: Path

    def images(self, *names: str, size: tuple[int, int] = (8, 8)) -> Layout:
        for number, name in enumerate(names):
            path = self.root / layout.IMAGES / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, (10 * number, 20, 30)).save(path)
        return self

    def mapping(self, originals: Mapping[str, int | str]) -> Layout:
        rows = [f"{key} {original} {original}.jpg" for key, original in originals.items()]
        return self._text(layout.MAPPING_FILE, ["idx orig_idx orig_file", *rows])

    def attributes(self, rows: Mapping[str, str], names: str = " ".join(ATTRIBUTES)) -> Layout:
        return self._text(layout.ATTRIBUTE_FILE, ["30000", names, *(f"{k}  {v}" for k, v in rows.items())])

    def pose(self, rows: Mapping[str, str]) -> Layout:
        return self._text(layout.POSE_FILE, ["30000", "Yaw Pitch Raw", *(f"{k} {v}" for k, v in rows.items())])

    def mask(self, key: int, part: str, values: np.ndarray) -> Path:
        """Write a part mask of uint8 ``values`` (0 or 255, usually)."""
        path = self.root / layout.MASKS / str(key // layout.MASKS_PER_FOLDER) / f"{key:05d}_{part}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)
        return path

    def _text(self, file: str, lines: list[str]) -> Layout:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return self


@pytest.fixture
def layout_at(tmp_path: Path) -> Layout:
    """An empty data set."""
    return Layout(tmp_path / "set")
