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
from service.language import msg
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
        self.found: list[dict[str, str]] = []

    def add(self, pointer: str, detail: str) -> None:
        """Note one problem: where, and one sentence that names the place too."""
        problem = {"pointer": pointer, "detail": detail}
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
        suffix = f" ({more} more {'problem' if more == 1 else 'problems'} listed in errors.)" if more else ""
        raise InvalidSpec(first["detail"] + suffix, pointer=first["pointer"], errors=self.found)


def _place(pointer: str) -> list[tuple[bool, int, str]]:
    """Sort key: numbers in a pointer by value, so that problems come in the spec's order."""
    parts = re.findall(r"\d+|[^\d\[\].]+", pointer)
    return [(True, int(part), "") if part.isdecimal() else (False, 0, part) for part in parts]


def invalid(pointer: str, detail: str) -> InvalidSpec:
    """One problem as an error of the same shape as `Problems` raises."""
    return InvalidSpec(detail, pointer=pointer, errors=[{"pointer": pointer, "detail": detail}])


_NOISE = (
    re.compile(r"<[^<>]{0,200}>"),  # representations of objects, addresses in them
    re.compile(r"(?:[A-Za-z]:)?[/\\][\w./\\-]+\.(?:py|so)\S*"),
    re.compile(r"https?://\S+"),
    re.compile(r" with name 'None'"),
    re.compile(r"\x1b\[[0-9;]*m"),
)


def clean(message: str) -> str:
    """A framework's message as one sentence without paths, addresses, traces and line breaks."""
    text = message.strip().split("\n\n")[0]
    text = text.split("\nArguments received by")[0]
    for noise in _NOISE:
        text = noise.sub("", text)
    text = " ".join(text.replace("`", "").split())
    text = re.split(r" (?:Exception raised from|C\+\+ CapturedTraceback|Full traceback)", text)[0]
    if len(text) > MAX_MESSAGE:
        text = text[:MAX_MESSAGE].rstrip() + "…"
    return sentence(text)


def sentence(text: str) -> str:
    """`text` with a full stop, unless it ends already."""
    return text if text.endswith((".", "…", "?", "!")) else text + "."


def named_argument(message: str, known: Iterable[str]) -> str | None:
    """The argument that a framework's message is about: the known name that occurs first in it."""
    places = []
    for name in known:
        found = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", message)
        if found:
            places.append((found.start(), -len(name), name))
    return min(places)[2] if places else None


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
