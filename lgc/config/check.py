"""Values of the right type that no run can use."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from lgc.baselines import NETWORKS, QUALITIES
from lgc.config.ranges import range_rules
from lgc.config.schema import Config
from lgc.errors import ConfigError
from lgc.limits import MAX_SIDE
from lgc.metrics.choose import NAMES as METRICS
from lgc.models.analysis import HEADS
from lgc.models.transforms import STRIDE
from lgc.training.objectives import TaskWeights

SYNTHETIC: Final = "synthetic"
"""Name of the built-in data set, which is under CC0."""


def check_values(config: Config) -> None:
    """Raise :class:`ConfigError` for the first value that cannot work, naming key, value and what would do."""
    for key, good, value, needed in chain(range_rules(config), _rules(config)):
        if not good:
            raise ConfigError(f"configuration: {key} = {value!r}; it must be {needed}")


def _rules(config: Config) -> Iterator[tuple[str, bool, object, str]]:
    """(key, whether it is fine, value, what is needed)."""
    data, model = config.data, config.model
    side = data.image_size
    fits = 2 * STRIDE <= side <= MAX_SIDE and side % STRIDE == 0  # LPIPS sees nothing in 16 pixels
    yield "data.image_size", fits, side, f"a multiple of {STRIDE} from {2 * STRIDE} to {MAX_SIDE}"
    least = 3 * STRIDE  # AlexNet sees nothing in the 29 of 32 pixels that jitter leaves
    for key, net in _lpips_nets(config):
        yield "data.image_size", net != "alex" or side >= least, side, f"at least {least} where {key} is alex"
    ours = data.source is None or data.name != SYNTHETIC  # its licence would be written into models of other pictures
    needed = "another name where data.source is set; set data.name and data.licence, models carry both"
    yield "data.name", ours, data.name, needed
    drawn = data.synthetic.size
    yield (
        "data.synthetic.size",
        data.source is not None or drawn >= side,
        drawn,
        f"at least {side}, as data.image_size is",
    )
    shares = data.synthetic.splits
    yield "data.synthetic.splits", all(shares), shares, "above 0 each: every split needs pictures"
    yield "data.mask_size", 1 <= data.mask_size <= MAX_SIDE, data.mask_size, f"1 to {MAX_SIDE}"
    for key, widths in (("model", model.widths), ("model.reference", model.reference.widths)):
        yield f"{key}.widths.depth", widths.depth >= 1, widths.depth, "at least 1"
    heads = model.analyzer.heads
    yield "model.analyzer.heads", bool(heads) and set(heads) <= set(HEADS), heads, f"some of {', '.join(HEADS)}"
    rates = config.train_reference.learning_rates
    taught = config.train_reference.task_weights.taught
    yield "train_reference.task_weights.taught", not taught, taught, "0: the reference is the teacher"
    masks = config.train_reference.task_weights.parsing
    for key, pupil in (("train_analysis", config.train_analysis), ("finetune_joint", config.finetune_joint)):
        good = masks > 0 or not pupil.task_weights.taught or "parsing" not in heads
        needed = f"above 0 where {key}.task_weights.taught is, or noise is taught"
        yield "train_reference.task_weights.parsing", good, masks, needed
    yield "train_reference.learning_rates", bool(rates), rates, "one or more numbers above 0"
    different = len({f"{lr:g}" for lr in rates}) == len(rates)  # each names a network
    yield "train_reference.learning_rates", different, rates, "different numbers, to six digits"
    for name, qualities in config.evaluate.baselines.items():
        yield f"evaluate.baselines.{name}", name in QUALITIES, qualities, f"under one of {', '.join(QUALITIES)}"
        yield f"evaluate.baselines.{name}", bool(qualities), qualities, "one or more quality settings"
        known = QUALITIES[name]
        outside = [quality for quality in qualities if quality not in known]
        yield f"evaluate.baselines.{name}", not outside, outside, f"made of qualities from {known[0]} to {known[-1]}"
    for name in config.evaluate.models:
        yield f"evaluate.models.{name}", _is_plain(name), name, "named with letters, digits and underscores"
    left_out = config.evaluate.leave_out
    yield "evaluate.leave_out", set(left_out) <= set(heads), left_out, f"some of the heads {', '.join(heads)}"
    yield "evaluate.leave_out", not left_out or len(heads) > 1, left_out, "empty where the model has one head only"
    for key, weights, learnt in _task_weights(config):
        counted = weights.taught if "parsing" in learnt else 0.0  # masks can be learnt from the reference alone
        counted += sum(getattr(weights, head) for head in learnt)
        yield (
            f"{key}.task_weights",
            counted > 0,
            vars(weights),
            f"above 0 for {' or '.join(learnt)}, or nothing is learnt",
        )
    for name in config.rates:
        good = _is_plain(name) and name != "base"
        yield f"rates.{name}", good, name, "named with letters, digits and underscores, and not base"
    networks, lambdas = config.train_baseline.networks, config.train_baseline.qualities
    yield "train_baseline.networks", set(networks) <= set(NETWORKS), networks, f"made of {', '.join(NETWORKS)}"
    if networks:
        yield "train_baseline.qualities", bool(lambdas), lambdas, "one or more numbers above 0"
        yield "train_baseline.qualities", len(set(lambdas)) == len(lambdas) <= 256, lambdas, "different numbers"
    unknown = [name for name in config.evaluate.metrics if name not in METRICS]
    yield "evaluate.metrics", not unknown, unknown, f"made of {', '.join(METRICS)}"
    for key, uri in (("runtime.storage", config.runtime.storage), ("tracking.artifacts", config.tracking.artifacts)):
        yield key, not (uri or "").startswith("s3://None"), uri, "on a bucket: add storage=s3 storage.bucket=NAME"
    yield "release.rule", bool(config.release.rule), {}, "one or more measures with their tolerances"
    far = (config.runtime.address or "").startswith("http")
    tracks = config.tracking.enabled and far and config.tracking.uri.startswith("sqlite:")
    yield "tracking.uri", not tracks, config.tracking.uri, "a server that the cluster reaches, as runtime.address is"
    workers, fewest = config.runtime.workers, config.runtime.min_workers
    yield "runtime.min_workers", fewest is None or fewest <= workers, fewest, f"null or 1 to {workers}"
    for key, batch in _batches(config) if config.runtime.engine == "ray" else ():
        for count in range(fewest or workers, workers + 1):
            needed = f"shared by {count} workers; choose a multiple, or other runtime.workers"
            yield f"{key}.settings.batch_size", batch % count == 0, batch, needed


def _lpips_nets(config: Config) -> Iterator[tuple[str, str]]:
    """(key, network) of everything that looks with LPIPS."""
    yield "train_codec.perceptual.net", config.train_codec.perceptual.net
    yield "finetune_joint.codec.perceptual.net", config.finetune_joint.codec.perceptual.net
    yield "train_baseline.perceptual.net", config.train_baseline.perceptual.net
    yield "evaluate.lpips_net", config.evaluate.lpips_net


def _batches(config: Config) -> Iterator[tuple[str, int]]:
    """(key, size of a batch) of every training that the pipeline or a variant runs."""
    yield "train_codec", config.train_codec.settings.batch_size
    yield "train_reference", config.train_reference.settings.batch_size
    yield "train_analysis", config.train_analysis.settings.batch_size
    yield "finetune_joint.codec", config.finetune_joint.codec.settings.batch_size
    if config.train_baseline.networks:
        yield "train_baseline", config.train_baseline.settings.batch_size


def _is_plain(name: str) -> bool:
    """Fit for a table, a folder and a key of measured values."""
    return name.replace("_", "").isalnum()


def _task_weights(config: Config) -> Iterator[tuple[str, TaskWeights, tuple[str, ...]]]:
    """(stage, its task weights, heads that learn by them): of the pipeline, and with each task left out."""
    heads = config.model.analyzer.heads
    yield "train_reference", config.train_reference.task_weights, heads
    analysis, joint = config.train_analysis.task_weights, config.finetune_joint.task_weights
    kept = [tuple(head for head in heads if head != task) for task in config.evaluate.leave_out]
    for learnt in (heads, *kept):
        yield "train_analysis", analysis, learnt
        yield "finetune_joint", joint, learnt
    for task in config.evaluate.leave_out:  # read afterwards by a new head
        yield "train_analysis", analysis, (task,)
