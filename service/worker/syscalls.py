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
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsmount": 432, "pidfd_open": 434, "clone3": 435, "close_range": 436, "pidfd_getfd": 438,
    "faccessat2": 439, "process_madvise": 440, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
    "landlock_restrict_self": 446, "memfd_secret": 447, "fchmodat2": 452,
}
_X86_64 = {
    **_COMMON,
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "sched_yield": 24, "mremap": 25, "mincore": 27,
    "madvise": 28, "shmget": 29, "shmat": 30, "shmctl": 31, "dup": 32, "nanosleep": 35, "getpid": 39, "socket": 41,
    "connect": 42, "bind": 49, "listen": 50, "clone": 56, "vfork": 58, "execve": 59, "exit": 60, "kill": 62,
    "uname": 63, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71,
    "fcntl": 72, "flock": 73, "truncate": 76, "ftruncate": 77, "getcwd": 79, "chdir": 80, "fchdir": 81, "rename": 82,
    "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90,
    "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98,
    "sysinfo": 99, "times": 100, "ptrace": 101, "getuid": 102, "syslog": 103, "getgid": 104, "setuid": 105,
    "setgid": 106, "geteuid": 107, "getegid": 108, "getppid": 110, "setreuid": 113, "setregid": 114, "setgroups": 116,
    "setresuid": 117, "setresgid": 119, "setfsuid": 122, "setfsgid": 123, "capset": 126, "rt_sigqueueinfo": 129,
    "sigaltstack": 131, "utime": 132, "mknod": 133, "personality": 135, "setpriority": 141, "sched_setparam": 142,
    "sched_getparam": 143, "sched_setscheduler": 144, "sched_getscheduler": 145, "modify_ldt": 154, "pivot_root": 155,
    "prctl": 157, "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166,
    "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
    "init_module": 175, "delete_module": 176, "quotactl": 179, "gettid": 186, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "time": 201, "futex": 202,
    "sched_setaffinity": 203, "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219, "semtimedop": 220,
    "fadvise64": 221, "clock_settime": 227, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "tgkill": 234, "utimes": 235, "mq_open": 240, "mq_unlink": 241, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "ioprio_set": 251, "migrate_pages": 256, "openat": 257,
    "mkdirat": 258, "mknodat": 259, "fchownat": 260, "futimesat": 261, "newfstatat": 262, "unlinkat": 263,
    "renameat": 264, "linkat": 265, "symlinkat": 266, "readlinkat": 267, "fchmodat": 268, "faccessat": 269,
    "ppoll": 271, "unshare": 272, "set_robust_list": 273, "move_pages": 279, "utimensat": 280,
    "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "fanotify_init": 300, "prlimit64": 302, "open_by_handle_at": 304,
    "clock_adjtime": 305, "setns": 308, "getcpu": 309, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "finit_module": 313, "sched_setattr": 314, "renameat2": 316, "seccomp": 317, "getrandom": 318, "memfd_create": 319,
    "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323, "membarrier": 324, "statx": 332,
    "rseq": 334,
}
_AARCH64 = {
    **_COMMON,
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "getcwd": 17, "dup": 23, "fcntl": 25, "ioctl": 29, "ioprio_set": 30, "flock": 32, "mknodat": 33, "mkdirat": 34,
    "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39, "mount": 40, "pivot_root": 41,
    "truncate": 45, "ftruncate": 46, "faccessat": 48, "chdir": 49, "fchdir": 50, "chroot": 51, "fchmod": 52,
    "fchmodat": 53, "fchownat": 54, "fchown": 55, "openat": 56, "close": 57, "quotactl": 60, "getdents64": 61,
    "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "ppoll": 73, "readlinkat": 78,
    "newfstatat": 79, "fstat": 80, "utimensat": 88, "acct": 89, "capset": 91, "personality": 92, "exit": 93,
    "exit_group": 94, "unshare": 97, "futex": 98, "set_robust_list": 99, "nanosleep": 101, "kexec_load": 104,
    "init_module": 105, "delete_module": 106, "clock_settime": 112, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "syslog": 116, "ptrace": 117, "sched_setparam": 118, "sched_setscheduler": 119,
    "sched_getscheduler": 120, "sched_getparam": 121, "sched_setaffinity": 122, "sched_getaffinity": 123,
    "sched_yield": 124, "restart_syscall": 128, "kill": 129, "tgkill": 131, "sigaltstack": 132, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigqueueinfo": 138, "rt_sigreturn": 139, "setpriority": 140, "reboot": 142,
    "setregid": 143, "setgid": 144, "setreuid": 145, "setuid": 146, "setresuid": 147, "setresgid": 149,
    "setfsuid": 151, "setfsgid": 152, "times": 153, "setgroups": 159, "uname": 160, "sethostname": 161,
    "setdomainname": 162, "getrusage": 165, "prctl": 167, "getcpu": 168, "gettimeofday": 169, "settimeofday": 170,
    "adjtimex": 171, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177,
    "gettid": 178, "sysinfo": 179, "mq_open": 180, "mq_unlink": 181, "msgget": 186, "msgctl": 187, "msgrcv": 188,
    "msgsnd": 189, "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193, "shmget": 194, "shmctl": 195,
    "shmat": 196, "socket": 198, "bind": 200, "listen": 201, "connect": 203, "brk": 214, "munmap": 215, "mremap": 216,
    "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "execve": 221, "mmap": 222, "fadvise64": 223,
    "swapon": 224, "swapoff": 225, "mprotect": 226, "mincore": 232, "madvise": 233, "migrate_pages": 238,
    "move_pages": 239, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "fanotify_init": 262,
    "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "kcmp": 272, "finit_module": 273, "sched_setattr": 274, "renameat2": 276, "seccomp": 277, "getrandom": 278,
    "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282, "membarrier": 283, "statx": 291, "rseq": 293,
    "kexec_file_load": 294,
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
