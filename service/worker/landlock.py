"""A Landlock domain: folders that stay readable, everything else of the file system and TCP gone; knows no policy.

Reference: linux/landlock.h. Limits of the mechanism: stat() is not covered; only the calling thread (and what it
forks) is confined, so it is entered by a fresh, single-threaded child.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from service.worker import syscalls

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many file-system rights each ABI knows: 2 added REFER, 3 TRUNCATE, 5 IOCTL_DEV."""
_TCP = 0b11
"""Bind and connect, from ABI 4."""
_SCOPES = 0b11
"""Abstract Unix sockets and signals, from ABI 6."""
_RULE_PATH_BENEATH = 1
_ASK_VERSION = 1


def abi() -> int:
    """The version that the kernel offers; 0 where it has none."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, _ASK_VERSION)
    except OSError:
        return 0


def enter(readable: Iterable[Path]) -> None:
    """Confine this process for good to reading below `readable`; needs no_new_privs.

    OSError if the kernel has no Landlock. What does not exist is left out.
    """
    ruleset = _ruleset(abi())
    try:
        for path in readable:
            _allow(ruleset, path)
        syscalls.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _ruleset(version: int) -> int:
    handled_files = (1 << _FILE_RIGHTS_BY_ABI.get(version, max(_FILE_RIGHTS_BY_ABI.values()))) - 1
    fields = [handled_files, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", *fields), 24)
    return syscalls.call("landlock_create_ruleset", attributes, size, 0)


def _allow(ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
    try:
        syscalls.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
