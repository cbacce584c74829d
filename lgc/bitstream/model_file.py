"""A trained model as one safetensors file: networks, integer networks, tables, analyzers, provenance."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import nn

from lgc.atomic import replacing_file
from lgc.bitstream.layer import LayerCoder
from lgc.entropy.coder import SymbolCoder
from lgc.entropy.exact import ExactNetwork, IntegerNetwork
from lgc.entropy.tables import TableSet
from lgc.errors import ModelError, first_line
from lgc.models.analysis import Analyzer, AnalyzerConfig
from lgc.models.blocks import channels_last
from lgc.models.latents import LatentLayer, LayerConfig
from lgc.models.layered import LAYERS, Architecture, LayeredCompressor
from lgc.models.readers import Layers, make_analyzer
from lgc.models.transforms import Widths
from lgc.models.unfilled import unfilled

Shape = TypeVar("Shape")

FORMAT: Final = 1
_FIRST_FIELDS: Final = frozenset(
    ("widths", "semantic", "reconstruction", "fusion", "channels", "depth", "hyper_channels", "steps", "hidden",
     "context_channels")
)  # fmt: skip
"""Of an architecture when the first models were made; see :func:`_counted`."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says of itself."""

    architecture: Architecture
    analyzer: AnalyzerConfig | None
    """None: the model compresses but does not analyse."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Provenance: data set, licence note, stage, metrics; anything JSON can hold."""


@dataclass(frozen=True)
class LayeredModel:
    """A loaded model, ready for :class:`lgc.bitstream.codec.LayeredCodec`."""

    info: ModelInfo
    model_id: bytes
    """4 bytes; stands in every file the model writes."""
    compressor: LayeredCompressor
    coders: Mapping[str, LayerCoder]
    """By layer name."""
    analyzers: Mapping[str, Analyzer]
    """By the layers they read: ``semantic``, ``both``; empty when the model has none."""
    device: torch.device
    sha256: str
    """Of every tensor in the file; two models with one id can differ in ``g_a`` and analyzers."""


def save_model(
    path: Path | str,
    info: ModelInfo,
    compressor: LayeredCompressor,
    tables: Mapping[str, np.ndarray],
    analyzers: Mapping[str, nn.Module],
) -> bytes:
    """Write a model file, whole or not at all; returns the model id.

    Args:
        path: where to; parents are made.
        info: what the file says of itself.
        compressor: trained networks; exact ones are stored as integers only.
        tables: arrays of :func:`lgc.entropy.tables.TableSet.arrays` under ``gaussian`` and, for layers that
            have a factorised part, ``<layer>.factorised`` with ``<layer>.medians`` beside it.
        analyzers: by the layers they read.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, value in compressor.state_dict().items():
        if ".predict." not in name and ".refine." not in name:
            tensors[f"net.{name}"] = value
    for layer_name in LAYERS:
        for network_name, network in _exact_networks(getattr(compressor, layer_name)).items():
            for number, conv in enumerate(network.layers):
                for key, value in conv.integers().items():  # type: ignore[operator]
                    tensors[f"exact.{layer_name}.{network_name}.{number}.{key}"] = value
    for name, array in tables.items():
        stored = array.astype(np.int32) if array.dtype == np.uint32 else array
        tensors[f"tables.{name}"] = torch.from_numpy(np.ascontiguousarray(stored))
    for analyzer_name, analyzer in analyzers.items():
        for name, value in analyzer.state_dict().items():
            tensors[f"analyzer.{analyzer_name}.{name}"] = value
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return _write(Path(path), info, tensors)


def rewrite_about(source: Path | str, target: Path | str, about: Mapping[str, Any]) -> bytes:
    """Write the model at ``source`` to ``target`` with another ``about``; networks, tables and id stay the same.

    Raises :class:`ModelError` when ``source`` is no whole model file or ``target`` cannot be written.
    """
    info = load_model(source).info  # a damaged model is not to be passed on
    return _write(Path(target), replace(info, about=about), _read_tensors(Path(source)))


def _write(path: Path, info: ModelInfo, tensors: dict[str, torch.Tensor]) -> bytes:
    """Write a model file, whole or not at all; returns the model id."""
    model_id = _model_id(info.architecture, tensors)
    said = {"format": FORMAT, "id": model_id.hex(), "sha256": _digest(tensors, "").hexdigest(), **asdict(info)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as partial:
            save_file(tensors, partial, {"lgc": json.dumps(said)})
    except (OSError, SafetensorError) as error:  # the latter e.g. on a full disk
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{path}: cannot be written ({reason})") from error
    return model_id


def read_info(path: Path | str) -> tuple[ModelInfo, bytes]:
    """What a model file says of itself, and its id, without loading any network."""
    with _open(Path(path)) as file:
        info, model_id, _ = _parse_metadata(Path(path), file.metadata())
    return info, model_id


def read_sha256(path: Path | str) -> str:
    """What a model file says of all its tensors together (:attr:`LayeredModel.sha256`); networks are not loaded.

    Tells models apart that share an id, as those with the same decoder do. Raises :class:`ModelError` when the file
    is missing or does not say.
    """
    with _open(Path(path)) as file:
        _, _, sha256 = _parse_metadata(Path(path), file.metadata())
    if sha256 is None:
        raise ModelError(f"{path}: says no SHA-256 of its tensors")
    return sha256


def load_model(path: Path | str, device: torch.device | str = "cpu") -> LayeredModel:
    """Load a model file; :class:`ModelError` when it is missing, damaged or from a newer lgc."""
    path, device = Path(path), torch.device(device)
    with _open(path) as file:
        info, model_id, declared = _parse_metadata(path, file.metadata())
    tensors = _read_tensors(path)
    try:
        content = _digest(tensors, "").hexdigest()
        if content != declared or _model_id(info.architecture, tensors) != model_id:
            raise ModelError(f"{path}: damaged, its content is not the model {model_id.hex()} it declares")
        with unfilled():
            compressor = LayeredCompressor(info.architecture)
        missing = compressor.load_state_dict(_under("net.", tensors), strict=False, assign=True)
        if [key for key in missing.missing_keys if ".predict." not in key and ".refine." not in key]:
            raise ModelError(f"{path}: lacks networks, e.g. {missing.missing_keys[0]}")
        gaussian = SymbolCoder(_table_set(tensors, "tables.gaussian"))
        coders = {name: _layer_coder(getattr(compressor, name), name, tensors, gaussian, device) for name in LAYERS}
        for name in LAYERS:  # only their integer form is real
            layer = getattr(compressor, name)
            layer.refine = nn.ModuleDict()
            layer.predict = None
        analyzers = {
            layers: _load_analyzer(info, layers, weights)
            for layers in get_args(Layers)
            if (weights := _under(f"analyzer.{layers}.", tensors))
        }
        for module in (compressor, *analyzers.values()):
            channels_last(module, device).eval().requires_grad_(False)
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{path}: no room on {device} ({first_line(error)}); choose another device") from error
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: not a usable model file ({error})") from error
    return LayeredModel(info, model_id, compressor, coders, analyzers, device, content)


def _open(path: Path) -> Any:
    if os.path.isdir(path):  # unlike Path's, these never raise
        raise ModelError(f"{path}: is a folder, not a model file; name the file in it")
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no such model file; train one (make repro) or name another")
    if not os.access(path, os.R_OK):  # safe_open would say that there is none
        raise ModelError(f"{path}: cannot be read (Permission denied)")
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not a model file ({error})") from error


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Copies: views of the file would change when somebody writes over it while the model is in use."""
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error


def _parse_metadata(path: Path, metadata: Mapping[str, str] | None) -> tuple[ModelInfo, bytes, str | None]:
    """What a file says of itself, its id, and the SHA-256 of its tensors, which it may not say."""
    try:
        raw = json.loads((metadata or {})["lgc"])
        if raw["format"] != FORMAT:
            raise ModelError(f"{path}: model format {raw['format']}, this lgc reads {FORMAT}; update lgc")
        shape = raw["architecture"]
        architecture = _read(
            Architecture,
            shape,
            widths=_read(Widths, shape["widths"], channels=tuple(shape["widths"]["channels"])),
            semantic=_read(LayerConfig, shape["semantic"]),
            reconstruction=_read(LayerConfig, shape["reconstruction"]),
        )
        analyzer = raw["analyzer"]
        if analyzer is not None:
            analyzer = _read(AnalyzerConfig, analyzer, heads=tuple(analyzer["heads"]))
        return ModelInfo(architecture, analyzer, raw["about"]), bytes.fromhex(raw["id"]), raw.get("sha256")
    except _UnknownField as error:
        raise ModelError(f"{path}: made by a newer lgc, this one does not know {error}; update lgc") from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: a safetensors file, but not an lgc model ({error!r})") from error


class _UnknownField(Exception):
    """A model file has a choice that this lgc does not offer."""


def _read(kind: type[Shape], said: Mapping[str, Any], **parts: Any) -> Shape:
    """A dataclass from what a file says of it; what an older file does not name has its default, as it was then."""
    if unknown := sorted(said.keys() - {one.name for one in fields(kind)}):  # type: ignore[arg-type]
        raise _UnknownField(f"{kind.__name__}'s {', '.join(unknown)}")
    return kind(**{**said, **parts})


def _model_id(architecture: Architecture, tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Of all that a decoder needs: architecture, integer networks, tables, and the weights of ``g_s``."""
    decoding = {name: v for name, v in tensors.items() if name.startswith(("exact.", "tables.", "net.g_s."))}
    return _digest(decoding, json.dumps(_counted(architecture), sort_keys=True)).digest()[:4]


def _counted(shape: Any) -> dict[str, Any]:
    """A shape as the id has it: a field added since counts only where it differs from its default.

    So models keep their ids, and the files they wrote stay readable, when a choice is added whose default is what
    there was before it.
    """
    return {
        one.name: _counted(value) if is_dataclass(value) else value
        for one in fields(shape)
        if (value := getattr(shape, one.name)) != one.default or one.name in _FIRST_FIELDS
    }


def _digest(tensors: Mapping[str, torch.Tensor], start: str) -> Any:
    """SHA-256 over names, types, shapes and values."""
    digest = hashlib.sha256(start.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().data)
    return digest


def _exact_networks(layer: LatentLayer) -> dict[str, ExactNetwork]:
    networks: dict[str, Any] = {f"refine{step}": network for step, network in layer.refine.items()}
    if layer.predict is not None:
        networks["predict"] = layer.predict
    return networks


def _layer_coder(
    layer: LatentLayer,
    name: str,
    tensors: Mapping[str, torch.Tensor],
    gaussian: SymbolCoder,
    device: torch.device,
) -> LayerCoder:
    def integer(network_name: str, network: ExactNetwork) -> IntegerNetwork:
        prefix = f"exact.{name}.{network_name}"
        layers = [
            {key: tensors[f"{prefix}.{number}.{key}"] for key in ("weight", "bias")}
            for number in range(len(network.layers))
        ]
        for stored, conv in zip(layers, network.layers, strict=True):
            if stored["weight"].shape != conv.weight.shape:
                raise ValueError(f"{prefix} has the wrong shape")
        return IntegerNetwork(layers, device)

    networks = {key: integer(key, network) for key, network in _exact_networks(layer).items()}
    factorised = medians = None
    if f"tables.{name}.medians" in tensors:
        factorised = SymbolCoder(_table_set(tensors, f"tables.{name}.factorised"))
        medians = tensors[f"tables.{name}.medians"]
    return LayerCoder(
        layer,
        networks.get("predict"),
        {int(key.removeprefix("refine")): net for key, net in networks.items() if key != "predict"},
        gaussian,
        factorised,
        medians,
    )


def _table_set(tensors: Mapping[str, torch.Tensor], prefix: str) -> TableSet:
    arrays = {key: tensors[f"{prefix}.{key}"].numpy() for key in ("frequencies", "radius")}
    return TableSet(arrays["frequencies"].astype(np.uint32), arrays["radius"])


def _load_analyzer(info: ModelInfo, layers: Layers, weights: dict[str, torch.Tensor]) -> Analyzer:
    if info.analyzer is None:
        raise ValueError("it has analyzer weights but no analyzer configuration")
    with unfilled():
        analyzer = make_analyzer(info.architecture, info.analyzer, layers)
    analyzer.load_state_dict(weights, assign=True)
    return analyzer


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
