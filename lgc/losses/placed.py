"""Numbers that a step decides on the CPU and a GPU reads."""

from __future__ import annotations

import torch


class Placed:
    """A small tensor whose values change and whose place on its device does not: a recorded step reads it there."""

    def __init__(self) -> None:
        self._tensor: torch.Tensor | None = None

    def put(self, values: torch.Tensor, device: torch.device) -> None:
        """Values of a shape and type that stay the same."""
        if self._tensor is None or self._tensor.device != device:
            self._tensor = values.to(device, copy=True)
        else:
            self._tensor.copy_(values)

    def get(self) -> torch.Tensor:
        """The values of now; one must have been :meth:`put`."""
        assert self._tensor is not None
        return self._tensor
