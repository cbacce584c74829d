"""Every case of the table, on a real cluster: processes are killed, servers go away, disks fill up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lgc.faults.bench import Bench, open_bench
from lgc.faults.cases import CASES, Case

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench(ROOT) as bench:
        yield bench


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_was_promised_is_kept(bench: Bench, case: Case) -> None:
    row = bench.run(case)
    assert row.problems == (), row
