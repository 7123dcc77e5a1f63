"""What a try is, what it aims at, and system calls by name; loaded in a worker by `reader.py`, never by the service.

A try is code that has taken a child over and wants out. It returns what it got, or raises the error that stopped it. It
does no harm should it get through: it undoes what it made and hurts nobody but processes that were started to be hurt.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from service.worker.seccomp import ANSWER
from service.worker.syscalls import machine

WALL = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMFILE})
"""Errors of a wall. After any other the try got through, and failed for its own reasons."""
SCARCE = WALL | {errno.ENOMEM, errno.EAGAIN, errno.EFBIG, errno.ENOSPC}
"""Those, and the errors of a limit that was met."""


DONE = "tries_done"
"""The format of a model that tells how tries ended."""


RAN = 77
"""Status by which a program that was started in a child's place is known."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to reach around a child.

    Attributes:
        folder: Where the service keeps its data; nothing else is in it.
        upload, database: Files of it: another's upload, the jobs.
        own: The path of the child's own upload.
        victim: A process of the same user, which holds `secret` in its environment and at `address` of its memory, and
            has the other's upload open as descriptor `held`.
        server: The process at whose sockets something listens.
        tcp, udp: Ports on 127.0.0.1.
        unix, abstract: Addresses of local sockets.
    """

    folder: str
    upload: str
    database: str
    own: str
    secret: str
    victim: int
    address: int
    held: int
    tcp: int
    udp: int
    unix: str
    abstract: str


class Order(msgspec.Struct, frozen=True):
    """What to try, one after the other, and what there is to reach."""

    names: tuple[str, ...]
    target: Target


class Try(NamedTuple):
    """One try: its name, what it wants in a few words, how, the errors that count as being stopped, and of which group.

    `deadly`: it may end its process, or leave it in no state to try more.
    """

    name: str
    wants: str
    how: Callable[[Target], str]
    errors: frozenset[int]
    group: str
    deadly: bool


TRIES: dict[str, Try] = {}
BUILDERS_MAY = frozenset(
    {"read_source", "look_at_upload", "ask_for_access", "follow_own_link", "read_own_answer", "start_thread",
     "run_data", "use_up_threads"}
)  # fmt: skip
"""What a child that builds with a framework must be able to do: it imports modules and starts threads as it works."""


def a_try(
    group: str, wants: str, errors: frozenset[int] = WALL, *, deadly: bool = False
) -> Callable[[Callable[[Target], str]], Callable[[Target], str]]:
    """Add the decorated function to `TRIES` under its own name."""

    def add(how: Callable[[Target], str]) -> Callable[[Target], str]:
        name = how.__name__
        if name in TRIES:
            raise ValueError(name)
        TRIES[name] = Try(name, wants, how, errors, group, deadly)
        return how

    return add


def attempt(name: str, target: Target) -> str:
    """`through: what it got`, or `stopped: why`."""
    one = TRIES[name]
    try:
        return f"through: {one.how(target)}"
    except OSError as error:
        called = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return f"stopped: {called}" if error.errno in one.errors else f"through: {called}"
    except MemoryError:
        return "stopped: MemoryError"
    except (ValueError, RuntimeError) as error:  # how Python says that a limit cannot be raised, a thread not started
        return f"stopped: {type(error).__name__}"


# fmt: off
_NUMBERS = {  # x86_64, aarch64 (None: it has none)
    "sched_setaffinity": (203, 122), "tkill": (200, 130), "pidfd_send_signal": (424, 424), "vfork": (58, None),
    "setuid": (105, 146), "prctl": (157, 167), "mount_setattr": (442, 442),
    "epoll_create1": (291, 20), "inotify_init1": (294, 26), "signalfd4": (289, 74), "timerfd_create": (283, 85),
    "eventfd2": (290, 19), "mlock": (149, 228), "pipe2": (293, 59), "setxattr": (188, 5), "msgget": (68, 186),
    "msgctl": (71, 187), "semctl": (66, 191), "setpgid": (109, 154), "utimensat": (280, 88), "linkat": (265, 37),
    "landlock_create_ruleset": (444, 444), "personality": (135, 92), "getpid": (39, 172), "dup": (32, 23),
    "clone": (56, 220), "mmap": (9, 222), "setrlimit": (160, 164), "quotactl_fd": (443, 443), "socketpair": (53, 199),
    "accept4": (288, 242), "splice": (275, 76), "openat2": (437, 437),
}
# fmt: on
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def number_of(name: str) -> int:
    """The number of a system call on this machine; OSError with ENOSYS where it has none."""
    found = machine().numbers.get(name)
    if found is None:
        here = 0 if platform.machine() == "x86_64" else 1
        found = _NUMBERS[name][here]
    if found is None:
        raise OSError(errno.ENOSYS, name)
    return found


def raw(call: str | int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """A system call by name or number; OSError if the kernel refuses."""
    number = call if isinstance(call, int) else number_of(call)
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(call))
    return result


@contextmanager
def made(descriptor: int) -> Iterator[int]:
    """A descriptor, closed behind."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_descriptors() -> list[int]:
    """What is open here, asked one by one by a call that is left."""
    found = []
    for number in range(1024):
        try:
            os.get_inheritable(number)
        except OSError:
            continue
        found.append(number)
    return found


def is_stream(number: int) -> bool:
    """Whether a descriptor is a pipe or a socket: it has no places."""
    try:
        os.lseek(number, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno == errno.ESPIPE
    return False


def answer_pipe() -> int:
    """The descriptor through which the answer goes."""
    return ANSWER
