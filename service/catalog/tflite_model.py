"""A TensorFlow Lite file as a whole: what it is, its layers, what it opens, what is missing; knows no upload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.catalog.tf_ops import dangers, touches
from service.catalog.tf_savers import OPERATIONS as SAVERS
from service.catalog.tflite_layers import Layers, folded_note
from service.catalog.tflite_metadata import packed_files, tags_of
from service.catalog.tflite_weights import Weights, shape_of
from service.catalog.torch_program import FIXED_NOTE
from service.config import Limits
from service.errors import UnsupportedFeature
from service.language import Message, msg
from service.parsers.tflite import Contents, read_contents
from service.plain import MAX_ITEMS, json_value, text
from service.source import Source
from service.tree import Danger, Finding, Model, ModelInfo

UNKNOWN_TRAINING = msg(
    "The file does not say which weights were trained: it is made for inference. Quantised ones cannot learn by "
    "gradient, whatever runs them."
)
_VERSION = 3
_MAX_DANGERS = 200
_FLEX = "Flex"


def describe(source: Source, limits: Limits, format_id: str) -> Model:
    """The model in a TensorFlow Lite flatbuffer that is all of `source`.

    Raises:
        UnsupportedFeature: A schema before version 3, of 2017, which kept weights elsewhere.
        MalformedFile: The flatbuffer cannot be read.
        LimitExceeded: More of anything than one analysis may describe.
    """
    contents = read_contents(source, limits)
    if contents.version != _VERSION:
        raise UnsupportedFeature(
            msg("The model has schema version {version}; version 3 is read, which all converters since 2018 write.",
                version=contents.version),
            hint=msg("Convert the original model again with a current converter."),
        )  # fmt: skip
    weights = Weights(contents, source.size, limits)
    layers = Layers(contents, weights, limits)
    described = layers.describe()
    files, broken = packed_files(source)
    findings = [*weights.findings(), *broken]
    cut = any(finding.rule == "data_truncated" for finding in findings)
    return Model(
        info=_info(contents, source, format_id, files),
        layers=tuple(described),
        security=tuple(_dangers(contents, layers.custom)),
        findings=tuple(findings),
        complete=not contents.externals and not cut,
        notes=tuple(_notes(contents, layers.folded, findings)),
    )


def _info(contents: Contents, source: Source, format_id: str, files: list[str]) -> ModelInfo:
    tags = tags_of(contents, source)
    if files:
        tags["packed_files"] = files[:MAX_ITEMS]
    if contents.signatures:
        tags["signatures"] = _signatures(contents)
    if len(contents.subgraphs) > 1:
        tags["subgraphs"] = [one.name for one in contents.subgraphs[:MAX_ITEMS]]
    version = tags.get("tensorflow_version")
    return ModelInfo(
        format=format_id,
        framework="tflite",
        name=tags.get("model_name"),
        format_version=str(contents.version),
        framework_version=text(version, 50) if isinstance(version, str) else None,
        producer=text(contents.description, 200) or None,
        tags=json_value(tags),
    )


def _signatures(contents: Contents) -> dict[str, Any]:
    """By name: the subgraph, and what its inputs and outputs are called outside and inside."""
    return {
        one.key: {
            "subgraph": one.subgraph,
            "inputs": _named(contents, one.subgraph, one.inputs),
            "outputs": _named(contents, one.subgraph, one.outputs),
        }
        for one in contents.signatures[:MAX_ITEMS]
    }


def _named(contents: Contents, subgraph: int, aliases: Iterable[tuple[str, int]]) -> dict[str, str | None]:
    tensors = contents.subgraphs[subgraph].tensors if subgraph < len(contents.subgraphs) else []
    return {alias: tensors[index].name if index < len(tensors) else None for alias, index in aliases}


def _notes(contents: Contents, folded: int, findings: list[Finding]) -> Iterator[Message]:
    yield UNKNOWN_TRAINING
    if folded:
        yield folded_note(folded)
    if _is_fixed(contents):
        yield FIXED_NOTE
    if contents.externals:
        names = sorted({text(one.file, 100) for one in contents.externals.values()})[:20]
        yield msg("Weights lie in other files ({names}), which were not looked at.", names=tuple(names))
    if any(finding.rule == "data_truncated" for finding in findings):
        yield msg("The file ends before its weights do: what is described is what its structure says.")


def _is_fixed(contents: Contents) -> bool:
    """Whether no size of the main inputs is open."""
    main = contents.subgraphs[0] if contents.subgraphs else None
    return main is not None and bool(main.inputs) and not any(
        None in shape_of(main.tensors[index]) for index in main.inputs
    )  # fmt: skip


def _dangers(contents: Contents, custom: dict[str, str]) -> Iterator[Danger]:
    for name, path in list(custom.items())[:_MAX_DANGERS]:
        flex = name.startswith(_FLEX)
        operation = name.removeprefix(_FLEX)
        if flex and touches(operation) and operation not in SAVERS:
            yield from dangers([(path, operation)], None)
            continue
        yield Danger(
            code="tflite_flex_operator" if flex else "tflite_custom_operator",
            severity="low",
            what=msg("The operator needs TensorFlow itself when the model runs.")
            if flex
            else msg("The operator is not part of TensorFlow Lite: the program that runs the model brings its code."),
            path=text(path),
            detail=text(name, 200),
        )
    for name in sorted({one.file for one in contents.externals.values()})[:_MAX_DANGERS]:
        outside = name.startswith(("/", "\\")) or ":" in name or ".." in name.replace("\\", "/").split("/")
        yield Danger(
            code="tflite_external_file",
            severity="high" if outside else "low",
            what=msg("Loading the model opens another file, outside its own folder.")
            if outside
            else msg("Loading the model opens another file beside it."),
            detail=text(name, 200),
        )
