"""One latent layer <-> symbols, on integers from end to end.

Encoder and decoder walk through a layer in the same way (:meth:`LayerCoder._walk`) and differ only in where
symbols come from: rounding a latent, or a decoder's stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from lgc.entropy.coder import SymbolCoder, clip_symbols, new_stack, stack_to_bytes
from lgc.entropy.exact import LIMIT, ONE, IntegerNetwork, floor_fixed, to_fixed
from lgc.entropy.tables import SCALE_LEVELS
from lgc.models.latents import HYPER_STRIDE, SCALE_BIAS, SCALE_GAIN, LatentLayer


@dataclass
class CodedLayer:
    """One picture's layer: groups of symbols in the order a decoder reads them, and what they decode to."""

    groups: list[tuple[SymbolCoder, np.ndarray, np.ndarray]] = field(default_factory=list)
    """(coder, symbols (N,), tables (N,))."""

    def to_bytes(self, check: int | None) -> bytes:
        """The payload: all groups on one stack, so that the first comes off first, above ``check``.

        With None there is no checksum, only what others' coders write too.
        """
        stack = new_stack(check)
        for coder, symbols, index in reversed(self.groups):
            coder.push(stack, symbols, index)
        return stack_to_bytes(stack)

    @property
    def ideal_bits(self) -> float:
        """Code length under the tables, without any rounding or termination."""
        return sum(coder.tables.bits(symbols, index) for coder, symbols, index in self.groups)


class _Source(Protocol):
    def take(
        self,
        name: str,
        coder: SymbolCoder,
        centre: torch.Tensor,
        index: np.ndarray,
        mask: np.ndarray | None,
    ) -> torch.Tensor: ...


class LayerCoder:
    """Codes the latents of one :class:`LatentLayer` with its integer networks and tables."""

    def __init__(
        self,
        layer: LatentLayer,
        predict: IntegerNetwork | None,
        refine: Mapping[int, IntegerNetwork],
        gaussian: SymbolCoder,
        factorised: SymbolCoder | None,
        medians: torch.Tensor | None,
    ) -> None:
        """``medians`` int64 (C,) belong to ``factorised``; both are None when every part is predicted."""
        self._layer = layer
        self._predict, self._refine = predict, refine
        self._gaussian, self._factorised = gaussian, factorised
        self._medians = medians

    def encode(
        self, y: torch.Tensor, context: torch.Tensor | None
    ) -> tuple[list[CodedLayer], torch.Tensor, list[bytes]]:
        """Float latents (B, C, H, W) -> symbols a picture, decoded latents, bytes a checksum covers.

        ``context`` and the decoded latents are int64 (B, ., H, W) in fixed point.
        """
        values = {"y": to_fixed(y)}
        if self._layer.config.hyper_channels:
            values["z"] = to_fixed(self._layer.hyper_latent(y).float())
        source = _Rounding(values, [CodedLayer() for _ in y])
        y_hat, covered = self._walk(source, context, y.shape[-2], y.shape[-1], len(y), y.device)
        return source.coded, y_hat, covered

    def decode(
        self,
        stacks: Sequence[Any],
        context: torch.Tensor | None,
        height: int,
        width: int,
        device: torch.device,
    ) -> tuple[torch.Tensor, list[bytes]]:
        """Take a layer of ``height`` x ``width`` positions off each stack; results as in :meth:`encode`."""
        return self._walk(_Reading(stacks), context, height, width, len(stacks), device)

    def symbols(self, height: int, width: int) -> int:
        """How many symbols a layer of ``height`` x ``width`` positions has: each element is coded in one step."""
        config = self._layer.config
        hyper = config.hyper_channels * -(-height // HYPER_STRIDE) * -(-width // HYPER_STRIDE)
        return hyper + config.channels * height * width

    def base(self, context: torch.Tensor) -> torch.Tensor | None:
        """The prediction of ``y`` from the context alone, int64 in fixed point; None without context."""
        return None if self._predict is None else self._predict(context).chunk(2, dim=1)[0]

    def _walk(
        self,
        source: _Source,
        context: torch.Tensor | None,
        height: int,
        width: int,
        batch: int,
        device: torch.device,
    ) -> tuple[torch.Tensor, list[bytes]]:
        layer, config = self._layer, self._layer.config
        z_hat = None
        if config.hyper_channels:
            z_shape = (batch, config.hyper_channels, -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))
            z_hat = self._take_factorised(source, "z", z_shape, None, device)
        base = None if self._predict is None or context is None else self._predict(context)

        shape = (batch, config.channels, height, width)
        y_hat = torch.zeros(shape, dtype=torch.int64, device=device)
        for step in range(len(layer)):
            mask = None if len(layer) == 1 else layer.mask(step, height, width, torch.device("cpu")).numpy()
            if step == 0 and layer.starts_factorised:
                decoded = self._take_factorised(source, "y", shape, mask, device)
            else:
                raw = base
                if step in self._refine:
                    change = self._refine[step](layer.refine_inputs(step, context, z_hat, y_hat))
                    raw = change if raw is None else raw + change
                assert raw is not None
                mean, s = raw.clamp(-2 * LIMIT, 2 * LIMIT).chunk(2, dim=1)
                # floor((s * gain) / ONE + bias + 1/2), in integers
                index = floor_fixed(s * SCALE_GAIN + (SCALE_BIAS * ONE + ONE // 2)).clamp(0, SCALE_LEVELS - 1)
                mean = mean.clamp(-LIMIT, LIMIT)
                decoded = source.take("y", self._gaussian, mean, index.cpu().numpy(), mask)
            y_hat = decoded if mask is None else torch.where(torch.from_numpy(mask).to(device), decoded, y_hat)
        y_hat = y_hat.clamp(-LIMIT, LIMIT)
        parts = [y_hat] if z_hat is None else [z_hat, y_hat]
        flat = torch.cat([part.flatten(1) for part in parts], dim=1).cpu().numpy().astype("<i4")
        return y_hat, [row.tobytes() for row in flat]

    def _take_factorised(
        self,
        source: _Source,
        name: str,
        shape: tuple[int, ...],
        mask: np.ndarray | None,
        device: torch.device,
    ) -> torch.Tensor:
        assert self._factorised is not None
        assert self._medians is not None
        centre = self._medians.to(device)[None, :, None, None].expand(shape)
        index = np.broadcast_to(np.arange(shape[1])[None, :, None, None], shape)
        return source.take(name, self._factorised, centre, index, mask)


class _Rounding:
    """Symbols of an encoder: the latents rounded around their means."""

    def __init__(self, values: Mapping[str, torch.Tensor], coded: list[CodedLayer]) -> None:
        self._values = values
        self.coded = coded

    def take(
        self,
        name: str,
        coder: SymbolCoder,
        centre: torch.Tensor,
        index: np.ndarray,
        mask: np.ndarray | None,
    ) -> torch.Tensor:
        offsets = self._values[name] - centre
        rounded = floor_fixed(offsets + ONE // 2).cpu().numpy()
        symbols = clip_symbols(rounded, index, coder.tables)
        for picture, layer in enumerate(self.coded):
            chosen = (symbols[picture], index[picture])
            flat = [part.ravel() if mask is None else part[mask] for part in chosen]
            layer.groups.append((coder, *flat))
        return centre + torch.from_numpy(symbols.astype(np.int64)).to(centre.device) * ONE


class _Reading:
    """Symbols of a decoder: off the stacks, one a picture."""

    def __init__(self, stacks: Sequence[Any]) -> None:
        self._stacks = stacks

    def take(
        self,
        name: str,
        coder: SymbolCoder,
        centre: torch.Tensor,
        index: np.ndarray,
        mask: np.ndarray | None,
    ) -> torch.Tensor:
        symbols = np.zeros(index.shape, np.int64)
        for picture, stack in enumerate(self._stacks):
            if mask is None:
                symbols[picture] = coder.pop(stack, index[picture].ravel()).reshape(index.shape[1:])
            else:
                symbols[picture][mask] = coder.pop(stack, index[picture][mask])
        return centre + torch.from_numpy(symbols).to(centre.device) * ONE
