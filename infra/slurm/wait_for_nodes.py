"""Waits until a Ray cluster has so many nodes: ``wait_for_nodes.py HOST:PORT COUNT``."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time

PATIENCE = float(os.environ.get("LGC_NODES_SECONDS", "300"))


def alive(address: str) -> int:
    """Nodes that are up; 0 while the head does not answer."""
    import ray

    with contextlib.suppress(Exception):  # whatever it is, it may be over in a second
        ray.init(address=address, logging_level=logging.CRITICAL, log_to_driver=False)
        return sum(node["Alive"] for node in ray.nodes())
    return 0


def main() -> None:
    """Poll until the count is reached or patience ends."""
    import ray

    address, count = sys.argv[1], int(sys.argv[2])
    deadline, found = time.monotonic() + PATIENCE, 0
    while time.monotonic() < deadline:
        found = alive(address)
        ray.shutdown()
        if found >= count:
            print(f"{found} Ray nodes at {address}", flush=True)
            return
        time.sleep(1)
    sys.exit(f"error: {found} of {count} Ray nodes at {address} after {PATIENCE:.0f} s")


if __name__ == "__main__":
    main()
