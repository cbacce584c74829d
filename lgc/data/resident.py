"""A split that lies in a GPU's memory, where batches are made: nothing is copied while training, nothing waits."""

from __future__ import annotations

from typing import Final

import torch

from lgc.data.labels import IGNORE
from lgc.data.shards import Split

SHARE: Final = 0.25
"""Of the memory that is free; the rest is for networks and activations."""
_ROWS: Final = 2048
"""Pictures copied at once."""


class ResidentSplit:
    """Answers like a :class:`~lgc.data.shards.Split`, with tensors on its device."""

    def __init__(self, split: Split, device: torch.device) -> None:
        """Copy the whole of ``split`` to ``device``."""
        self.device = device
        self.has_mask = split.has_mask
        rows = torch.arange(len(split))
        size = split.manifest.image_size
        self._images = torch.empty((len(split), size, size, 3), dtype=torch.uint8, device=device)
        for part in rows.split(_ROWS):
            self._images[part[0] : part[-1] + 1] = split.images(part).to(device)
        annotated = rows[self.has_mask]
        self._masks = split.masks(annotated, absent=IGNORE).to(device)
        place = torch.full((len(split),), -1)
        place[annotated] = torch.arange(len(annotated))
        self._place = place.to(device)
        self._attributes, self._pose = split.attributes(rows).to(device), split.pose(rows).to(device)

    def __len__(self) -> int:
        return len(self._images)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """uint8 (B, S, S, 3) for int64 ``rows`` (B,) of any device."""
        return self._images[rows.to(self.device)]

    def masks(self, rows: torch.Tensor, absent: int) -> torch.Tensor:
        """uint8 (B, M, M); pictures without annotation are filled with ``absent``."""
        place = self._place[rows.to(self.device)]
        if not len(self._masks):
            return self._masks.new_full((len(place), *self._masks.shape[1:]), absent)
        return self._masks[place.clamp_min(0)].masked_fill((place < 0)[:, None, None], absent)

    def attributes(self, rows: torch.Tensor) -> torch.Tensor:
        """int8 (B, 40); -1 where unknown."""
        return self._attributes[rows.to(self.device)]

    def pose(self, rows: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3) in degrees; NaN where unknown."""
        return self._pose[rows.to(self.device)]


def has_room(split: Split, device: torch.device) -> bool:
    """Whether ``device`` is a GPU with at least four times as much free memory as the split's pictures take."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return len(split) * 3 * split.manifest.image_size**2 <= SHARE * free
