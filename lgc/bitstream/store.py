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
    """Where models are kept: ``LGC_HOME/models``, by default below the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("LGC_HOME") or Path(data) / "lgc") / "models"


def find(model: Path | str) -> Path:
    """The file that ``model`` means: a path, or the name of a kept model when no such file is there.

    Raises :class:`ModelError` for an empty name.
    """
    if not str(model):
        raise ModelError("the name of the model is empty; name a file or a kept model")
    path = Path(model)
    kept = folder() / f"{model}{SUFFIX}"
    return kept if not os.path.exists(path) and _NAME.fullmatch(str(model)) and kept.is_file() else path


def kept() -> list[Path]:
    """The files of the kept models, unread: named NAME.safetensors, in order."""
    return sorted(folder().glob(f"*{SUFFIX}"))


def keep(file: Path, name: str, force: bool = False) -> Path:
    """Check a model file wholly and keep a copy of it under ``name``; returns where.

    Raises :class:`ModelError` when the file is no usable model, the name is none, or it is taken by another model.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no name for a model: letters, digits, '.', '_' and '-', at most 100")
    incoming, target = load_model(file), folder() / f"{name}{SUFFIX}"
    if target.exists() and not force and load_model(target).sha256 != incoming.sha256:
        raise ModelError(f"{target}: another model has this name; pass --force to replace it, or --name another")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(target) as partial:
            shutil.copyfile(file, partial)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target
