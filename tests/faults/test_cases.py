"""Every case of the table, on a real cluster: processes are killed, servers go away, disks fill up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lgc.errors import LgcError
from lgc.faults.bench import Bench, open_bench, small_disk
from lgc.faults.cases import CASES, Case

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench(ROOT) as bench:
        yield bench


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_was_promised_is_kept(bench: Bench, case: Case, tmp_path: Path) -> None:
    if "disk" in case.needs and not may_mount(tmp_path / "disk"):
        pytest.skip("no right to mount a file system")
    row = bench.run(case)
    assert row.problems == (), row


def may_mount(folder: Path) -> bool:
    try:
        with small_disk(folder):
            return True
    except LgcError:
        return False
