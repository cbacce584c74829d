from __future__ import annotations

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
