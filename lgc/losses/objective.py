"""A weighted sum of named terms, in which every term stays visible."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class WeightedTerms:
    """Collects terms and their weights; :attr:`total` is what to minimise."""

    def __init__(self) -> None:
        self._terms: dict[str, torch.Tensor] = {}
        self._weighted: list[torch.Tensor] = []

    def add(self, name: str, value: torch.Tensor, weight: float, factor: torch.Tensor | None = None) -> None:
        """Add ``weight * value``, times ``factor``. A term of weight 0 is logged but costs no gradient."""
        if name in self._terms:
            raise ValueError(f"term {name!r} added twice")
        self._terms[name] = value.detach()
        if weight:
            self._weighted.append(weight * value if factor is None else weight * factor * value)

    def add_all(self, prefix: str, values: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> None:
        """Add several terms as ``prefix.name``; every one of them needs a weight."""
        for name, value in values.items():
            self.add(f"{prefix}.{name}", value, weights[name])

    @property
    def counted(self) -> bool:
        """Whether any term has a weight other than 0."""
        return bool(self._weighted)

    @property
    def total(self) -> torch.Tensor:
        """The weighted sum, a scalar."""
        if not self.counted:
            raise ValueError("no term has a weight other than 0")
        return torch.stack(self._weighted).sum()

    @property
    def values(self) -> Mapping[str, torch.Tensor]:
        """Unweighted terms without gradient."""
        return dict(self._terms)
