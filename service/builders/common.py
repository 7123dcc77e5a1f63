"""What both builders share: collected problems, cleaned framework messages, sizes held to the limits.

Knows specs and sentences; must not know a framework.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from service.config import Limits
from service.errors import InvalidSpec, LimitExceeded
from service.language import Message, msg, msgn, sentences, verbatim
from service.plain import whole
from service.tree import Shape, Weight

MAX_PROBLEMS = 50
"""Problems listed in one answer; whoever has more has one cause for them."""
MAX_MESSAGE = 300
"""Characters kept of a framework's message."""

ITEM_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "uint32": 4,
    "float32": 4, "int64": 8, "uint64": 8, "float64": 8, "complex64": 8, "complex128": 16, "float8_e4m3fn": 1,
    "float8_e5m2": 1,
}  # fmt: skip


class Problems:
    """What is wrong with a spec, found in one pass so that one answer can say all of it."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def add(self, pointer: str, *detail: Message | None) -> None:
        """Note one problem: where, and sentences of which the first names the place too; None is left out."""
        problem = {"pointer": pointer, "detail": joined(*detail)}
        if len(self.found) < MAX_PROBLEMS and problem not in self.found:
            self.found.append(problem)

    def add_from(self, error: InvalidSpec) -> None:
        """Note what an error of `invalid` or of another `Problems` says."""
        for problem in error.info.extra.get("errors", ()):
            self.add(problem["pointer"], problem["detail"])

    def raise_if_any(self) -> None:
        """InvalidSpec that starts with the first problem and lists all in `extra["errors"]`."""
        if not self.found:
            return
        self.found.sort(key=lambda problem: _place(problem["pointer"]))
        first = self.found[0]
        more = len(self.found) - 1
        rest = msgn("({n} more problem listed in errors.)", "({n} more problems listed in errors.)", n=more)
        detail = joined(first["detail"], rest if more else None)
        raise InvalidSpec(detail, pointer=first["pointer"], errors=self.found)


def _place(pointer: str) -> list[tuple[bool, int, str]]:
    """Sort key: numbers in a pointer by value, so that problems come in the spec's order."""
    parts = re.findall(r"\d+|[^\d\[\].]+", pointer)
    return [(True, int(part), "") if part.isdecimal() else (False, 0, part) for part in parts]


def joined(*parts: Message | None) -> Message:
    """One message of a sentence or several; None is left out."""
    said = [part for part in parts if part is not None]
    return said[0] if len(said) == 1 else sentences(*said)


def invalid(pointer: str, *detail: Message | None) -> InvalidSpec:
    """One problem as an error of the same shape as `Problems` raises."""
    said = joined(*detail)
    return InvalidSpec(said, pointer=pointer, errors=[{"pointer": pointer, "detail": said}])


_NOISE = (
    re.compile(r"<[^<>]{0,200}>"),  # representations of objects, addresses in them
    re.compile(r"(?:[A-Za-z]:)?[/\\][\w./\\-]+\.(?:py|so)\S*"),
    re.compile(r"https?://\S+"),
    re.compile(r" with name 'None'"),
    re.compile(r"\x1b\[[0-9;]*m"),
)


def clean(message: str) -> Message:
    """A framework's message as one sentence without paths, addresses, traces and line breaks; in its own language."""
    text = message.strip().split("\n\n")[0]
    text = text.split("\nArguments received by")[0]
    for noise in _NOISE:
        text = noise.sub("", text)
    text = " ".join(text.replace("`", "").split())
    text = re.split(r" (?:Exception raised from|C\+\+ CapturedTraceback|Full traceback)", text)[0]
    if len(text) > MAX_MESSAGE:
        text = text[:MAX_MESSAGE].rstrip() + "…"
    return verbatim(text if text.endswith((".", "…", "?", "!")) else text + ".")


def named_argument(message: str, known: Iterable[str]) -> str | None:
    """The argument that a framework's message is about: the known name that occurs first in it."""
    places = []
    for name in known:
        found = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", message)
        if found:
            places.append((found.start(), -len(name), name))
    return min(places)[2] if places else None


def refused(label: str, shapes: Sequence[str], message: str) -> Message:
    """What a framework says of inputs whose shapes a layer cannot take."""
    return msgn(
        "{label} cannot take an input of shape {shapes}: {reason}",
        "{label} cannot take inputs of shape {shapes}: {reason}",
        n=len(shapes),
        label=label,
        shapes=shapes,
        reason=clean(message),
    )


def check_shape(shape: Sequence[int | None], limits: Limits, where: str, pointer: str) -> None:
    """LimitExceeded if an axis or the product of all is beyond any array."""
    known = [size for size in shape if size is not None]
    if any(size > limits.dimension for size in known):
        raise LimitExceeded(
            "dimension",
            limits.dimension,
            msg("{where}: an axis of {shape_text} is too long.", where=where, shape_text=shape_text(shape)),
            pointer=pointer,
        )
    if math.prod(known) > limits.elements:
        raise LimitExceeded(
            "elements",
            limits.elements,
            msg("{where}: {shape_text} has too many elements.", where=where, shape_text=shape_text(shape)),
            pointer=pointer,
        )


def check_total(weights: Iterable[Weight], limits: Limits) -> None:
    """LimitExceeded if all weights together have more elements than any model."""
    if sum(weight.count or 0 for weight in weights) > limits.elements:
        raise LimitExceeded("elements", limits.elements, msg("The weights add up to more elements than any model has."))


def shape_text(shape: Iterable[Any]) -> str:
    """`(?, 28, 28, 1)`: a shape for a sentence."""
    sizes = ["?" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)})"


def byte_size(count: int | None, dtype: str | None) -> int | None:
    """Bytes of `count` elements; None if either is not known."""
    if count is None or dtype is None or dtype not in ITEM_BYTES:
        return None
    return count * ITEM_BYTES[dtype]


def as_shape(sizes: Iterable[Any]) -> Shape:
    """Sizes as plain integers or None."""
    return tuple(None if size is None else int(size) for size in sizes)


def is_whole(value: Any, least: int) -> bool:
    """Whether `value` is a whole number from `least`."""
    found = whole(value)
    return found is not None and found >= least
