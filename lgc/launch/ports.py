"""Loopback ports of this machine, and what answers there."""

from __future__ import annotations

import socket
import urllib.request


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def port_taken(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def past_proxies() -> dict[str, str]:
    """Environment variables with which clients go to loopback by themselves where the environment names a proxy.

    Empty without one: ``no_proxy`` alone would make clients on macOS forget the proxies of its settings.
    """
    proxies = urllib.request.getproxies_environment()
    hosts = [host.strip() for host in proxies.pop("no", "").split(",") if host.strip()]
    if not proxies or "*" in hosts:
        return {}
    value = ",".join([*hosts, *(host for host in ("127.0.0.1", "localhost") if host not in hosts)])
    return {"no_proxy": value, "NO_PROXY": value}


def answers(url: str) -> bool:
    """Whether a server says that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:  # urllib's own are some, too
        return False
