"""Reader of CelebAMask-HQ in the layout its authors distribute.

::

    root/CelebA-HQ-img/17.jpg
    root/CelebAMask-HQ-mask-anno/<17 // 2000>/00017_hair.png
    root/CelebAMask-HQ-attribute-anno.txt
    root/CelebAMask-HQ-pose-anno.txt
    root/CelebA-HQ-to-CelebA-mapping.txt

A part without pixels has no mask file; an image without any mask file counts as not annotated. Every
annotation may be missing, for the whole set or for single images. Leading zeros of a number count nowhere.

Source of layout, split and mask precedence: https://github.com/switchablenorms/CelebAMask-HQ
(``face_parsing/Data_preprocessing/g_mask.py`` and ``g_partition.py``).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from lgc import images
from lgc.data.labels import ATTRIBUTES, CLASSES, PARTS
from lgc.errors import DataError

IMAGES: Final = "CelebA-HQ-img"
MASKS: Final = "CelebAMask-HQ-mask-anno"
ATTRIBUTE_FILE: Final = "CelebAMask-HQ-attribute-anno.txt"
POSE_FILE: Final = "CelebAMask-HQ-pose-anno.txt"
MAPPING_FILE: Final = "CelebA-HQ-to-CelebA-mapping.txt"
MASKS_PER_FOLDER: Final = 2000

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
FIRST_VAL: Final = 162_771
FIRST_TEST: Final = 182_638
_IMAGE_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Sample:
    """One photograph and where its annotations are."""

    key: str
    """File name without its suffix; an integer in the official set."""
    image: Path
    split: Split
    parts: Mapping[str, Path] = field(default_factory=dict)
    """Part name -> mask file; empty when the image has no parsing annotation."""
    attributes: tuple[int, ...] | None = None
    """40 values, 0 or 1, in the order of :data:`lgc.data.labels.ATTRIBUTES`."""
    pose: tuple[float, float, float] | None = None
    """(yaw, pitch, roll) in degrees."""


@dataclass(frozen=True)
class Listing:
    """A scanned data set: its samples in a stable order, and what is wrong with it."""

    root: Path
    samples: tuple[Sample, ...]
    problems: tuple[str, ...]
    """One line each: missing annotation files, unparsable rows, annotations without a picture, and the reverse."""
    strays: tuple[str, ...] = ()
    """Those of them for annotations that match no picture."""
    unmapped: tuple[str, ...] = ()
    """Those of them for pictures that the official split leaves out."""

    def of(self, split: Split) -> tuple[Sample, ...]:
        """The samples of one split."""
        return tuple(sample for sample in self.samples if sample.split == split)


def official_split(orig_idx: int) -> Split:
    """The identity-disjoint split of CelebA, by the index of the original CelebA picture."""
    if orig_idx < FIRST_VAL:
        return "train"
    return "val" if orig_idx < FIRST_TEST else "test"


def hashed_split(key: str) -> Split:
    """A stable 80/10/10 split for photographs without a mapping file. Not identity-disjoint."""
    bucket = zlib.crc32(key.encode()) % 10
    return "train" if bucket < 8 else "val" if bucket == 8 else "test"


def scan(root: Path | str, split: Literal["official", "hash"] = "official") -> Listing:
    """List the data set at ``root`` without opening any picture.

    Raises :class:`DataError` when there are no images, two have one number or two masks are of one part, or when
    ``split="official"`` and the mapping file is missing.
    """
    root, problems, strays = Path(root), list[str](), list[str]()
    pictures = _list_pictures(root, problems)
    mapping = _read_mapping(root, problems)
    if split == "official" and not mapping:
        raise DataError(
            f"{root}: no usable {MAPPING_FILE}, which holds the official identity-disjoint split; "
            "add it, or set data.split_rule=hash"
        )
    attributes = _read_attributes(root, problems)
    pose = _read_pose(root, problems)
    parts = _list_parts(root, problems, strays)
    for file, found, kind in (
        (ATTRIBUTE_FILE, attributes, "rows name no picture"),
        (POSE_FILE, pose, "rows name no picture"),
        (MASKS, parts, "images have masks but no picture"),
    ):
        if alone := found.keys() - pictures.keys():
            strays.append(f"{file}: {len(alone)} {kind}, e.g. {min(alone, key=_natural)}")

    unmapped, samples = list[str](), list[Sample]()
    for name, path in sorted(pictures.items(), key=lambda item: _natural(item[0])):
        if split == "official" and name not in mapping:
            unmapped.append(f"{path.name}: not in {MAPPING_FILE}, left out")
            continue
        samples.append(
            Sample(
                key=path.stem,
                image=path,
                split=official_split(mapping[name]) if split == "official" else hashed_split(path.stem),
                parts=parts.get(name, {}),
                attributes=attributes.get(name),
                pose=pose.get(name),
            )
        )
    return Listing(root, tuple(samples), (*problems, *strays, *unmapped), tuple(strays), tuple(unmapped))


def read_mask(sample: Sample) -> np.ndarray | None:
    """Merge the part masks into class indices, later parts over earlier ones.

    Returns uint8 (H, W) at the masks' own resolution, or None when the image has no masks.
    Raises :class:`DataError` when a file is unusable (:func:`read_part`) or the parts differ in size.
    """
    if not sample.parts:
        return None
    merged: np.ndarray | None = None
    for index, name in enumerate(CLASSES):
        path = sample.parts.get(name)
        if path is None:
            continue
        part = read_part(path)
        if merged is None:
            merged = np.zeros(part.shape, np.uint8)
        if part.shape != merged.shape:
            raise DataError(f"{path}: is {part.shape}, the other parts of {sample.key} are {merged.shape}")
        merged[part] = index
    return merged


def read_part(path: Path) -> np.ndarray:
    """Where a part is: bool (H, W), values above 127 of 255.

    Raises :class:`DataError` when the file is unreadable, is transparent somewhere, or has values and none of them
    is above 127.
    """
    needed = "write 8-bit grey, 255 where the part is, no transparency"
    try:
        with images.open_picture(path) as picture:
            values = np.asarray(picture.convert("L"))
            # without it, a white part on nothing would be white everywhere
            opacity = np.asarray(picture.convert("RGBA"))[..., 3] if picture.has_transparency_data else np.uint8(255)
    except Exception as error:  # Pillow's readers raise nearly anything on damaged files
        raise DataError(f"{path}: unreadable mask ({error})") from error
    if opacity.min() < 255:
        raise DataError(f"{path}: unusable mask (it is transparent in places; {needed})")
    part = values > 127
    if values.any() and not part.any():
        raise DataError(f"{path}: unusable mask (its largest value is {values.max()}; {needed})")
    return part


def check_fits(sample: Sample, mask: tuple[int, ...], picture: tuple[int, ...]) -> None:
    """Raise :class:`DataError` unless masks of shape (H, W) lie on the picture of ``sample``, of shape (H, W, 3).

    Masks may be smaller or larger than their picture, and are cropped and scaled as it is.
    """
    if images.is_turned(sample.image):
        raise DataError(
            f"{sample.image.name}: its EXIF turns it, and nothing says whether its masks are turned; "
            "save it turned, without EXIF"
        )
    rounding = max(picture[:2])  # a pixel of a mask's side, which was rounded when it was scaled
    if abs(mask[0] * picture[1] - mask[1] * picture[0]) > rounding:
        raise DataError(
            f"{sample.image.name}: is {picture[1]} x {picture[0]}, its masks are {mask[1]} x {mask[0]}; "
            "crop both alike"
        )


def _natural(name: str) -> tuple[int, str]:
    return (len(name) if name.isdecimal() else 1 << 62, name)


def _name(key: str) -> str:
    """What pictures, rows and masks are matched by: 17 of 17 and of 00017, any other name as it is."""
    return (key.lstrip("0") or "0") if key.isdecimal() else key


def _list_pictures(root: Path, problems: list[str]) -> dict[str, Path]:
    """Name -> file."""
    folder = root / IMAGES
    if not root.is_dir():
        kind = "a file, not the folder of a data set" if root.exists() else "no such folder"
        raise DataError(f"{root}: {kind}; name one in the official CelebAMask-HQ layout")
    if not folder.is_dir():
        raise DataError(f"{root}: no folder {IMAGES}/; expected the official CelebAMask-HQ layout")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _IMAGE_SUFFIXES:
            continue
        first = found.setdefault(_name(path.stem), path)
        if first.stem != path.stem:  # whose are the masks of that number?
            raise DataError(f"{folder}: {first.name} and {path.name} have the same number; give one of them another")
        if first != path:
            problems.append(f"{path.name}: there is also {first.name}, left out")
    if not found:
        raise DataError(f"{folder}: holds no pictures ({', '.join(sorted(_IMAGE_SUFFIXES))})")
    return found


def _rows(path: Path, problems: list[str], header_lines: int) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, remaining fields) of each row after the header; a missing file is a problem."""
    if not path.is_file():
        problems.append(f"{path.name}: missing")
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            fields = line.split()
            if number >= header_lines and fields:
                yield _name(fields[0].rsplit(".", 1)[0]), fields[1:]


def _read_mapping(root: Path, problems: list[str]) -> dict[str, int]:
    mapping = {}
    for key, fields in _rows(root / MAPPING_FILE, problems, header_lines=1):
        if fields and fields[0].isdecimal():
            mapping[key] = int(fields[0])
        else:
            problems.append(f"{MAPPING_FILE}: row {key} has no orig_idx")
    return mapping


def _read_attributes(root: Path, problems: list[str]) -> dict[str, tuple[int, ...]]:
    path = root / ATTRIBUTE_FILE
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as lines:
            names = tuple((lines.readline(), lines.readline())[1].split())
        if names != ATTRIBUTES:
            problems.append(f"{ATTRIBUTE_FILE}: second line does not name the {len(ATTRIBUTES)} attributes, ignored")
            return {}
    found = {}
    for key, fields in _rows(path, problems, header_lines=2):
        if len(fields) == len(ATTRIBUTES) and set(fields) <= {"-1", "0", "1"}:
            found[key] = tuple(int(value == "1") for value in fields)
        else:
            problems.append(f"{ATTRIBUTE_FILE}: row {key} is not {len(ATTRIBUTES)} values of -1 or 1")
    return found


def _read_pose(root: Path, problems: list[str]) -> dict[str, tuple[float, float, float]]:
    found = {}
    for key, fields in _rows(root / POSE_FILE, problems, header_lines=2):
        try:
            yaw, pitch, roll = (float(value) for value in fields)
            if not np.isfinite([yaw, pitch, roll]).all():
                raise ValueError
        except ValueError:
            problems.append(f"{POSE_FILE}: row {key} is not three angles")
        else:
            found[key] = (yaw, pitch, roll)
    return found


_MASK_NAME: Final = re.compile(r"(\d+)_(\w+)\.png")


def _list_parts(root: Path, problems: list[str], strays: list[str]) -> dict[str, dict[str, Path]]:
    """Name -> part -> mask file."""
    folder = root / MASKS
    found: dict[str, dict[str, Path]] = {}
    if not folder.is_dir():
        problems.append(f"{MASKS}/: missing")
        return found
    unknown: list[str] = []
    for path in sorted(folder.glob("*/*.png")):
        match = _MASK_NAME.fullmatch(path.name)
        if match is None or match[2] not in PARTS:
            unknown.append(path.name)
            continue
        first = found.setdefault(_name(match[1]), {}).setdefault(match[2], path)
        if first != path:  # which of them is the part?
            both = " and ".join(file.relative_to(folder).as_posix() for file in (first, path))
            raise DataError(f"{folder}: {both} are the same part of one picture; remove one of them")
    if unknown:
        strays.append(f"{MASKS}: {len(unknown)} files are not named NNNNN_<part>.png, ignored, e.g. {unknown[0]}")
    if loose := sorted(path.name for path in folder.glob("*.png")):
        strays.append(f"{MASKS}: {len(loose)} files lie beside its folders 0/, 1/, ..., ignored, e.g. {loose[0]}")
    return found
