"""Frozen graphs (`.pb`) and graphs with what is said about them (`.meta`), alone.

Knows GraphDef and MetaGraphDef files; what operations do with their weights is in `catalog`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from service.catalog.tf_constants import variables, wholes
from service.catalog.tf_dangers import dangers_of_graph
from service.catalog.tf_frozen import describe_frozen
from service.catalog.tf_signatures import tags_of
from service.catalog.tf_training import describe
from service.catalog.tf_uses import holds_variables, roles_of
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.protobuf import Blocks, Field, fields, message
from service.parsers.tensorflow_graph import (
    MetaGraph,
    looks_like_graph,
    looks_like_meta_graph,
    read_meta_graph,
    variable_names,
)
from service.parsers.tensorflow_nodes import Node, read_graph
from service.plain import text
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="tf_graphdef",
    framework="tensorflow",
    title=msg("TensorFlow graph (frozen .pb, .meta)"),
    extensions=(".pb", ".meta"),
    reads=msg(
        "Every operation with its settings and what feeds it; constants as weights with roles by what reads them, "
        "biases with the layer they are added to; in graphs that are not frozen, variables and which of them learn."
    ),
    leaves=msg("Weight values, unless statistics or a comparison of values ask for them. Graphs written as text."),
    priority=72,
)

_NO_VALUES = msg("The graph keeps its weights in variables: their values are in a checkpoint that was not uploaded.")


class _Content(NamedTuple):
    """The graph's place (None: the whole file) and what is said about it."""

    place: Field | None
    meta: MetaGraph | None


def accept(upload: Upload) -> bool:
    """Whether the file begins as a GraphDef or MetaGraphDef does."""
    if upload.single is None:
        return False
    source = Blocks(upload.single)
    return looks_like_graph(source) or looks_like_meta_graph(source)


def read(upload: Upload) -> Model:
    """The graph's operations as layers, or the layers its variables make up. Raises InputError."""
    if upload.single is None:
        raise MalformedFile(msg("A graph is a single file."))
    source = Blocks(upload.single)
    content = _content(source)
    listed = read_graph(source, _parts(source, content))
    found = listed.nodes
    security = dangers_of_graph(source, listed, content.meta, None)
    if holds_variables(found):
        return _with_variables(source, content, found, security, upload)
    model = describe_frozen(source, found, upload.limits)
    return Model(
        info=_info(content, found),
        layers=model.layers,
        states=model.states,
        security=security,
        notes=model.notes,
    )


def _content(source: Blocks) -> _Content:
    if looks_like_graph(source):
        return _Content(None, None)
    meta = read_meta_graph(source, fields(source))
    if meta.graph is None:
        raise MalformedFile(msg("The file says much about a graph and does not hold it."), offset=0)
    return _Content(meta.graph, meta)


def _parts(source: Blocks, content: _Content) -> Iterable[Field]:
    return fields(source) if content.place is None else message(source, content.place)


def _with_variables(
    source: Blocks, content: _Content, found: list[Node], security: tuple[Danger, ...], upload: Upload
) -> Model:
    collections = content.meta.collections if content.meta is not None else {}
    every = variable_names(source, collections.get("variables"))
    learn = variable_names(source, collections.get("trainable_variables"))
    declared = {**every, **learn}
    told = wholes(variables(source, found, {name: name in learn for name in declared}), declared)
    whole = {name: one.whole for name, one in declared.items()}
    roles = {whole.get(name, name): role for name, role in roles_of(found).items()}
    model = describe(told, upload.limits, roles=roles)
    return Model(
        info=_info(content, found),
        layers=model.layers,
        states=model.states,
        security=security,
        complete=False,
        notes=(*model.notes, _NO_VALUES),
    )


def _info(content: _Content, found: list[Node]) -> ModelInfo:
    version = content.meta.version if content.meta is not None else None
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        type="MetaGraphDef" if content.meta is not None else "GraphDef",
        framework_version=text(version, 64) if version else None,
        tags={"nodes": len(found), **(tags_of([content.meta]) if content.meta is not None else {})},
    )
