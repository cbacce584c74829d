"""Pictures of an evaluation: rate-quality curves and a sheet of decoded faces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

matplotlib.use("Agg")
from matplotlib import pyplot, ticker

_AXES: Final = (
    ("psnr", "PSNR (dB), higher is better"),
    ("ssim", "SSIM, higher is better"),
    ("ms_ssim_db", "MS-SSIM (dB), higher is better"),
    ("vif", "VIF, higher is better"),
    ("lpips_squeeze", "LPIPS-squeeze, lower is better"),
    ("lpips_alex", "LPIPS-alex, lower is better"),
    ("lpips_vgg", "LPIPS-vgg, lower is better"),
    ("dists", "DISTS, lower is better"),
    ("analysis.miou", "mIoU: our layers; others by the RGB reference"),
    ("analysis.attribute_detection", "attribute detection, likewise"),
)
_COLUMNS: Final = 3
_GAP: Final = 4
"""Pixels between the pictures of a sheet."""


def rate_quality(
    rows: Sequence[Mapping[str, Any]], path: Path, floors: Sequence[str] = (), trained_on: Collection[str] = ()
) -> None:
    """One panel a metric that was measured: every codec's points over bits per pixel (log scale).

    ``floors`` names codecs whose leftmost point is the least they can spend; a bar marks it. ``trained_on``
    names metrics that were also training losses.
    """
    axes = [(key, label) for key, label in _AXES if any(key in r for r in rows if r["codec"] != "original")]
    count = max(len(axes), 1)  # the stage promises a file, also where all that was measured has no panel
    lines, columns = -(-count // _COLUMNS), min(count, _COLUMNS)
    figure, panels = pyplot.subplots(lines, columns, figsize=(5.2 * columns, 4.2 * lines), squeeze=False)
    codecs: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["codec"] != "original":
            codecs[row["curve"]].append(row)
    for panel in panels.flat[len(axes) :]:
        panel.set_axis_off()
    for panel, (key, label) in zip(panels.flat, axes, strict=False):
        for codec, points in codecs.items():
            known = sorted((r["bpp"], r[key]) for r in points if key in r)
            if known:
                (line,) = panel.plot(*zip(*known, strict=True), marker="o", label=codec)
                if codec in floors:
                    panel.plot(*known[0], marker="|", markersize=22, color=line.get_color())
        for row in rows:
            if row["codec"] == "original" and key in row:
                panel.axhline(row[key], color="grey", linestyle=":", label="originals")
        panel.set(xscale="log", xlabel="bits per pixel (real files)", ylabel=label + " †" * (key in trained_on))
        panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
        panel.grid(alpha=0.3)
    if axes:
        panels[0][0].legend(fontsize=8)
    notes = [] if axes else ["nothing was measured that is drawn here"]
    notes += ["tall bar: the codec's floor, it cannot spend less"] if floors else []
    notes += ["† also a training loss of our codec"] if trained_on else []
    figure.suptitle("; ".join(notes), fontsize=9, y=0.995)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def labelled_sheet(columns: Mapping[str, np.ndarray], path: Path, scale: int) -> None:
    """Columns of pictures (N, H, W, 3) uint8 under their titles, one line a picture."""
    first = next(iter(columns.values()))
    count, height, width = first.shape[:3]
    height, width = height * scale, width * scale
    font = ImageFont.load_default(size=12)
    top = 34
    size = len(columns) * (width + _GAP) - _GAP, top + count * (height + _GAP) - _GAP
    canvas = Image.new("RGB", size, (250, 250, 250))
    draw = ImageDraw.Draw(canvas)
    for column, (title, pictures) in enumerate(columns.items()):
        left = column * (width + _GAP)
        draw.multiline_text((left + 2, 2), title, fill=(20, 20, 20), font=font, spacing=2)
        for row, picture in enumerate(pictures):
            tile = Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(tile, (left, top + row * (height + _GAP)))
    canvas.save(path)
