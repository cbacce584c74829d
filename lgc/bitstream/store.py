"""Models kept on this machine under a name: what ``lgc.load("name")`` and ``--model name`` find."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

from lgc.atomic import replacing_file
from lgc.bitstream.model_file import load_model
from lgc.errors import ModelError

SUFFIX: Final = ".safetensors"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def folder() -> Path:
    """Where models are kept: ``LGC_HOME/models``, by default below the user's data folder.

    Raises :class:`ModelError` for a user without a home folder.
    """
    if own := os.environ.get("LGC_HOME"):
        return Path(own) / "models"
    try:
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lgc" / "models"
    except RuntimeError:  # no HOME, and no such user
        raise ModelError("there is no home folder to keep models in; set LGC_HOME to a folder") from None


def find(model: Path | str) -> Path:
    """The file that ``model`` means: a path, or the name of a kept model when no such file is there.

    Raises :class:`ModelError` for an empty name.
    """
    if not str(model):
        raise ModelError("the name of the model is empty; name a file or a kept model")
    path = Path(model)
    if os.path.isfile(path) or not _NAME.fullmatch(str(model)):  # os.path never raises
        return path
    kept = folder() / f"{model}{SUFFIX}"
    return kept if os.path.isfile(kept) else path


def kept() -> list[Path]:
    """The files of the kept models, unread: named NAME.safetensors, in order.

    Raises :class:`ModelError` when their folder cannot be read.
    """
    place = folder()
    try:
        return sorted(place / name for name in os.listdir(place) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelError(f"{place}: cannot be read ({error.strerror}); set LGC_HOME to a folder of yours") from error


def keep(file: Path, name: str, force: bool = False) -> Path:
    """Check a model file wholly and keep a copy of it under ``name``; returns where.

    Raises :class:`ModelError` when the file is no usable model, the name is none, or it is taken by another model.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no name for a model: letters, digits, '.', '_' and '-', at most 100")
    incoming, target = load_model(file), folder() / f"{name}{SUFFIX}"
    if os.path.exists(target) and not force and not _is(target, incoming.sha256):
        raise ModelError(f"{target}: another model has this name; pass --force to replace it, or --name another")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(target) as partial:
            shutil.copyfile(file, partial)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def _is(kept: Path, sha256: str) -> bool:
    """Whether it is that model; a damaged one is none."""
    try:
        return load_model(kept).sha256 == sha256
    except ModelError:
        return False
