"""A process group whose workers find one another on several machines. Imports Ray."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import psutil
import ray
from ray.train.torch import TorchConfig

GLOO_INTERFACE: Final = "GLOO_SOCKET_IFNAME"


class _Backend(TorchConfig().backend_cls):  # type: ignore[misc]
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        worker_group.execute(use_node_interface)
        super().on_start(worker_group, backend_config)


@dataclass
class NodeTorchConfig(TorchConfig):
    """Ray's, on the network that Ray itself uses.

    Gloo listens on the address of the machine's own name, and Debian and Ubuntu give that name to the loopback
    interface (127.0.1.1 in ``/etc/hosts``): workers on two such machines never meet. NCCL avoids loopback by itself.
    """

    @property
    def backend_cls(self) -> type:
        """What starts the group."""
        return _Backend


def use_node_interface() -> None:
    """Name the interface that has this node's address to gloo, unless somebody has named one."""
    own = ray.util.get_node_ip_address()
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == own for address in addresses):
            os.environ.setdefault(GLOO_INTERFACE, name)
            return
