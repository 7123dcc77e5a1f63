"""What the filter decides, on both machines, by running its program as the kernel would."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from service.worker import seccomp, syscalls

ALLOW, KILL = "allow", "kill"
PID = 4711
THREAD_FLAGS = 0x3D0F00  # what glibc starts a thread with
PARENT_AND_CHILD_FLAGS = 0x1200011  # what it forks with


def decide(machine: str, call: str | int, *arguments: int, arch: int | None = None) -> str | int:
    """allow, kill, or the errno that the filter of `machine` answers a system call with."""
    found = syscalls.machine(machine)
    number = found.numbers[call] if isinstance(call, str) else call
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=iIQ6Q", number, found.audit_arch if arch is None else arch, 0, *padded)
    return meaning(run(seccomp.program(found, PID), data))


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


@machines
@pytest.mark.parametrize("call", ["read", "pread64", "write", "mmap", "futex", "exit_group", "getrandom", "close"])
def test_what_reading_takes_is_allowed(machine, call):
    """Whatever the arguments."""
    assert decide(machine, call, 1, 2, 3) == ALLOW


@machines
@pytest.mark.parametrize(
    "call", ["kill", "ptrace", "process_vm_readv", "bpf", "io_uring_setup", "unshare", "memfd_create"]
)
def test_what_is_not_listed_is_refused(machine, call):
    """With EPERM, so that a library which merely asks goes on."""
    assert decide(machine, call) == errno.EPERM


@machines
def test_an_unknown_number_is_refused(machine):
    """Calls of later kernels too."""
    assert decide(machine, 999) == errno.EPERM


@machines
@pytest.mark.parametrize("call", ["execve", "execveat"])
def test_starting_a_program_kills(machine, call):
    """No reader does that by mistake."""
    assert decide(machine, call) == KILL


@machines
def test_calls_of_another_machine_kill(machine):
    """32-bit calls have other numbers; x32 ones have a bit set."""
    assert decide(machine, "read", arch=0x40000003) == KILL
    assert decide(machine, 0x40000000) == KILL


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
def test_signals_reach_only_itself(machine):
    """abort() must work, so that a crash has its name."""
    assert decide(machine, "tgkill", PID, PID, 6) == ALLOW
    assert decide(machine, "tgkill", PID + 1, PID + 1, 6) == errno.EPERM


@machines
def test_limits_can_be_read_and_not_set(machine):
    """A new limit is a pointer in the third argument, in either half of it."""
    assert decide(machine, "prlimit64", 0, 7, 0, 1) == ALLOW
    assert decide(machine, "prlimit64", 0, 7, 1, 0) == errno.EPERM
    assert decide(machine, "prlimit64", 0, 7, 1 << 32, 0) == errno.EPERM


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
    seccomp.install(seccomp.program(syscalls.machine(), os.getpid()))
    filtered.set()
    thread.join()
    ask()
    os.write(writing, " ".join(found).encode())
    os._exit(0)
