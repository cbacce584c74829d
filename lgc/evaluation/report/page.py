"""The page of an evaluation."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any, Final

import yaml

from lgc.errors import LgcError, without_secrets
from lgc.evaluation.intervals import Estimate
from lgc.evaluation.names import GALLERY
from lgc.evaluation.points import key_of
from lgc.evaluation.report.frame import card, fill, make_frame
from lgc.evaluation.report.paper import paper_tables
from lgc.evaluation.report.results import Results
from lgc.evaluation.report.tables import TASKS, Table, all_tables, number, verdicts
from lgc.metrics.base import CODED_BPP

PICTURE_BYTES: Final = 6_500_000
"""Most bytes of pictures on the page, which stays below 15 MB with base64, Plotly and the rest."""
_SCRIPTS: Final = ("common.js", "curves.js", "classes.js", "gallery.js")
_SECTIONS: Final = {
    "pictures": "Pictures", "worst": "Worst", "curves": "Curves", "classes": "Classes", "tables": "Tables",
    "paper": "Paper", "run": "Run",
}  # fmt: skip
_KINDS: Final = {
    "distortion": "Rate and distortion",
    "perception": "Rate and perception",
    "parsing": "Rate and analysis: masks",
    "attributes": "Rate and analysis: attributes and pose",
}
_DISTORTION: Final = ("psnr", "ssim", "ms_ssim", "ms_ssim_db", "vif")
_PARSING: Final = ("miou", "mean_f1", "pixel_accuracy")
_LOCAL_UI: Final = "http://127.0.0.1:5000"
"""Where ``make ui`` serves."""
_INTERVAL: Final = re.compile(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]")
_NO_ARROWS: Final = {ord("↑"): None, ord("↓"): None}
_SOURCES: Final = {
    "analysis": "what a machine gets from the file",
    "rgb": "RGB reference on decoded pictures",
}


def make_page(results: Results) -> str:
    """The whole page as HTML."""
    gallery, left_out = _gallery(results)
    data = {
        "main": results.main,
        "ours": list(results.details["ours"]),
        "kinds": _KINDS,
        "metrics": _axes(results),
        "points": _points(results),
        "classes": _classes(results),
        "gallery": gallery,
        "labels": {name: results.label(name) for name in results.picture_metrics},
    }
    measured, size = results.details["run"]["data"], results.gallery["size"]
    parts = {
        "verdict": _verdict(results),
        "tables": "".join(_table(table) for table in all_tables(results)),
        "paper": "".join(_table(table) for table in paper_tables(results)),
        "left_out": f"<p class=note>{left_out} more pictures are in outputs/evaluate/gallery.</p>"
        if left_out
        else "",
        "run": _run(results),
    }
    return make_frame(
        title=f"lgc on {measured['name']}",
        subtitle=f"{measured['measured']} pictures of the {measured['split']} split, {size} x {size} pixels",
        sections=_SECTIONS,
        cards=_cards(results),
        main=fill("report.html", parts),
        data=data,
        scripts=_SCRIPTS,
        library=_plotly(),
    )


def _plotly() -> str:
    """The charting library, as its package ships it."""
    try:
        return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    except ModuleNotFoundError:
        raise LgcError("the plotly package is not installed (pip install 'lgc[eval]')") from None


def _cards(results: Results) -> list[str]:
    """The headline: rate, analysis, speed. None rests on a metric that was trained on."""
    main, base = results.main, f"{results.main} base"
    pixels = results.gallery["size"] ** 2
    cards = []
    sizes = {key: found for key in (main, base) if (found := results.value(key, "bpp"))}
    saving = results.summary["bit_saving"][main]
    cards.append(
        card(
            f"{sizes[main].value * pixels / 8:.0f} bytes",
            f"a picture, {sizes[main].value:.3f} bpp; {sizes[base].value * pixels / 8:.0f} bytes for machines alone",
            f"{saving['semantic_layer_of_24bpp_percent']:.2f} % saved of 24 bpp",
        )
    )
    ratios = results.summary["against_reference"].get(f"{main} semantic", {})
    for task, name in (("miou", "mIoU"), ("attribute_detection", "attribute detection")):
        if task in ratios:
            found = Estimate(**ratios[task])
            own, reference = results.value(base, f"semantic.{task}"), results.value("original", f"rgb.{task}")
            cards.append(
                card(
                    f"{100 * found.value:.0f} %",
                    f"of the RGB reference's {name}, read from the semantic layer",
                    f"{number(own, task)} against {number(reference, task)} on originals",
                )
            )
    times = results.summary["timing_ms_batch_1"]
    if "analyze" in times:
        ours, theirs = times["analyze"]["median_ms"], times["decode_then_analyze"]["median_ms"]
        cards.append(
            card(
                f"{theirs / ours:.1f} x",
                "as fast to analyse as by decoding first",
                f"{ours:.1f} ms, not {theirs:.1f} ms",
            )
        )
    return cards


def _verdict(results: Results) -> str:
    """Where we win and lose against the nearest rate of each codec, as a table of marks."""
    found = verdicts(results)
    names = list(dict.fromkeys(name for verdict in found for name in verdict.marks))
    signs = {1: ("better", "▲"), 0: ("even", "·"), -1: ("worse", "▼")}
    head = "".join(
        f"<th scope=col>{escape(results.label(name).translate(_NO_ARROWS).strip())}</th>" for name in names
    )
    rows = []
    for verdict in found:
        cells = []
        for name in names:
            word, sign = signs[verdict.marks[name]] if name in verdict.marks else ("", "")
            cells.append(f'<td class="{word}"><span aria-label="{word}" role=img>{sign}</span></td>')
        part = "base only" if verdict.ours.endswith(" base") else "whole file"
        if rate := verdict.ours.removeprefix(results.main).removesuffix(" base").strip():
            part += f", {escape(rate)}"
        rows.append(
            f"<tr><th scope=row>{part} / {escape(verdict.other)}</th><td>{verdict.bits_percent:+.0f} %</td>"
            + "".join(cells)
            + "</tr>"
        )
    return (
        "<div class=scroll tabindex=0 role=region aria-label='Better or worse'><table class=marks><thead><tr>"
        f"<th scope=col>ours / theirs</th><th scope=col>our bits</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in table.columns)
    body = "".join(
        f'<tr data-codec="{escape(row[0].split(" ")[0])}"><th scope=row>{escape(row[0])}</th>'
        + "".join(f"<td>{_cell(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    note = f"<p class=note>{escape(table.note)}</p>" if table.note else ""
    opened = " open" if table.name in ("codecs", "paired", "absent") or table.name.startswith("paper") else ""
    return (
        f'<details class=table id="{table.name}"{opened}><summary>{escape(table.title)}</summary>'
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(table.title)}"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>{note}</details>"
    )


def _cell(text: str) -> str:
    """The interval, if any, small and below the value."""
    found = _INTERVAL.fullmatch(text)
    if found is None:
        return escape(text)
    value, low, high = found.groups()
    return f"{value}<small>{low} to {high}</small>"


def _axes(results: Results) -> list[dict[str, Any]]:
    """Metrics that the plot offers."""
    keys = [key_of(row) for row in results.rows if row["codec"] != "original"]
    axes = []
    names = [name for name in results.picture_metrics if name != CODED_BPP.name]
    names += [f"{source}.{task}" for source in _SOURCES for task in TASKS]
    for name in names:
        if any(results.value(key, name) for key in keys):
            source, _, metric = name.rpartition(".")
            info = results.metrics[metric]
            where = f", {_SOURCES[source]}" if source else ""
            axes.append(
                {
                    "id": name,
                    "label": results.label(name) + where,
                    "kind": _kind(source, metric),
                    "trained": (info.get("trained_on") or "") if not source else "",
                }
            )
    return axes


def _kind(source: str, metric: str) -> str:
    """Which chart a metric belongs to; a key of :data:`_KINDS`."""
    if source:
        return "parsing" if metric in _PARSING else "attributes"
    return "distortion" if metric in _DISTORTION else "perception"


def _points(results: Results) -> list[dict[str, Any]]:
    points = []
    names = ["bpp", *(axis["id"] for axis in _axes(results))]
    for row in results.rows:
        key = key_of(row)
        floor = results.summary["floors"].get(row["codec"], {})
        values = {name: _triple(found) for name in names if (found := results.value(key, name))}
        points.append(
            {
                "key": key,
                "codec": row["curve"],
                "about": _files(results, key) | dict(results.details["encoders"].get(key, {})),
                "floor": bool(floor.get("is_floor")) and floor.get("setting") == row["setting"],
                "values": values,
            }
        )
    return points


def _files(results: Results, key: str) -> dict[str, str]:
    """How many files a point stands for and their mean size; for ours, the model that wrote them."""
    found, rate = results.summary["codecs"][key], results.value(key, "bpp")
    about = {}
    if rate is not None:
        about["files"] = f"{found['images']}, {rate.value * results.gallery['size'] ** 2 / 8:.0f} bytes each (mean)"
    if origin := results.details["ours"].get(key.removesuffix(" base")):
        about["model"] = f"outputs/{'variants/' if '/' in origin else ''}{origin}/model.safetensors"
    return about


def _classes(results: Results) -> Mapping[str, Any]:
    """Per class, attribute and angle, for originals, ours, and the nearest baselines."""
    main, base = results.main, f"{results.main} base"
    wanted = ["original", main, base, *results.nearest(main)]
    return {
        key: {
            source: {
                group: {name: _triple(Estimate(**value)) for name, value in values.items()}
                for group, values in groups.items()
            }
            for source, groups in results.details["classes"][key].items()
        }
        for key in dict.fromkeys(wanted)
    }


def _triple(found: Estimate) -> list[float]:
    ends = (found.value if end is None else end for end in (found.value, found.low, found.high))
    return [float(f"{value:.5g}") for value in ends]


def _gallery(results: Results) -> tuple[Mapping[str, Any], int]:
    """The gallery with its pictures as data, and how many had to be left out."""
    pictures: list[Mapping[str, Any]] = []
    spent = 0
    listed: Sequence[Mapping[str, Any]] = results.gallery["pictures"]
    for picture in listed:
        files = [(results.folder / GALLERY / view["file"]).read_bytes() for view in picture["views"]]
        spent += sum(map(len, files))
        if spent > PICTURE_BYTES and pictures:
            break
        views = [
            {**view, "src": "data:image/webp;base64," + base64.b64encode(data).decode()}
            for view, data in zip(picture["views"], files, strict=True)
        ]
        pictures.append({**picture, "views": views})
    return {"size": results.gallery["size"], "pictures": pictures}, len(listed) - len(pictures)


def _run(results: Results) -> str:
    """Configuration, data, models, where the MLflow runs are."""
    run = results.details["run"]
    blocks = [
        ("Data manifest", run["data"]), ("Models (ids stand in every file)", run["models"]),
        ("Environment", run["environment"]), ("Configuration", run["configuration"]),
    ]  # fmt: skip
    return _mlflow(run.get("mlflow")) + "".join(
        f"<details><summary>{escape(title)}</summary><pre>{_yaml(content)}</pre></details>"
        for title, content in blocks
    )


def _mlflow(found: Mapping[str, Any] | None) -> str:
    """Links to the pipeline's run and its stages'; a local store is shown by ``make ui``."""
    if not found:
        return "<p>MLflow: tracking was off.</p>"
    store = without_secrets(found["uri"])  # the page is passed on
    served = store.startswith("http")
    base = store.rstrip("/") if served else _LOCAL_UI
    where = "" if served else f" These open while <code>make ui</code> runs; the store is {escape(store)}."
    runs = f"{base}/#/experiments/{found['experiment']}/runs"
    links = "".join(
        f'<li><a href="{escape(f"{runs}/{run_id}")}">{escape(stage)}</a></li>'
        for stage, run_id in found["runs"].items()
    )
    return f"<p>Runs in MLflow.{where}</p><ul class=runs>{links}</ul>"


def _yaml(content: Any) -> str:
    return escape(yaml.safe_dump(content, sort_keys=False))
