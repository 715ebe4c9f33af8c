"""The memory of a process, for the benchmarks that measure it in one of its own."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_mb() -> float:
    """The most memory this process has held, in MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # ru_maxrss of a child starts at what its parent held; VmHWM is its own.
    held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(held.split()[1]) / 1024
