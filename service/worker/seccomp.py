"""The allow-list of system calls of a child, as a classic BPF program; knows no files and no processes.

Anything not listed fails with EPERM, so that a library which merely asks goes on. Starting a program kills: no
reader ever does that by mistake. `clone3` is "not implemented", so that the C library uses `clone`, whose flags a
filter can see. Reference: linux/seccomp.h, linux/filter.h.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from service.worker import syscalls

ALLOWED = (
    # what reading a file and computing takes
    "read", "readv", "pread64", "write", "writev", "lseek", "close", "dup", "fstat", "newfstatat", "stat", "lstat",
    "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "getdents64", "fadvise64",
    "poll", "ppoll",
    # memory
    "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "brk", "membarrier",
    # threads of this very process, signals to itself, time
    "futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "nanosleep",
    "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    # who am I
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrusage",
    "getrlimit", "getrandom", "exit", "exit_group",
)  # fmt: skip
KILLED = ("execve", "execveat")

_OPEN_FOR_WRITING = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND, O_TMPFILE's own bit."""
_CLONE_THREAD = 0x00010000
_CLONE_NEW_NAMESPACES = (
    0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
)
_HARMLESS_FCNTL = (1, 2, 3, 1030)
"""F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. Not F_SETOWN: it makes the kernel send signals to others."""
_HARMLESS_IOCTL = (0x5401, 0x5450, 0x5451, 0x541B)
"""TCGETS (isatty), FIONCLEX, FIOCLEX, FIONREAD."""

_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x54, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000

_SET_MODE_FILTER = 1
_ALL_THREADS = 1

_Code = list[tuple[int, int, int, int]]


def program(machine: syscalls.Machine, pid: int) -> bytes:
    """The filter for a process `pid` of `machine`: 8 bytes an instruction, first match decides."""
    numbers = machine.numbers
    code: _Code = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, machine.audit_arch), _return(_KILL),
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32_BIT), _return(_KILL),
    ]  # fmt: skip
    for name in ALLOWED:
        code += _for_call(numbers.get(name), [_return(_ALLOW)])
    for name in KILLED:
        code += _for_call(numbers[name], [_return(_KILL)])
    code += _for_call(numbers["clone3"], [_return(_ERROR | errno.ENOSYS)])
    code += _conditional(machine, pid)
    code.append(_return(_ERROR | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _conditional(machine: syscalls.Machine, pid: int) -> _Code:
    """Calls that are allowed with some arguments only."""
    numbers = machine.numbers
    thread_only = [
        (_LOAD, 0, 0, _argument(0)),
        (_AND, 0, 0, _CLONE_THREAD | _CLONE_NEW_NAMESPACES),
        *_allow_if((_CLONE_THREAD,)),
    ]
    read_rlimit = [(_LOAD, 0, 0, _argument(2)), (_EQUAL, 0, 3, 0), (_LOAD, 0, 0, _argument(2) + 4), *_allow_if((0,))]
    return [
        *_for_call(numbers.get("open"), _read_only(1)),
        *_for_call(numbers["openat"], _read_only(2)),
        *_for_call(numbers["clone"], thread_only),
        *_for_call(numbers["prlimit64"], read_rlimit),
        *_for_call(numbers["tgkill"], [(_LOAD, 0, 0, _argument(0)), *_allow_if((pid,))]),
        *_for_call(numbers["fcntl"], [(_LOAD, 0, 0, _argument(1)), *_allow_if(_HARMLESS_FCNTL)]),
        *_for_call(numbers["ioctl"], [(_LOAD, 0, 0, _argument(1)), *_allow_if(_HARMLESS_IOCTL)]),
    ]


def _for_call(number: int | None, body: _Code) -> _Code:
    """`body`, which must return on every path, for one system call; nothing where the machine has no such call."""
    return [] if number is None else [(_EQUAL, 0, len(body), number), *body]


def _allow_if(values: tuple[int, ...]) -> _Code:
    tests: _Code = []
    for value in values:
        tests += [(_EQUAL, 0, 1, value), _return(_ALLOW)]
    return [*tests, _deny()]


def _read_only(flags_argument: int) -> _Code:
    return [(_LOAD, 0, 0, _argument(flags_argument)), (_ANY_BIT, 0, 1, _OPEN_FOR_WRITING), _deny(), _return(_ALLOW)]


def _argument(index: int) -> int:
    """Offset of the lower half of an argument in `struct seccomp_data` (both machines are little-endian)."""
    return _ARGUMENTS + 8 * index


def _return(value: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, value)


def _deny() -> tuple[int, int, int, int]:
    return _return(_ERROR | errno.EPERM)


def install(code: bytes) -> None:
    """Filter all threads of this process for good; needs no_new_privs. OSError if the kernel refuses."""
    instructions = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(instructions)))
    stray_thread = syscalls.call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, header)
    if stray_thread:
        raise OSError(errno.ESRCH, f"thread {stray_thread} could not be filtered")
