"""Clusters that may get more nodes, by what Ray keeps of them; one of people's own is in ``test_ray_train.py``."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("ray")

from lgc.launch.growth import may_grow

HEAD, WORKER = "ab" * 28, "cd" * 28


def account(active: dict[str, int], launches: dict[str, int]) -> bytes:
    return json.dumps({"autoscaler_report": {"active_nodes": active, "pending_launches": launches}}).encode()


@pytest.mark.parametrize(
    ("kept", "grows"),
    [
        (account({f"node_{HEAD}": 1, f"node_{WORKER}": 1}, {}), False),  # each a kind of its own
        (account({"head": 1}, {}), True),  # workers start from zero
        (account({"head": 1, "gpu_worker": 2}, {}), True),
        (account({}, {"gpu_worker": 1}), True),
        (account({}, {}), True),  # it has just begun
        (b'{"monitor_pid": 1}', True),
        (b"not as it was", True),
        (None, True),  # Ray's newer autoscaler, or nobody who keeps account
    ],
)
def test_only_a_cluster_without_an_autoscaler_is_known_not_to(
    kept: bytes | None, grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def answer(key: str) -> bytes | None:
        asked.append(key)
        return kept

    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", answer)
    monkeypatch.setattr("ray.nodes", lambda: [{"NodeID": HEAD}, {"NodeID": WORKER}])
    assert may_grow() == grows
    assert asked == ["__autoscaling_status"]
