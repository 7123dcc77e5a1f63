"""Inert stand-ins for what a pickle names or builds; knows no opcode and resolves no name to real code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from service.errors import InputError
from service.language import Message

How = Literal["called", "created", "built", "referenced"]
"""What a pickle does with a global: calls it, makes an object of the class, sets its state, or only names it."""

WEIGHT_OF: dict[How, int] = {"referenced": 0, "built": 1, "created": 2, "called": 3}
"""How much control a use hands to the global, ascending."""


class Global:
    """A name in a module, as written. `module` or `name` is None where the pickle computed it."""

    __slots__ = ("module", "name", "offset")

    def __init__(self, module: str | None, name: str | None, offset: int) -> None:
        self.module = module
        self.name = name
        self.offset = offset

    @property
    def path(self) -> str:
        """`module.name`, with `?` for what could not be told."""
        return f"{self.module or '?'}.{self.name or '?'}"

    def __repr__(self) -> str:
        return f"Global({self.path})"


class Instance:
    """What a call or an instantiation would have made.

    Attributes:
        maker: What was called or instantiated: a `Global`, or any other value where the pickle is odd.
        args: Its positional arguments as given (a tuple in every sane pickle).
        kwargs: Keyword arguments (NEWOBJ_EX), else None.
        how: `called` (its result may be anything) or `created` (an object of the class `maker`).
        state: What BUILD gave it, or None.
        pairs: Items set on it by SETITEM(S), or None.
        items: Values appended or added to it, or None.
        offset: Where in the stream.
    """

    __slots__ = ("args", "how", "items", "kwargs", "maker", "offset", "pairs", "state")

    def __init__(self, maker: Any, args: Any, kwargs: Any, how: How, offset: int) -> None:
        self.maker = maker
        self.args = args
        self.kwargs = kwargs
        self.how: How = how
        self.state: Any = None
        self.pairs: dict[Any, Any] | None = None
        self.items: list[Any] | None = None
        self.offset = offset

    @property
    def path(self) -> str:
        """Dotted name of the maker, `?` if it has none."""
        return self.maker.path if isinstance(self.maker, Global) else "?"

    @property
    def positional(self) -> tuple[Any, ...]:
        """The arguments, or none where they are not a tuple."""
        return self.args if isinstance(self.args, tuple) else ()

    def __repr__(self) -> str:
        return f"Instance({self.path})"


class Persistent:
    """An object that the pickle refers to by an id which only its container understands."""

    __slots__ = ("id", "offset")

    def __init__(self, persistent_id: Any, offset: int) -> None:
        self.id = persistent_id
        self.offset = offset


class Blob:
    """A long string or byte string that was skipped: where its `length` bytes lie, and whether it is text."""

    __slots__ = ("is_text", "length", "offset")

    def __init__(self, offset: int, length: int, *, is_text: bool) -> None:
        self.offset = offset
        self.length = length
        self.is_text = is_text

    def __repr__(self) -> str:
        return f"Blob({self.length} bytes)"


@dataclass(slots=True)
class Use:
    """The strongest use a pickle makes of one global, and the offset of that use.

    `picks`: it is called with one word or number each time, as a member of an enumeration is had.
    """

    module: str | None
    name: str | None
    how: How
    offset: int
    picks: bool = False


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something no pickler writes: `code` names it, `what` says it in a sentence."""

    code: str
    what: Message
    offset: int


def extent(data: Any, begins: Mapping[int, int]) -> tuple[int, int] | None:
    """Offset and length of a byte string in its pickle; None for a text, and where that cannot be told."""
    if isinstance(data, Blob):
        return None if data.is_text else (data.offset, data.length)
    begin = begins.get(id(data)) if isinstance(data, bytes) else None
    return None if begin is None else (begin, len(data))


@dataclass(slots=True)
class Trace:
    """What running one pickle over stand-ins gave.

    Attributes:
        value: The object before STOP; None if it never came to that.
        end: Offset after the last opcode that ran.
        opcodes: How many ran.
        uses: Each global named, with its strongest use.
        oddities: At most `MAX_ODDITIES`.
        texts: Byte strings and long strings with their offsets: other pickles may hide in them.
        begins: Where the content of byte strings begins that were kept, by their identity (`texts` keeps them alive).
        broken: Why it stopped early, or None after STOP.
    """

    value: Any = None
    end: int = 0
    opcodes: int = 0
    uses: dict[tuple[str | None, str | None], Use] = field(default_factory=dict)
    oddities: list[Oddity] = field(default_factory=list)
    texts: list[tuple[int, bytes | str | Blob]] = field(default_factory=list)
    begins: dict[int, int] = field(default_factory=dict)
    broken: InputError | None = None


MAX_ODDITIES = 100
