"""What must be impossible inside a confined child, tried from inside; knows nothing of what should stop it.

Each probe says whether it was stopped. One that is not undoes what it did.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import MappingProxyType

from service.worker import syscalls

_STOPPED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMFILE})
"""Errors of a wall, the last of a limit of none. Any other: the attempt got through and failed for its own reasons."""
_PTRACE_SEIZE = 0x4206
"""Unlike an attachment it does not stop the process, and ends with this one."""
_CLONE_NEW_USER = 0x10000000
_PR_SET_DUMPABLE = 4
_OWN_DESCRIPTORS = 3
"""The pipe for the answer, standard output and error: a self-test comes without files."""
_MOST_DESCRIPTORS = 1024
_SESSION_KEYRING, _GET_KEYRING_ID = -3, 0
_PRIVATE_KEY, _CREATE, _REMOVE = 0, 0o1000, 0


def run(names: Iterable[str] = ()) -> dict[str, bool]:
    """Probe -> stopped, for `names`, or for all that a confined child survives."""
    return {name: _stopped(PROBES[name]) for name in (tuple(names) or SURVIVED)}


def _stopped(probe: Callable[[], None]) -> bool:
    try:
        probe()
    except OSError as error:
        return error.errno in _STOPPED
    except (ValueError, RuntimeError):  # how Python says that a limit cannot be raised, or a thread not be started
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
    syscalls.call("ptrace", _PTRACE_SEIZE, os.getppid(), 0, 0)


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


def _use_inherited() -> None:
    """Stopped where nothing was inherited: whatever is open beyond its own would be at its hands."""
    found = 0
    for number in range(_MOST_DESCRIPTORS):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            continue
        found += 1
    if found <= _OWN_DESCRIPTORS:
        raise PermissionError(errno.EPERM, "nothing is there")


def _share_memory() -> None:
    made = syscalls.call("shmget", _PRIVATE_KEY, mmap.PAGESIZE, _CREATE | 0o600)
    syscalls.call("shmctl", made, _REMOVE, None)


def _find_keyring() -> None:
    syscalls.call("keyctl", _GET_KEYRING_ID, _SESSION_KEYRING, 0)


def _look_at_file() -> None:
    Path("/etc/passwd").stat()


def _start_thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _run_data() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_EXEC).close()


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
        "use_inherited": _use_inherited,
        "share_memory": _share_memory,
        "keyring": _find_keyring,
        "look_at_file": _look_at_file,
        "thread": _start_thread,
        "run_data": _run_data,
    }
)
DEADLY = "exec"
"""Stopped by death: it is tried in a child of its own, which must not come back."""
ONLY_SEALED = ("look_at_file", "thread", "run_data")
"""Stopped in sealed children alone: frameworks import modules and start threads as they work."""
SURVIVED = tuple(name for name in PROBES if name not in (DEADLY, *ONLY_SEALED))
"""What is stopped in every child, and leaves it alive."""
