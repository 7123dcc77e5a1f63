"""What is done to a child from outside, and what it must not survive: with the layer that is meant, and without."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from service.sandbox.client import Sandbox
from tests.service.sandbox import trying
from tests.service.sandbox.tries.base import raw

_GRACE_SECONDS = 0.5
_LONG = msgspec.structs.replace(trying.LIMITS, seconds=10.0)


def table(folder: Path, target: dict[str, object]) -> Iterator[str]:
    """Markdown, line by line."""
    yield "| done to a child | layer | with it | without it |"
    yield "| --- | --- | --- | --- |"
    for what, layer, look in (
        ("its memory is read by another process of the same user", "undumpable", _read_memory),
        ("the kernel looks for a process to kill for want of memory", "oom_first", _rank),
        ("its warm process is killed while it works", "parent_death", _orphan),
    ):
        found = []
        for without in ((), (layer,)):
            with trying.wall(folder / f"outside-{layer}-{len(without)}", "static", without) as sandbox:
                found.append(look(sandbox, target))
        yield f"| {what} | {layer} | {found[0]} | {found[1]} |"


def children_of(pid: int) -> list[int]:
    """Process ids of the children of `pid`."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _waiting(sandbox: Sandbox) -> list[int]:
    warm = sandbox.states()["static"].pid or 0
    deadline = time.monotonic() + 5
    while len(children_of(warm)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)  # the layers of the last one are on by then
    return children_of(warm)


def _read_memory(sandbox: Sandbox, _: dict[str, object]) -> str:
    if os.geteuid() == 0:
        return "not to be told: root may"
    buffer = ctypes.create_string_buffer(8)
    here = struct.pack("=QQ", ctypes.addressof(buffer), 8)
    try:
        raw("process_vm_readv", _waiting(sandbox)[0], here, 1, struct.pack("=QQ", id(None), 8), 1, 0)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "read"


def _rank(sandbox: Sandbox, _: dict[str, object]) -> str:
    found = Path(f"/proc/{_waiting(sandbox)[0]}/oom_score_adj").read_text().strip()
    return f"oom_score_adj {found}"


def _orphan(sandbox: Sandbox, target: dict[str, Any]) -> str:
    """Nobody who waits is there to help: the client that does is stopped meanwhile."""
    children = _waiting(sandbox)
    client = os.fork()
    if client == 0:
        trying.outcomes(sandbox, ["sleep_in_c"], target, "static", _LONG)
        os._exit(0)
    warm = sandbox.states()["static"].pid or 0
    while len(children_of(warm)) < 3:
        time.sleep(0.01)
    os.kill(client, signal.SIGSTOP)
    os.kill(warm, signal.SIGKILL)
    time.sleep(_GRACE_SECONDS)
    left = [pid for pid in children if _alive(pid)]
    for pid in (client, *left):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(client, 0)
    return f"{len(left)} alive after {_GRACE_SECONDS} s"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
