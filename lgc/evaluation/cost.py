"""What a model costs: parameters, multiplications, memory, size of its file."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import safe_open
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from lgc.bitstream.codec import LayeredCodec
from lgc.evaluation.paths import coding_paths
from lgc.models.reference import RGBAnalyzer

_PARTS: Final = {
    "net.g_a.": "encoder",
    "net.g_s.": "decoder",
    "net.": "other networks",
    "exact.": "entropy networks",
    "analyzer.semantic.": "analyzer of the semantic layer",
    "analyzer.both.": "analyzer of both layers",
}


def model_cost(path: Path, codec: LayeredCodec, reference: RGBAnalyzer, picture: np.ndarray) -> dict[str, Any]:
    """Cost of the model file ``path``, loaded as ``codec``, for one uint8 ``picture`` (H, W, 3).

    Multiply-accumulates are half of what torch's flop counter sees in convolutions and matrix products, integer
    networks included. Peak memory is that of tensors alive at once on the way, weights not included.
    """
    paths = coding_paths(codec, reference, picture[None])
    pixels = picture.shape[0] * picture.shape[1]
    cost: dict[str, Any] = {
        "model_file_bytes": path.stat().st_size,
        "parameters": parameters(path),
        "reference_parameters": sum(p.numel() for p in reference.parameters()),
        "paths": {},
    }
    for name, run in paths.items():
        run(0)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run(0)
        macs = counter.get_total_flops() / 2
        entry: dict[str, float] = {"macs": macs, "macs_per_pixel": macs / pixels}
        peak = _peak_bytes(lambda run=run: run(0), codec.model.device)  # type: ignore[misc]
        if peak is not None:
            entry["peak_tensor_bytes"] = peak
        cost["paths"][name] = entry
    return cost


def parameters(path: Path) -> dict[str, int]:
    """Numbers in a model file by part, entropy tables left out; ``all`` is their sum."""
    found: Counter[str] = Counter()
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            part = next((label for prefix, label in _PARTS.items() if name.startswith(prefix)), None)
            if part is not None:
                found[part] += math.prod(file.get_slice(name).get_shape())
    return {**dict(sorted(found.items())), "all": sum(found.values())}


def _peak_bytes(run: Any, device: torch.device) -> int | None:
    """Most bytes of tensors alive at once during ``run``; None when the profiler saw no allocation."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or it writes two lines to standard error each time
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=False) as profiler:
        run()
    changes = [
        (event.start_ns(), event.nbytes())
        for event in profiler.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    alive = np.cumsum([size for _, size in sorted(changes, key=lambda change: change[0])])
    return int(alive.max()) if len(alive) else None
