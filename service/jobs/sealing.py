"""Bytes of ours for a child: in memory that nobody can change any more, behind a read-only descriptor."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


@contextmanager
def sealed(chunks: Iterable[bytes]) -> Iterator[int]:
    """A descriptor of `chunks`, one after the other, for the time of the context."""
    writable = os.memfd_create("sealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(writable), "wb") as file:
            file.writelines(chunks)
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, SEALS)
        readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
    try:
        yield readable
    finally:
        os.close(readable)
