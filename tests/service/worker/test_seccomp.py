"""What the filter decides, on both machines, by running its program as the kernel would."""

from __future__ import annotations

import errno
import functools
import os
import signal
import struct

import pytest

from service.worker import seccomp, syscalls

ALLOW, KILL = "allow", "kill"
PID = 4711
THREAD_FLAGS = 0x3D0F00  # what glibc starts a thread with
PARENT_AND_CHILD_FLAGS = 0x1200011  # what it forks with


SEALED, BUILDING, WARM = "sealed", "building", "warm"


def decide(machine: str, call: str | int, *arguments: int, arch: int | None = None, whose: str = BUILDING) -> str | int:
    """allow, kill, or the errno that a filter of `machine` answers a system call with."""
    found = syscalls.machine(machine)
    number = found.numbers[call] if isinstance(call, str) else call
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=iIQ6Q", number, found.audit_arch if arch is None else arch, 0, *padded)
    return meaning(run(program(machine, whose), data))


@functools.cache
def program(machine: str, whose: str) -> bytes:
    """The filter of a child, or of a warm process."""
    found = syscalls.machine(machine)
    if whose == WARM:
        return seccomp.refusals(found, sealed=True)
    return seccomp.program(found, PID, sealed=whose == SEALED)


def run(program: bytes, data: bytes) -> int:
    """Classic BPF, as far as the filter uses it (linux/filter.h)."""
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        operation, on_true, on_false, value = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[operation]
            at += on_true if holds else on_false


def meaning(verdict: int) -> str | int:
    """A verdict in words, or its errno."""
    if verdict & 0xFFFF0000 == 0x00050000:
        return verdict & 0xFFFF
    return {0x7FFF0000: ALLOW, 0x80000000: KILL}[verdict]


machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


children = pytest.mark.parametrize("whose", [SEALED, BUILDING])


@machines
@children
@pytest.mark.parametrize("call", ["pread64", "write", "mmap", "futex", "exit_group", "getrandom", "close"])
def test_what_reading_takes_is_allowed(machine, whose, call):
    """Reading at a place, writing the answer, memory, time, an end."""
    assert decide(machine, call, seccomp.ANSWER, 2, 3, whose=whose) == ALLOW


@machines
@children
@pytest.mark.parametrize(
    "call",
    ["kill", "ptrace", "process_vm_readv", "bpf", "io_uring_setup", "unshare", "memfd_create", "capset", "seccomp"],
)
def test_what_is_not_listed_is_refused(machine, whose, call):
    """With EPERM, so that a library which merely asks goes on."""
    assert decide(machine, call, whose=whose) == errno.EPERM


@machines
def test_a_sealed_child_has_nothing_that_takes_a_path(machine):
    """Nor a list of a folder, nor another descriptor."""
    for call in ("openat", "newfstatat", "statx", "faccessat", "readlinkat", "getcwd", "getdents64", "dup", "ioctl"):
        assert decide(machine, call, whose=SEALED) == errno.EPERM
        assert decide(machine, call, 0, 0x5401, whose=BUILDING) == ALLOW
    for call in ("open", "stat", "lstat", "access", "readlink"):
        assert decide("x86_64", call, whose=SEALED) == errno.EPERM


@machines
def test_a_sealed_child_writes_its_answer_and_reads_no_stream(machine):
    """What it might have inherited, a connection say, is of no use to it."""
    assert decide(machine, "write", seccomp.ANSWER, whose=SEALED) == ALLOW
    for descriptor in (1, 2, 3, 300):
        assert decide(machine, "write", descriptor, whose=SEALED) == errno.EPERM
    for call in ("read", "readv", "writev"):
        assert decide(machine, call, seccomp.ANSWER, whose=SEALED) == errno.EPERM


@machines
def test_a_sealed_child_starts_no_thread_and_runs_no_data(machine):
    """One that builds does both: pools of threads, native modules."""
    assert decide(machine, "clone", THREAD_FLAGS, whose=SEALED) == errno.EPERM
    for call in ("mmap", "mprotect"):
        assert decide(machine, call, 0, 4096, os.O_RDWR | 1, whose=SEALED) == ALLOW
        assert decide(machine, call, 0, 4096, 0x5, whose=SEALED) == errno.EPERM
        assert decide(machine, call, 0, 4096, 0x5, whose=BUILDING) == ALLOW


@machines
@pytest.mark.parametrize("call", seccomp.NEVER)
def test_a_warm_process_is_refused_what_nothing_here_needs(machine, call):
    """And so is every child of it; where the machine has the call. No child's own list has it either."""
    if call in syscalls.machine(machine).numbers:
        assert decide(machine, call, whose=WARM) == errno.EPERM
        assert decide(machine, call, whose=BUILDING) == errno.EPERM


@machines
def test_a_warm_process_does_its_work(machine):
    """It forks, passes descriptors, ends and buries children, and lets them confine themselves."""
    for call in ("clone", "openat", "tgkill", "kill", "capset", "seccomp", "landlock_restrict_self"):
        assert decide(machine, call, PARENT_AND_CHILD_FLAGS, whose=WARM) == ALLOW
    assert decide(machine, "prlimit64", 0, 7, 1, whose=WARM) == ALLOW


@machines
def test_a_warm_process_puts_the_wall_on_and_never_off(machine):
    """By its option of prctl; limits of itself only, no descriptor that signals, no data as code."""
    for option, value in ((1, signal.SIGKILL), (4, 0), (38, 1)):
        assert decide(machine, "prctl", option, value, whose=WARM) == ALLOW
    for option, value in ((1, 0), (4, 1), (22, 2), (24, 0), (0x59616D61, 1)):
        assert decide(machine, "prctl", option, value, whose=WARM) == errno.EPERM
    assert decide(machine, "prlimit64", PID, 7, 1, whose=WARM) == errno.EPERM
    assert decide(machine, "fcntl", 3, 8, whose=WARM) == errno.EPERM
    assert decide(machine, "mmap", 0, 4096, 0x5, whose=WARM) == errno.EPERM


OLD_NAMES = (
    "creat mkdir rmdir unlink rename link symlink chmod chown lchown utime utimes futimesat mknod vfork"
    " modify_ldt iopl ioperm"
)
"""Calls of x86_64 whose place is taken elsewhere by one that takes a folder, too, or of its hardware."""


def test_every_call_of_the_list_has_its_number():
    """A number that was merely forgotten would leave a hole."""
    lacking = {"x86_64": set(), "aarch64": set(OLD_NAMES.split())}
    for name, expected in lacking.items():
        assert set(seccomp.NEVER) - set(syscalls.machine(name).numbers) == expected


@machines
def test_an_unknown_number_is_refused(machine):
    """Calls of later kernels too."""
    assert decide(machine, 999) == errno.EPERM


@machines
@pytest.mark.parametrize("whose", [SEALED, BUILDING, WARM])
@pytest.mark.parametrize("call", ["execve", "execveat"])
def test_starting_a_program_kills(machine, whose, call):
    """No reader does that by mistake."""
    assert decide(machine, call, whose=whose) == KILL


@machines
@pytest.mark.parametrize("whose", [SEALED, BUILDING, WARM])
def test_calls_of_another_machine_kill(machine, whose):
    """32-bit calls have other numbers; x32 ones have a bit set."""
    assert decide(machine, "read", arch=0x40000003, whose=whose) == KILL
    assert decide(machine, 0x40000000, whose=whose) == KILL


@machines
def test_files_open_for_reading_only(machine):
    """Every flag that writes, creates or cuts is refused; close-on-exec and directories are fine."""
    for flags in (os.O_RDONLY, os.O_CLOEXEC, os.O_DIRECTORY | os.O_CLOEXEC, os.O_NOFOLLOW):
        assert decide(machine, "openat", 0, 0, flags) == ALLOW
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_TMPFILE | os.O_RDWR):
        assert decide(machine, "openat", 0, 0, flags) == errno.EPERM
    assert decide("x86_64", "open", 0, os.O_RDONLY) == ALLOW
    assert decide("x86_64", "open", 0, os.O_WRONLY) == errno.EPERM


@machines
def test_threads_may_start_and_processes_may_not(machine):
    """`clone` by its flags; `clone3`, whose flags cannot be seen, does not exist."""
    assert decide(machine, "clone", THREAD_FLAGS) == ALLOW
    assert decide(machine, "clone", PARENT_AND_CHILD_FLAGS) == errno.EPERM
    assert decide(machine, "clone", THREAD_FLAGS | 0x10000000) == errno.EPERM
    assert decide(machine, "clone3") == errno.ENOSYS


@machines
def test_the_only_signal_is_abort_to_itself(machine):
    """That must work, so that a crash has its name; a child that killed itself would not look like the culprit."""
    assert decide(machine, "tgkill", PID, PID, signal.SIGABRT) == ALLOW
    assert decide(machine, "tgkill", PID + 1, PID + 1, signal.SIGABRT) == errno.EPERM
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGXCPU, signal.SIGRTMIN):
        assert decide(machine, "tgkill", PID, PID, number) == errno.EPERM


@machines
def test_limits_can_be_read_and_not_set(machine):
    """Its own; a new limit is a pointer in the third argument, in either half of it."""
    assert decide(machine, "prlimit64", 0, 7, 0, 1) == ALLOW
    assert decide(machine, "prlimit64", 0, 7, 1, 0) == errno.EPERM
    assert decide(machine, "prlimit64", 0, 7, 1 << 32, 0) == errno.EPERM
    assert decide(machine, "prlimit64", PID - 1, 7, 0, 1) == errno.EPERM


@machines
def test_descriptors_cannot_be_made_to_signal(machine):
    """F_SETOWN names a process to be signalled; harmless commands pass."""
    assert decide(machine, "fcntl", 3, 1) == ALLOW
    assert decide(machine, "fcntl", 3, 8) == errno.EPERM
    assert decide(machine, "ioctl", 3, 0x5401) == ALLOW
    assert decide(machine, "ioctl", 3, 0x8901) == errno.EPERM


def test_a_filter_is_for_good_and_for_all_threads():
    """In a process of its own: a socket is refused to the thread that was there before the filter."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        filter_and_tell(writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == "EPERM EPERM"
    os.waitpid(child, 0)


def filter_and_tell(writing: int) -> None:
    """Filter this process while a second thread waits, and write what each is told when it asks for a socket."""
    import socket
    import threading

    found, filtered = [], threading.Event()

    def ask():
        filtered.wait()
        try:
            socket.socket()
        except OSError as error:
            found.append(errno.errorcode[error.errno])

    thread = threading.Thread(target=ask)
    thread.start()
    syscalls.prctl(38, 1)
    seccomp.install(seccomp.program(syscalls.machine(), os.getpid(), sealed=False))
    filtered.set()
    thread.join()
    ask()
    os.write(writing, " ".join(found).encode())
    os._exit(0)
