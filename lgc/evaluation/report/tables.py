"""Tables of the report, as text cells: what was measured, what it means, how codecs differ, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lgc.evaluation.information import ADDED
from lgc.evaluation.intervals import LEAST_PICTURES, Estimate
from lgc.evaluation.points import key_of
from lgc.evaluation.report.results import Results

TASKS: Final = (
    "miou", "mean_f1", "pixel_accuracy", "attribute_accuracy", "attribute_balanced_accuracy",
    "attribute_detection", "pose_error",
)  # fmt: skip
TRAINED_ON: Final = "† was also a training loss of our codec: no ground for a claim by itself."
_DECIMALS: Final = {"psnr": 2, "ms_ssim_db": 2, "pose_error": 2, "fid": 1}


@dataclass(frozen=True)
class Table:
    """Rows of text under a title. The first column names the row."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def number(interval: Estimate | None, metric: str = "", short: bool = False) -> str:
    """A value with its interval, e.g. ``23.10 [22.87, 23.31]``; empty where there is none."""
    if interval is None:
        return ""
    digits = _DECIMALS.get(metric.rpartition(".")[2], 3)
    text = f"{interval.value:.{digits}f}"
    if short or interval.low is None or interval.high is None:
        return text
    return f"{text} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def codecs(results: Results) -> Table:
    """Every codec at every setting."""
    columns = ["bpp", *results.picture_metrics, *(f"analysis.{task}" for task in TASKS)]
    keys = [key_of(row) for row in results.rows]
    shown = [name for name in columns if any(results.value(key, name) for key in keys)]
    rows = [[_marked(results, key), *(number(results.value(key, name), name) for name in shown)] for key in keys]
    return Table(
        "codecs",
        "Every codec at every setting",
        ["codec", *(results.label(name) for name in shown)],
        rows,
        f"Means over {results.details['run']['data']['measured']} pictures, 95 % bootstrap intervals over pictures. "
        f"Of fewer than {LEAST_PICTURES} there is no interval, here or below, and no verdict of better or worse, "
        "nor of a class or an attribute that fewer of them have, nor of a mean over classes where most draws of as "
        "many pictures lack one. "
        "Task columns: for our files, heads on the coded layers; for the others, the RGB reference on decoded "
        "pictures. (floor): the codec cannot spend less. Rate of coded data: files without their containers, most of "
        "a file at the lowest rates; what is compared at a rate is so at that of whole files. " + TRAINED_ON,
    )


def meanings(results: Results) -> Table:
    """What each metric says of itself."""
    rows = []
    for info in results.metrics.values():
        ends = [
            "-∞" if info["low"] is None else f"{info['low']:g}",
            "∞" if info["high"] is None else f"{info['high']:g}",
        ]
        mark = info.get("trained_on") or ""
        rows.append(
            [
                info["label"],
                info["unit"],
                f"{ends[0]} to {ends[1]}",
                info["better"],
                info["averaging"],
                info["source"],
                mark,
            ]
        )
    columns = ["metric", "unit", "range", "better", "averaging", "source", "trained on"]
    return Table("metrics", "What the numbers mean", columns, rows)


def absent(results: Results) -> Table:
    """What could not be measured, each reason once."""
    rows = [[name, reason] for name, reason in results.summary["absent"].items()]
    return Table("absent", "What is absent, and why", ["what", "why"], rows)


def deltas(results: Results) -> Table:
    """Bjontegaard deltas against every baseline."""
    rows = []
    for entry in results.details["deltas"]:
        rate, metric = entry["bd_rate_percent"], entry["bd_metric"]
        name = entry["metric"]
        rows.append(
            [
                entry["against"],
                entry["ours"],
                results.label(name),
                " / ".join(map(str, entry["points"])),
                _rate(rate, name),
                _rate(entry.get("bd_rate_coded_percent", {"refused": ""}), name),
                metric.get("refused")
                or f"{_by_chance(metric, 3)} over {metric['low']:.3f} to {metric['high']:.3f} bpp",
            ]
        )
    several = len({entry["ours"] for entry in results.details["deltas"]}) > 1
    curve = (
        "Our curves are the whole and the base-only files of several models, one a rate."
        if several
        else "Our curve is the base-only and the whole file of one model: two points, so read these as averages of "
        "two comparisons."
    )
    return Table(
        "deltas",
        "Bjontegaard deltas of our curve",
        ["against", "ours", "metric", "points, ours / theirs", "BD-rate", "BD-rate of coded data", "BD-metric"],
        rows,
        f"{curve} BD-rate below 0: we need fewer bits. It counts whole files; of coded data, what is left of either "
        "without its container. BD-metric is over rates of whole files. Refused where the curves share no interval. "
        f"In brackets 95 % intervals by pictures drawn; absent where a round in twenty gives no delta. {TRAINED_ON}",
    )


def _rate(delta: Mapping[str, Any], metric: str) -> str:
    return delta["refused"] if "refused" in delta else f"{_by_chance(delta, 1)} % over {_span(delta, metric)}"


def paired(results: Results) -> Table:
    """Differences to the nearest rate of every baseline, on the same pictures."""
    names = [*results.picture_metrics, *(f"analysis.{task}" for task in TASKS)]
    names = [name for name in names if any(_difference(entry, name) for entry in results.details["paired"])]
    rows = []
    for entry in results.details["paired"]:
        cells = [number(_difference(entry, name), name) for name in names]
        rows.append([f"{entry['ours']} - {entry['other']}", f"{entry['relative_rate_percent']:+.0f} %", *cells])
    return Table(
        "paired",
        "Ours minus each codec at its nearest rate",
        ["difference", "our bits", *(results.label(name) for name in names)],
        rows,
        "Paired over the same pictures, 95 % bootstrap intervals; an interval without 0 is beyond chance. Tasks are "
        "read from either file by heads of its own model, or from the decoded picture by the RGB reference where the "
        f"codec has none. {TRAINED_ON}",
    )


def _difference(entry: Mapping[str, Any], metric: str) -> Estimate | None:
    source, _, name = metric.rpartition(".")
    found = entry.get("tasks_analysis", {}).get(name) if source else entry.get(name)
    return Estimate(**found) if found else None


@dataclass(frozen=True)
class Verdict:
    """One of our files against one baseline setting at the nearest rate."""

    ours: str
    other: str
    bits_percent: float
    """What we spend more (below 0: less)."""
    marks: Mapping[str, int]
    """By metric: 1 we are better, -1 worse, beyond chance; 0 neither."""


def verdicts(results: Results) -> list[Verdict]:
    """Against every baseline, by every metric that both have."""
    names = [*results.picture_metrics, *(f"analysis.{task}" for task in TASKS)]
    found = []
    for entry in results.details["paired"]:
        marks = {}
        for name in names:
            value = _difference(entry, name)
            if value is None or value.low is None or value.high is None:
                continue
            sign = 1 if results.metrics[name.rpartition(".")[2]]["better"] == "higher" else -1
            marks[name] = sign * ((value.low > 0) - (value.high < 0))
        found.append(Verdict(entry["ours"], entry["other"], entry["relative_rate_percent"], marks))
    return found


def cost(results: Results) -> list[Table]:
    """Parameters by part; work, memory and time by path; bytes by part of a file."""
    found = results.summary["cost"]
    size = [["model file", f"{found['model_file_bytes'] / 1e6:.2f} MB"]]
    size += [[f"parameters: {part}", f"{count:,}"] for part, count in found["parameters"].items()]
    size.append(["parameters: RGB reference (not in the file)", f"{found['reference_parameters']:,}"])
    paths = []
    for name, price in found["paths"].items():
        time = results.summary["timing_ms_batch_1"].get(name)
        spread = "" if time is None else _spread(time)
        peak = price.get("peak_tensor_bytes")
        paths.append(
            [
                name.replace("_", " "),
                f"{price['macs'] / 1e6:.1f} M",
                f"{price['macs_per_pixel']:,.0f}",
                "" if peak is None else f"{peak / 1e6:.2f} MB",
                spread,
            ]
        )
    times = [
        [name, f"{ms['encode']:.1f}", f"{ms['decode']:.1f}"] for name, ms in results.details["baseline_ms"].items()
    ]
    account = results.summary["accounts"][results.main]
    machine = results.details["run"]["environment"]
    return [
        Table("size", "Size of the model", ["what", "how much"], size),
        Table(
            "paths",
            "Work for one picture",
            ["path", "MACs", "MACs a pixel", "peak memory of tensors", "ms, median [quartiles]"],
            paths,
            f"{results.gallery['size']} x {results.gallery['size']} pixels, batch 1, on {machine['machine']}, "
            f"GPU: {machine['gpu']}, torch {machine['torch']}. MACs by torch's flop counter; memory without weights.",
        ),
        Table(
            "baseline-times",
            "Time of the other codecs, ms",
            ["codec", "encode", "decode"],
            times,
            "Medians over the first pictures, one at a time, with no other codec at work.",
        ),
        Table(
            "bytes",
            "Where our bytes go, mean a picture",
            ["part", "amount"],
            [[name.replace("_", " "), f"{value:.2f}"] for name, value in account.items()],
        ),
    ]


def _spread(time: Mapping[str, float]) -> str:
    return f"{time['median_ms']:.1f} [{time['quartile_low_ms']:.1f}, {time['quartile_high_ms']:.1f}]"


def encoders(results: Results) -> Table:
    """Library and options of every baseline."""
    rows = []
    for key, about in results.details["encoders"].items():
        options = ", ".join(f"{name}={value}" for name, value in about.items() if name != "library")
        rows.append([key, about.get("library", ""), options])
    return Table("encoders", "Encoder settings", ["codec", "library", "options"], rows)


def information(results: Results) -> Table:
    """Usable information about each task and bits spent."""
    readers = {"rgb": "RGB reference on pixels", ADDED: "added by the reconstruction layer"}
    rows = []
    for row in results.details["information"]:
        usable = number(Estimate(**row["information"]))
        rows.append(
            [
                _marked(results, row["codec"]),
                readers.get(row["source"], f"our head on {row['source']}"),
                row["task"],
                f"{row['bits']:.0f}",
                f"{usable} {row['unit']}",
                "" if row["share"] is None else f"{100 * row['share']:.0f} %",
                "" if row["per_bit"] is None else f"{1000 * row['per_bit']:.3g}",
            ]
        )
    return Table(
        "information",
        "Usable information about masks, attributes and pose",
        ["codec", "read by", "task", "bits a picture", "usable", "of all there is", "usable per 1000 bits"],
        rows,
        "Predictive V-information (Xu et al., ICLR 2020): what the reader's answers are worth against the best "
        "without the file: class frequencies by place for masks, attribute frequencies, median angles (Laplace) for "
        "pose, which has no upper bound. A lower bound of what the file tells, for this reader; below 0 where the "
        "reader is surer than it is right.",
    )


def all_tables(results: Results) -> list[Table]:
    """In the order of the report; tables without rows are left out."""
    made = [
        codecs(results), paired(results), deltas(results), information(results), *cost(results),
        meanings(results), encoders(results), absent(results),
    ]  # fmt: skip
    return [table for table in made if table.rows]


def _by_chance(delta: Mapping[str, Any], digits: int) -> str:
    """A delta with the interval it has by which pictures were drawn."""
    text = f"{delta['value']:+.{digits}f}"
    if delta["chance"] is None:
        return text
    low, high = delta["chance"]
    return f"{text} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _span(delta: Mapping[str, float], metric: str) -> str:
    digits = _DECIMALS.get(metric.rpartition(".")[2], 3)
    share = f"{100 * delta['share']:.0f} % of both"
    return f"{delta['low']:.{digits}f} to {delta['high']:.{digits}f} ({share})"


def _marked(results: Results, key: str) -> str:
    """The name, with its floor told."""
    floor = results.summary["floors"].get(key.split(" ")[0])
    return f"{key} (floor)" if floor and floor["is_floor"] and key.endswith(f" {floor['setting']}") else key
