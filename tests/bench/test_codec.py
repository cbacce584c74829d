from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lgc
from lgc.bench.codec import PIXELS, bench, split
from lgc.bitstream.codec import LayeredCodec


def test_every_subject_is_timed_for_every_task(codec: LayeredCodec) -> None:
    rows = bench(codec, [(32, 48)], [1, 2], rounds=2, peers=["bmshj2018_hyperprior", "cheng2020_anchor", "webp"])
    subjects = {(row.task, row.subject, row.batch) for row in rows}
    for batch in (1, 2):
        for task in ("compress", "decompress"):
            assert {(task, name, batch) for name in ("lgc", "bmshj2018_hyperprior", "webp")} <= subjects
        assert {("analyze", name, batch) for name in ("lgc", PIXELS)} <= subjects
    assert ("compress", "cheng2020_anchor", 1) in subjects
    assert ("compress", "cheng2020_anchor", 2) not in subjects  # the same work twice
    assert all(row.milliseconds.low > 0 and row.ratio.low > 0 for row in rows)
    assert all(row.ratio.median == 1 for row in rows if row.subject == "lgc")


def test_parts_add_up_to_the_whole(codec: LayeredCodec) -> None:
    parts = split(codec, 32, 32, batch=2, rounds=2)
    assert set(parts) == {"compress", "decompress", "analyze"}
    for times in (parts["compress"], parts["decompress"]):
        assert set(times) == {"float networks", "entropy coding", "integer networks", "files"}
    assert all(ms > 0 for times in parts.values() for ms in times.values())


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lgc.cli.main import main; main()", "bench", "codec", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_command(model_file: Path, out: Path, device: str) -> dict[str, Any]:
    """What the command writes after two rounds without peers at 64 x 64, batch 2."""
    words = ("--size", "64x64", "--batch", "2", "--rounds", "2", "--peer", "none")
    done = run("--model", model_file, "--device", device, *words, "--out", out)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert f"{found['device']}, {found['threads']} threads" in " ".join(done.stdout.split())
    where = "64 x 64, batch 2"
    assert {(row["task"], row["subject"]) for row in found["rows"]} == {
        ("compress", "lgc"), ("decompress", "lgc"), ("analyze", "lgc"), ("analyze", PIXELS),
    }  # fmt: skip
    assert all(row["milliseconds"]["low"] > 0 for row in found["rows"])
    assert all(ms > 0 for times in found["parts_ms"][where].values() for ms in times.values())
    rates = found["networks_pictures_per_second"][where]
    assert set(rates) == {"encode", "decode", "analyze"}
    assert all(rate["low"] > 0 for rate in rates.values())
    assert "networks alone" in done.stdout
    return found


def test_the_command_on_the_cpu(model_file: Path, tmp_path: Path) -> None:
    assert check_command(model_file, tmp_path / "found.json", "cpu")["device"] == "cpu"


@pytest.mark.gpu
def test_the_command_on_a_gpu(model_file: Path, tmp_path: Path) -> None:
    found = check_command(model_file, tmp_path / "found.json", "cuda")
    assert found["device"] == torch.cuda.get_device_name()


@pytest.mark.gpu
def test_compressai_on_a_gpu(model_file: Path) -> None:
    rows = bench(lgc.load(model_file, "cuda"), [(64, 48)], [2], rounds=2, peers=["bmshj2018_hyperprior"])
    assert {row.task for row in rows if row.subject == "bmshj2018_hyperprior"} == {"compress", "decompress"}


def test_a_device_that_is_not_there_is_one_line(model_file: Path) -> None:
    done = run("--model", model_file, "--device", "cuda:99")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: device 'cuda:99' cannot be used")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_one_line(model_file: Path) -> None:
    done = run("--model", model_file, "--device", "cuda")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: device 'cuda' cannot be used")
