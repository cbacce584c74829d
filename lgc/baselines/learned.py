"""CompressAI's networks as codecs: one network a quality, trained by us or by CompressAI's authors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lgc.backbones import Absent
from lgc.baselines import QUALITIES, networks
from lgc.baselines.container import coded_bytes
from lgc.errors import LgcError


class Source(Protocol):
    """Where a network comes from."""

    def load(self) -> Any:
        """The network, ready to code; :class:`LgcError` when it cannot be had."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Everything that decides what it writes."""
        ...


@dataclass(frozen=True)
class Trained:
    """A network that ``train_baseline`` left."""

    network: str
    path: Path
    about: Mapping[str, str]

    def load(self) -> Any:
        """See :class:`Source`."""
        return networks.load_network(self.network, self.path)

    def describe(self) -> Mapping[str, str]:
        """See :class:`Source`."""
        return self.about


@dataclass(frozen=True)
class Pretrained:
    """A network with CompressAI's own weights, trained for distortion on photographs of all kinds."""

    network: str
    quality: int

    def load(self) -> Any:
        """See :class:`Source`."""
        found = networks.load_pretrained(self.network, self.quality)
        if isinstance(found, Absent):
            raise LgcError(f"{found.name}: {found.reason}")
        return found

    def describe(self) -> Mapping[str, str]:
        """See :class:`Source`."""
        return {"network": self.network, "weights": f"CompressAI's, mse, quality {self.quality}"}


@dataclass(frozen=True)
class LearnedCodec:
    """See :class:`~lgc.baselines.base.Codec`. Runs on the CPU: what one device wrote another may not read."""

    name: str
    sources: Mapping[int, Source]
    """By quality."""
    _loaded: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        """See :class:`~lgc.baselines.base.Codec`."""
        return networks.encode(self._network(quality), pixels, self._qualities.index(quality))

    def decode(self, data: bytes) -> np.ndarray:
        """See :class:`~lgc.baselines.base.Codec`."""
        return networks.decode(self._network(self._qualities[networks.number_of(data)]), data)

    def coded_bytes(self, data: bytes) -> int:
        """See :class:`~lgc.baselines.base.Codec`."""
        return coded_bytes("network", data)

    def describe(self, quality: int) -> Mapping[str, str]:
        """See :class:`~lgc.baselines.base.Codec`."""
        return {"library": networks.LIBRARY, **self._source(quality).describe(), "container": networks.CONTAINER}

    @property
    def _qualities(self) -> list[int]:
        return sorted(self.sources)

    def _source(self, quality: int) -> Source:
        if quality not in self.sources:
            known = ", ".join(map(str, self.sources))
            raise LgcError(f"{self.name}: there is no network of quality {quality}; there are {known}")
        return self.sources[quality]

    def _network(self, quality: int) -> Any:
        if quality not in self._loaded:
            self._loaded[quality] = self._source(quality).load()
        return self._loaded[quality]


def make_pretrained_codec(name: str) -> LearnedCodec | Absent:
    """The codec called ``name``, one of :data:`lgc.baselines.PRETRAINED`, when its weights can be had."""
    network = name.removesuffix("_pretrained")
    sources = {quality: Pretrained(network, quality) for quality in QUALITIES[name]}
    first = networks.load_pretrained(network, 1)
    if isinstance(first, Absent):
        return Absent(name, first.reason)
    return LearnedCodec(name, sources)
