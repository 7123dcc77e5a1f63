"""Ways to send folders and hand-made safetensors files to the readers; no expectations."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from service.config import Limits
from service.errors import InputError
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import BytesSource, Meter
from service.tree import Model, Weight
from tests.corpus import corpus_dir


def upload(files: Mapping[str, bytes], **limits: int) -> Upload:
    """An upload of files in memory, by their names."""
    meter = Meter(Limits(**limits))
    return Upload({name: BytesSource(data, meter) for name, data in files.items()}, meter)


def folder(name: str) -> dict[str, bytes]:
    """The files of one folder of the corpus."""
    return {path.name: path.read_bytes() for path in sorted((corpus_dir("torch_safetensors") / name).iterdir())}


def path(name: str) -> Path:
    """Where a folder of the corpus is."""
    return corpus_dir("torch_safetensors") / name


def read(files: Mapping[str, bytes], **limits: int) -> Model:
    """The model that the first reader which takes the files makes of them."""
    given = upload(files, **limits)
    found = identify(given, load_readers()).read(given)
    assert isinstance(found, Model)
    return found


def refusal(work: Callable[[], object]) -> InputError | None:
    """Why `work` refuses what it is given, None if it does not."""
    try:
        work()
    except InputError as error:
        return error
    return None


def weights(found: Model) -> dict[str, Weight]:
    """Every listed weight by the full key that it is stored as."""
    return {weight.stored_as or "": weight for layer in found.layers for weight in layer.weights}


def rules(found: Model) -> list[str]:
    """The rules of the model's findings, in order."""
    return [finding.rule for finding in found.findings]


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with this header, as JSON or as bytes; `length` where it should lie about it."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, Any]:
    """One entry of a header; by default as many numbers of 4 bytes as there is room for."""
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def header_only(data: bytes) -> bytes:
    """The beginning of a safetensors file up to where its data begins."""
    return data[: 8 + struct.unpack("<Q", data[:8])[0]]


def index(weight_map: Mapping[str, str], **metadata: Any) -> bytes:
    """An index document."""
    return json.dumps({"metadata": metadata, "weight_map": weight_map}).encode()
