"""What the readers of JSON architectures share: one bounded parse and the bounds that hold for any spec.

Knows JSON values and limits; must not know what a layer is or how a framework spells it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from service.config import Limits
from service.errors import InputError, InvalidSpec, LimitExceeded
from service.formats import HEAD_BYTES, Upload
from service.language import msg
from service.parsers import json_text
from service.plain import text
from service.source import Meter, Source, head

_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[]")


def begins_like_json(upload: Upload) -> bool:
    """Whether the upload is one file whose first character opens a JSON object or list."""
    return upload.single is not None and _START.match(head(upload.single, 256)) is not None


def hints(upload: Upload, *words: bytes) -> bool:
    """Whether the head of the file has all `words` as quoted keys or values; decides where the JSON is broken."""
    if upload.single is None:
        return False
    start = head(upload.single, HEAD_BYTES)
    return all(b'"' + word + b'"' in start for word in words)


def mentions(source: Source, words: Iterable[bytes], most: int) -> bool:
    """Whether one of `words` is quoted in a file of at most `most` bytes, or in the head of a longer one.

    It is worth parsing then, which is a hundred times the work.
    """
    data = head(source, source.size if source.size <= most else HEAD_BYTES)
    return any(b'"' + word + b'"' in data for word in words)


def peek(upload: Upload) -> Any:
    """The document, or None where there is no acceptable JSON; for `accept`, which never raises."""
    source = upload.single
    if source is None or not begins_like_json(upload) or not may_peek(source, upload.limits.spec_bytes):
        return None
    try:
        return _parse(upload)
    except InputError:
        return None


def may_peek(source: Source, most: int) -> bool:
    """Whether a document may be parsed just to see what it is: one of up to `most` bytes, and not the thousandth.

    A small archive unpacks to hundreds of megabytes of documents; later ones are told by their beginning.
    """
    peeked = _peeked.get(source.meter, 0) + source.size
    if source.size > most or peeked > _MOST_PEEKED:
        return False
    _peeked[source.meter] = peeked
    return True


_peeked: WeakKeyDictionary[Meter, int] = WeakKeyDictionary()
"""Bytes of documents that were parsed in one analysis just to see what they are."""
_MOST_PEEKED = 16 << 20


def load(upload: Upload) -> Any:
    """The document within its bounds.

    Raises:
        MalformedJson: Not JSON, a doubled key, or NaN.
        LimitExceeded: Too many bytes, levels or layers.
        InvalidSpec: A number that no size can be, or half a character; `pointer` says where.
    """
    document = _parse(upload)
    layers = 0
    for path, value in walk(document):
        check_text(path, value)
        if isinstance(value, int | float):
            _check_number(path, value, upload.limits)
        elif isinstance(value, list) and path[-1:] in ([], ["layers"]):
            layers += len(value)
    if layers > upload.limits.spec_layers:
        raise LimitExceeded(
            "spec_layers",
            upload.limits.spec_layers,
            msg(
                "The spec lists {layers} layers; {spec_layers} are built at most.",
                layers=layers,
                spec_layers=upload.limits.spec_layers,
            ),
            value=layers,
        )
    return document


def walk(document: Any) -> Iterator[tuple[list[str | int], Any]]:
    """Every value of a JSON document with the keys that lead to it (one list, reused), without recursion."""
    path: list[str | int] = []
    yield path, document
    waiting = [_items(document)]
    while waiting:
        key, value = next(waiting[-1], (None, None))
        if key is None:
            waiting.pop()
            del path[-1:]
            continue
        path.append(key)
        yield path, value
        if isinstance(value, dict | list):
            waiting.append(_items(value))
        else:
            path.pop()


def pointer_text(path: Iterable[str | int]) -> str:
    """Keys as people write them: `layers[3].units`; long ones are cut."""
    steps = "".join(f"[{key}]" if isinstance(key, int) else f".{key[:100]}" for key in path)
    return text(steps.removeprefix(".")[:400])


def check_text(path: list[str | int], value: Any) -> None:
    """InvalidSpec if the last key or the value has half of a surrogate pair: no text can be made of it."""
    for found in (*path[-1:], value):
        if isinstance(found, str) and not found.isascii() and text(found, len(found)) != found:
            pointer = pointer_text(path)
            raise InvalidSpec(
                msg("{pointer} holds half of a character (a surrogate without its pair).", pointer=pointer),
                pointer=pointer,
            )


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value)) if isinstance(value, list) else iter(())


def _parse(upload: Upload) -> Any:
    if upload.single is None:
        raise InvalidSpec(msg("A spec is one JSON document; several files were sent."))
    limits = upload.limits
    if upload.single.size > limits.spec_bytes:
        raise LimitExceeded(
            "spec_bytes",
            limits.spec_bytes,
            msg(
                "The spec has {size} bytes; {spec_bytes} are read at most.",
                size=upload.single.size,
                spec_bytes=limits.spec_bytes,
            ),
            value=upload.single.size,
        )
    data = head(upload.single, limits.spec_bytes)
    return json_text.parse(data, max_bytes=limits.spec_bytes, max_depth=limits.spec_depth, constants="refuse")


def _check_number(path: list[str | int], value: float, limits: Limits) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        pointer = pointer_text(path)
        raise InvalidSpec(msg("{pointer} is not a finite number.", pointer=pointer), pointer=pointer)
    if isinstance(value, int) and abs(value) > limits.dimension:
        pointer = pointer_text(path)
        raise InvalidSpec(
            msg("{pointer} is larger than any size can be ({dimension}).", pointer=pointer, dimension=limits.dimension),
            pointer=pointer,
            maximum=limits.dimension,
        )
