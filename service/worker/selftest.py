"""What must be impossible inside a confined child, tried from inside; knows nothing of what should stop it.

Each probe says whether it was stopped. One that is not undoes what it did.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from types import MappingProxyType

from service.worker import syscalls

_STOPPED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS})
"""Errors of a wall. Any other error means that the attempt got through and failed for its own reasons."""
_PTRACE_ATTACH = 16
_CLONE_NEW_USER = 0x10000000
_PR_SET_DUMPABLE = 4


def run(names: Iterable[str] = ()) -> dict[str, bool]:
    """Probe -> stopped, for `names`, or for all that a confined child survives."""
    return {name: _stopped(PROBES[name]) for name in (tuple(names) or SURVIVED)}


def _stopped(probe: Callable[[], None]) -> bool:
    try:
        probe()
    except OSError as error:
        return error.errno in _STOPPED
    except ValueError:  # how Python says that a hard limit cannot be raised
        return True
    return False


def _open_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _open_local_socket() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _execute() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - the one place that tries it, to see that it is impossible


def _write_file() -> None:
    path = Path(f"/tmp/weighbridge-selftest-{os.getpid()}")  # noqa: S108 - writable on every system, and removed
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink()


def _make_folder() -> None:
    path = Path(f"/tmp/weighbridge-selftest-{os.getpid()}.d")  # noqa: S108 - as above
    path.mkdir()
    path.rmdir()


def _read_passwd() -> None:
    os.close(os.open("/etc/passwd", os.O_RDONLY))


def _list_root() -> None:
    os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))


def _read_parent_memory() -> None:
    os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY))


def _copy_parent_memory() -> None:
    syscalls.call("process_vm_readv", os.getppid(), None, 0, None, 0, 0)


def _signal_parent() -> None:
    os.kill(os.getppid(), 0)


def _trace_parent() -> None:
    syscalls.call("ptrace", _PTRACE_ATTACH, os.getppid(), 0, 0)


def _make_namespace() -> None:
    syscalls.call("unshare", _CLONE_NEW_USER)


def _make_memory_file() -> None:
    os.close(os.memfd_create("selftest"))


def _set_up_io_uring() -> None:
    os.close(syscalls.call("io_uring_setup", 1, ctypes.create_string_buffer(120)))


def _raise_limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _become_dumpable() -> None:
    syscalls.prctl(_PR_SET_DUMPABLE, 1)


SURVIVED = (
    "socket",
    "local_socket",
    "fork",
    "write",
    "make_folder",
    "read_passwd",
    "list_root",
    "read_parent_memory",
    "copy_parent_memory",
    "signal_parent",
    "trace_parent",
    "namespace",
    "memory_file",
    "io_uring",
    "raise_limit",
    "become_dumpable",
)
DEADLY = "exec"
"""Stopped by death: it is tried in a child of its own, which must not come back."""

PROBES: MappingProxyType[str, Callable[[], None]] = MappingProxyType(
    {
        "socket": _open_socket,
        "local_socket": _open_local_socket,
        "fork": _fork,
        "exec": _execute,
        "write": _write_file,
        "make_folder": _make_folder,
        "read_passwd": _read_passwd,
        "list_root": _list_root,
        "read_parent_memory": _read_parent_memory,
        "copy_parent_memory": _copy_parent_memory,
        "signal_parent": _signal_parent,
        "trace_parent": _trace_parent,
        "namespace": _make_namespace,
        "memory_file": _make_memory_file,
        "io_uring": _set_up_io_uring,
        "raise_limit": _raise_limit,
        "become_dumpable": _become_dumpable,
    }
)
