"""Runs a local network over a large picture piece by piece, so that memory stays bounded.

Positions are counted in *cells*, the positions of a latent: 16 x 16 pixels of the picture. A tile is computed
with a margin around it, at least as wide as the network's receptive field, which is then cut off; so tiles give
what one piece would have given, up to the order of float additions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch

TILE: Final = 64
"""Cells along the side of a tile: 1024 pixels."""

Tensors = tuple[torch.Tensor, ...]


def tiled(
    network: Callable[..., Tensors],
    inputs: Sequence[torch.Tensor],
    scale_in: int | Sequence[int],
    scale_out: int | Sequence[int],
    margin: int,
) -> Tensors:
    """Apply ``network`` to ``inputs`` tile by tile; to small inputs in one piece.

    Args:
        network: takes one tensor for each of ``inputs`` and returns a tuple of tensors.
        inputs: (B, C, h * scale_in, w * scale_in) for a picture of h x w cells.
        scale_in: positions of the inputs along the side of a cell, of all or of each.
        scale_out: positions of the outputs along the side of a cell, of all or of each.
        margin: cells around a tile that its outputs depend on.
    """
    scales_in = [scale_in] * len(inputs) if isinstance(scale_in, int) else scale_in
    height, width = (side // scales_in[0] for side in inputs[0].shape[-2:])
    if height <= TILE + 2 * margin and width <= TILE + 2 * margin:
        return network(*inputs)
    whole: list[torch.Tensor] = []
    for rows in _spans(height, margin):
        for columns in _spans(width, margin):
            parts = (_cut(x, rows.wide, columns.wide, scale) for x, scale in zip(inputs, scales_in, strict=True))
            for number, output in enumerate(network(*parts)):
                scale = scale_out if isinstance(scale_out, int) else scale_out[number]
                if len(whole) <= number:
                    whole.append(output.new_empty((*output.shape[:-2], height * scale, width * scale)))
                inner = _cut(output, rows.inner, columns.inner, scale)
                _cut(whole[number], rows.core, columns.core, scale).copy_(inner)
    return tuple(whole)


class _Span:
    """One tile along one axis, in cells."""

    def __init__(self, start: int, stop: int, size: int, margin: int) -> None:
        self.core = (start, stop)
        self.wide = (max(0, start - margin), min(size, stop + margin))
        self.inner = (start - self.wide[0], stop - self.wide[0])


def _spans(size: int, margin: int) -> Iterator[_Span]:
    for start in range(0, size, TILE):
        yield _Span(start, min(start + TILE, size), size, margin)


def _cut(x: torch.Tensor, rows: tuple[int, int], columns: tuple[int, int], scale: int) -> torch.Tensor:
    return x[..., rows[0] * scale : rows[1] * scale, columns[0] * scale : columns[1] * scale]
