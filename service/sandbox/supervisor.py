"""`python -I -m service.sandbox.supervisor`: one per machine, keeps a warm process per kind; never sees a task.

It is told its parent's process id and ends with it, taking its warm processes along. The parent is watched by a
descriptor, not by a parent-death signal: that one fires when the *thread* that started us ends, and lets only the
parent itself start us. Where a layer of the wall is missing it refuses, in one sentence, unless that is allowed.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from service import config
from service.config import Settings
from service.sandbox import state
from service.sandbox.keeper import Keeper
from service.sandbox.kinds import KINDS, how_to_install, interpreter, starts_at_once
from service.sandbox.state import KindState

REFUSED = 3
"""Exit status: a layer of the wall is missing, or a setting is wrong."""
_DISK_SECONDS = 1.0
"""Between two tries to write down how the kinds stand."""


class RefusedError(Exception):
    """Not to be started here, with the sentence that says why."""


def main() -> int:
    """Keep the warm processes until the parent ends or SIGTERM comes."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _end)
    os.umask(0o077)
    try:
        state.make_folder(given.runtime_dir)
        with state.held(given.runtime_dir) as alone, _watched(given.parent) as parent:
            if alone:  # else another supervises already, and that is just as well
                _supervise(given, config.load(), parent)
    except (RefusedError, ValueError, PermissionError) as error:
        sys.stderr.write(f"weighbridge: {error}\n")
        return REFUSED
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="service.sandbox.supervisor", description=__doc__)
    parser.add_argument("--runtime-dir", required=True, type=Path, help="owner-only folder for sockets and state")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to end with")
    parser.add_argument("--kind", action="append", choices=KINDS, help="which to run; all by default")
    parser.add_argument("--worker-argument", action="append", default=[], help="for tests of the wall only")
    return parser.parse_args()


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


@contextmanager
def _watched(parent: int) -> Iterator[int]:
    """A descriptor that becomes readable when `parent` ends."""
    try:
        handle = os.pidfd_open(parent)
    except ProcessLookupError:
        raise SystemExit(0) from None
    try:
        yield handle
    finally:
        os.close(handle)


def _supervise(given: argparse.Namespace, settings: Settings, parent: int) -> None:
    state.clear(given.runtime_dir)
    extra = given.worker_argument if settings.allow_unconfined else []
    kinds = given.kind or KINDS
    keepers = {
        kind: keeper for kind in kinds if (keeper := _keeper(kind, settings, given.runtime_dir, extra)) is not None
    }
    absent = {kind: KindState(problem=how_to_install(kind)) for kind in kinds if kind not in keepers}
    try:
        _loop(keepers, absent, settings, parent, given.runtime_dir)
    finally:
        for keeper in keepers.values():
            keeper.stop()
        state.clear(given.runtime_dir)


def _keeper(kind: str, settings: Settings, runtime_dir: Path, extra: Sequence[str]) -> Keeper | None:
    python = interpreter(kind, settings)
    if python is None:
        return None
    command = [python, "-I", "-m", "service.worker", "--kind", kind, "--parent", str(os.getpid())]
    command += ["--spares", str(settings.spare_children)]
    if settings.allow_unconfined:
        command.append("--allow-unconfined")
    return Keeper(kind, [*command, *extra], runtime_dir, at_once=starts_at_once(kind, settings))


def _loop(
    keepers: dict[str, Keeper], absent: dict[str, KindState], settings: Settings, parent: int, runtime_dir: Path
) -> None:
    published: dict[str, KindState] = {}
    stuck = False
    while True:
        for keeper in keepers.values():
            keeper.look()
        current = {**absent, **{kind: keeper.state for kind, keeper in keepers.items()}}
        if not settings.allow_unconfined:
            _check(current)
        stuck = current != published and not _publish(runtime_dir, current, again=stuck)
        if not stuck:
            _report(published, current)
            published = current
        for keeper in keepers.values():
            keeper.release()
        waiting = {fd: act for keeper in keepers.values() for fd, act in keeper.waits_for().items()}
        for descriptor in _wait([parent, *waiting], keepers, longest=_DISK_SECONDS if stuck else None):
            if descriptor == parent:
                return
            waiting[descriptor]()


def _publish(runtime_dir: Path, current: dict[str, KindState], *, again: bool) -> bool:
    """Whether it could be written: a disk that takes nothing is no reason to end what runs. It is said once."""
    try:
        state.publish(runtime_dir, current)
    except OSError as error:
        if not again:
            sys.stderr.write(f"weighbridge: {runtime_dir} cannot be written: {error.strerror}. It is tried again.\n")
        return False
    return True


def _wait(descriptors: Sequence[int], keepers: dict[str, Keeper], *, longest: float | None) -> list[int]:
    """Those that became readable before the next moment at which a keeper has something to do, or for so long."""
    moments = [moment for keeper in keepers.values() if (moment := keeper.next_moment()) is not None]
    if longest is not None:
        moments.append(time.monotonic() + longest)
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    pause = max(0.0, min(moments) - time.monotonic()) * 1000 + 1 if moments else None
    return [descriptor for descriptor, _ in poll.poll(pause)]


def _report(before: dict[str, KindState], now: dict[str, KindState]) -> None:
    """Say on standard error what became of a warm process that ended."""
    for kind, known in now.items():
        if kind in before and known.restarts > before[kind].restarts and known.problem:
            sys.stderr.write(f"weighbridge: {known.problem} It is replaced.\n")


def _check(kinds: dict[str, KindState]) -> None:
    """RefusedError if a warm process says that a layer is missing or a probe got through."""
    for kind, known in kinds.items():
        if not known.layers or known.confined:
            continue
        missing = [layer for layer, stands in known.layers.items() if not stands]
        passed = [probe for probe, stopped in known.probes.items() if not stopped]
        raise RefusedError(
            f"uploads cannot be confined here (kind {kind}; layers missing: {', '.join(missing) or 'none'}; "
            f"self-test not stopped: {', '.join(passed) or 'none'}). The kernel must offer Landlock (5.13 or later) "
            "and seccomp. WEIGHBRIDGE_ALLOW_UNCONFINED=1 starts without, and every report will say so."
        )


if __name__ == "__main__":
    sys.exit(main())
