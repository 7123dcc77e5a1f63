"""An error as data, and the exception that carries it: what every error of `service.errors` is. Knows no code."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from service.language import Message, verbatim


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as data: what crosses the wall, is stored with a job and becomes a problem document.

    Attributes:
        code: Stable identifier, snake_case.
        detail: One sentence for the user: what is wrong.
        member: Archive member, file of a multi-file upload, or HDF5 path where it broke.
        offset: Byte offset within `member` (or within the file when there is no member).
        pointer: JSON pointer or spec path (`layers[3].units`) of the offending field.
        hint: What the user can do about it.
        extra: Further machine-readable facts, such as the limit and the value that met it.
    """

    code: str
    detail: Message
    member: str | None = None
    offset: int | None = None
    pointer: str | None = None
    hint: Message | None = None
    extra: dict[str, Any] = {}


class WeighbridgeError(Exception):
    """Base of the tree. `code` is stable; `detail` is a sentence from the user's side."""

    code: ClassVar[str] = "internal_error"
    hint: ClassVar[str | None] = None

    def __init__(
        self,
        detail: Message | str,
        *,
        member: str | None = None,
        offset: int | None = None,
        pointer: str | None = None,
        hint: Message | str | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(str(detail))
        general = type(self).hint
        self.info = ErrorInfo(
            code=self.code,
            detail=_sentence(detail),
            member=_sayable(member),
            offset=offset,
            pointer=_sayable(pointer),
            hint=_sentence(hint) if hint else Message(general) if general else None,
            extra=extra,
        )

    def within(self, member: str) -> WeighbridgeError:
        """The same error, placed inside `member` (outer containers prefix inner ones with `!/`)."""
        inner = self.info.member
        self.info = msgspec.structs.replace(self.info, member=_sayable(f"{member}!/{inner}" if inner else member))
        return self


def _sayable(name: str | None) -> str | None:
    """A name out of a file without halves of characters, which no answer could be written with."""
    return None if name is None else name.encode("utf-8", "replace").decode()


def _sentence(text: Message | str) -> Message:
    return text if isinstance(text, Message) else verbatim(text)
