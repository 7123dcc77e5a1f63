"""Plain pickles (`pickle.dump`), without PyTorch's container: what they hold and, above all, what they would run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from service.catalog.torch_dangers import dangers_alone
from service.catalog.torch_model import Description, describe_saved
from service.catalog.torch_report import build
from service.catalog.torch_storage import Storage, persistent
from service.catalog.torch_stream import open_stream
from service.catalog.torch_values import bytes_of
from service.catalog.torch_weights import Place, Weigher
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Blob, Trace
from service.source import BytesSource, Source, WindowSource, head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="torch_pickle",
    framework="torch",
    title=msg("Plain Python pickle"),
    extensions=(".pkl", ".pickle", ".bin"),
    reads=msg("what loading it would run; modules, state_dicts and NumPy arrays in it"),
    leaves=msg("the weights' values and where they lie"),
    priority=900,
)

_BINARY = re.compile(rb"\x80[\x01-\x05]")
_FIRST = re.compile(rb"[()\]}FGIJKLMNPSTUVXBCclidpgtx0-9\x82-\x84\x88-\x8f\x95\x96]")
"""What a pickle without a protocol mark may begin with: what puts something on the stack, and text that may be one."""
_KEPT = re.compile(rb"\([dl]p[0-9]{1,9}\n|[\]}]q\x00")
"""How Python begins a dictionary or list in the protocols without a mark; no text begins so."""
_PROBE_OPCODES = 20_000
_PROBE_LINE = 1 << 16
_PROBED = 5
"""Most pickles of a stream that are looked at, one behind the other, until one of them names something."""
_MODULE = re.compile(r"[A-Za-z_][\w.]*\Z", re.ASCII)


def accept(upload: Upload) -> bool:
    """A pickle by its first opcodes: a mark, an empty collection, or opcodes that name something or come to an end."""
    source = upload.single
    if source is None:
        return False
    start = head(source, 16)
    if _BINARY.match(start) or _KEPT.match(start):
        return True
    return bool(_FIRST.match(start)) and _runs(source)


def _runs(source: Source) -> bool:
    limits = msgspec.structs.replace(
        source.meter.limits, pickle_opcodes=_PROBE_OPCODES, pickle_argument_bytes=_PROBE_LINE
    )
    start = 0
    for _ in range(_PROBED):
        trace = run(source, start, limits)
        if trace.opcodes >= _PROBE_OPCODES or any(_MODULE.match(use.module or "") for use in trace.uses.values()):
            return True
        if trace.broken is not None:
            return False
        if trace.end == source.size:
            return trace.opcodes > 2 or start > 0
        start = trace.end
    return False


def read(upload: Upload) -> Model:
    """What the pickle holds.

    Raises:
        MalformedFile: It is broken and would not have run anything of note before.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A pickle is a single file."))
    limits = upload.limits
    trace = run(source, 0, limits, persistent, {"torch.storage._load_from_bytes": _Storages(source)})
    dangers = dangers_alone(trace, source, limits, None)
    weigher = Weigher(lambda _: Place(None, None, None), limits)

    def look() -> tuple[Description, list[Danger]]:
        return describe_saved(trace.value, weigher, limits), weigher.dangers

    return build(ModelInfo(format=FORMAT.id, framework=_framework(trace)), trace.broken, dangers, look)


def _framework(trace: Trace) -> str:
    """PyTorch where anything of it is named: any library, and none, writes plain pickles."""
    named = any((use.module or "").partition(".")[0] == "torch" for use in trace.uses.values())
    return FORMAT.framework if named else "unknown"


class _Storages:
    """Storages that pickle wrote as a stream of torch.save in a byte string, each with a key of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._made = 0

    def __call__(self, args: tuple[Any, ...]) -> Any:
        """The storage in the byte string that is the only argument; None if there is none."""
        window = self._window(args[0])
        stream = open_stream(window, self._source.meter.limits) if window is not None else None
        if stream is None or stream.broken is not None or not isinstance(stream.saved, Storage):
            return None
        self._made += 1
        return replace(stream.saved, key=f"nested {self._made}")

    def _window(self, value: Any) -> Source | None:
        if isinstance(value, Blob):
            return None if value.is_text else WindowSource(self._source, value.offset, value.length)
        data = bytes_of(value)
        return None if data is None else BytesSource(data, self._source.meter)
