"""Whether a face-recognition network sees the same person in the decoded picture.

The network comes from outside as an ONNX file, as face-recognition projects ship them: one picture input
(N, 3, S, S), one embedding (N, D) a picture. None is shipped with lgc, and none is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch.nn import functional

from lgc import digest
from lgc.backbones import Absent
from lgc.metrics.base import MetricInfo

_LABEL: Final = "identity similarity"


@dataclass(frozen=True)
class Embedding:
    """An embedding network and the pictures it wants; the defaults are those of ArcFace and its kin."""

    model: str | None = None
    """ONNX file; null measures no identity."""
    size: int = 112
    """Side of its input in pixels, where the file itself leaves that open."""
    crop: float = 1.0
    """Share of the picture's side that is kept, around its centre, before it is resized."""
    mean: float = 127.5
    scale: float = 127.5
    """A channel ``v`` in 0 to 255 goes in as ``(v - mean) / scale``."""
    channels: Literal["rgb", "bgr"] = "rgb"


class IdentitySimilarity:
    """Cosine of the embeddings of decoded and original picture, 1 for identical pictures; higher is better."""

    def __init__(self, session: Any, wants: Embedding, name: str) -> None:
        """``session`` is an ``onnxruntime.InferenceSession``; ``name`` stands in tables."""
        self._session, self._wants = session, wants
        (source,) = session.get_inputs()
        self._input = source.name
        self._batch, _, side, _ = source.shape
        self._size = side if isinstance(side, int) else wants.size
        self.info = MetricInfo(
            "identity", f"{_LABEL} ({name})", "", -1.0, 1.0, "higher", "mean over images",
            "cosine of face-recognition embeddings, as in Deng et al., ArcFace, CVPR 2019; network given by the user",
        )  # fmt: skip

    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) for pictures (B, 3, H, W) in [0, 1]."""
        return functional.cosine_similarity(self._embed(x_hat), self._embed(x), dim=1)

    def _embed(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D)."""
        pictures = self._prepared(x)
        step = 1 if self._batch == 1 else len(pictures)  # many files take one at a time
        parts = [
            self._session.run(None, {self._input: pictures[start : start + step]})[0]
            for start in range(0, len(pictures), step)
        ]
        return torch.from_numpy(np.concatenate(parts)).flatten(1)

    def _prepared(self, x: torch.Tensor) -> np.ndarray:
        """Centre crop, resize, value range and channel order that the network wants: float32 (B, 3, S, S)."""
        height, width = x.shape[2:]
        side = max(1, round(self._wants.crop * min(height, width)))
        top, left = (height - side) // 2, (width - side) // 2
        x = x[:, :, top : top + side, left : left + side].float().cpu()
        x = functional.interpolate(x, (self._size, self._size), mode="bilinear", antialias=True, align_corners=False)
        x = (255 * x.clamp(0, 1) - self._wants.mean) / self._wants.scale
        return (x.flip(1) if self._wants.channels == "bgr" else x).contiguous().numpy()


def make_identity(wants: Embedding | None) -> IdentitySimilarity | Absent:
    """The metric, or why it cannot be had."""
    if wants is None or wants.model is None:
        return Absent(_LABEL, "no embedding network is configured (evaluate.identity.model, an ONNX file)")
    try:
        import onnxruntime
    except ImportError:
        return Absent(_LABEL, "the onnxruntime package is not installed (pip install 'lgc[identity]')")
    path = Path(wants.model)
    if not path.is_file():
        return Absent(_LABEL, f"evaluate.identity.model: no file {path}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception class for every way a file can be wrong
        return Absent(_LABEL, f"{path} is no ONNX model that onnxruntime reads ({type(error).__name__})")
    problem = _unusable(session)
    return Absent(_LABEL, f"{path} {problem}") if problem else IdentitySimilarity(session, wants, path.stem)


def embedding_facts(wants: Embedding) -> Mapping[str, Any]:
    """What decides the values: the settings, and a hash of the file in place of where it lies."""
    path = None if wants.model is None else Path(wants.model)
    known = digest.of_file(path) if path is not None and path.is_file() else None
    return {**asdict(wants), "model": known}


def _unusable(session: Any) -> str | None:
    """What is wrong with the network's input; open dimensions are names or None."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        return f"has {len(inputs)} inputs; an embedding network takes one, the picture"
    kind, shape = inputs[0].type, inputs[0].shape
    if kind == "tensor(float)" and len(shape) == 4 and shape[1] == 3:
        batch, sides = shape[0], {side for side in shape[2:] if isinstance(side, int)}
        if len(sides) <= 1 and (batch == 1 or not isinstance(batch, int)):
            return None
    return f"takes {kind} {shape}; an embedding network takes float pictures (N, 3, S, S), N open or 1"
