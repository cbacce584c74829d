"""Doors to the packages that pull in torchvision, and to pretrained weights that cannot be shipped.

compressai and lpips import torchvision. Beside a CPU build of torch the torchvision wheel may be a CUDA
build, whose operators are missing; :func:`allow_torchvision` makes the import work all the same.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn

from lgc.errors import ModelError

_SCHEMA: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_LPIPS_FILES: Final = {
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
}


def allow_torchvision() -> None:
    """Import torchvision, declaring the operators whose absence alone makes the import fail."""
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", _SCHEMA)
        importlib.import_module("torchvision")


@dataclass(frozen=True)
class Absent:
    """A network that cannot be had, and why; shown once wherever its values would stand."""

    name: str
    reason: str


def checkpoint_folder() -> Path:
    """Where torch looks for downloaded backbones: ``$LGC_WEIGHTS/hub/checkpoints`` or torch's own."""
    configured = os.environ.get("LGC_WEIGHTS")
    return Path(configured, "hub", "checkpoints") if configured else Path(torch.hub.get_dir(), "checkpoints")


def load_lpips(net: str) -> nn.Module | Absent:
    """The LPIPS distance with backbone ``net`` (squeeze, alex or vgg), frozen, in evaluation mode.

    Weights come from :func:`checkpoint_folder` or are downloaded there; without them the answer is
    :class:`Absent`, never a random backbone. Source: Zhang et al., CVPR 2018, arXiv 1801.03924.
    """
    if net not in _LPIPS_FILES:
        raise ModelError(f"LPIPS net {net!r} is unknown; choose {', '.join(_LPIPS_FILES)}")
    try:
        allow_torchvision()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import lpips
    except ImportError:
        return Absent(f"LPIPS-{net}", "the lpips package is not installed (pip install 'lgc[train]')")
    folder = checkpoint_folder()
    earlier = torch.hub.get_dir()
    try:
        torch.hub.set_dir(str(folder.parent))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = lpips.LPIPS(net=net, verbose=False)
    except Exception as error:  # no network, no permission, or whatever unpickling a damaged file raises
        file = folder / _LPIPS_FILES[net]
        found = f"{file} is damaged ({type(error).__name__})" if file.exists() else f"no {file.name} in {folder}"
        return Absent(
            f"LPIPS-{net}",
            f"{found} and no download possible; "
            "put torchvision's file there or set LGC_WEIGHTS to a folder that has hub/checkpoints/",
        )
    finally:
        torch.hub.set_dir(earlier)
    return model.eval().requires_grad_(False)
