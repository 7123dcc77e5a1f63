"""When the service is ready: its workers warm and confined as demanded, and able to keep what it is sent.

Knows no HTTP. What is not well is said with what it needs: most passes by itself, the rest is for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.basis import Frozen
from service.config import Settings
from service.errors import ServiceError, StorageFull, WeighbridgeError
from service.jobs.database import Database
from service.jobs.storage import Storage
from service.language import Message, msg
from service.sandbox.client import Sandbox
from service.sandbox.kinds import starts_at_once
from service.sandbox.state import KindState

LATE_SECONDS = 300.0
"""Since the last sweep, from which it counts as missing; the longest pause between two is 30."""


class Check(Frozen, frozen=True, kw_only=True):
    """Whether one thing is well; if not, what is wrong and what it needs."""

    ok: bool = True
    problem: Message | None = None
    needs: Message | None = None


def keeping(settings: Settings, database: Database, storage: Storage) -> dict[str, Check]:
    """Whether what is sent can be kept: the database, room on the disk, the folder of uploads, the sweeping."""
    checks: dict[str, Callable[[], None]] = {
        "database": database.require_sound,
        "disk": lambda: _require_free(settings, storage),
        "spool": storage.blobs.require_writable,
        "retention": lambda: _require_swept(storage),
    }
    return {name: _check(name, check) for name, check in checks.items()}


def _check(name: str, check: Callable[[], None]) -> Check:
    try:
        check()
    except WeighbridgeError as error:
        return Check(ok=False, problem=error.info.detail, needs=error.info.hint or NEEDS[name])
    except OSError as error:
        return Check(ok=False, problem=msg("{reason}.", reason=error.strerror or str(error)), needs=NEEDS[name])
    return Check()


NEEDS = {
    "database": msg("It is tried again by itself. If it lasts, see what else uses the file; if that changed, restart."),
    "disk": msg("Make room on the disk of the data folder, or give it a larger one. Uploads are taken again at once."),
    "spool": msg("The data folder must be writable for the user that the service runs as."),
    "retention": msg("It is tried again by itself; the log says what is in the way."),
}


def _require_free(settings: Settings, storage: Storage) -> None:
    free = storage.blobs.free_bytes()
    if free < settings.min_free_disk_bytes:
        least = settings.min_free_disk_bytes
        raise StorageFull(msg("{free} bytes are free; {least} are left to reports.", free=free, least=least))


def _require_swept(storage: Storage) -> None:
    ago = storage.swept_ago()
    if ago > LATE_SECONDS:
        raise ServiceError(msg("What has been kept for long enough was last deleted {ago} seconds ago.", ago=int(ago)))


def readiness(settings: Settings, sandbox: Sandbox) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Whether every worker that must be is warm and confined, and the state of each kind."""
    states = sandbox.states()
    workers = {kind: _worker(state) for kind, state in states.items()}
    ready = "static" in states and all(_is_ready(kind, state, settings) for kind, state in states.items())
    return ready, workers


def _is_ready(kind: str, state: KindState, settings: Settings) -> bool:
    if not (starts_at_once(kind, settings) and (state.installed or kind == "static")):
        return True
    return state.warm and (settings.allow_unconfined or state.confined)


def _worker(state: KindState) -> dict[str, Any]:
    return {
        "installed": state.installed,
        "warm": state.warm,
        "restarts": state.restarts,
        "framework_version": state.framework_version,
        "layers": state.layers,
        "confined": state.confined if state.warm else None,
        "selftest": state.probes,
        "landlock_abi": state.landlock_abi,
        "problem": state.problem,
    }
