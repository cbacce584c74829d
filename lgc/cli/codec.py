"""``lgc compress | decompress | analyze | inspect | strip``: the codec on files."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgc.cli.files import (
    Item,
    Outcome,
    Source,
    check_writable,
    make_folder_of,
    plan,
    read_bytes,
    write_bytes,
)
from lgc.cli.remote import fetch, is_remote
from lgc.errors import BitstreamError, LgcError, ModelError, first_line, without_secrets
from lgc.limits import BATCH_PIXELS, BATCH_SIZE

if TYPE_CHECKING:
    import numpy as np

    from lgc.bitstream.codec import Analysis, LayeredCodec

PIPELINE_MODELS = ("finetune_joint", "train_analysis", "train_codec")


class LayerChoice(StrEnum):
    """Which layers to read."""

    semantic = "semantic"
    both = "both"


# readable=False: what cannot be read is one failure among many, not wrong usage
Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", help="Files or folders.", show_default=False, readable=False),
]
# no Path, which loses the slash at the end of a folder's name
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="PATH", help="File, or folder for several inputs.", show_default="beside IN"),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        envvar="LGC_MODEL",
        help="Model file, or name of a kept model.",
        show_default="that of the pipeline's furthest stage",
        readable=False,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Skip = Annotated[bool, typer.Option("--skip-existing", help="Leave existing files; do the others.")]


def compress(
    inputs: Inputs,
    out: Out = None,
    model: Model = None,
    device: Device = "auto",
    force: Force = False,
    skip_existing: Skip = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode what is to be written and compare all symbols.")
    ] = False,
) -> None:
    """Compress pictures (PNG, JPEG, WebP, ...) to .lgc files."""
    from lgc import images

    outcome = Outcome()
    kinds = images.read_suffixes()
    items = plan(inputs, out, ".lgc", lambda path: path.suffix.lower() in kinds, outcome, tell_left_out=True)
    items = outcome.still_to_do(items, force, skip_existing)
    if not items:
        raise typer.Exit(outcome.exit_code())
    sizes: list[int | None] = []
    after = pixels = 0
    with outcome.kept_of(len(items), force):
        codec = _load(model, device)
        for batch in _batches(items, _read_picture, outcome):
            for item, picture, data in _run(batch, codec.compress, outcome):
                with outcome.noting(item.source):
                    if verify:  # the checksums cover every decoded symbol and mean
                        codec.latents(data)
                    write_bytes(item.target, data, force)
                    outcome.done += 1
                    sizes.append(_size(item.source))
                    after += len(data)
                    pixels += picture.shape[0] * picture.shape[1]
    if outcome.done:
        before = "" if None in sizes else f"{sum(size or 0 for size in sizes):,} -> "
        print(f"{outcome.done} compressed: {before}{after:,} bytes, {8 * after / pixels:.3f} bits per pixel")
    raise typer.Exit(outcome.exit_code())


def decompress(
    inputs: Inputs,
    out: Out = None,
    model: Model = None,
    layers: Annotated[LayerChoice, typer.Option(help="semantic: the base picture only.")] = LayerChoice.both,
    device: Device = "auto",
    force: Force = False,
    skip_existing: Skip = False,
) -> None:
    """Paint pictures (PNG, or by the suffix of OUT) from .lgc files."""
    from lgc import images

    outcome = Outcome()
    items = plan(inputs, out, ".png", _is_coded, outcome, images.written_suffixes())
    items = outcome.still_to_do(items, force, skip_existing)
    if not items:
        raise typer.Exit(outcome.exit_code())
    with outcome.kept_of(len(items), force):
        codec = _load(model, device)
        for batch in _batches(items, _read_coded, outcome):
            for item, _, picture in _run(batch, lambda files: codec.decompress(files, layers.value), outcome):
                with outcome.noting(item.source):
                    check_writable(item.target, force)  # it may have come meanwhile
                    make_folder_of(item.target)
                    images.write(item.target, picture)
                    outcome.done += 1
    if outcome.done:
        print(f"{outcome.done} decompressed")
    raise typer.Exit(outcome.exit_code())


def analyze(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Files, folders, s3:// or http(s):// addresses.")
    ],
    out: Out = None,
    model: Model = None,
    layers: Annotated[LayerChoice, typer.Option(help="What to read.")] = LayerChoice.semantic,
    device: Device = "auto",
    force: Force = False,
    skip_existing: Skip = False,
) -> None:
    """Read masks, attributes and pose from .lgc files, without decoding a picture.

    Writes NAME.json, and NAME.mask.png with the classes in the colours that the JSON names. IN may be
    s3://bucket/key or an http(s) address: then only the semantic layer is fetched.
    """
    outcome = Outcome()
    items = plan([_source(given) for given in inputs], out, ".json", _is_coded, outcome)
    items = outcome.still_to_do(items, force, skip_existing)
    if not items:
        raise typer.Exit(outcome.exit_code())

    def read(source: Source) -> bytes:
        return fetch(source, whole=layers is LayerChoice.both) if isinstance(source, str) else _read_coded(source)

    with outcome.kept_of(len(items), force):
        codec = _load(model, device)
        for batch in _batches(items, read, outcome):
            for item, _, analysis in _run(batch, lambda files: codec.analyze(files, layers.value), outcome):
                with outcome.noting(item.source):
                    _write_analysis(item, analysis, layers.value, force, skip_existing)
                    outcome.done += 1
    if outcome.done:
        print(f"{outcome.done} analyzed")
    raise typer.Exit(outcome.exit_code())


def inspect(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help=".lgc or model files.", show_default=False, readable=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show size, model and bytes per layer of .lgc files, or what a model file says of itself."""
    outcome = Outcome()
    for path in files:
        with outcome.noting(path):
            facts = _model_facts(path) if _is_model(path) else _file_facts(path)
            print(json.dumps({"file": str(path), **facts}) if as_json else _readable(path, facts))
            outcome.done += 1
    raise typer.Exit(outcome.exit_code())


def strip(inputs: Inputs, out: Out = None, force: Force = False, skip_existing: Skip = False) -> None:
    """Cut files down to their semantic layer: still analysable, and still a (base) picture."""
    from lgc.bitstream import container

    def is_whole(path: Path) -> bool:
        return _is_coded(path) and not _is_base_only(path)

    outcome = Outcome()
    items = outcome.still_to_do(plan(inputs, out, ".base.lgc", is_whole, outcome), force, skip_existing)
    with outcome.kept_of(len(items), force):
        for item in items:
            with outcome.noting(item.source):
                write_bytes(item.target, container.strip(_read_coded(item.source)), force)
                outcome.done += 1
    raise typer.Exit(outcome.exit_code())


def find_model(model: Path | None) -> Path:
    """The model named, or that of the pipeline in the working directory."""
    if model is not None:
        return model
    candidates = [Path("outputs") / stage / "model.safetensors" for stage in PIPELINE_MODELS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ModelError("no model: pass --model FILE, set LGC_MODEL, or train one in this folder (make repro)")


def _source(given: str) -> Source:
    return given if is_remote(given) else Path(given)


def _is_coded(path: Path) -> bool:
    return path.suffix.lower() == ".lgc"


def _is_base_only(path: Path) -> bool:
    """By size and header; a file that cannot be read, or is damaged, is told of where it is to be cut."""
    from lgc.bitstream import container

    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        header, offset = container.parse_header(read_bytes(path, container.LONGEST_HEADER))
        return path.stat().st_size == offset + header.semantic_length
    except (LgcError, OSError):
        return False


def _size(path: Source) -> int | None:
    """In bytes; None of what has none, as a pipe, or has gone meanwhile."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _is_model(path: Path) -> bool:
    """By its suffix, or as a safetensors file starts: with the length of the JSON that follows."""
    if path.suffix == ".safetensors" or not os.path.isfile(path):
        return path.suffix == ".safetensors"
    return read_bytes(path, 9)[4:] == bytes(4) + b"{"


def _read_coded(path: Source) -> bytes:
    """A whole .lgc file, or one line when it is longer than any."""
    from lgc.bitstream.container import LONGEST_HEADER, MAX_PAYLOAD

    most = LONGEST_HEADER + 2 * MAX_PAYLOAD
    data = read_bytes(path, most + 1)
    if len(data) > most:
        raise BitstreamError(f"{path}: is longer than {most} bytes, which no .lgc file is")
    return data


def _read_picture(path: Path) -> np.ndarray:
    """uint8 RGB (H, W, 3); says so when the file has more than this one picture."""
    from lgc import images

    picture = images.read(path, plugins=True)
    if (count := images.count_frames(path)) > 1:
        print(f"note: {path}: the first of its {count} frames or pages is taken", file=sys.stderr)
    return picture


def _load(model: Path | None, device: str) -> LayeredCodec:
    import torch

    import lgc
    from lgc.launch.cores import cores

    torch.set_num_threads(min(torch.get_num_threads(), cores()))  # of its own accord, torch sees no container's quota
    return lgc.load(find_model(model), device)


def _batches(items: Sequence[Item], load: Callable[[Any], Any], outcome: Outcome) -> Iterator[list[tuple[Item, Any]]]:
    """Inputs that could be read, a batch at a time; large pictures come in smaller batches.

    A batch is emptied before the next is read.
    """
    batch: list[tuple[Item, Any]] = []
    pixels = 0
    for item in items:
        with outcome.noting(item.source):
            data = load(item.source)
            batch.append((item, data))
            pixels += _pixels(data)
            del data
        if len(batch) == BATCH_SIZE or pixels >= BATCH_PIXELS:
            yield batch
            batch.clear()
            pixels = 0
    if batch:
        yield batch


def _pixels(data: Any) -> int:
    """Of a picture, or of what a .lgc file says that it decodes to; no fewer than the bytes that it takes itself."""
    from lgc.bitstream.container import parse_header

    if not isinstance(data, bytes):
        return int(data.shape[0] * data.shape[1])
    try:
        header, _ = parse_header(data)
    except BitstreamError:  # to be told where it is decoded
        return len(data)
    return max(len(data), header.width * header.height)


def _run(
    batch: Sequence[tuple[Item, Any]], action: Callable[[list[Any]], list[Any]], outcome: Outcome
) -> Iterator[tuple[Item, Any, Any]]:
    """Inputs and results of a batch; when one of several spoils it, or all need too much memory, of each alone."""
    if len(batch) > 1:
        try:
            results = _in_memory(action, [data for _, data in batch])
        except LgcError:
            pass
        else:
            yield from ((item, data, result) for (item, data), result in zip(batch, results, strict=True))
            return
    for item, data in batch:
        with outcome.noting(item.source):
            yield item, data, _in_memory(action, [data])[0]


def _in_memory(action: Callable[[list[Any]], list[Any]], inputs: list[Any]) -> list[Any]:
    """:class:`LgcError` where memory runs out: another input may need less of it."""
    import torch

    try:
        return action(inputs)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise LgcError(f"not enough memory ({first_line(error)})") from error
        raise


def _write_analysis(item: Item, analysis: Analysis, layers: str, force: bool, skip_existing: bool) -> None:
    """The mask, then the report: with ``skip_existing``, a mask without one is what an interrupt left."""
    import numpy as np

    from lgc import images
    from lgc.data.labels import CLASSES
    from lgc.data.palette import PALETTE, colour_mask

    report: dict[str, Any] = {
        "file": without_secrets(item.source) if isinstance(item.source, str) else item.source.name,
        "layers": layers,
    }
    if analysis.attributes is not None:
        report["attributes"] = {name: round(value, 4) for name, value in analysis.attributes.items()}
    if analysis.pose is not None:
        report["pose_degrees"] = {name: round(value, 2) for name, value in analysis.pose.items()}
    if analysis.mask is not None:
        counts = np.bincount(analysis.mask.ravel(), minlength=len(CLASSES))
        shares = [float(count / analysis.mask.size) for count in counts]
        report["class_share"] = {name: round(s, 5) for name, s in zip(CLASSES, shares, strict=True) if s}
        colours = {name: "#" + PALETTE[index].tobytes().hex() for index, name in enumerate(CLASSES)}
        report["class_colour"] = {name: colours[name] for name in report["class_share"]}
        picture = item.target.with_suffix(".mask.png")
        check_writable(picture, force or skip_existing)
        make_folder_of(picture)
        images.write(picture, colour_mask(analysis.mask))
    write_bytes(item.target, (json.dumps(report, indent=2) + "\n").encode(), force)


def _file_facts(path: Path) -> dict[str, Any]:
    from lgc.bitstream import container

    data = _read_coded(path)
    parsed = container.parse(data)
    header, pixels = parsed.header, parsed.header.width * parsed.header.height
    reconstruction = len(parsed.reconstruction or b"")
    return {
        "width": header.width,
        "height": header.height,
        "model": header.model_id.hex(),
        "bytes": len(data),
        "bits_per_pixel": round(8 * len(data) / pixels, 4),
        "header_bytes": len(header.to_bytes()),
        "semantic_bytes": len(parsed.semantic),
        "reconstruction_bytes": reconstruction,
        "base_only": not reconstruction,
    }


def _model_facts(path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from lgc.bitstream.model_file import read_info

    info, model_id = read_info(path)
    return {"model": model_id.hex(), "bytes": path.stat().st_size, **asdict(info)}


def _readable(path: Path, facts: Mapping[str, Any]) -> str:
    if "architecture" in facts:
        return f"{path}\n{json.dumps(facts, indent=2)}"
    layers = "base only" if facts["base_only"] else f"reconstruction {facts['reconstruction_bytes']} bytes"
    return (
        f"{path}: {facts['width']} x {facts['height']}, model {facts['model']}, {facts['bytes']} bytes = "
        f"{facts['bits_per_pixel']} bits per pixel (header {facts['header_bytes']}, "
        f"semantic {facts['semantic_bytes']} bytes, {layers})"
    )
