"""Runs Python on a kernel that lacks a system call: the first argument names it, the others are for Python.

`prctl:0=4` is the call with an argument of that value alone, `prctl` whatever it is called with.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from pathlib import Path

from service.worker import seccomp, syscalls

NO_NEW_PRIVS = 38
LOAD_NUMBER, FIRST_ARGUMENT = (0x20, 0, 0, 0), 16
REFUSE, ALLOW = (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)


def python_without(folder: Path, missing: str) -> Path:
    """An interpreter on whose kernel a system call does not exist: it is filtered away before it starts."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {missing} "$@"\n')
    script.chmod(0o755)
    return script


def number_of(name: str) -> int:
    """Of a system call on this machine."""
    here = syscalls.machine()
    return here.numbers.get(name) or {"setsid": (112, 157)}[name][here != syscalls.MACHINES["x86_64"]]


def filtered(missing: str) -> list[tuple[int, int, int, int]]:
    """The filter that lets everything pass but what is missing."""
    name, _, condition = missing.partition(":")
    tested = [(LOAD_NUMBER, number_of(name))]
    if condition:
        position, value = condition.split("=")
        tested.append(((0x20, 0, 0, FIRST_ARGUMENT + 8 * int(position)), int(value, 0)))
    code: list[tuple[int, int, int, int]] = []
    for left, (load, value) in zip(range(len(tested) - 1, -1, -1), tested, strict=True):
        code += [load, (0x15, 0, 2 * left + 1, value)]
    return [*code, REFUSE, ALLOW]


def main() -> None:
    """Filter, then become the interpreter."""
    syscalls.prctl(NO_NEW_PRIVS, 1)
    seccomp.install(b"".join(struct.pack("=HBBI", *instruction) for instruction in filtered(sys.argv[1])))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # noqa: S606 - becoming another program is its task


if __name__ == "__main__":
    main()
