from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lgc.errors import LgcError
from lgc.evaluation.intervals import Estimate
from lgc.evaluation.points import key_of
from lgc.evaluation.report.markdown import to_markdown
from lgc.evaluation.report.paper import paper_tables
from lgc.evaluation.report.results import Results, read_results
from lgc.evaluation.report.tables import Table, all_tables, deltas, number, paired, verdicts


@pytest.fixture(scope="module")
def results(evaluated: Path) -> Results:
    return read_results(evaluated / "outputs" / "evaluate")


@pytest.fixture(scope="module")
def tables(results: Results) -> dict[str, Table]:
    return {table.name: table for table in [*all_tables(results), *paper_tables(results)]}


def test_rows_fit_their_heads(tables: dict[str, Table]) -> None:
    for table in tables.values():
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.name
        assert not [cell for row in table.rows for cell in row if "nan" in cell.lower().split()], table.name


def test_every_codec_at_every_setting(results: Results, tables: dict[str, Table]) -> None:
    table = tables["codecs"]
    names = [row[0] for row in table.rows]
    assert names[:5] == ["original", "joint", "joint base", "separate", "separate base"]
    assert names[5:7] == ["given", "given base"]
    assert names[7:] == ["jpeg 0 (floor)", "jpeg 50", "webp 10"]  # 10 is not the least that WebP can do
    assert table.columns[1:3] == ["rate (bits per pixel) ↓", "rate of coded data (bits per pixel) ↓"]
    for row, cells in zip(results.rows, table.rows, strict=True):
        assert cells[2] == number(results.value(key_of(row), "coded_bpp"))
    psnr = table.columns.index("PSNR (dB) ↑ †")
    assert table.rows[0][psnr] == ""  # an original has no distance from itself
    assert table.rows[1][psnr] == number(results.value("joint", "psnr"), "psnr")


def test_coded_data_is_less_than_a_file(results: Results) -> None:
    for row in results.rows:
        whole, coded = float(row["bpp"]), float(row["coded_bpp"])
        assert coded < whole or row["codec"] == "original"
        assert coded == pytest.approx(results.value(key_of(row), "coded_bpp").value)
    jpeg = {
        row["setting"]: float(row["bpp"]) - float(row["coded_bpp"]) for row in results.rows if row["codec"] == "jpeg"
    }
    assert jpeg == pytest.approx({"0": 8 * 18 / 1024, "50": 8 * 18 / 1024})
    headline = json.loads((results.folder / "headline.json").read_text())
    assert list(headline["joint"])[:2] == ["bpp", "coded_bpp"]


def test_what_was_trained_on_is_marked_wherever_it_appears(results: Results, tables: dict[str, Table]) -> None:
    heads = [column for table in tables.values() for column in table.columns if column.startswith("PSNR")]
    assert heads
    assert all("†" in head for head in heads)
    assert "†" not in results.label("ssim")
    (row,) = [row for row in tables["metrics"].rows if row[0] == "PSNR"]
    assert "training loss" in row[-1]


def test_absent_things_have_a_reason_and_no_column(tables: dict[str, Table]) -> None:
    assert tables["absent"].rows == [["avif", "this <b>test</b> has none"]]
    assert not [column for column in tables["paper-1"].columns if "FID" in column]
    assert "Not measured: fid, dists." in tables["paper-1"].note


def test_annotations_are_not_missed_among_metrics_of_pictures(results: Results) -> None:
    absent = {"DISTS": "no weights", "masks": "none", "attributes": "none", "pose": "none"}
    without = replace(results, summary={**results.summary, "absent": absent})
    assert "Absent: DISTS: no weights. " in paper_tables(without)[0].note


def test_deltas_are_numbers_or_reasons(tables: dict[str, Table]) -> None:
    rows = tables["deltas"].rows
    assert {row[0] for row in rows} == {"jpeg", "webp", "given"}
    assert all("1 point, 2 are needed" in " ".join(row) for row in rows if row[0] == "webp")
    assert all(row[5] and "not counted" not in row[5] for row in rows)


def test_deltas_show_what_chance_does(results: Results) -> None:
    rate = {"value": -12.34, "low": 20.0, "high": 22.0, "share": 0.5, "chance": [-14.01, -10.5]}
    metric = {"value": 0.5, "low": 0.1, "high": 0.2, "share": 0.4, "chance": None}
    entry = {"metric": "psnr", "ours": "joint", "against": "jpeg", "points": [2, 3]}
    entry |= {"bd_rate_percent": rate, "bd_metric": metric}
    changed = replace(results, details={**results.details, "deltas": [entry]})
    assert deltas(changed).rows[0][4:] == [
        "-12.3 [-14.0, -10.5] % over 20.00 to 22.00 (50 % of both)", "", "+0.500 over 0.100 to 0.200 bpp",
    ]  # fmt: skip
    entry["bd_rate_coded_percent"] = {**rate, "value": 3.0, "chance": None}  # results of before had none
    assert deltas(changed).rows[0][5] == "+3.0 % over 20.00 to 22.00 (50 % of both)"


def test_verdicts_follow_the_intervals(results: Results) -> None:
    found = {(v.ours, v.other): v for v in verdicts(results)}
    for entry in results.details["paired"]:
        marks = found[entry["ours"], entry["other"]].marks
        low, high = entry["psnr"]["low"], entry["psnr"]["high"]
        assert marks["psnr"] == (1 if low > 0 else -1 if high < 0 else 0)
        pose = entry["tasks_analysis"]["pose_error"]
        assert marks["analysis.pose_error"] == (-1 if pose["low"] > 0 else 1 if pose["high"] < 0 else 0)


def test_without_an_interval_there_is_no_verdict(results: Results, tables: dict[str, Table]) -> None:
    few = [{**entry, "psnr": {"value": 1.0, "low": None, "high": None}} for entry in results.details["paired"]]
    changed = replace(results, details={**results.details, "paired": few})
    assert all("psnr" not in verdict.marks and "ssim" in verdict.marks for verdict in verdicts(changed))
    table = paired(changed)
    assert {row[table.columns.index("PSNR (dB) ↑ †")] for row in table.rows} == {"1.00"}
    assert "Of fewer than 8 there is no interval" in tables["codecs"].note


def test_the_paper_is_quoted_only_where_it_is_public(tables: dict[str, Table]) -> None:
    assert [name for name in tables if name.startswith("paper")] == [
        "paper-1", "paper-2", "paper-3", "paper-4", "paper-5a", "paper-5b", "paper-6",
    ]  # fmt: skip
    quoted = tables["paper-2"].rows[-1]
    assert quoted[1:3] == ["0.096", "99.6 %"]
    assert set(quoted[3:]) == {"not at hand"}
    assert {row[-1] for row in tables["paper-4"].rows} == {"not at hand"}
    readers = [row[0] for row in tables["paper-2"].rows]
    assert readers[0] == "RGB reference, originals"
    assert readers[-3:-1] == ["our heads, both layers", "our heads, semantic layer"]
    assert list(tables["paper-3"].columns[1:]) == ["joint", "separate", "joint - separate"]


def test_numbers() -> None:
    assert number(None) == ""
    assert number(Estimate(23.104, 22.9, 23.5), "psnr") == "23.10 [22.90, 23.50]"
    assert number(Estimate(0.5)) == "0.500"
    assert number(Estimate(0.5, 0.4, 0.6), short=True) == "0.500"


def test_markdown() -> None:
    text = to_markdown(Table("t", "Title", ["a", "b|c"], [["x", "1\n2"]], "note"))
    assert text == "### Title\n\n| a | b\\|c |\n|---|---:|\n| x | 1 2 |\n\nnote\n"


def test_missing_results_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LgcError, match=r"metrics\.json: missing; run the evaluate stage"):
        read_results(tmp_path)
    for name in ("metrics.json", "details.json"):
        (tmp_path / name).write_text("{}" if name == "metrics.json" else "{")
    with pytest.raises(LgcError, match="not readable as results"):
        read_results(tmp_path)


def test_files_are_plain_json(evaluated: Path) -> None:
    for name in ("metrics.json", "details.json", "gallery/gallery.json"):
        text = (evaluated / "outputs" / "evaluate" / name).read_text()
        assert "NaN" not in text
        assert "Infinity" not in text
        json.loads(text)
