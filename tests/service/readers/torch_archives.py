"""Ways to read a file with the torch readers, and to write small torch.save archives by hand; no expectations."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from types import ModuleType

from service.config import Limits
from service.formats import Upload
from service.readers import torch_export, torch_legacy, torch_pickle, torch_tar, torch_zip, torchscript
from service.source import BytesSource, Meter
from service.tree import Model, Weight
from tests.corpus import corpus_dir

READERS: list[ModuleType] = sorted(
    [torch_export, torch_legacy, torch_pickle, torch_tar, torch_zip, torchscript],
    key=lambda reader: reader.FORMAT.priority,
)


def upload(data: bytes, **limits: int) -> Upload:
    """An upload of one file in memory."""
    meter = Meter(Limits(**limits))
    return Upload({"file": BytesSource(data, meter)}, meter)


def read(data: bytes, **limits: int) -> Model | None:
    """What the first reader that accepts the content makes of it, None if none does."""
    given = upload(data, **limits)
    for reader in READERS:
        if reader.accept(given):
            return reader.read(given)
    return None


def model(name: str) -> Model:
    """A file of the corpus."""
    found = read(content(name))
    assert found is not None
    return found


def content(name: str) -> bytes:
    """The bytes of a file of the corpus."""
    return (corpus_dir("torch_files") / name).read_bytes()


def path(name: str) -> Path:
    """Where a file of the corpus is."""
    return corpus_dir("torch_files") / name


def weights(found: Model) -> dict[str, Weight]:
    """Every listed weight by its full name."""
    return {weight.stored_as or "": weight for layer in found.layers for weight in layer.weights}


def archive(pickle: bytes, storages: dict[str, int] | None = None, **members: bytes) -> bytes:
    """A torch.save zip with this data.pkl, and storages of these sizes in bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("m/data.pkl", pickle)
        target.writestr("m/version", "3\n")
        for key, size in (storages or {}).items():
            target.writestr(f"m/data/{key}", bytes(size))
        for name, data in members.items():
            target.writestr(f"m/{name}", data)
    return out.getvalue()


def number(value: int) -> bytes:
    """An integer."""
    return (
        b"J" + struct.pack("<i", value)
        if -(2**31) <= value < 2**31
        else b"\x8a\x09" + value.to_bytes(9, "little", signed=True)
    )


def sizes(*values: int) -> bytes:
    """A tuple of integers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key: str, count: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """A float32 tensor as torch.save writes it."""
    name = b"\x8c" + bytes([len(key)]) + key.encode()
    storage = b"(\x8c\x07storagectorch\nFloatStorage\n" + name + b"\x8c\x03cpu" + number(count) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + sizes(*shape)
        + sizes(*stride)
        + b"\x89"
        + hooks
        + b"tR"
    )


def mapping(**values: bytes) -> bytes:
    """A dictionary."""
    return b"}(" + b"".join(b"\x8c" + bytes([len(key)]) + key.encode() + value for key, value in values.items()) + b"u"
