"""Measurements of one codec at one setting over one set of pictures, kept by picture."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from lgc.atomic import replacing_file
from lgc.metrics.base import BPP, CODED_BPP
from lgc.metrics.tasks import PARTS, TaskScores

ANALYSED: Final = ("semantic", "both", "rgb")
"""What tasks can be read from; a codec's own reading first, the reference on its pictures last."""
_ACCOUNTS: Final = ("header_", "bytes", "coded_", "ideal_bits_", "termination_bits_", "estimated_bits_", "time_")
_DAMAGED: Final = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise for files that are empty, cut or changed: a flipped bit can make an entry look
encrypted, of a later version of the format, or of another name."""


def analysed(tasks: Container[str]) -> str | None:
    """The best source of :data:`ANALYSED` that was measured."""
    return next((source for source in ANALYSED if source in tasks), None)


def key_of(row: Mapping[str, Any]) -> str:
    """Name in tables of what has a ``codec`` and a ``setting``: a point, a row of the curves."""
    return f"{row['codec']} {row['setting']}".strip()


@dataclass
class Point:
    """What a rate-quality plot shows as one dot."""

    codec: str
    setting: str
    pixels: int
    """Of one picture."""
    values: dict[str, np.ndarray] = field(default_factory=dict)
    """float64 (N,) a metric: ``bytes``, ``coded_bytes``, ``psnr``, ``lpips_squeeze``, ...; times of the first
    pictures only."""
    tasks: dict[str, TaskScores] = field(default_factory=dict)
    """By what was analysed: ``semantic`` and ``both`` (layers, from bytes), ``rgb`` (decoded pictures)."""
    features: dict[str, np.ndarray] = field(default_factory=dict)
    """float32 (N, D) of the decoded pictures, by extractor."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Encoder library, version, options."""

    @property
    def key(self) -> str:
        """Name in tables."""
        return key_of(vars(self))

    @property
    def is_base(self) -> bool:
        """Whether these are files of ours that were cut after the semantic layer."""
        return self.setting.split(" ")[-1] == "base"

    @property
    def measures(self) -> dict[str, np.ndarray]:
        """The values that are metrics, rather than accounts of bytes or time."""
        return {name: values for name, values in self.values.items() if not name.startswith(_ACCOUNTS)}

    @property
    def bpp(self) -> float:
        """Bits of real files per pixel, mean over pictures."""
        return float(8 * self.values["bytes"].mean() / self.pixels)

    @property
    def rates(self) -> dict[str, np.ndarray]:
        """Bits per pixel, a picture: of files, and of coded data alone where it was counted for every picture."""
        files, coded = self.values["bytes"], self.values.get("coded_bytes")
        rates = {BPP.name: 8 * files / self.pixels}
        if coded is not None and len(coded) == len(files):
            rates[CODED_BPP.name] = 8 * coded / self.pixels
        return rates

    @classmethod
    def join(cls, blocks: Sequence[Point]) -> Point:
        """One point over the pictures of all ``blocks``, in their order."""
        first = blocks[0]
        whole = cls(first.codec, first.setting, first.pixels, about=first.about)
        for kind in ("values", "features"):
            for name in dict.fromkeys(name for block in blocks for name in getattr(block, kind)):
                parts = [getattr(block, kind)[name] for block in blocks if name in getattr(block, kind)]
                getattr(whole, kind)[name] = np.concatenate(parts)
        for block in blocks:
            for name, scores in block.tasks.items():
                for part in PARTS:
                    getattr(whole.tasks.setdefault(name, TaskScores()), part).extend(getattr(scores, part))
        return whole

    def save(self, path: Path) -> None:
        """Write to ``path``, whole or not at all."""
        arrays = {f"values/{name}": value for name, value in self.values.items()}
        arrays |= {f"features/{name}": value for name, value in self.features.items()}
        for name, scores in self.tasks.items():
            for part in PARTS:
                if stacked := getattr(scores, part):
                    arrays[f"tasks/{name}/{part}"] = np.stack(stacked)
        head = {
            "codec": self.codec,
            "setting": self.setting,
            "pixels": self.pixels,
            "about": dict(self.about),
            "tasks": list(self.tasks),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as partial:
            partial.write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Point | None:
        """Undo :meth:`save`; None when there is no such file or it is damaged."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                head = json.loads(stored["head"].tobytes())
                point = cls(tasks={name: TaskScores() for name in head.pop("tasks")}, **head)
                for name in stored.files:
                    kind, *rest = name.split("/")
                    if kind == "values":
                        point.values[rest[0]] = stored[name]
                    elif kind == "features":
                        point.features[rest[0]] = stored[name]
                    elif kind == "tasks":
                        getattr(point.tasks[rest[0]], rest[1]).extend(stored[name])
            return point
        except _DAMAGED:
            return None
