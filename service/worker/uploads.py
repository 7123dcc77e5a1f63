"""What the kinds that open uploads have beyond a builder's; the one module through which that comes into a process."""

from __future__ import annotations

from service.worker.reading import read
from service.worker.rehearsal import rehearse

__all__ = ["read", "rehearse"]
