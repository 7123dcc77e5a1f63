"""Short ways to write pickles by hand; no expectations in here."""

from __future__ import annotations

from typing import Any

from service.config import Limits
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Trace
from service.source import BytesSource, Meter


def trace(data: bytes, offset: int = 0, **limits: Any) -> Trace:
    """What running `data` gives."""
    bounds = Limits(**limits)
    return run(BytesSource(data, Meter(bounds)), offset, bounds)


def text(value: str) -> bytes:
    """SHORT_BINUNICODE."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def call(module: str, name: str, *args: bytes) -> bytes:
    """GLOBAL, arguments, REDUCE."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(args) + b"tR"
