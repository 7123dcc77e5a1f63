"""PyTorch's first files (before 0.1.10): a tar of `sys_info`, `pickle`, `storages` and `tensors`; skips the values.

Layout, from torch/serialization.py (`_legacy_load`): `storages` is a pickled count, then per storage a pickle
(key, device, class), an int64 element count and the elements, then a pickle of windows onto storages; `tensors`
is a pickled count, then per tensor a pickle (key, storage key, class), int32 rank, 4 bytes, int64 sizes, strides
and offset; `pickle` refers to tensors and storages by persistent ids that are their keys.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any

from service.catalog.torch_dangers import dangers_of
from service.catalog.torch_dtypes import STORAGES, storage_bytes
from service.catalog.torch_model import Description, describe_saved
from service.catalog.torch_report import build
from service.catalog.torch_storage import MAX_RANK, Storage
from service.catalog.torch_tensors import Tensor, view
from service.catalog.torch_weights import Place, Weigher
from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Global, Persistent, Trace
from service.parsers.tar import TarArchive, is_tar, open_tar
from service.source import Source, head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="torch_tar",
    framework="torch",
    title=msg("PyTorch file (tar, before 0.1.10)"),
    extensions=(".pt", ".pth", ".t7", ".tar"),
    reads=msg("state_dicts, training checkpoints and whole pickled modules, as the later formats"),
    leaves=msg("the weights' values, unless statistics or a comparison of values ask for them"),
    priority=55,
)

_MEMBERS = ("storages", "tensors", "pickle")
_FIRST_MEMBER = re.compile(rb"(?:sys_info|pickle|storages|tensors)\0")


@dataclass(slots=True)
class _Objects:
    """What the persistent ids of the main pickle stand for, by key, and where storages lie."""

    found: dict[int, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    traces: list[tuple[Trace, str]] = field(default_factory=list)


def accept(upload: Upload) -> bool:
    """A tar archive with the three members that PyTorch wrote; or a broken one that starts with one of them."""
    source = upload.single
    if source is None or not is_tar(source):
        return False
    try:
        archive = open_tar(source)
    except InputError:
        return bool(_FIRST_MEMBER.match(head(source, 32)))
    return all(name in archive for name in _MEMBERS)


def read(upload: Upload) -> Model:
    """The model inside.

    Raises:
        MalformedFile: A member is not laid out as above.
        TruncatedFile: A member ends early.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A PyTorch file is a single file."))
    archive, limits = open_tar(source), upload.limits
    objects = _Objects()
    broken = _load_objects(archive, objects, limits)
    pickle = archive.open("pickle")
    trace = run(pickle, 0, limits, lambda key, offset: _persistent(objects, key, offset))
    objects.traces.append((trace, "pickle"))
    dangers = list(archive.anomalies)
    for found, member in objects.traces:
        dangers.extend(dangers_of(found, archive.open(member), limits, member))
    weigher = Weigher(lambda storage: objects.places.get(str(storage.key)), limits)

    def look() -> tuple[Description, list[Danger]]:
        return describe_saved(trace.value, weigher, limits), weigher.dangers

    if broken is None and trace.broken is not None:
        trace.broken.within("pickle")
        broken = trace.broken
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework, members=archive.names[:1000])
    return build(info, broken, dangers, look)


def _load_objects(archive: TarArchive, objects: _Objects, limits: Limits) -> InputError | None:
    """Fill `objects`; what stopped it, placed in its member, or None."""
    for member, load in (("storages", _load_storages), ("tensors", _load_tensors)):
        try:
            load(archive.open(member), objects, limits)
        except InputError as error:
            error.within(member)
            return error
    return None


def _pickle(source: Source, offset: int, objects: _Objects, limits: Limits, member: str) -> Trace:
    trace = run(source, offset, limits)
    if trace.uses or trace.oddities:
        objects.traces.append((trace, member))
    if trace.broken is not None:
        raise trace.broken
    return trace


def _count(value: Any, limits: Limits) -> int:
    if type(value) is not int or value < 0:
        raise MalformedFile(msg("A count is expected here."), offset=0)
    if value > limits.weights:
        raise LimitExceeded("weights", limits.weights, msg("The file holds {value} tensors.", value=value), value=value)
    return value


def _triple(trace: Trace, start: int) -> tuple[int, Any, Global | None]:
    """(key, second, class) of a storage or tensor record."""
    value = trace.value
    if not isinstance(value, tuple) or len(value) != 3 or type(value[0]) is not int:
        raise MalformedFile(msg("A record of a key, a place and a class is expected here."), offset=start)
    return value[0], value[1], value[2] if isinstance(value[2], Global) else None


def _load_storages(source: Source, objects: _Objects, limits: Limits) -> None:
    trace = _pickle(source, 0, objects, limits, "storages")
    offset = trace.end
    for _ in range(_count(trace.value, limits)):
        trace = _pickle(source, offset, objects, limits, "storages")
        key, device, kind = _triple(trace, offset)
        dtype = STORAGES.get((kind.name or "").rpartition(".")[2]) if kind is not None else None
        count = int.from_bytes(source.read_at(trace.end, 8), "little", signed=True)
        length = storage_bytes(dtype, count) if count >= 0 else None
        if length is None:
            raise MalformedFile(msg("A storage's class or element count is not known."), offset=trace.end)
        objects.found[key] = Storage(str(key), dtype, count, device if isinstance(device, str) else None)
        objects.places[str(key)] = Place("storages", trace.end + 8, length)
        offset = trace.end + 8 + length
        source.read_at(offset - 1 if length else offset, 1 if length else 0)  # the last byte is there
    _load_windows(_pickle(source, offset, objects, limits, "storages"), objects)


def _load_windows(trace: Trace, objects: _Objects) -> None:
    """Storages that are windows of others: (key, root key, offset, count)."""
    for window in trace.value if isinstance(trace.value, list) else ():
        if (
            not isinstance(window, tuple)
            or len(window) != 4
            or not all(type(part) is int and part >= 0 for part in window)
        ):
            raise MalformedFile(msg("A window onto a storage is not described by four numbers."), offset=trace.end)
        root = objects.found.get(window[1])
        if not isinstance(root, Storage):
            raise MalformedFile(msg("A window refers to a storage that is not there."), offset=trace.end)
        objects.found[window[0]] = Storage(root.key, root.dtype, root.count, root.device, window[2])


def _load_tensors(source: Source, objects: _Objects, limits: Limits) -> None:
    trace = _pickle(source, 0, objects, limits, "tensors")
    offset = trace.end
    for _ in range(_count(trace.value, limits)):
        trace = _pickle(source, offset, objects, limits, "tensors")
        key, storage_key, _kind = _triple(trace, offset)
        storage = objects.found.get(storage_key) if type(storage_key) is int else None
        if not isinstance(storage, Storage):
            raise MalformedFile(msg("A tensor refers to a storage that is not there."), offset=offset)
        objects.found[key], offset = _tensor(source, trace.end, storage)


def _tensor(source: Source, offset: int, storage: Storage) -> tuple[Tensor, int]:
    """The tensor whose rank stands at `offset`, and where it ends."""
    rank = int.from_bytes(source.read_at(offset, 4), "little", signed=True)
    if not 0 <= rank <= MAX_RANK:
        raise MalformedFile(msg("A tensor has {rank} axes.", rank=rank), offset=offset)
    numbers = struct.unpack(f"<{2 * rank + 1}q", source.read_at(offset + 8, 16 * rank + 8))
    try:
        made = view(storage, numbers[-1], numbers[:rank], numbers[rank:-1], requires_grad=None)
    except ValueError as error:
        raise MalformedFile(
            msg("A tensor's description cannot be: {error}.", error=Message(str(error))), offset=offset
        ) from None
    return made, offset + 16 * rank + 16


def _persistent(objects: _Objects, key: Any, offset: int) -> Any:
    """A class (with its source, which is left alone), or the tensor or storage of a key, which may be text."""
    if isinstance(key, tuple):
        return key[0] if key else Persistent(key, offset)
    number = int(key) if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 20 else key
    if type(number) is not int or number not in objects.found:
        raise MalformedFile(msg("The pickle refers to an object that is not in the file."), offset=offset)
    return objects.found[number]
