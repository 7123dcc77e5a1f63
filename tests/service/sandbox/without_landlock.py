"""Runs Python with the given arguments on a system without Landlock: its system call is filtered away first."""

from __future__ import annotations

import errno
import os
import struct
import sys

from service.worker import seccomp, syscalls

NO_NEW_PRIVS = 38
LOAD_NUMBER = (0x20, 0, 0, 0)


def main() -> None:
    """Filter, then become the interpreter."""
    number = syscalls.machine().numbers["landlock_create_ruleset"]
    code = [LOAD_NUMBER, (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)]
    syscalls.prctl(NO_NEW_PRIVS, 1)
    seccomp.install(b"".join(struct.pack("=HBBI", *instruction) for instruction in code))
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 - becoming another program is its task


if __name__ == "__main__":
    main()
