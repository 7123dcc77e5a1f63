"""The system calls that are left: programs of classic BPF; knows no files and no processes.

A child has an allow-list. Anything not listed fails with EPERM, so that a library which merely asks goes on. Starting a
program kills: no reader ever does that by mistake. `clone3` is "not implemented", so that the C library uses `clone`,
whose flags a filter can see. A sealed child, which reads uploads, has no call left that takes a path, makes a thread or
makes memory executable; one that builds with a framework imports modules and starts threads as it goes.

The warm process has a list of what it and its children never need. It holds for them too, and does so whatever their
own list allows. Reference: linux/seccomp.h, linux/filter.h.
"""

from __future__ import annotations

import ctypes
import errno
import signal
import struct

from service.worker import syscalls

ALLOWED = (
    # what reading an open file and computing takes
    "pread64", "lseek", "close",
    # memory
    "munmap", "mremap", "madvise", "brk",
    # locks, signals to itself, time
    "futex", "set_robust_list", "rseq", "sched_yield", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
    "restart_syscall", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    # who am I
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrusage",
    "getrlimit", "getrandom", "exit", "exit_group",
)  # fmt: skip
FOR_IMPORTS = (
    "read", "readv", "write", "writev", "dup", "fstat", "newfstatat", "stat", "lstat", "statx", "access", "faccessat",
    "faccessat2", "readlink", "readlinkat", "getcwd", "getdents64", "fadvise64", "poll", "ppoll", "mmap", "mprotect",
    "mincore", "membarrier", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu",
)  # fmt: skip
"""What modules, native libraries and pools of threads take beyond it, besides opening files and `clone`."""
KILLED = ("execve", "execveat")
NEVER = (
    # to talk to others
    "socket", "bind", "connect", "listen", "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl",
    "semget", "semop", "semtimedop", "semctl", "mq_open", "mq_unlink",
    # to reach into others
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "migrate_pages",
    "move_pages", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "setpriority", "sched_setscheduler", "sched_setparam",
    "sched_setattr", "sched_setaffinity", "ioprio_set",
    # another view of the system, or another system
    "unshare", "setns", "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "chroot",
    "open_by_handle_at", "fanotify_init", "mknod", "mknodat", "swapon", "swapoff", "acct", "quotactl", "reboot",
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "syslog",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load",
    # where kernels have been broken into
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl",
    "add_key", "request_key", "personality", "modify_ldt", "iopl", "ioperm", "vfork", "memfd_create", "memfd_secret",
    # to change files, their names and what is known of them
    "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
    "symlink", "symlinkat", "truncate", "ftruncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown",
    "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr",
    "removexattr", "lremovexattr", "fremovexattr", "flock", "chdir", "fchdir",
    # to be somebody else
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
)  # fmt: skip
"""What neither a warm process nor a child of any kind has a use for."""

ANSWER = 0
"""The descriptor of the pipe for the answer: standard input, where no library writes by itself."""
_OPEN_FOR_WRITING = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND, O_TMPFILE's own bit."""
_EXECUTABLE = 0x4
"""PROT_EXEC."""
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

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SET_MODE_FILTER = 1
_ALL_THREADS = 1

_Code = list[tuple[int, int, int, int]]


def program(machine: syscalls.Machine, pid: int, *, sealed: bool) -> bytes:
    """The filter for a child `pid` of `machine`: 8 bytes an instruction, first match decides."""
    numbers = machine.numbers
    code = _preamble(machine)
    for name in ALLOWED if sealed else (*ALLOWED, *FOR_IMPORTS):
        code += _for_call(numbers.get(name), [_return(_ALLOW)])
    code += _killed(machine)
    code += _for_call(numbers["clone3"], [_return(_ERROR | errno.ENOSYS)])
    code += _conditional(machine, pid)
    code += [*_data_only(machine), *_answering(machine)] if sealed else _importing(machine)
    code.append(_deny())
    return _assembled(code)


def refusals(machine: syscalls.Machine, *, sealed: bool) -> bytes:
    """The filter for a warm process of `machine`: what nothing here needs is refused, all else allowed."""
    code = [*_preamble(machine), *_killed(machine)]
    for name in NEVER:
        code += _for_call(machine.numbers.get(name), [_deny()])
    code += _for_call(machine.numbers["prlimit64"], [*_must_be(_argument(0), 0), _return(_ALLOW)])
    code += _for_call(machine.numbers["prctl"], [(_LOAD, 0, 0, _argument(0)), *_on_with_the_wall()])
    code += _for_call(machine.numbers["fcntl"], [(_LOAD, 0, 0, _argument(1)), *_allow_if(_HARMLESS_FCNTL)])
    code += _data_only(machine) if sealed else []
    code.append(_return(_ALLOW))
    return _assembled(code)


def _on_with_the_wall() -> _Code:
    """Of prctl what puts layers on: nothing takes them off again."""
    undumpable = [*_must_be(_argument(1), 0), _return(_ALLOW)]
    die_with_parent = [*_must_be(_argument(1), signal.SIGKILL), _return(_ALLOW)]
    return [
        *_for_call(_PR_SET_DUMPABLE, undumpable),
        *_for_call(_PR_SET_PDEATHSIG, die_with_parent),
        *_for_call(_PR_SET_NO_NEW_PRIVS, [_return(_ALLOW)]),
        _deny(),
    ]


def _preamble(machine: syscalls.Machine) -> _Code:
    """Calls by another machine's numbers kill; the call's own number is loaded for what follows."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, machine.audit_arch), _return(_KILL),
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32_BIT), _return(_KILL),
    ]  # fmt: skip


def _killed(machine: syscalls.Machine) -> _Code:
    return [instruction for name in KILLED for instruction in _for_call(machine.numbers[name], [_return(_KILL)])]


def _assembled(code: _Code) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _conditional(machine: syscalls.Machine, pid: int) -> _Code:
    """Calls that every child has, with some arguments only: its own limits to read, and abort() to end by its name.

    No other signal, not even to itself: a child that kills itself would look like one that the kernel killed.
    """
    numbers = machine.numbers
    abort = [*_must_be(_argument(0), pid), *_must_be(_argument(2), signal.SIGABRT), _return(_ALLOW)]
    own_limit_to_read = [*_must_be(_argument(0), 0), *_must_be(_argument(2), 0), *_must_be(_argument(2) + 4, 0)]
    return [
        *_for_call(numbers["prlimit64"], [*own_limit_to_read, _return(_ALLOW)]),
        *_for_call(numbers["tgkill"], abort),
        *_for_call(numbers["fcntl"], [(_LOAD, 0, 0, _argument(1)), *_allow_if(_HARMLESS_FCNTL)]),
    ]


def _data_only(machine: syscalls.Machine) -> _Code:
    """Memory that is not executable."""
    return [
        instruction
        for name in ("mmap", "mprotect")
        for instruction in _for_call(machine.numbers[name], _without(_EXECUTABLE, 2))
    ]


def _answering(machine: syscalls.Machine) -> _Code:
    """Writing where the answer goes, and nowhere else."""
    return _for_call(machine.numbers["write"], [*_must_be(_argument(0), ANSWER), _return(_ALLOW)])


def _importing(machine: syscalls.Machine) -> _Code:
    """Files to read and threads of this very process."""
    numbers = machine.numbers
    thread_only = [
        (_LOAD, 0, 0, _argument(0)),
        (_AND, 0, 0, _CLONE_THREAD | _CLONE_NEW_NAMESPACES),
        *_allow_if((_CLONE_THREAD,)),
    ]
    return [
        *_for_call(numbers.get("open"), _without(_OPEN_FOR_WRITING, 1)),
        *_for_call(numbers["openat"], _without(_OPEN_FOR_WRITING, 2)),
        *_for_call(numbers["clone"], thread_only),
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


def _without(bits: int, argument: int) -> _Code:
    """Allowed unless one of `bits` is set."""
    return [(_LOAD, 0, 0, _argument(argument)), (_ANY_BIT, 0, 1, bits), _deny(), _return(_ALLOW)]


def _must_be(word: int, value: int) -> _Code:
    return [(_LOAD, 0, 0, word), (_EQUAL, 1, 0, value), _deny()]


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
