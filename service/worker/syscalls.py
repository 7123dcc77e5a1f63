"""System calls that Python has no name for, and their numbers on the two machines we know; knows no policy.

Numbers: Linux `asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64). On any other machine `machine()`
refuses: a filter with wrong numbers would be worse than none.
"""

from __future__ import annotations

import ctypes
import os
import platform
from types import MappingProxyType
from typing import NamedTuple

# fmt: off
_COMMON = {
    "io_uring_setup": 425, "pidfd_open": 434, "clone3": 435, "close_range": 436, "faccessat2": 439,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
}
_X86_64 = {
    **_COMMON,
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "sched_yield": 24, "mremap": 25, "mincore": 27,
    "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "clone": 56, "execve": 59, "exit": 60, "kill": 62,
    "uname": 63, "fcntl": 72, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98,
    "sysinfo": 99, "times": 100, "ptrace": 101, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "getppid": 110, "capset": 126, "sigaltstack": 131, "sched_getparam": 143, "sched_getscheduler": 145, "gettid": 186,
    "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219, "fadvise64": 221,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "keyctl": 250,
    "openat": 257, "newfstatat": 262, "readlinkat": 267, "faccessat": 269, "ppoll": 271, "unshare": 272,
    "set_robust_list": 273, "prlimit64": 302, "getcpu": 309, "process_vm_readv": 310, "process_vm_writev": 311,
    "seccomp": 317, "getrandom": 318, "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    "membarrier": 324, "statx": 332, "rseq": 334,
}
_AARCH64 = {
    **_COMMON,
    "getcwd": 17, "dup": 23, "fcntl": 25, "ioctl": 29, "faccessat": 48, "openat": 56, "close": 57, "getdents64": 61,
    "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "ppoll": 73, "readlinkat": 78,
    "newfstatat": 79, "fstat": 80, "capset": 91, "exit": 93, "exit_group": 94, "unshare": 97, "futex": 98,
    "set_robust_list": 99, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "ptrace": 117, "sched_getscheduler": 120, "sched_getparam": 121, "sched_getaffinity": 123, "sched_yield": 124,
    "restart_syscall": 128, "kill": 129, "tgkill": 131, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "times": 153, "uname": 160, "getrusage": 165, "getcpu": 168, "gettimeofday": 169,
    "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178,
    "sysinfo": 179, "brk": 214, "munmap": 215, "mremap": 216, "keyctl": 219, "clone": 220, "execve": 221, "mmap": 222,
    "fadvise64": 223, "mprotect": 226, "mincore": 232, "madvise": 233, "prlimit64": 261, "process_vm_readv": 270,
    "process_vm_writev": 271, "seccomp": 277, "getrandom": 278, "memfd_create": 279, "bpf": 280, "execveat": 281,
    "userfaultfd": 282, "membarrier": 283, "statx": 291, "rseq": 293,
}
# fmt: on


class Machine(NamedTuple):
    """A processor family: its audit identifier (`linux/audit.h`) and its system-call numbers."""

    audit_arch: int
    numbers: MappingProxyType[str, int]


MACHINES = MappingProxyType(
    {
        "x86_64": Machine(0xC000003E, MappingProxyType(_X86_64)),
        "aarch64": Machine(0xC00000B7, MappingProxyType(_AARCH64)),
    }
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def machine(name: str | None = None) -> Machine:
    """This machine, or the one called `name`; OSError where its numbers are not known."""
    name = name or platform.machine()
    if name not in MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(f"no system-call numbers are known for {name}")
    return MACHINES[name]


def call(name: str, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """The system call `name`; OSError with its errno if the kernel refuses.

    Every argument travels as a full register: what is passed as a C int would leave its upper half undefined.
    """
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result: int = _libc.syscall(ctypes.c_long(machine().numbers[name]), *words)
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), name)
    return result


def prctl(option: int, value: int) -> None:
    """`prctl(option, value)`; OSError if the kernel refuses."""
    words = [ctypes.c_ulong(item) for item in (value, 0, 0, 0)]
    if _libc.prctl(ctypes.c_int(option), *words) < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), "prctl")
