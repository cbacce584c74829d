"""A report on a data set: what is there, what is missing, and whether it can be trained on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lgc import images
from lgc.data.celebamask_hq import SPLITS, Listing, Sample, Split, check_fits, read_part, scan
from lgc.errors import DataError, ImageError


@dataclass(frozen=True)
class SplitReport:
    """Counts of one split."""

    images: int
    masks: int
    """Pictures all of whose masks can be read and lie on it, as :mod:`lgc.data.prepare` takes them."""
    attributes: int
    pose: int


@dataclass(frozen=True)
class DataReport:
    """Everything :func:`check` found."""

    root: Path
    splits: dict[Split, SplitReport]
    sizes: dict[str, int]
    """``WIDTH x HEIGHT`` -> pictures."""
    problems: Sequence[str]
    """One line each: what :func:`~lgc.data.celebamask_hq.scan` found, and masks that do not lie on their picture."""
    unreadable: Sequence[str]
    """Pictures and masks that :mod:`lgc.data.prepare` cannot use."""
    duplicates: Sequence[Sequence[str]]
    """Groups of pictures with the same bytes."""
    leaks: Sequence[Sequence[str]]
    """Groups of duplicates that lie in more than one split."""
    strays: Sequence[str] = ()
    """Those of the problems for annotations that match no picture."""
    masks_left_out: int = 0
    """Pictures whose masks are not counted because some cannot be read or do not lie on it."""

    @property
    def usable(self) -> bool:
        """Whether every split has pictures that can be read."""
        return all(report.images for report in self.splits.values())

    @property
    def verdict(self) -> str:
        """What the data set can be used for, and what stands in the way of more."""
        if not self.usable:
            return "NOT usable: a split has no readable pictures"
        annotated = [name for name, split in self.splits.items() if split.masks or split.attributes or split.pose]
        if "train" in annotated:
            return "usable"
        if self.masks_left_out:
            left_out = f"masks of {self.masks_left_out} pictures cannot be read or do not lie on them, see above"
            return f"usable for a codec alone: no picture to train on has an annotation ({left_out})"
        if annotated:
            return "usable for a codec alone: no picture to train on has an annotation"
        if self.strays:
            alike = "number pictures and rows 17.jpg where the masks are 00017_hair.png"
            return f"usable for a codec alone: no annotation matches a picture ({self.strays[0]}); {alike}"
        return "usable for a codec alone: no picture has an annotation"

    def show(self) -> None:
        """Print tables."""
        from rich.console import Console
        from rich.table import Table

        console = Console(markup=False)  # a file's name may look like it
        table = Table(title=str(self.root))
        for name in ("split", "images", "masks", "attributes", "pose"):
            table.add_column(name, justify="left" if name == "split" else "right")
        for split, report in self.splits.items():
            table.add_row(split, *(str(value) for value in vars(report).values()))
        console.print(table)
        sizes = ", ".join(f"{count} of {size}" for size, count in sorted(self.sizes.items()))
        findings = [("sizes", sizes)] if sizes else []
        findings += [("missing or wrong", line) for line in _few(list(self.problems))]
        findings += [("unreadable", line) for line in _few(list(self.unreadable))]
        findings += [("duplicates", line) for line in _few([" = ".join(group) for group in self.duplicates])]
        findings += [("in two splits", line) for line in _few([" = ".join(group) for group in self.leaks])]
        details = Table(show_header=False)
        for kind, text in findings:
            details.add_row(kind, text)
        if findings:
            console.print(details)
        console.print(self.verdict, soft_wrap=True)


def check(root: Path | str, split_rule: Literal["official", "hash"] = "official") -> DataReport:
    """Open every picture and mask below ``root``; raises :class:`~lgc.errors.DataError` when there are none."""
    listing: Listing = scan(root, split_rule)
    sizes: dict[str, int] = defaultdict(int)
    problems, unreadable = list(listing.problems), list[str]()
    by_digest: dict[str, list[Sample]] = defaultdict(list)
    readable, masks_left_out = list[Sample](), 0
    for sample in listing.samples:
        try:
            shape = images.read(sample.image).shape
        except ImageError:
            unreadable.append(sample.image.name)
            continue
        sizes[f"{shape[1]} x {shape[0]}"] += 1
        by_digest[hashlib.md5(sample.image.read_bytes(), usedforsecurity=False).hexdigest()].append(sample)
        masks = {path.name: _part_shape(path) for path in sample.parts.values()}
        unreadable += [name for name, mask in masks.items() if mask is None]
        misfits = _misfits(sample, {mask for mask in masks.values() if mask is not None}, shape)
        problems += misfits
        fits = not misfits and None not in masks.values()
        masks_left_out += not fits
        readable.append(sample if fits else replace(sample, parts={}))
    groups = [group for group in by_digest.values() if len(group) > 1]
    return DataReport(
        root=listing.root,
        splits={split: _counts([s for s in readable if s.split == split]) for split in SPLITS},
        sizes=dict(sizes),
        problems=problems,
        unreadable=unreadable,
        duplicates=[[s.image.name for s in group] for group in groups],
        leaks=[[s.image.name for s in group] for group in groups if len({s.split for s in group}) > 1],
        strays=listing.strays,
        masks_left_out=masks_left_out,
    )


def _part_shape(path: Path) -> tuple[int, ...] | None:
    """(H, W) of a mask that can be used, else None."""
    try:
        return read_part(path).shape
    except DataError:
        return None


def _misfits(sample: Sample, masks: set[tuple[int, ...]], picture: tuple[int, ...]) -> list[str]:
    """At most one line: why masks of these shapes are left out though each can be read."""
    if len(masks) > 1:
        return [f"{sample.image.name}: its masks differ in size"]
    try:
        for mask in masks:
            check_fits(sample, mask, picture)
    except DataError as error:
        return [str(error)]
    return []


def _counts(samples: Sequence[Sample]) -> SplitReport:
    return SplitReport(
        images=len(samples),
        masks=sum(bool(s.parts) for s in samples),
        attributes=sum(s.attributes is not None for s in samples),
        pose=sum(s.pose is not None for s in samples),
    )


def _few(lines: list[str]) -> list[str]:
    """The first five, and how many more there are."""
    return lines if len(lines) <= 5 else [*lines[:5], f"... and {len(lines) - 5} more"]
