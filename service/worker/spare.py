"""The life of one child: confined, given one task, and gone; knows no policy and returns to nobody.

The warm process forks it ahead of time. It puts on all that needs no task and waits. What it then receives is a
connection to the client; from there it takes the task and its descriptors, puts on the rest, and works.
"""

from __future__ import annotations

import gc
import os
import socket
from functools import partial
from typing import NoReturn

from service import wire
from service.worker import work
from service.worker.confine import Budget, LayerFailed, Plan, close, stand
from service.worker.kit import Kit
from service.worker.seccomp import ANSWER
from service.worker.telling import Teller

CHANNEL = 3
"""Descriptor at which the connection arrives."""
_FAILED = 70
"""Exit status when something broke outside the task itself (sysexits: software error)."""


def live(channel: int, plan: Plan, kit: Kit) -> NoReturn:
    """Everything a child does, from the fork on.

    Objects of the warm process that own descriptors stay referenced by the frames above, which are never left:
    they must not close descriptors whose numbers are in use for other things by now.
    """
    status = _FAILED
    gc.disable()  # a child is short-lived and bounded; a collection costs more than all it could free
    try:
        _arrange_descriptors(channel)
        _serve(plan, kit)
        status = 0
    except LayerFailed as failed:
        status = failed.status
    finally:
        os._exit(status)


def _arrange_descriptors(channel: int) -> None:
    """Nothing at 0, 1 and 2, the channel at 3: all above is closed by the first layer."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.dup2(channel, CHANNEL)


def _serve(plan: Plan, kit: Kit) -> None:
    stance = stand(plan)
    received = _receive_task()
    if received is None:
        return
    task, files, answer = received
    close(plan, _budget(task), stance)
    work.run(task, files, kit, partial(work.send, answer), Teller(answer))


def _receive_task() -> tuple[wire.Task, list[int], int] | None:
    """Task, upload files and the pipe for the answer; None if the client went away. No socket stays open."""
    with socket.socket(fileno=CHANNEL) as channel:
        _, connections, _, _ = socket.recv_fds(channel, 1, 1)
    if not connections:
        return None
    with socket.socket(fileno=connections[0]) as connection:
        data, descriptors, _, _ = socket.recv_fds(connection, wire.TASK_BYTES, wire.MAX_FILES + 1)
    if not data:
        return None
    *files, answer = descriptors
    os.dup2(answer, ANSWER)
    os.close(answer)
    return wire.decode_task(data), files, ANSWER


def _budget(task: wire.Task) -> Budget:
    return Budget(memory_bytes=task.memory_bytes, seconds=task.seconds, files=task.descriptors)
