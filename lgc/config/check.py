"""Values of the right type that no run can use."""

from __future__ import annotations

from collections.abc import Iterator

from lgc.baselines import NAMES as BASELINES
from lgc.baselines import NETWORKS
from lgc.config.schema import Config
from lgc.errors import ConfigError
from lgc.images import MAX_SIDE
from lgc.metrics import NAMES as METRICS
from lgc.models.analysis import HEADS
from lgc.models.transforms import STRIDE
from lgc.training.trainer import Settings


def check_values(config: Config) -> None:
    """Raise :class:`ConfigError` for the first value that cannot work, naming key, value and what would do."""
    for key, good, value, needed in _rules(config):
        if not good:
            raise ConfigError(f"configuration: {key} = {value!r}; it must be {needed}")


def _rules(config: Config) -> Iterator[tuple[str, bool, object, str]]:
    """(key, whether it is fine, value, what is needed)."""
    data, model = config.data, config.model
    side = data.image_size
    fits = STRIDE <= side <= MAX_SIDE and side % STRIDE == 0
    yield "data.image_size", fits, side, f"a multiple of {STRIDE} up to {MAX_SIDE}"
    yield "data.mask_size", 1 <= data.mask_size <= MAX_SIDE, data.mask_size, f"1 to {MAX_SIDE}"
    yield "data.limit", data.limit is None or data.limit > 0, data.limit, "null or at least 1"
    heads = model.analyzer.heads
    yield "model.analyzer.heads", bool(heads) and set(heads) <= set(HEADS), heads, f"some of {', '.join(HEADS)}"
    channels = [*model.widths.channels, *model.reference.widths.channels, model.discriminator_width]
    channels += [model.semantic.channels, model.reconstruction.channels]
    channels += [model.analyzer.channels, model.reference.channels]
    yield "model", min(channels) > 0, channels, "made of channel numbers above 0"
    for key, settings in _settings(config):
        yield f"{key}.samples", settings.samples > 0, settings.samples, "above 0"
        yield f"{key}.batch_size", settings.batch_size > 0, settings.batch_size, "above 0"
    for key, training in (("train_codec", config.train_codec), ("finetune_joint.codec", config.finetune_joint.codec)):
        for name, value in vars(training.guards).items():
            yield f"{key}.guards.{name}", value >= 0, value, "at least 0"
    amounts = {
        "model.widths.depth": model.widths.depth,
        "model.analyzer.depth": model.analyzer.depth,
        "model.reference.widths.depth": model.reference.widths.depth,
        "model.reference.depth": model.reference.depth,
        "train_reference.weight_decay": config.train_reference.weight_decay,
        "train_analysis.weight_decay": config.train_analysis.weight_decay,
        "finetune_joint.analyzer_weight_decay": config.finetune_joint.analyzer_weight_decay,
    }
    for key, amount in amounts.items():
        yield key, amount >= 0, amount, "at least 0"
    rates = config.train_reference.learning_rates
    taught = config.train_reference.task_weights.taught
    yield "train_reference.task_weights.taught", not taught, taught, "0: the reference is the teacher"
    yield "train_reference.learning_rates", bool(rates) and min(rates) > 0, rates, "one or more numbers above 0"
    for name, qualities in config.evaluate.baselines.items():
        yield f"evaluate.baselines.{name}", name in BASELINES, qualities, f"under one of {', '.join(BASELINES)}"
        yield f"evaluate.baselines.{name}", bool(qualities), qualities, "one or more quality settings"
    for name in config.evaluate.models:
        yield f"evaluate.models.{name}", _is_plain(name), name, "named with letters, digits and underscores"
    left_out = config.evaluate.leave_out
    yield "evaluate.leave_out", set(left_out) <= set(heads), left_out, f"some of the heads {', '.join(heads)}"
    yield "evaluate.leave_out", not left_out or len(heads) > 1, left_out, "empty where the model has one head only"
    for name in config.rates:
        good = _is_plain(name) and name != "base"
        yield f"rates.{name}", good, name, "named with letters, digits and underscores, and not base"
    networks, lambdas = config.train_baseline.networks, config.train_baseline.qualities
    yield "train_baseline.networks", set(networks) <= set(NETWORKS), networks, f"made of {', '.join(NETWORKS)}"
    if networks:
        yield "train_baseline.qualities", bool(lambdas) and min(lambdas) > 0, lambdas, "one or more numbers above 0"
        yield "train_baseline.qualities", len(set(lambdas)) == len(lambdas) <= 256, lambdas, "different numbers"
    unknown = [name for name in config.evaluate.metrics if name not in METRICS]
    yield "evaluate.metrics", not unknown, unknown, f"made of {', '.join(METRICS)}"
    identity = config.evaluate.identity
    yield "evaluate.identity.size", identity.size > 0, identity.size, "above 0"
    yield "evaluate.identity.crop", 0 < identity.crop <= 1, identity.crop, "above 0, at most 1"
    yield "evaluate.identity.scale", identity.scale > 0, identity.scale, "above 0"
    yield "evaluate.sheet_images", config.evaluate.sheet_images > 0, config.evaluate.sheet_images, "at least 1"
    yield "evaluate.worst_images", config.evaluate.worst_images >= 0, config.evaluate.worst_images, "at least 0"
    yield "evaluate.bootstrap", config.evaluate.bootstrap > 0, config.evaluate.bootstrap, "above 0"
    for key, uri in (("runtime.storage", config.runtime.storage), ("tracking.artifacts", config.tracking.artifacts)):
        yield key, not (uri or "").startswith("s3://None"), uri, "on a bucket: add storage=s3 storage.bucket=NAME"
    slack = [name for name, criterion in config.release.rule.items() if criterion.tolerance < 0]
    yield "release.rule", bool(config.release.rule) and not slack, slack, "measures with tolerances from 0 up"
    far = (config.runtime.address or "").startswith("http")
    tracks = config.tracking.enabled and far and config.tracking.uri.startswith("sqlite:")
    yield "tracking.uri", not tracks, config.tracking.uri, "a server that the cluster reaches, as runtime.address is"
    beside = config.runtime.evaluate_workers
    yield "runtime.evaluate_workers", beside > 0, beside, "above 0"
    workers, fewest = config.runtime.workers, config.runtime.min_workers
    yield "runtime.workers", workers > 0, workers, "above 0"
    yield "runtime.min_workers", fewest is None or 0 < fewest <= workers, fewest, f"null or 1 to {workers}"


def _is_plain(name: str) -> bool:
    """Fit for a table, a folder and a key of measured values."""
    return name.replace("_", "").isalnum()


def _settings(config: Config) -> Iterator[tuple[str, Settings]]:
    yield "train_codec.settings", config.train_codec.settings
    yield "train_reference.settings", config.train_reference.settings
    yield "train_analysis.settings", config.train_analysis.settings
    yield "finetune_joint.codec.settings", config.finetune_joint.codec.settings
    yield "train_baseline.settings", config.train_baseline.settings
