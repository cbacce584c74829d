"""From the name of a codec to the codec."""

from __future__ import annotations

from lgc.backbones import Absent
from lgc.baselines import NAMES, PRETRAINED
from lgc.baselines.base import Codec
from lgc.baselines.pillow import NAMES as IN_PILLOW
from lgc.baselines.pillow import make_pillow_codec
from lgc.baselines.programs import make_program_codec


def make_codec(name: str) -> Codec | Absent:
    """The codec called ``name``, or why this machine lacks it; :class:`KeyError` lists the known names."""
    if name not in NAMES:
        raise KeyError(f"unknown baseline {name!r}; there are {', '.join(NAMES)}")
    if name in PRETRAINED:
        return _pretrained(name)
    return make_pillow_codec(name) if name in IN_PILLOW else make_program_codec(name)


def _pretrained(name: str) -> Codec | Absent:
    try:
        from lgc.baselines.learned import make_pretrained_codec
    except ImportError:
        return Absent(name, "the compressai package is not installed (pip install 'lgc[train]')")
    return make_pretrained_codec(name)
