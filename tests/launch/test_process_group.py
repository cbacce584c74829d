"""Which network gloo is told to use. That workers in other networks meet: tests/infra/test_local_cluster.py."""

from __future__ import annotations

import os

import psutil
import pytest

ray = pytest.importorskip("ray")

from lgc.launch.process_group import GLOO_INTERFACE, NodeTorchConfig, use_node_interface  # noqa: E402


@pytest.mark.parametrize(
    ("address", "before", "after"),
    [("127.0.0.1", None, "loopback"), ("127.0.0.1", "mine0", "mine0"), ("203.0.113.9", None, None)],
)
def test_gloo_gets_the_interface_that_ray_uses(
    monkeypatch: pytest.MonkeyPatch, address: str, before: str | None, after: str | None
) -> None:
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: address)
    monkeypatch.setenv(GLOO_INTERFACE, before or "")
    if before is None:
        monkeypatch.delenv(GLOO_INTERFACE)
    use_node_interface()
    if after == "loopback":
        (after,) = [name for name, found in psutil.net_if_addrs().items() if any(a.address == address for a in found)]
    assert os.environ.get(GLOO_INTERFACE) == after
    monkeypatch.delenv(GLOO_INTERFACE, raising=False)


def test_every_worker_is_told_before_the_group_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, said = NodeTorchConfig(backend="gloo").backend_cls, []

    class Workers:
        def execute(self, function: object) -> None:
            said.append(function)

    monkeypatch.setattr(backend.__base__, "on_start", lambda *_: said.append("started"))
    backend().on_start(Workers(), NodeTorchConfig(backend="gloo"))
    assert said == [use_node_interface, "started"]
