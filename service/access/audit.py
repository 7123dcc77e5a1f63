"""The audit log: who did what to which analysis, with which outcome, one JSON object a line. Knows no request.

No line holds a key, a token, a file's name or its content. Whatever a client can choose is written as JSON with
everything but printable ASCII escaped, so that no line can look like two, or move a terminal's cursor.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from service.access.callers import Caller

EVENT = "audit"


def _to_standard_error(text: str) -> None:
    """A log that cannot be written must not stop what it is about."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)


class _Appended(io.TextIOBase):
    """A file that is opened for each line: it may be renamed or taken away at any time, and is simply made anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, text: str) -> int:
        """Append in one piece, so that lines of several processes never mix; to standard error if it cannot be."""
        try:
            self._append(text.encode("ascii", "backslashreplace"))
        except OSError as error:
            _to_standard_error(f'{{"event": "audit_log_not_written", "reason": "{type(error).__name__}"}}\n{text}')
        return len(text)

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


class _StandardError(io.TextIOBase):
    """Standard error as it is now."""

    def write(self, text: str) -> int:
        """Write, if it can be."""
        _to_standard_error(text)
        return len(text)


class Audit:
    """Writes to the file at `path`; without one to standard error if `always`, else nowhere."""

    def __init__(self, path: str, *, always: bool) -> None:
        self._on = bool(path) or always
        file = _Appended(Path(path)) if path else _StandardError()
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(cast("TextIO", file)),
            processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
            wrapper_class=structlog.BoundLogger,
        )

    def note(self, caller: Caller | None, action: str, **facts: Any) -> None:
        """One line; `caller` None is somebody who was not let in. Facts that are None are left out."""
        if not self._on:
            return
        who = {} if caller is None else {"account": caller.account, "caller": caller.name, "role": caller.role}
        given = {name: value for name, value in {**who, "action": action, **facts}.items() if value is not None}
        self._log.info(EVENT, **given)


def check(path: str) -> None:
    """ValueError where the audit log cannot be written: it must not be missed later."""
    if path:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise ValueError(f"WEIGHBRIDGE_AUDIT_LOG={path!r} cannot be written: {error.strerror}.") from None
