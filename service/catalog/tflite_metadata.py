"""What TensorFlow Lite files say of themselves: conversion, minimum runtime, model card, packed label files.

Knows the two small flatbuffers among the metadata (conversion_metadata.fbs, metadata_schema.fbs) and the zip archive
that may follow the model; must not know layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from service.errors import InputError
from service.language import msg
from service.parsers.flatbuffer import Flatbuffer, Table
from service.parsers.tflite import Contents, data_of
from service.parsers.zip_directory import END_SIGNATURE, entries, locate_directory
from service.plain import text
from service.source import BytesSource, Source
from service.tree import Finding

_MAX_METADATA = 1 << 20
_MAX_FILES = 200
_REACH = 22 + 0xFFFF
_MODEL_TYPES = {1: "TF_SAVED_MODEL", 2: "KERAS_MODEL", 3: "TF_CONCRETE_FUNCTIONS", 4: "TF_GRAPH_DEF", 5: "TF_SESSION",
                6: "JAX", 7: "PYTORCH"}  # fmt: skip
_CARD = {0: "name", 1: "description", 2: "version", 4: "author", 5: "license", 7: "min_parser_version"}


def tags_of(contents: Contents, source: Source) -> dict[str, Any]:
    """Tags of `ModelInfo`: what the metadata says, as far as it can be read."""
    found: dict[str, Any] = {}
    names = [name for name, _ in contents.metadata]
    if names:
        found["metadata"] = [text(name, 200) for name in names[:_MAX_FILES]]
    for name, index in contents.metadata[:_MAX_FILES]:
        data = data_of(contents, index, source, _MAX_METADATA)
        if name == "min_runtime_version":
            found[name] = text(data.partition(b"\0")[0].decode("ascii", errors="replace"), 50)
        elif name == "CONVERSION_METADATA":
            found.update(_read(data, _conversion, source))
        elif name == "TFLITE_METADATA":
            found.update(_read(data, _card, source))
    return found


def packed_files(source: Source) -> tuple[list[str], list[Finding]]:
    """Names of the files in the zip archive behind the model; a finding where something is there that is broken."""
    reach = min(source.size, _REACH)
    if END_SIGNATURE not in source.read_at(source.size - reach, reach):
        return [], []
    try:
        start, size, count = locate_directory(source)
        found = [text(entry.name, 500) for entry in entries(source.read_at(start, size), count, start)]
    except InputError as error:
        broken = Finding(
            rule="tflite_packed_files",
            severity="low",
            what=msg("The files packed behind the model cannot be listed: {detail}", detail=error.info.detail),
        )
        return [], [broken]
    return found, []


def _read(data: bytes, what: Callable[[Table], Iterator[tuple[str, Any]]], source: Source) -> dict[str, Any]:
    """A small flatbuffer's facts; none of one that cannot be read."""
    try:
        return dict(what(Flatbuffer(BytesSource(data, source.meter)).root()))
    except InputError:
        return {}


def _conversion(root: Table) -> Iterator[tuple[str, Any]]:
    environment, options = root.table(0), root.table(1)
    if environment is not None:
        yield "tensorflow_version", environment.text(0)
        kind = environment.scalar(2, "i")
        yield "converted_from", _MODEL_TYPES.get(kind, str(kind))
    if options is not None:
        modes = options.numbers(0, "i", _MAX_FILES)
        if modes:
            yield "optimization_modes", list(modes)


def _card(root: Table) -> Iterator[tuple[str, Any]]:
    for number, name in _CARD.items():
        value = root.text(number)
        if value:
            yield f"model_{name}" if number else "model_name", value
