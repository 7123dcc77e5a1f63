"""Whether the kernel has ended processes for want of memory: what tells its SIGKILL from that of anybody else."""

from __future__ import annotations

import re
from pathlib import Path

VMSTAT = Path("/proc/vmstat")
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def kernel_kills() -> int | None:
    """How many the kernel has ended so, in all of this machine since it was started; None where it does not say."""
    try:
        found = _COUNT.search(VMSTAT.read_text())
    except OSError:
        return None
    return None if found is None else int(found[1])
