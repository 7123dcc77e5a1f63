"""Inputs that once showed something wrong, as files: read, and written by whoever finds one.

A file is a JSON document: the work that showed it, and the upload's files, each in base64.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.fuzz.campaign import Input
from tests.fuzz.finding import Order
from tests.fuzz.seeds import Parts

FOLDER = Path(__file__).parent.parent / "service" / "readers" / "regressions"


class Kept(msgspec.Struct, frozen=True):
    """One of them."""

    order: Order
    parts: dict[str, bytes]


def keep(folder: Path, format_: str, order: Order, parts: Parts, name: str) -> Path:
    """Write one down."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{format_}-{order.work}-{name}.json"
    path.write_bytes(msgspec.json.encode(Kept(order, dict(parts))) + b"\n")
    return path


def load(path: Path) -> Input:
    """Read one again."""
    kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    return Input(kept.parts, kept.order)
