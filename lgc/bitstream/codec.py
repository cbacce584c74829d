"""Pictures <-> ``.lgc`` bytes <-> analysis, with a trained model."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from os import PathLike
from typing import Any, Final, TypeAlias, TypeVar, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from lgc import images
from lgc.bitstream import container
from lgc.bitstream.layer import CodedLayer
from lgc.bitstream.model_file import LayeredModel
from lgc.data.labels import ATTRIBUTES, POSE
from lgc.entropy.coder import expect_check, longest_payload, stack_from_bytes
from lgc.entropy.exact import from_fixed
from lgc.errors import BitstreamError, ImageError, ModelError
from lgc.limits import BATCH_PIXELS, BATCH_SIZE, MAX_SIDE
from lgc.models.analysis import Analyzer, Features, Predictions
from lgc.models.readers import Layers
from lgc.models.tiling import tiled
from lgc.models.transforms import STRIDE

Method = TypeVar("Method", bound=Callable[..., Any])
T = TypeVar("T")
Picture: TypeAlias = Image.Image | np.ndarray | torch.Tensor
"""A Pillow picture, a uint8 array (H, W, 3) or (H, W), or a float tensor (3, H, W) in [0, 1]."""
Coded: TypeAlias = bytes | bytearray | memoryview
"""The content of a ``.lgc`` file."""
CHECK_BITS: Final = 32
_ROUNDING: Final = 1e-3
"""So far outside [0, 1] resampling or half precision may bring a picture; it is clipped."""
_PARSING_MARGIN: Final = 5
"""Cells around a place that its class depends on, beyond the trunk."""
_LAST_MARGIN: Final = 1
"""Cells around a place that its class depends on, beyond what a parsing head's last layer reads."""


@dataclass(frozen=True)
class Analysis:
    """What a machine reads from a file. A head that the model lacks leaves None."""

    mask: NDArray[np.uint8] | None
    """uint8 (H, W): class indices at the picture's size (:data:`lgc.data.labels.CLASSES`)."""
    attributes: Mapping[str, float] | None
    """Probability, 0 to 1, of each of the 40 attributes."""
    pose: Mapping[str, float] | None
    """yaw, pitch, roll in degrees."""


@dataclass(frozen=True)
class LayerAccount:
    """Where the bits of one layer went."""

    payload_bytes: int
    """As in the file, checksum included."""
    coded: CodedLayer

    @cached_property
    def ideal_bits(self) -> float:
        """Code length of the symbols under the tables; computed when asked for."""
        return self.coded.ideal_bits

    @cached_property
    def coded_bytes(self) -> int:
        """Of a stream without the checksum, which a decoder could still read; it is coded when asked for.

        That is 2 to 3 bytes more than the payload without 4: a coder that starts empty is not efficient at once.
        """
        return len(self.coded.to_bytes(check=None))

    @property
    def termination_bits(self) -> float:
        """What the coder adds beyond symbols and checksum: whole bytes, and finite precision."""
        return 8 * self.payload_bytes - CHECK_BITS - self.ideal_bits


@dataclass(frozen=True)
class Encoded:
    """A compressed picture and its account."""

    data: bytes
    header_bytes: int
    semantic: LayerAccount
    reconstruction: LayerAccount


@dataclass(frozen=True)
class _Group:
    """Pictures of one size, coded together."""

    places: list[int]
    width: int
    height: int

    @property
    def latent_size(self) -> tuple[int, int]:
        return -(-self.height // STRIDE), -(-self.width // STRIDE)


def _undisturbed(method: Method) -> Method:
    """A method that computes alike in whatever context a caller does: in full precision, without gradients."""

    @wraps(method)
    def wrapped(self: LayeredCodec, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad(), torch.autocast(self.model.device.type, enabled=False):
            return method(self, *args, **kwargs)

    return cast(Method, wrapped)


class LayeredCodec:
    """Compress, decompress and analyse with one model.

    Holds no state of a call: threads may share it, and processes that are started anew (``spawn``). A process forked
    after torch has computed with several threads waits for ever, here as in any network: fork before the first call,
    or let each process load the model.
    """

    def __init__(self, model: LayeredModel, batch_size: int = BATCH_SIZE, max_pixels: int = MAX_SIDE**2) -> None:
        """Wrap a loaded model.

        Args:
            model: from :func:`lgc.bitstream.model_file.load_model`.
            batch_size: at most so many pictures of one size are coded at once, with :data:`lgc.limits.BATCH_PIXELS`
                in all.
            max_pixels: files that declare more are refused before anything is allocated. A tiny file can
                declare 8192 x 8192 pixels and decode to them; a server that reads strangers' files may want less.
        """
        self.model = model
        self._max_pixels = max_pixels
        self._batch_size = batch_size

    @overload
    def compress(self, pictures: Picture) -> bytes: ...
    @overload
    def compress(self, pictures: Sequence[Picture]) -> list[bytes]: ...
    @_undisturbed
    def compress(self, pictures: Picture | Sequence[Picture]) -> bytes | list[bytes]:
        """Pictures -> ``.lgc`` bytes: one byte string for one picture, a list for several.

        Args:
            pictures: a Pillow picture, a uint8 array (H, W, 3) or (H, W), a float tensor (3, H, W) in
                [0, 1]; a sequence of these, of any sizes; or one tensor (B, 3, H, W). A type checker cannot
                tell that last one from a single picture: ``list(batch)`` says what it is.

        Raises:
            ImageError: a picture of a shape, type or range that is none of these, or larger than 8192 x 8192; of
                several it says which.
        """
        if _is_one_picture(pictures):
            (one,) = self._encoded([pictures])
            return one[1].data
        # of each picture its bytes alone are kept: its symbols take nearly as much as the picture
        return _in_order((place, encoded.data) for place, encoded in self._encoded(pictures))

    @overload
    def decompress(self, files: Coded, layers: Layers = "both") -> NDArray[np.uint8]: ...
    @overload
    def decompress(self, files: Sequence[Coded], layers: Layers = "both") -> list[NDArray[np.uint8]]: ...
    @_undisturbed
    def decompress(
        self, files: Coded | Sequence[Coded], layers: Layers = "both"
    ) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        """``.lgc`` bytes (one or a sequence) -> uint8 array (H, W, 3), or a list of them.

        A base-only file, or ``layers="semantic"``, gives the base picture.

        Raises:
            BitstreamError: a damaged file; of several it says which.
            ModelError: a file of another model.
            TypeError: no bytes, as the name of a file.
        """
        _check_layers(layers)
        if isinstance(files, Coded):
            return self.decompress([files], layers)[0]

        def decode(group: _Group, members: Sequence[container.Container]) -> torch.Tensor:
            return self._decode_group(group, members, layers)

        pictures: dict[int, NDArray[np.uint8]] = {}
        for group, decoded in self._decoded(files, decode):
            pixels = images.crop(decoded, group.height, group.width).permute(0, 2, 3, 1).cpu().numpy()
            for place, picture in zip(group.places, pixels, strict=True):
                # of its own: whoever keeps one would keep the whole batch
                pictures[place] = picture.copy() if len(pixels) > 1 else np.ascontiguousarray(picture)
        return _in_order(pictures.items())

    @overload
    def analyze(self, files: Coded, layers: Layers = "semantic") -> Analysis: ...
    @overload
    def analyze(self, files: Sequence[Coded], layers: Layers = "semantic") -> list[Analysis]: ...
    @_undisturbed
    def analyze(self, files: Coded | Sequence[Coded], layers: Layers = "semantic") -> Analysis | list[Analysis]:
        """``.lgc`` bytes (one or a sequence) -> :class:`Analysis`, or a list; no picture is decoded.

        ``layers="both"`` also reads the reconstruction layer. Only the bytes up to the end of the semantic
        layer are looked at otherwise, so files may be cut there.

        Raises:
            BitstreamError: a damaged file, or ``layers="both"`` on a base-only file; of several it says which.
            ModelError: a file of another model, or a model without an analyzer.
            TypeError: no bytes, as the name of a file.
        """
        _check_layers(layers)
        if isinstance(files, Coded):
            return self.analyze([files], layers)[0]
        results: dict[int, Analysis] = {}
        for group, features in self._features(files, layers):
            analyzer = self.model.analyzers[layers]
            pooled = analyzer.predict(features, [task for task in analyzer.tasks if task != "parsing"])
            masks = _masks(analyzer, features) if "parsing" in analyzer.tasks else None
            results.update(zip(group.places, _analyses(pooled, masks, group), strict=True))
        return _in_order(results.items())

    @_undisturbed
    def latents(self, data: Coded) -> dict[str, NDArray[np.int64]]:
        """Decoded latents of one file as integers in units of 1/256: int64 (C, h, w) for each layer it has.

        They are the same on every machine; nothing is painted. Both checksums are verified on the way.

        Raises:
            BitstreamError: a damaged file.
            ModelError: a file of another model.
        """
        (parsed,) = self._parse_all([data])
        (group,) = self._groups([(parsed.header.width, parsed.header.height)])
        y_s = self._decode_semantic(group, [parsed])
        found = {"semantic": y_s[0].cpu().numpy()}
        if parsed.reconstruction is not None:
            found["reconstruction"] = self._decode_reconstruction(group, [parsed], y_s)[0].cpu().numpy()
        return found

    @_undisturbed
    def predict(self, files: Sequence[Coded], layers: Layers = "semantic") -> Predictions:
        """As :meth:`analyze`, but the heads' raw outputs, for files of one size: logits (B, ...).

        Raises :class:`ValueError` when the files' pictures differ in size.
        """
        parts = list(self._features(files, layers))
        if len({(group.width, group.height) for group, _ in parts}) != 1:
            raise ValueError("predict takes files of one picture size")
        analyzer = self.model.analyzers[layers]
        features = tuple(torch.cat(level) for level in zip(*(features for _, features in parts), strict=True))
        return analyzer.predict(features, analyzer.tasks)

    def _features(self, files: Sequence[Coded], layers: Layers) -> Iterator[tuple[_Group, Features]]:
        """What the analyzer's heads read of files' decoded latents."""
        analyzer = self.model.analyzers.get(layers)
        if analyzer is None:
            raise ModelError(f"model {self.model.model_id.hex()} has no analyzer for the {layers} layer(s)")

        def read(group: _Group, members: Sequence[container.Container]) -> Features:
            y_s = self._decode_semantic(group, members)
            latents = from_fixed(y_s)
            if layers == "both":
                y_r = self._decode_reconstruction(group, members, y_s)
                latents = torch.cat([latents, from_fixed(y_r)], dim=1)
            return analyzer.features(latents)

        yield from self._decoded(files, read)

    def _decoded(
        self, files: Any, decode: Callable[[_Group, Sequence[container.Container]], T]
    ) -> Iterator[tuple[_Group, T]]:
        """What ``decode`` makes of files of one size at a time; an error says which of several files it is about."""
        parsed = self._parse_all(files)
        for group in self._groups([(p.header.width, p.header.height) for p in parsed]):
            members = [parsed[place] for place in group.places]
            try:
                result = decode(group, members)
            except BitstreamError as error:
                if len(members) == 1:
                    with _naming(f"file {group.places[0]}", of_several=len(parsed) > 1):
                        raise error from None
                for place, member in zip(group.places, members, strict=True):
                    with _naming(f"file {place}", of_several=True):
                        decode(replace(group, places=[place]), [member])
                raise
            yield group, result

    @_undisturbed
    def encode(self, pictures: Sequence[Picture] | np.ndarray | torch.Tensor) -> list[Encoded]:
        """As :meth:`compress`, with the account of each file: a list, also of one picture."""
        return _in_order(self._encoded([pictures] if _is_one_picture(pictures) else pictures))

    def _encoded(self, pictures: Any) -> Iterator[tuple[int, Encoded]]:
        """Files and their pictures' places, as they are done."""
        alone = hasattr(pictures, "__len__") and len(pictures) == 1
        arrays = []
        for number, picture in enumerate(pictures):  # one by one: each may be a file that is open until it is read
            with _naming(f"picture {number}", of_several=not alone):
                arrays.append(_as_pixels(picture))
        for group in self._groups([(a.shape[1], a.shape[0]) for a in arrays]):
            pixels = torch.from_numpy(np.stack([arrays[place] for place in group.places]))
            yield from zip(group.places, self._encode_group(group, pixels), strict=True)

    def _encode_group(self, group: _Group, pixels: torch.Tensor) -> Iterable[Encoded]:
        coders, g_a = self.model.coders, self.model.compressor.g_a
        padded = images.pad(pixels.to(self.model.device).permute(0, 3, 1, 2), STRIDE)
        # tiles become float one at a time: a large picture in float takes gigabytes
        y_s, y_r = tiled(
            lambda part: g_a(images.to_float(part.permute(0, 2, 3, 1))), [padded], STRIDE, 1, self._margin
        )
        semantic, y_s_hat, covered_s = coders["semantic"].encode(y_s.float(), None)
        reconstruction, _, covered_r = coders["reconstruction"].encode(
            y_r.float(), self.model.compressor.context(y_s_hat)
        )
        start = container.header_start(self.model.model_id, group.width, group.height)
        for layer_s, bytes_s, layer_r, bytes_r in zip(semantic, covered_s, reconstruction, covered_r, strict=True):
            payload_s = layer_s.to_bytes(zlib.crc32(start + bytes_s))
            payload_r = layer_r.to_bytes(zlib.crc32(start + payload_s + bytes_r))
            header = container.Header(self.model.model_id, group.width, group.height, len(payload_s))
            yield Encoded(
                data=container.Container(header, payload_s, payload_r).to_bytes(),
                header_bytes=len(header.to_bytes()),
                semantic=LayerAccount(len(payload_s), layer_s),
                reconstruction=LayerAccount(len(payload_r), layer_r),
            )

    def _decode_group(self, group: _Group, members: Sequence[container.Container], layers: Layers) -> torch.Tensor:
        y_s = self._decode_semantic(group, members)
        wanted = [m.reconstruction is not None and layers == "both" for m in members]
        full = torch.tensor(wanted, device="cpu")  # whatever the default is; it may differ from the model's
        parts = []
        if full.any():
            whole = [m for m, chosen in zip(members, wanted, strict=True) if chosen]
            parts.append((full, from_fixed(self._decode_reconstruction(group, whole, y_s[full]))))
        if not full.all():
            parts.append((~full, self._base_latent(y_s[~full])))
        y_r_hat = parts[0][1].new_empty((len(members), *parts[0][1].shape[1:]))
        for chosen, latents in parts:
            y_r_hat[chosen] = latents
        return self._paint(from_fixed(y_s), y_r_hat)

    def _paint(self, y_s_hat: torch.Tensor, y_r_hat: torch.Tensor) -> torch.Tensor:
        """uint8 (B, 3, 16 h, 16 w) from decoded latents (B, ., h, w)."""
        g_s = self.model.compressor.g_s
        pooled = g_s.style_of(y_s_hat) if g_s.fusion == "global" else None  # of the whole picture

        def paint(y_s: torch.Tensor, y_r: torch.Tensor) -> tuple[torch.Tensor]:
            x_hat = g_s.paint(g_s.style_of(y_s) if pooled is None else pooled, y_r)
            return (images.to_uint8(x_hat).permute(0, 3, 1, 2),)

        return tiled(paint, [y_s_hat, y_r_hat], 1, STRIDE, self._margin)[0]

    @property
    def _margin(self) -> int:
        return self.model.info.architecture.widths.margin

    def _decode_semantic(self, group: _Group, members: Sequence[container.Container]) -> torch.Tensor:
        where = "semantic layer"
        stacks = [self._stack("semantic", m.semantic, group) for m in members]
        y_s, covered = self.model.coders["semantic"].decode(stacks, None, *group.latent_size, self.model.device)
        for stack, member, decoded in zip(stacks, members, covered, strict=True):
            expect_check(stack, zlib.crc32(member.header.covered + decoded), where)
        return y_s

    def _decode_reconstruction(
        self, group: _Group, members: Sequence[container.Container], y_s: torch.Tensor
    ) -> torch.Tensor:
        where = "reconstruction layer"
        stacks = []
        for member in members:
            if member.reconstruction is None:
                raise BitstreamError(f"{where}: absent, the file is base-only")
            stacks.append(self._stack("reconstruction", member.reconstruction, group))
        y_r, covered = self.model.coders["reconstruction"].decode(
            stacks, self.model.compressor.context(y_s), *group.latent_size, self.model.device
        )
        for stack, member, decoded in zip(stacks, members, covered, strict=True):
            expect_check(stack, zlib.crc32(member.header.covered + member.semantic + decoded), where)
        return y_r

    def _stack(self, layer: str, payload: bytes, group: _Group) -> Any:
        """A decoder's stack, unless the payload holds more than a picture of the declared size can need."""
        longest = longest_payload(self.model.coders[layer].symbols(*group.latent_size))
        if len(payload) > longest:
            raise BitstreamError(
                f"{layer} layer: {len(payload)} bytes are more than the {longest} "
                f"that {group.width} x {group.height} pixels can need"
            )
        return stack_from_bytes(payload, f"{layer} layer")

    def _base_latent(self, y_s: torch.Tensor) -> torch.Tensor:
        base = self.model.coders["reconstruction"].base(y_s)
        return self.model.compressor.base_latent(from_fixed(y_s), None if base is None else from_fixed(base))

    def _parse_all(self, files: Any) -> list[container.Container]:
        several = isinstance(files, Iterable) and not isinstance(files, str) and not _is_stream(files)
        given = list(files) if several else [files]
        parsed = []
        for number, data in enumerate(given):
            with _naming(f"file {number}", of_several=len(given) > 1):
                parsed.append(self._parse(_as_bytes(data)))
        return parsed

    def _parse(self, data: bytes) -> container.Container:
        parsed = container.parse(data)
        if parsed.header.width * parsed.header.height > self._max_pixels:
            raise BitstreamError(
                f"offset 6: declares {parsed.header.width} x {parsed.header.height} pixels, "
                f"more than the limit of {self._max_pixels} set here"
            )
        if parsed.header.model_id != self.model.model_id:
            raise ModelError(
                f"written by model {parsed.header.model_id.hex()}, this is model {self.model.model_id.hex()}; "
                "read it with the one that wrote it"
            )
        return parsed

    def _groups(self, sizes: Sequence[tuple[int, int]]) -> Iterable[_Group]:
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, size in enumerate(sizes):
            by_size[size].append(place)
        for (width, height), places in by_size.items():
            count = max(1, min(self._batch_size, BATCH_PIXELS // (width * height)))
            for start in range(0, len(places), count):
                yield _Group(places[start : start + count], width, height)


def _check_layers(layers: str) -> None:
    if layers not in ("semantic", "both"):
        raise ValueError(f"layers must be semantic or both, not {layers!r}")


def _as_bytes(data: Any) -> bytes:
    if not isinstance(data, Coded):  # bytes() would take a number for a length
        kind = type(data).__name__
        raise TypeError(
            f"a .lgc file's content is wanted, as bytes, not {kind}; read it first: Path(...).read_bytes()"
        )
    return bytes(data)


def _is_stream(value: Any) -> bool:
    """Whether it is an open file, whose lines would otherwise be taken for several."""
    return hasattr(value, "read")


@contextmanager
def _naming(name: str, of_several: bool) -> Iterator[None]:
    """Say which of several an error is about."""
    try:
        yield
    except (BitstreamError, ImageError, ModelError) as error:
        if not of_several:
            raise
        raise type(error)(f"{name}: {error}") from error


def _is_one_picture(value: Any) -> bool:
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.ndim == 3 or (isinstance(value, np.ndarray) and value.ndim == 2)
    # names and open files are told what they are
    return isinstance(value, Image.Image | str | PathLike | bytes) or _is_stream(value)


def _as_pixels(picture: Any) -> np.ndarray:
    """Any accepted form of one picture -> uint8 (H, W, 3)."""
    if isinstance(picture, str | PathLike):
        raise ImageError("a picture is wanted, not the name of a file; read it first: PIL.Image.open(...)")
    if isinstance(picture, bytes) or _is_stream(picture):
        raise ImageError("a picture is wanted, not a file's content; read it first: PIL.Image.open(...)")
    if isinstance(picture, Image.Image):
        images.check_size(*picture.size)
        return images.from_pil(picture)
    if isinstance(picture, torch.Tensor):
        if picture.ndim != 3 or picture.shape[0] != 3 or not picture.is_floating_point():
            raise ImageError(
                f"a tensor must be float (3, H, W) in [0, 1], not {picture.dtype} {tuple(picture.shape)}"
            )
        images.check_size(picture.shape[2], picture.shape[1])
        if not bool(torch.isfinite(picture).all()):
            raise ImageError("a tensor with values that are not finite is no picture")
        low, high = (float(value) for value in picture.aminmax())
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise ImageError(
                f"a tensor must be float (3, H, W) in [0, 1]; this one goes from {low:.4g} to {high:.4g}"
            )
        picture = images.to_uint8(picture[None])[0].cpu().numpy()
    array = np.asarray(picture)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ImageError(f"an array must be uint8 (H, W, 3) or (H, W), not {array.dtype} {array.shape}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    images.check_size(array.shape[1], array.shape[0])
    return array


def _masks(analyzer: Analyzer, features: Features) -> np.ndarray:
    """Class indices uint8 (B, 16 h, 16 w) for features of which the first is (B, C, h, w)."""
    head = analyzer.mask_head

    def label(part: torch.Tensor) -> tuple[torch.Tensor]:
        logits = head.logits(part).float()
        logits = functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        return (logits.argmax(dim=1).to(torch.uint8),)

    if analyzer.is_local:
        (masks,) = tiled(
            lambda *part: label(head.before_last(*part)), features, analyzer.scales, STRIDE, _PARSING_MARGIN
        )
    else:  # what normalises sees all places; logits and classes are still made tile by tile
        scale = STRIDE // 2 // head.last.factor
        (masks,) = tiled(label, [head.before_last(*features)], scale, STRIDE, _LAST_MARGIN)
    return masks.cpu().numpy()


def _analyses(pooled: Predictions, masks: np.ndarray | None, group: _Group) -> Iterator[Analysis]:
    attributes = None if pooled.attributes is None else pooled.attributes.float().sigmoid().cpu().tolist()
    pose = None if pooled.pose is None else pooled.pose.float().cpu().tolist()
    for number in range(len(group.places)):
        yield Analysis(
            mask=None if masks is None else masks[number, : group.height, : group.width].copy(),
            attributes=None if attributes is None else dict(zip(ATTRIBUTES, attributes[number], strict=True)),
            pose=None if pose is None else dict(zip(POSE, pose[number], strict=True)),
        )


def _in_order(results: Iterable[tuple[int, T]]) -> list[T]:
    """What belongs to places 0, 1, ..., in their order."""
    found = dict(results)
    return [found[place] for place in range(len(found))]
