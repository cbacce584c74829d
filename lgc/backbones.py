"""Doors to the packages that pull in torchvision, and to pretrained weights that cannot be shipped.

compressai and lpips import torchvision. Beside a CPU build of torch the torchvision wheel may be a CUDA
build, whose operators are missing; :func:`allow_torchvision` makes the import work all the same.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from lgc.errors import ModelError

_SCHEMA: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_DOWNLOAD_SECONDS: Final = 30.0
"""Without a byte."""
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


@contextmanager
def quiet_imports() -> Iterator[None]:
    """While packages are imported that bring torchvision, and warnings with it."""
    allow_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Absent:
    """A network, metric or codec that cannot be had, and why; shown once wherever its values would stand."""

    name: str
    reason: str


def checkpoint_folder() -> Path:
    """Where torch looks for downloaded backbones: ``$LGC_WEIGHTS/hub/checkpoints`` or torch's own."""
    configured = os.environ.get("LGC_WEIGHTS")
    return Path(configured, "hub", "checkpoints") if configured else Path(torch.hub.get_dir(), "checkpoints")


def lpips_weights(net: str) -> Path:
    """The backbone file of LPIPS-``net``, whether it is there or not."""
    return checkpoint_folder() / _LPIPS_FILES[net]


def load_lpips(net: str) -> nn.Module | Absent:
    """The LPIPS distance with backbone ``net`` (squeeze, alex or vgg), frozen, in evaluation mode.

    Weights come from :func:`checkpoint_folder` or are downloaded there; without them the answer is
    :class:`Absent`, never a random backbone. Source: Zhang et al., CVPR 2018, arXiv 1801.03924.
    """
    if net not in _LPIPS_FILES:
        raise ModelError(f"LPIPS net {net!r} is unknown; choose {', '.join(_LPIPS_FILES)}")
    try:
        with quiet_imports():
            import lpips
    except ImportError:
        return Absent(f"LPIPS-{net}", "the lpips package is not installed (pip install 'lgc[train]')")
    model = with_weights(f"LPIPS-{net}", (_LPIPS_FILES[net],), lambda: lpips.LPIPS(net=net, verbose=False))
    if isinstance(model, Absent):
        return model
    # on a CPU its pools take an eighth of the time in this order, and its weights hand the order on
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_dists() -> nn.Module | Absent:
    """The DISTS distance of piq (VGG-16), one value a picture, frozen; weights as for :func:`load_lpips`.

    Source: Ding et al., TPAMI 2020, arXiv 2004.07728.
    """
    piq = import_piq()
    if isinstance(piq, Absent):
        return Absent("DISTS", piq.reason)
    model = with_weights("DISTS", ("dists_weights.pt", _LPIPS_FILES["vgg"]), lambda: piq.DISTS(reduction="none"))
    return model if isinstance(model, Absent) else model.eval().requires_grad_(False)


def load_inception() -> nn.Module | Absent:
    """The Inception network of the original FID, frozen: (B, 3, H, W) in [0, 1] -> [(B, 2048, 1, 1)].

    The weights are the TensorFlow ones ported by pytorch-fid, through piq. Source: Heusel et al., NIPS 2017.
    """
    piq = import_piq()
    if isinstance(piq, Absent):
        return Absent("Inception (FID, KID)", piq.reason)
    from piq.feature_extractors import InceptionV3

    model = with_weights("Inception (FID, KID)", ("pt_inception-2015-12-05-6726825d.pth",), InceptionV3)
    return model if isinstance(model, Absent) else model.eval().requires_grad_(False)


def import_piq() -> Any:
    """The piq package, or :class:`Absent`. It imports torchvision, hence this door."""
    try:
        with quiet_imports():
            return importlib.import_module("piq")
    except ImportError:
        return Absent("piq", "the piq package is not installed (pip install 'lgc[eval]')")


def with_weights(name: str, files: Sequence[str], make: Callable[[], nn.Module]) -> nn.Module | Absent:
    """What ``make`` builds with torch.hub looking into :func:`checkpoint_folder`, or why that failed."""
    folder = checkpoint_folder()
    earlier, patience = torch.hub.get_dir(), socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(_DOWNLOAD_SECONDS)  # torch.hub sets none, and some networks drop what they forbid
        torch.hub.set_dir(str(folder.parent))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()
    except Exception as error:  # no network, no permission, or whatever unpickling a damaged file raises
        missing = [file for file in files if not (folder / file).exists()]
        damaged = f"{folder / files[0]} is damaged ({type(error).__name__})"
        found = f"no {' and no '.join(missing)} in {folder}" if missing else damaged
        return Absent(
            name,
            f"{found} and no download possible; "
            f"put the file{'s' if len(files) > 1 else ''} there "
            "or set LGC_WEIGHTS to a folder that has hub/checkpoints/",
        )
    finally:
        torch.hub.set_dir(earlier)
        socket.setdefaulttimeout(patience)
