"""The tables of the paper, ours under the same heads.

Zhang, Jia, Chang, Ma, arXiv 2304.06896. Only the figure in its abstract is public in numbers that we can check; where
a table of the paper is not at hand its column says so, and nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lgc.evaluation.agnostic import GOAL
from lgc.evaluation.intervals import Estimate
from lgc.evaluation.report.results import Results
from lgc.evaluation.report.tables import TASKS, TRAINED_ON, Table, information, number
from lgc.evaluation.summary import RAW_BITS

PAPER_BPP: Final = 0.096
PAPER_SAVING_PERCENT: Final = 99.6
"""Of 24 bpp RGB; abstract of the paper."""
NOT_AT_HAND: Final = "paper: not at hand"
_ANNOTATIONS: Final = ("masks", "attributes", "pose")
"""What may be absent and has nothing to do with what pictures look like."""
_PERCEPTUAL: Final = ("fid", "kid", "dists", "lpips_alex", "lpips_vgg", "lpips_squeeze", "ms_ssim", "ssim", "psnr")


def paper_tables(results: Results) -> list[Table]:
    """Six tables, each there, or there with the reason why it is empty."""
    return [
        _perceptual(results), _analysis(results), _joint(results), _size(results), *_fidelity(results),
        _agnostic(results),
    ]  # fmt: skip


def _perceptual(results: Results) -> Table:
    ours = [results.main, *(name for name, origin in results.details["ours"].items() if origin.startswith("rates/"))]
    files = [f"{name}{part}" for part in (" base", "") for name in ours]
    floors = [f"{name} {floor['setting']}" for name, floor in results.summary["floors"].items()]
    keys = list(dict.fromkeys([*files, *(key for name in files for key in results.nearest(name)), *floors]))
    shown = [name for name in _PERCEPTUAL if any(results.value(key, name) for key in keys)]
    missing = [name for name in ("fid", "dists") if name not in shown]
    rows = [
        [key, number(results.value(key, "bpp")), *(number(results.value(key, n), n) for n in shown)] for key in keys
    ]
    rows.append([NOT_AT_HAND, *[""] * (len(shown) + 1)])
    absent = {name: why for name, why in results.summary["absent"].items() if name not in _ANNOTATIONS}
    reasons = "; ".join(f"{name}: {why}" for name, why in absent.items())
    return Table(
        "paper-1",
        "1. Perceptual quality at extreme rates",
        ["codec", "bpp ↓", *(results.label(name) for name in shown)],
        rows,
        " ".join(
            [
                "Baselines at the setting nearest to our rates and at their lowest.",
                f"Not measured: {', '.join(missing)}." if missing else "",
                f"Absent: {reasons}." if reasons else "",
                TRAINED_ON,
            ]
        ),
    )


def _analysis(results: Results) -> Table:
    main, base = results.main, f"{results.main} base"
    readers = [("RGB reference, originals", "original", "rgb")]
    readers += [(f"RGB reference, decoded {key}", key, "rgb") for key in [*results.nearest(main), main, base]]
    readers += [("our heads, both layers", main, "both"), ("our heads, semantic layer", base, "semantic")]
    shown = [task for task in TASKS if any(results.value(key, f"{s}.{task}") for _, key, s in readers)]
    rows = []
    for label, key, source in readers:
        bpp = results.value(key, "bpp")
        if bpp is None or not any(results.value(key, f"{source}.{task}") for task in shown):
            continue
        saving = f"{100 * (1 - bpp.value / RAW_BITS):.2f} %"
        cells = [number(results.value(key, f"{source}.{task}"), task) for task in shown]
        rows.append([label, number(bpp, short=True), saving, *cells])
    paper = ['paper, abstract: "comparable" to RGB', f"{PAPER_BPP}", f"{PAPER_SAVING_PERCENT} %"]
    rows.append(paper + ["not at hand"] * len(shown))
    return Table(
        "paper-2",
        "2. Analysis from compressed features against RGB",
        ["read by, from", "bpp ↓", "saved of 24 bpp", *(results.label(f"rgb.{task}") for task in shown)],
        rows,
        "Bit saving is against 24 bpp RGB.",
    )


def _joint(results: Results) -> Table:
    ours = _alike(results)
    names = ["bpp", *results.picture_metrics]
    rows = []
    for part, source in (("", "both"), (" base", "semantic")):
        shown = [*names, *(f"{source}.{task}" for task in TASKS)]
        for name in shown:
            cells = [number(results.value(key + part, name), name, short=True) for key in ours]
            if any(cells):
                rows.append(
                    [
                        f"{'base only' if part else 'whole file'}: {results.label(name)}",
                        *cells,
                        _gain(results, part, name),
                    ]
                )
    return Table(
        "paper-3",
        "3. Separate against joint training",
        ["measure", *ours, f"{ours[0]} - {ours[1]}" if len(ours) > 1 else ""],
        rows,
        "joint: trained on together; separate: codec and analysis trained on for the same extra steps without "
        f"gradients between them; frozen: before either. Last column: paired, 95 % interval. {NOT_AT_HAND}. "
        + TRAINED_ON,
    )


def _alike(results: Results) -> list[str]:
    """Our codecs of one rate and all tasks, the main one first."""
    return [name for name, origin in results.details["ours"].items() if "/" not in origin]


def _gain(results: Results, part: str, metric: str) -> str:
    ours = _alike(results)
    found: Mapping[str, Any] = results.summary.get(f"{ours[0]}_minus_{ours[1]}", {}) if len(ours) > 1 else {}
    entry = found.get("base" if part else "full", {})
    source, _, name = metric.rpartition(".")
    value = entry.get(f"tasks_{source}", {}).get(name) if source else entry.get(name)
    return number(Estimate(**value), metric) if value else ""


def _size(results: Results) -> Table:
    cost, times = results.summary["cost"], results.summary["timing_ms_batch_1"]
    rows = [
        ["model file, MB", f"{cost['model_file_bytes'] / 1e6:.2f}", "not at hand"],
        ["parameters in all", f"{cost['parameters']['all']:,}", "not at hand"],
    ]
    for name, price in cost["paths"].items():
        rows.append([f"{name.replace('_', ' ')}: MACs a pixel", f"{price['macs_per_pixel']:,.0f}", "not at hand"])
        rows.append([f"{name.replace('_', ' ')}: ms", f"{times[name]['median_ms']:.1f}", "not at hand"])
    return Table("paper-4", "4. Model size and time", ["what", "ours", "paper"], rows)


def _fidelity(results: Results) -> list[Table]:
    keys = [key for key in results.summary["codecs"] if results.value(key, "vif")]
    rows = [[key, number(results.value(key, "bpp")), number(results.value(key, "vif"))] for key in keys]
    rows.append([NOT_AT_HAND if rows else "VIF was not measured", "", ""])
    vif = Table("paper-5a", "5a. Information fidelity (VIF)", ["codec", "bpp ↓", "VIF ↑"], rows)
    usable = information(results)
    return [vif, Table("paper-5b", f"5b. {usable.title}", usable.columns, usable.rows, usable.note)]


def _agnostic(results: Results) -> Table:
    rows = []
    for row in results.details["agnostic"]:
        name = row["metric"]
        rows.append(
            [
                row["task"],
                {"semantic": "semantic layer", "both": "both layers"}[row["source"]],
                results.label(f"{row['source']}.{name}"),
                *(f"{bpp:.3f}" for bpp in row["bpp"]),
                number(Estimate(row["new_head"]), name),
                number(Estimate(row["all_tasks"]), name),
                number(Estimate(**row["share"])) + ("" if row["reaches_goal"] else f", below {GOAL}"),
            ]
        )
    columns = ["left out", "read from", "metric", "bpp without", "bpp all tasks", "new head", "all tasks", "share"]
    note = (
        "A codec is trained jointly without the task and frozen; new heads for it are trained on the coded layers, "
        "for as many samples as the all-task heads. Share: new heads' result by the all-task one (for errors the "
        f"other way round), paired 95 % interval; the goal is {GOAL}. {NOT_AT_HAND}."
    )
    if not rows:
        columns, note = ["why there are no numbers"], ""
        rows = [["no task was left out: set evaluate.leave_out, e.g. to [attributes, parsing], and run the pipeline"]]
    return Table("paper-6", "6. Task-agnosticism, leaving one task out", columns, rows, note)
