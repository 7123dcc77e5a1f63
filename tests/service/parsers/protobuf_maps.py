"""Messages whose maps are written in the opposite order, as protobuf's writers may do from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from service.parsers.protobuf import fields
from tests.service.parsers.protobufs import held, source_of


class Known(NamedTuple):
    """A field that holds messages: what is known inside them, and whether they are the entries of a map."""

    inside: Mapping[int, Known]
    is_map: bool = False


def mapped(inside: Mapping[int, Known] | None = None) -> Known:
    """A map; `inside` is what is known of its values, which are messages."""
    return Known({2: Known(inside)} if inside else {}, is_map=True)


_OPERATION = {2: mapped(), 5: mapped()}
_BLOCKS = mapped({3: Known(_OPERATION)})
COREML = {502: Known({2: mapped({3: _BLOCKS})})}
"""A model of Core ML: the functions of its program, their blocks, operands and attributes."""

_NODE = {5: mapped()}
_GRAPH = {1: Known(_NODE), 2: Known({1: Known({3: Known(_NODE)})})}
SAVED_MODEL = {2: Known({2: Known(_GRAPH), 5: mapped({1: mapped(), 2: mapped()})})}
"""A SavedModel: nodes' attributes, signatures, and what these take and give."""


def turned(data: bytes, known: Mapping[int, Known]) -> bytes:
    """The message with the entries of every known map in opposite order, each map where it was."""
    parts, end = [], 0
    for part in fields(source_of(data)):
        begin, end = end, part.offset + part.length
        inside = known[part.number].inside if part.number in known else {}
        payload = data[part.offset : end]
        parts.append((part.number, held(part.number, turned(payload, inside)) if inside else data[begin:end]))
    for number in (number for number, one in known.items() if one.is_map):
        places = [place for place, (which, _) in enumerate(parts) if which == number]
        entries = [parts[place] for place in reversed(places)]
        for place, one in zip(places, entries, strict=True):
            parts[place] = one
    return b"".join(content for _, content in parts)
