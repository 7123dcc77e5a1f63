"""The headers of one GGUF model, alone or split, as a `Model`; knows what keys and names mean, reads no file.

Sources: ggml's docs/gguf.md for the keys, llama.cpp's gguf-split for files in parts, its convert_lora_to_gguf for
adapters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from service.catalog.gguf_checks import (
    check_bytes,
    check_declared,
    check_names,
    check_parts,
    check_tensors,
    dtype_of,
    unknown_types,
)
from service.catalog.gguf_parts import Held, Part, held_in, is_told, merged, unique
from service.catalog.gguf_template import template_dangers
from service.catalog.gguf_types import FILE_TYPES
from service.catalog.named import Stored, describe
from service.config import Limits
from service.language import Message, msg
from service.parsers.gguf import Summary, Value
from service.plain import json_value, text
from service.tree import Layer, Location, Model, ModelInfo

ROOT = "."
_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"
_ADAPTERS = {"lora_a": "lora_a", "lora_b": "lora_b"}
"""Last steps of the names in an adapter file, which are its format's own."""
_MAX_TAGS = 5000


def describe_gguf(format_id: str, parts: Sequence[Part], limits: Limits) -> Model:
    """The model of all parts that are there.

    Raises:
        MalformedFile: A tensor whose sizes cannot be.
        LimitExceeded: More tensors or layers than one analysis may describe.
    """
    parts = sorted(parts, key=lambda part: part.number)
    metadata = merged(parts)
    held = [one for part in parts for one in held_in(part)]
    own = unique(held)
    named = describe([_stored(one, metadata) for one in own], limits)
    split, data = check_parts(parts, held, metadata), check_bytes(parts, held)
    declared = check_declared(metadata, own) if split.complete else ()
    return Model(
        info=_info(format_id, parts, metadata, own),
        layers=_with_root(named.layers, metadata),
        states=named.states,
        findings=(
            *split.findings, *data.findings, *check_tensors(held), *check_names(parts, held), *declared,
            *named.findings,
        ),
        security=tuple(template_dangers(metadata)),
        complete=split.complete and data.complete,
        notes=(
            *split.notes, *data.notes, *_kind_notes(metadata, own, whole=split.complete), *unknown_types(own),
            *named.notes,
        ),
    )  # fmt: skip


def _stored(one: Held, metadata: Mapping[str, Value]) -> Stored:
    return Stored(
        name=one.info.name,
        shape=one.shape,
        dtype=dtype_of(one),
        bytes=one.bytes,
        location=Location(member=one.part.name, offset=one.begin, length=one.bytes) if is_told(one) else None,
        statistic=True if metadata.get("general.type") == "imatrix" else None,
        role=_ADAPTERS.get(one.info.name.rpartition(".")[2]),
    )


def _info(format_id: str, parts: Sequence[Part], metadata: Mapping[str, Value], held: Sequence[Held]) -> ModelInfo:
    return ModelInfo(
        format=format_id,
        framework="ggml",
        name=_text(metadata.get("general.name")),
        type=_text(metadata.get("general.architecture")),
        format_version=str(parts[0].header.version),
        producer=_text(metadata.get("general.quantized_by")),
        members=tuple(text(part.name, 500) for part in parts if part.name is not None),
        tags=_tags(parts[0], metadata, held),
    )


def _text(value: Value | None) -> str | None:
    return text(value, 500) if isinstance(value, str) else None


def _tags(first: Part, metadata: Mapping[str, Value], held: Sequence[Held]) -> dict[str, Any]:
    """What the file says of itself, but for the hyper-parameters, which belong to the root layer."""
    prefix = _prefix(metadata)
    said = {key: value for key, value in metadata.items() if not prefix or not key.startswith(prefix)}
    found: dict[str, Any] = {text(key, 200): _shown(said[key]) for key in list(said)[:_MAX_TAGS]}
    kind = metadata.get("general.file_type")
    if isinstance(kind, int) and kind in FILE_TYPES:
        found["quantization"] = FILE_TYPES[kind]
    if first.header.big_endian:
        found["byteorder"] = "big"
    ranks = sorted({one.shape[0] for one in held if one.info.name.endswith(".lora_a") and len(one.shape) > 1})
    if ranks:
        found["adapter.lora.rank"] = ranks[0] if len(ranks) == 1 else ranks[:100]
    return found


def _shown(value: Value) -> Any:
    """A value as JSON; of a long array its type and length."""
    return {"type": value.kind, "count": value.length} if isinstance(value, Summary) else json_value(value)


def _prefix(metadata: Mapping[str, Value]) -> str:
    architecture = metadata.get("general.architecture")
    return f"{architecture}." if isinstance(architecture, str) and architecture else ""


def _with_root(layers: Sequence[Layer], metadata: Mapping[str, Value]) -> tuple[Layer, ...]:
    """The layers below one that is the model itself and has the hyper-parameters."""
    prefix = _prefix(metadata)
    if not prefix:
        return tuple(layers)
    said = {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}
    config = {text(key, 200): _shown(said[key]) for key in list(said)[:_MAX_TAGS]}
    known = next((layer for layer in layers if layer.path == ROOT), None)
    root = Layer(path=ROOT, name=ROOT, kind="model") if known is None else known
    made = msgspec.structs.replace(
        root, kind="model", type=text(prefix.removesuffix("."), 200), type_source="recorded",
        config={**root.config, **config},
    )  # fmt: skip
    return (made, *(layer for layer in layers if layer.path != ROOT))


# Notes


def _kind_notes(metadata: Mapping[str, Value], held: Sequence[Held], *, whole: bool) -> tuple[Message, ...]:
    """What sort of file it is, where that is not a model by itself."""
    kind = metadata.get("general.type")
    if kind == "adapter":
        return (_ADAPTER,)
    if kind == "imatrix":
        return (_IMATRIX,)
    if kind == "mmproj" or metadata.get("general.architecture") == "clip":
        return (_PROJECTOR,)
    if not held and whole:
        vocabulary = any(key.startswith("tokenizer.") for key in metadata)
        return (_VOCABULARY if vocabulary else _EMPTY,)
    names = {one.info.name for one in held}
    generates = _EMBEDDING in names and _OUTPUT not in names and whole and "tokenizer.ggml.model" in metadata
    pooled = f"{_prefix(metadata)}pooling_type" in metadata or f"{_prefix(metadata)}attention.causal" in metadata
    return (_TIED,) if generates and not pooled else ()


_ADAPTER = msg("The file holds an adapter: low-rank pairs that are added to the weights of another model.")
_IMATRIX = msg(
    "The file holds an importance matrix: sums of squared activations that guide a quantisation, and no weights."
)
_PROJECTOR = msg(
    "The file holds the encoder and projector of a multi-modal model; its language model is another file."
)
_VOCABULARY = msg("The file holds a vocabulary and no tensors.")
_EMPTY = msg("The file holds metadata and no tensors.")
_TIED = msg(
    "There is no output.weight: where the model generates text, token_embd.weight is its output too and is stored once."
)

