"""Whether the sampler earns its place: its front beside that of random search with the same budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lgc.evaluation.intervals import Estimate, repeats_interval
from lgc.launch.sweep.run import run_sweep

SAMPLERS: Final = ("tpe", "random")


@dataclass(frozen=True)
class Comparison:
    """Hypervolumes of both samplers, a value a seed."""

    hypervolumes: Mapping[str, Sequence[float]]
    """Sampler -> values by seed."""
    courses: Mapping[str, Sequence[Sequence[float]]]
    """Sampler -> by seed, the hypervolume after each trial."""

    def mean(self, sampler: str) -> Estimate:
        """Over seeds."""
        return repeats_interval(self.hypervolumes[sampler])

    @property
    def difference(self) -> Estimate:
        """Of TPE over random search, in pairs of the same seed."""
        pairs = zip(*(self.hypervolumes[sampler] for sampler in SAMPLERS), strict=True)
        return repeats_interval([tpe - random for tpe, random in pairs])


def compare_samplers(overrides: Sequence[str], seeds: int) -> Comparison:
    """Run, or complete, a sweep for each sampler and seed; neither is given the present weights to start from."""
    final: dict[str, list[float]] = {sampler: [] for sampler in SAMPLERS}
    courses: dict[str, list[list[float]]] = {sampler: [] for sampler in SAMPLERS}
    for seed in range(seeds):
        for sampler in SAMPLERS:
            own = [f"sweep.name=bench_{sampler}_{seed}", f"sweep.sampler={sampler}", f"sweep.seed={seed}"]
            found = run_sweep([*overrides, *own, "sweep.present=false"])
            final[sampler].append(found.hypervolume)
            courses[sampler].append(found.hypervolumes)
    return Comparison(final, courses)
