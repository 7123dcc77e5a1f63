"""When the service is ready: its workers warm, and confined as the installation demands. Knows no HTTP."""

from __future__ import annotations

from typing import Any

from service.config import Settings
from service.sandbox.client import Sandbox
from service.sandbox.kinds import starts_at_once
from service.sandbox.state import KindState


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
        "confined": state.confined,
        "selftest": state.probes,
        "landlock_abi": state.landlock_abi,
        "problem": state.problem,
    }
