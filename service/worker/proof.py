"""Shows, before any upload comes, which layers stand and that a child cannot do what it must not; serves nobody.

The rehearsal forks children that put on the planned layers, leaving out what fails until one stands. The self-test
then runs in a child like every later one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket

import msgspec

from service import wire
from service.worker import children, landlock, selftest
from service.worker.confine import LAYERS, Plan
from service.worker.kit import Kit

_SECONDS = 20
"""Longest a rehearsed child may take: far more than it needs on a busy machine."""


def rehearse(plan: Plan, kit: Kit) -> Plan:
    """`plan` with the layers that can be put on here."""
    while plan.layers:
        ended, _ = _try(plan, kit, wire.Task(work="selftest", parts=("list_root",)))
        if ended.status == 0:
            break
        failed = ended.status - wire.LAYER_FAILED
        lost = {LAYERS[failed]} if 0 <= failed < len(LAYERS) else plan.layers  # died otherwise: no layer is proven
        plan = msgspec.structs.replace(plan, layers=plan.layers - lost)
    return plan


def prove(plan: Plan, kit: Kit) -> wire.Warm:
    """What holds under a rehearsed `plan`; layers that it lacks are reported as not standing."""
    names = (*selftest.SURVIVED, *selftest.ONLY_SEALED) if plan.sealed else selftest.SURVIVED
    ended, answer = _try(plan, kit, wire.Task(work="selftest", parts=names))
    probes = (answer.probes if answer else None) or dict.fromkeys(names, False)
    ended, _ = _try(plan, kit, wire.Task(work="selftest", parts=(selftest.DEADLY,)))
    return wire.Warm(
        framework_version=kit.framework_version,
        layers={layer: layer in plan.layers for layer in LAYERS},
        probes={**probes, selftest.DEADLY: ended.status == -signal.SIGSYS},
        landlock_abi=landlock.abi(),
    )


def holds(warm: wire.Warm) -> bool:
    """Whether every layer stands and every probe was stopped."""
    return all(warm.layers.values()) and all(warm.probes.values())


def _try(plan: Plan, kit: Kit, task: wire.Task) -> tuple[wire.Ended, wire.Answer | None]:
    """Run a self-test in a child of its own, as a client would."""
    child = children.fork(plan, kit)
    client, connection = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with client, connection, os.fdopen(reading, "rb") as answer:
        with contextlib.suppress(OSError):  # a layer failed and it is dead already: its status says which
            child.hand_over(connection)
        socket.send_fds(client, [wire.encode(task)], [writing])
        os.close(writing)
        if not select.select([child.handle], [], [], _SECONDS)[0]:
            child.kill()
        ended = child.reap()
        connection.close()  # a task that was never taken would keep the pipe open
        data = answer.read(wire.TASK_BYTES)
    return ended, wire.decode_answer(data) if data and ended.status == 0 else None
