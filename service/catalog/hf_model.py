"""Joins the arrays of one or more files with the index and the documents beside them into a `Model`.

Knows what the three say of each other; must not know how the files of arrays are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from service.catalog import hf_adapter, hf_checks, hf_dangers, hf_documents, shards
from service.catalog.hf_folder import ADAPTER, CONFIG, QUANTIZE, Folder
from service.catalog.integrity import listed
from service.catalog.named import Named, Stored, describe
from service.catalog.named_layers import Layouts
from service.config import Limits
from service.formats import Upload
from service.frameworks import separator_of
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Finding, Model, ModelInfo

_LAYOUTS: Mapping[str, Layouts] = {"mlx": "mlx", "paddle": "paddle"}
_MAX_MEMBERS = 1000
_MAX_NAMES = 10


@dataclass(frozen=True, slots=True)
class Weights:
    """What the files of arrays hold.

    Attributes:
        arrays: All arrays, those of files that were not sent with unknown shape.
        held: Names of the arrays in each file, by the file's name in index or series.
        sizes: Sums of the stored bytes that `total_size` of the index may mean; empty where not all are known.
    """

    arrays: Sequence[Stored]
    held: Mapping[str, Sequence[str]]
    sizes: Sequence[int] = ()
    findings: Sequence[Finding] = ()
    dangers: Sequence[Danger] = ()
    notes: Sequence[Message] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents beside the weights, None where there is none or it cannot be read."""

    config: hf_documents.Document | None = None
    adapter: hf_documents.Document | None = None
    quantize: hf_documents.Document | None = None
    findings: Sequence[Finding] = field(default=())
    dangers: Sequence[Danger] = field(default=())


def read_documents(upload: Upload, folder: Folder) -> Documents:
    """The documents of a folder's model. Raises nothing: one that cannot be read is a finding."""
    found: dict[str, hf_documents.Document | None] = {}
    findings: list[Finding] = []
    for base in (CONFIG, ADAPTER, QUANTIZE):
        name = folder.documents.get(base)
        if name is not None:
            found[base], more = hf_documents.read_companion(upload.parts[name], upload.limits, name)
            findings.extend(more)
    config = found.get(CONFIG)
    dangers = hf_dangers.read(upload, folder, {base: document for base, document in found.items() if document})
    return Documents(config, found.get(ADAPTER), found.get(QUANTIZE), findings, dangers)


def assemble(
    info: ModelInfo, folder: Folder, index: shards.Index | None, weights: Weights, documents: Documents, limits: Limits
) -> Model:
    """The model of a folder, whose files were read, with what index, documents and arrays say of each other.

    Raises:
        LimitExceeded: More layers or weights than one analysis may describe.
    """
    weights = _with_missing(weights, index, folder.missing)
    named = _named(weights, documents, limits, info.framework)
    told = _index_findings(index, folder, weights, named)
    return Model(
        info=with_documents(info, folder, documents),
        layers=named.layers,
        states=named.states,
        security=(*weights.dangers, *(shards.escapes(index, folder.index) if index else ()), *documents.dangers),
        findings=(*weights.findings, *told, *document_findings(documents, weights.arrays), *named.findings),
        complete=weights.complete,
        notes=(*weights.notes, *named.notes),
    )


def document_findings(documents: Documents, arrays: Sequence[Stored]) -> list[Finding]:
    """What is wrong in the documents, and what in them differs from the arrays."""
    config, adapter = documents.config, documents.adapter
    return [
        *documents.findings,
        *(hf_checks.check(config, arrays) if config is not None else ()),
        *(hf_adapter.check(adapter, arrays) if adapter is not None else ()),
    ]


def _with_missing(weights: Weights, index: shards.Index | None, missing: Sequence[str]) -> Weights:
    """`weights` and, for files that were not sent, the names that the index has for their arrays."""
    if not missing:
        return weights
    gone, held = frozenset(missing), {one.stored_as or one.name for one in weights.arrays}
    arrays = [
        Stored(name=name, shape=None, dtype=None)
        for name, file in (index.weight_map.items() if index else ())
        if file in gone and name not in held
    ]
    note = _missing_note(missing, none=not weights.held, named=index is not None)
    return replace(weights, arrays=[*weights.arrays, *arrays], sizes=(), notes=[*weights.notes, note], complete=False)


def _index_findings(index: shards.Index | None, folder: Folder, weights: Weights, named: Named) -> list[Finding]:
    """What index and files say of each other; nothing of an index alone."""
    if index is None:
        return listed("index_missing_shard", [shards.missing_shard(file) for file in folder.missing])
    if not weights.held:
        return []
    findings = shards.check(index, weights.held, folder.unnamed)
    if weights.sizes:
        findings += shards.check_size(index, weights.sizes)
        counted = _counted(named)
        findings += shards.check_parameters(index, *counted) if counted else []
    return findings


def _named(weights: Weights, documents: Documents, limits: Limits, framework: str) -> Named:
    """Layers and states of all arrays; of several with one name, the first."""
    arrays = weights.arrays
    if len({one.name for one in arrays}) < len(arrays):
        first: dict[str, Stored] = {}
        for one in arrays:
            first.setdefault(one.name, one)
        arrays = list(first.values())
    quantization = hf_documents.quantization_of(documents.config, documents.quantize)
    return describe(
        arrays, limits, quantization=quantization, separator=separator_of(framework),
        layouts=_LAYOUTS.get(framework, "torch"),
    )  # fmt: skip


def with_documents(info: ModelInfo, folder: Folder, documents: Documents) -> ModelInfo:
    """`info` with what the documents say."""
    tags: dict[str, Any] = dict(info.tags)
    config, adapter = documents.config, documents.adapter
    if config is not None:
        tags |= hf_documents.config_tags(config)
    if adapter is not None:
        tags |= hf_documents.adapter_tags(adapter)
    several = len(folder.parts) > 1
    return msgspec.structs.replace(
        info,
        name=info.name or (hf_documents.name_of(config) if config is not None else None),
        type=info.type or (hf_documents.type_of(config) if config is not None else None),
        members=tuple(sorted(text(name, 500) for name in folder.parts)[:_MAX_MEMBERS]) if several else info.members,
        tags=tags,
    )


def _missing_note(missing: Sequence[str], *, none: bool, named: bool) -> Message:
    if none and named:
        return msg("Only the index was sent: the names of the arrays and their files are known, not their shapes.")
    shown = tuple(text(name, 200) for name in missing[:_MAX_NAMES])
    if named:
        return msg(
            "{n} files of the model were not sent (the first: {names}): of their arrays only the names are known.",
            n=len(missing), names=shown,
        )  # fmt: skip
    return msg(
        "By the names of the files, {n} others belong to this model (the first: {names}) and were not sent.",
        n=len(missing), names=shown,
    )  # fmt: skip


def _counted(named: Named) -> tuple[int, int] | None:
    """Elements without and with buffers and repeated weights; None if any count is unknown."""
    weights = [weight for layer in named.layers for weight in layer.weights]
    if any(weight.count is None for weight in weights):
        return None
    fewest = sum(weight.count or 0 for weight in weights if weight.tied_to is None and weight.group != "statistic")
    return fewest, sum(weight.count or 0 for weight in weights)
