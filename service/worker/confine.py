"""The layers that a child puts on before it reads anything, in order; knows each by name, not what it protects.

`ground` puts on what the warm process itself stands under, and so every child. `stand` puts on what a child can put on
before its task is known; `close` the rest: limits that the task names, and the filter, after which not even receiving a
descriptor is possible. A layer that fails is an error, never skipped.

A kind that reads uploads is sealed: with its task it has all that it will ever open, so that it may open nothing more.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path
from typing import NamedTuple

import msgspec

from service.tree import Frozen
from service.wire import LAYER_FAILED
from service.worker import landlock, seccomp, syscalls

LAYERS = (
    "refusals",
    "descriptors",
    "session",
    "parent_death",
    "privileges",
    "oom_first",
    "undumpable",
    "landlock",
    "limits",
    "seccomp",
)
"""In the order in which they are put on. oom_first opens a file that undumpable would close to us."""
SEALED = frozenset({"static", "values"})
"""Kinds that import nothing once they are warm; the others build with frameworks, which do so all the time."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x20080522
SPARE_DESCRIPTORS = 64
"""What a child may open beyond the files it was given: lazily imported modules, one at a time."""
_KEPT_DESCRIPTORS = 4
"""Standard input, output, error, and the channel to the warm process."""
_SECONDS_TO_DIE = 2
_NOTHING = (
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_SIGPENDING,
)
"""Limits of which a child has none to spend: of the last three all processes of a user draw on one store."""


class Plan(Frozen, frozen=True, kw_only=True):
    """What a child puts on.

    Attributes:
        parent: The warm process; a child whose parent is another is an orphan and ends.
        layers: Those to put on.
        readable: Folders and files that stay readable.
        sealed: It opens nothing, starts no thread and loads no code once it has its task.
    """

    parent: int
    layers: frozenset[str]
    readable: tuple[Path, ...]
    sealed: bool = True


class LayerFailed(Exception):
    """A planned layer could not be put on; `status` is what the child exits with."""

    def __init__(self, layer: str) -> None:
        super().__init__(layer)
        self.status = LAYER_FAILED + LAYERS.index(layer)


class Budget(Frozen, frozen=True, kw_only=True):
    """What one task may use: bytes of address space beyond the present, seconds of processor, open files."""

    memory_bytes: int
    seconds: float
    files: int


def plan_for(kind: str, without: Iterable[str] = ()) -> Plan:
    """The plan for the children of this process, which is the warm one of `kind`."""
    sealed = kind in SEALED
    layers = frozenset(LAYERS) - frozenset(without)
    return Plan(parent=os.getpid(), layers=layers, readable=() if sealed else readable_folders(kind), sealed=sealed)


def readable_folders(kind: str) -> tuple[Path, ...]:
    """The interpreter's own read-only folders; for TensorFlow also its source of randomness and /proc/self."""
    libraries = {Path(prefix) / part for prefix in (sys.prefix, sys.base_prefix) for part in ("lib", "lib64")}
    paths = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    system = {Path("/usr/lib"), Path("/usr/lib64"), Path("/lib"), Path("/lib64"), Path("/etc/ld.so.cache")}
    package = Path(__file__).resolve().parent.parent
    own = {Path("/dev/urandom"), Path("/proc/self")} if kind == "keras" else set()
    return tuple(sorted({*libraries, *paths, *system, package, *own}))


class Stance(NamedTuple):
    """What `close` needs and cannot ask any more or should not take time for: bytes in use, the filter's program."""

    address_space: int
    program: bytes


def ground(plan: Plan) -> Plan:
    """Have this process and all that it forks refused what none of them needs; the plan with what stands now."""
    if "refusals" not in plan.layers:
        return plan
    try:
        syscalls.prctl(_PR_SET_NO_NEW_PRIVS, 1)
        seccomp.install(seccomp.refusals(syscalls.machine(), sealed=plan.sealed))
    except OSError:
        return msgspec.structs.replace(plan, layers=plan.layers - {"refusals"})
    return plan


def stand(plan: Plan) -> Stance:
    """Put on every planned layer that needs no task. LayerFailed if one cannot."""
    address_space = _address_space()
    put_on: dict[str, Callable[[], None]] = {
        "descriptors": _close_descriptors,
        "session": os.setsid,
        "parent_death": lambda: die_with(plan.parent),
        "privileges": _drop_privileges,
        "oom_first": lambda: _write("/proc/self/oom_score_adj", "1000"),
        "undumpable": lambda: syscalls.prctl(_PR_SET_DUMPABLE, 0),
        "landlock": lambda: landlock.enter(plan.readable),
    }
    for layer in LAYERS:
        if layer in plan.layers and layer in put_on:
            _put_on(layer, put_on[layer])
    filtered = "seccomp" in plan.layers
    own = seccomp.program(syscalls.machine(), os.getpid(), sealed=plan.sealed) if filtered else b""
    return Stance(address_space, own)


def close(plan: Plan, budget: Budget, stance: Stance) -> None:
    """Put on the rest. Nothing can be received, opened for writing or started from here on. LayerFailed as above."""
    if "limits" in plan.layers:
        _put_on("limits", lambda: _limit(budget, stance.address_space, sealed=plan.sealed))
    if "seccomp" in plan.layers:
        _put_on("seccomp", lambda: seccomp.install(stance.program))


def _put_on(layer: str, how: Callable[[], None]) -> None:
    try:
        how()
    except (OSError, ValueError) as error:
        raise LayerFailed(layer) from error


def _close_descriptors() -> None:
    syscalls.call("close_range", _KEPT_DESCRIPTORS, 2**31 - 1, 0)


def die_with(parent: int) -> None:
    """Be killed by the kernel as soon as `parent` ends, however it ends."""
    syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died between the fork and the call above
        os._exit(0)


def _drop_privileges() -> None:
    """No new privileges, and none of those that root would have (raising its own limits, for one)."""
    syscalls.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    syscalls.call("capset", header, ctypes.create_string_buffer(24))


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _limit(budget: Budget, address_space: int, *, sealed: bool) -> None:
    """Address space is counted from what the warm process already has; the processor limit backs the deadline.

    No descriptor at all may be made by a sealed child: open files, sockets, whatever else the kernel hands out as one.
    """
    space = address_space + budget.memory_bytes
    seconds = ceil(budget.seconds) + 1
    files = 0 if sealed else budget.files + SPARE_DESCRIPTORS
    limits = [
        (resource.RLIMIT_AS, space, space),
        (resource.RLIMIT_CPU, seconds, seconds + _SECONDS_TO_DIE),
        (resource.RLIMIT_NOFILE, files, files),
        *((which, 0, 0) for which in _NOTHING),
    ]
    if sealed:
        limits.append((resource.RLIMIT_NPROC, 0, 0))
    for which, soft, hard in limits:
        _, ceiling = resource.getrlimit(which)
        bound = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        resource.setrlimit(which, (min(soft, bound), bound))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
