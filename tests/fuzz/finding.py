"""What is asked of a child that reads some inputs, and what it finds; plain data for both sides of the wall."""

from __future__ import annotations

from typing import Literal

import msgspec

ORDERS = "orders"
"""The name of the file that says what to do with the others, numbered in the order in which it names them."""
Work = Literal["read", "measure", "lie", "compare", "view"]


class Order(msgspec.Struct, frozen=True):
    """What to do with one upload, and where its chance starts."""

    work: Work = "read"
    seed: int = 0


class Named(msgspec.Struct, frozen=True):
    """An order, and what the upload's files are called."""

    order: Order
    names: tuple[str, ...]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one input.

    Attributes:
        how: answered or refused as it should be; a bug: any other exception; memory, time, crash: the child's end.
        code: The error's code or class, or how the child ended.
        marks: What tells it from others: places in our code that raised it, or what the answer holds.
        story: Of a bug, its traceback.
        seconds, peak: Processor time, and the child's largest resident set in bytes.
    """

    how: Literal["answered", "refused", "bug", "memory", "time", "crash"]
    code: str = ""
    marks: tuple[str, ...] = ()
    story: str = ""
    seconds: float = 0.0
    peak: int = 0

    @property
    def signature(self) -> tuple[str, ...]:
        """The same for inputs that the same code answered in the same way."""
        return (self.how, self.code, *self.marks)
