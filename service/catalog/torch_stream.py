"""The stream that torch.save wrote before 1.6: five pickles, then every storage behind its element count.

Shared by the reader of such files and by plain pickles, which keep each storage as such a stream in a byte string.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.catalog.torch_dtypes import storage_bytes
from service.catalog.torch_storage import Storage, persistent
from service.catalog.torch_weights import Place
from service.config import Limits
from service.errors import InputError, MalformedFile, TruncatedFile
from service.language import Message, msg
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Trace
from service.source import Source

MAGIC = 0x1950A86A20F9469CFC6C
MAGIC_BYTES = MAGIC.to_bytes(10, "little")
PROTOCOL = 1001
_PICKLES = (
    msg("the magic number"),
    msg("the protocol version"),
    msg("the system description"),
    msg("the saved object"),
    msg("the storage keys"),
)
_SYSTEM, _SAVED, _KEYS = 2, 3, 4


@dataclass(slots=True)
class Stream:
    """The pickles of a stream as far as they go, the storages they name, and what stopped them."""

    traces: list[Trace] = field(default_factory=list)
    storages: dict[str, Storage] = field(default_factory=dict)
    broken: InputError | None = None

    @property
    def system(self) -> Any:
        """What the writer said of its machine."""
        return self.traces[_SYSTEM].value if len(self.traces) > _SYSTEM else None

    @property
    def saved(self) -> Any:
        """The saved object; only when not broken."""
        return self.traces[_SAVED].value


def open_stream(source: Source, limits: Limits) -> Stream:
    """Run the pickles of a stream."""
    stream = Stream()

    def remember(persistent_id: Any, offset: int) -> Any:
        found = persistent(persistent_id, offset)
        if isinstance(found, Storage):
            stream.storages.setdefault(str(found.key), found)
        return found

    offset = 0
    for index, what in enumerate(_PICKLES):
        trace = run(source, offset, limits, remember)
        stream.traces.append(trace)
        wrong = None if trace.broken is not None else _wrong(index, trace.value)
        stream.broken = (
            MalformedFile(msg("This should be {what}, but {wrong}.", what=what, wrong=wrong), offset=offset)
            if wrong
            else trace.broken
        )
        if stream.broken is not None:
            break
        offset = trace.end
    return stream


def _wrong(index: int, value: Any) -> Message | None:
    if index == 0 and value != MAGIC:
        return msg("it is another value")
    if index == 1 and value != PROTOCOL:
        return msg("only version {version} was ever written", version=str(PROTOCOL))
    if index == _KEYS and not isinstance(value, list):
        return msg("it is not a list")
    return None


def places(source: Source, stream: Stream) -> dict[str, Place]:
    """Where each storage lies: behind the last pickle, in the order of its list of keys.

    Raises:
        TruncatedFile: The source ends before the last storage does.
        MalformedFile: A storage that no tensor names, or a negative count.
    """
    found: dict[str, Place] = {}
    offset = stream.traces[_KEYS].end
    for key in stream.traces[_KEYS].value:
        storage = stream.storages.get(str(key)) if isinstance(key, (str, int)) else None
        if storage is None or storage_bytes(storage.dtype, 1) is None:
            raise MalformedFile(msg("A storage follows that no tensor names."), offset=offset)
        count = int.from_bytes(source.read_at(offset, 8), "little", signed=True)
        length = storage_bytes(storage.dtype, count) if count >= 0 else None
        if length is None:
            raise MalformedFile(msg("A storage's element count is negative."), offset=offset)
        if offset + 8 + length > source.size:
            left = source.size - offset - 8
            what = msg("A storage needs {length} bytes, but only {remaining} follow.", length=length, remaining=left)
            raise TruncatedFile(what, offset=offset + 8)
        found[str(storage.key)] = Place(None, offset + 8, length)
        offset += 8 + length
    return found
