"""Log lines as JSON with the request's id; nothing from an upload's content or name is ever logged."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from typing import Any, TextIO, cast

import structlog

from service.jobs.identifiers import new_id

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class _StandardError(io.TextIOBase):
    """Standard error as it is now; a log that cannot be written must not stop what it is about."""

    def write(self, text: str) -> int:
        """Write, if it can be."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if it can be."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(level: str) -> None:
    """One JSON object a line on standard error, ours and the libraries'."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


def request_id(offered: str | None) -> str:
    """The client's id if it is harmless, else a new one."""
    return offered if offered and SANE_ID.fullmatch(offered) else new_id()
