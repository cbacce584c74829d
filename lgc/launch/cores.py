"""How many cores this process may use, which may be fewer than the machine has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
"""Where Linux shows a container its limits; v1 has files per controller, v2 one ``cpu.max``."""


def cores(cgroup: Path = CGROUP) -> int:
    """The least of what the machine has, what the process is bound to and what its container may use; 1 or more.

    A quota (``docker --cpus``, the limits of a pod) is not in :func:`os.cpu_count`, and threads beyond it take turns.
    Rounded down, as Ray does. https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, int(_quota(cgroup) or bound)))


def _quota(cgroup: Path) -> float | None:
    """Cores' worth of time a container may use; None without a limit."""
    try:
        if (limits := cgroup / "cpu.max").exists():
            quota, period = limits.read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no such files, or no limit, which is "max" or -1
        return None
