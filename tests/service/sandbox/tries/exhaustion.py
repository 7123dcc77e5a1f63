"""Tries to use up what all share. Each asks for more than a child may have, and for no more than a machine has."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tests.service.sandbox.tries.base import SCARCE, Target, a_try, number_of, raw

EXHAUST = "use up what all share"
BYTES = 192 << 20
"""More memory than a child of the tests may add."""
_MIB = 1 << 20
_NO_RESERVE = 0x4000
_DESCRIPTORS, _PROCESSES, _THREADS, _SIGNALS = 2_000, 20, 200, 2_000


@a_try(EXHAUST, "memory of Python's", deadly=True)
def fill_heap(_: Target) -> str:
    held = [bytearray(b"x" * _MIB) for _ in range(BYTES // _MIB)]
    return f"{len(held)} MiB"


@a_try(EXHAUST, "memory of the kernel's, touched page by page", SCARCE, deadly=True)
def fill_mapping(_: Target) -> str:
    with mmap.mmap(-1, BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for offset in range(0, BYTES, mmap.PAGESIZE):
            memory[offset] = 1
        return f"{len(memory) // _MIB} MiB"


@a_try(EXHAUST, "shared memory", SCARCE, deadly=True)
def fill_shared_mapping(_: Target) -> str:
    with mmap.mmap(-1, BYTES) as memory:
        for offset in range(0, BYTES, mmap.PAGESIZE):
            memory[offset] = 1
        return f"{len(memory) // _MIB} MiB"


@a_try(EXHAUST, "addresses without memory", SCARCE, deadly=True)
def reserve_addresses(_: Target) -> str:
    mmap.mmap(-1, 1 << 40, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE).close()
    return "1 TiB"


@a_try(EXHAUST, "the stack, in C", deadly=True)
def overrun_stack(_: Target) -> str:
    one: list[object] = []
    other: list[object] = []
    for _ in range(200_000):
        one, other = [one], [other]
    sys.setrecursionlimit(2**31 - 1)
    return f"equal: {one == other}"


@a_try(EXHAUST, "memory that cannot be swapped", SCARCE)
def lock_memory(_: Target) -> str:
    memory = ctypes.create_string_buffer(4096 * 2)
    raw("mlock", ctypes.addressof(memory), 4096)
    return "locked"


@a_try(EXHAUST, "descriptors", SCARCE, deadly=True)
def use_up_descriptors(_: Target) -> str:
    for _ in range(_DESCRIPTORS):
        raw("dup", 0)
    return f"{_DESCRIPTORS} descriptors"


@a_try(EXHAUST, "processes", SCARCE, deadly=True)
def use_up_processes(_: Target) -> str:
    born = []
    try:
        for _ in range(_PROCESSES):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            born.append(pid)
    finally:
        for pid in born:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return f"{len(born)} processes"


@a_try(EXHAUST, "threads", SCARCE, deadly=True)
def use_up_threads(_: Target) -> str:
    over = threading.Event()
    threading.stack_size(1 << 16)
    threads = [threading.Thread(target=over.wait, daemon=True) for _ in range(_THREADS)]
    started = 0
    try:
        for thread in threads:
            thread.start()
            started += 1
    finally:
        over.set()
    return f"{started} threads"


def _fill(path: str) -> str:
    name = f"{path}/weighbridge-escape-{os.getpid()}"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    Path(name).unlink()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        written = sum(os.write(descriptor, b"x" * _MIB) for _ in range(8))
    finally:
        os.close(descriptor)
    return f"{written // _MIB} MiB"


@a_try(EXHAUST, "the disk", SCARCE, deadly=True)
def fill_disk(target: Target) -> str:
    return _fill(target.folder)


@a_try(EXHAUST, "the memory's file system", SCARCE, deadly=True)
def fill_shm(_: Target) -> str:
    return _fill("/dev/shm")


@a_try(EXHAUST, "a file in memory", SCARCE, deadly=True)
def fill_memory_file(_: Target) -> str:
    descriptor = os.memfd_create("weighbridge-escape")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        return f"{sum(os.write(descriptor, b'x' * _MIB) for _ in range(8)) // _MIB} MiB"
    finally:
        os.close(descriptor)


@a_try(EXHAUST, "buffers of pipes", SCARCE, deadly=True)
def fill_pipes(_: Target) -> str:
    ends = [os.pipe() for _ in range(100)]
    written = 0
    for _, writing in ends:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                written += os.write(writing, b"x" * 65536)
    return f"{written} bytes"


@a_try(EXHAUST, "the user's store of waiting signals", SCARCE, deadly=True)
def queue_signals(_: Target) -> str:
    number = signal.SIGRTMIN + 1
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    for _ in range(_SIGNALS):
        raw(number_of("tgkill"), os.getpid(), os.getpid(), number)
    return f"{_SIGNALS} signals"
