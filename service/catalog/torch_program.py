"""An exported program (torch.export) into layers: signature, weights, module tree, shapes, edges; knows no archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.catalog.torch_activations import activations
from service.catalog.torch_graph import Graph, Seen, literals, read_graph, shape_of
from service.catalog.torch_layers import kind_of, layout_of, role_of
from service.catalog.torch_model import Description
from service.catalog.torch_parametrized import computed, parametrized_role, split_name
from service.catalog.torch_rules import guess
from service.catalog.torch_state import ROOT, join
from service.catalog.torch_tensors import Tensor
from service.catalog.torch_weights import Label, Weigher
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import Message, msg
from service.plain import json_value, text
from service.tree import Layer, Shape, Weight

FIXED_NOTE = msg(
    "Every input size was fixed when the model was exported, the batch size too: shapes are as the file says, with "
    "the example's batch size in front."
)
_MAX_OPERATIONS = 200
_MAX_LITERALS = 40


@dataclass(frozen=True, slots=True)
class Spec:
    """One weight of the signature: `what` is parameter, buffer or constant; `argument` its name in the graph."""

    what: str
    name: str
    argument: str
    persistent: bool | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """A weight with what the graph's meta data says of it."""

    spec: Spec
    tensor: Tensor


def specs_of(program: Mapping[str, Any]) -> list[Spec]:
    """The weights that the signature lists, current (2.2 and later) or first form (2.1)."""
    signature = _dict(_dict(program.get("graph_module")).get("signature"))
    specs = signature.get("input_specs")
    if isinstance(specs, list):
        return [spec for item in specs if (spec := _spec(_dict(item))) is not None]
    found: list[Spec] = []
    for what in ("parameter", "buffer"):
        names = _dict(signature.get(f"inputs_to_{what}s"))
        found.extend(Spec(what, name, argument) for argument, name in names.items() if isinstance(name, str))
    return found


def _spec(item: Mapping[str, Any]) -> Spec | None:
    for what, key in (
        ("parameter", "parameter_name"),
        ("buffer", "buffer_name"),
        ("tensor_constant", "tensor_constant_name"),
    ):
        held = _dict(item.get(what))
        name, argument = held.get(key), _dict(held.get("arg")).get("name")
        if isinstance(name, str) and isinstance(argument, str):
            persistent = held.get("persistent") if what == "buffer" else None
            flag = persistent if isinstance(persistent, bool) else None
            return Spec("constant" if what == "tensor_constant" else what, name, argument, flag)
    return None


def graph_of(program: Mapping[str, Any]) -> Mapping[str, Any]:
    """The graph; MalformedFile if there is none."""
    graph = _dict(program.get("graph_module")).get("graph")
    if not isinstance(graph, dict):
        raise MalformedFile(msg("The exported program has no graph."))
    return graph


def meta_of(program: Mapping[str, Any], spec: Spec) -> Mapping[str, Any]:
    """What the graph says of a weight: dtype, sizes, strides, requires_grad; empty if nothing."""
    return _dict(_dict(graph_of(program).get("tensor_values")).get(spec.argument))


def describe_program(
    program: Mapping[str, Any], tensors: Mapping[str, Tensor], weigher: Weigher, limits: Limits, prefix: str = ""
) -> Description:
    """Layers of a program whose weights are `tensors`, by full name."""
    held = [_Held(spec, tensors[spec.name]) for spec in specs_of(program) if spec.name in tensors]
    weights = frozenset(one.spec.argument for one in held)
    graph = read_graph(graph_of(program), weights)
    by_path = _by_path(held)
    paths = _paths(graph, by_path, with_root=bool(prefix) or "" in by_path)
    if len(paths) > limits.layers:
        raise LimitExceeded(
            "layers", limits.layers, msg("The model has more than {layers} layers.", layers=limits.layers)
        )
    found = Description(type=_class(graph.modules[""].type)[0] if "" in graph.modules else None)
    values = _dict(graph_of(program).get("tensor_values"))
    shapes = _Shapes(values)
    found.layers = [_layer(path, graph, by_path, paths, shapes, weigher, prefix) for path in paths]
    found.tags = {**_tags(program, graph), **activations(graph, values, weights)}
    found.notes.extend(_notes(program, shapes))
    found.findings.extend(weigher.findings())
    return found


def _by_path(held: list[_Held]) -> dict[str, list[_Held]]:
    found: dict[str, list[_Held]] = {}
    for one in held:
        found.setdefault(split_name(one.spec.name)[0], []).append(one)
    return found


def _paths(graph: Graph, by_path: Mapping[str, Any], *, with_root: bool) -> dict[str, list[str]]:
    """Path -> names of its children: modules in the order of their first call, then those only known by weights."""
    paths: dict[str, list[str]] = {}
    for path in [*graph.modules, *by_path]:
        missing: list[str] = []
        while path and path not in paths:
            missing.append(path)
            path = path.rpartition(".")[0]  # noqa: PLW2901 - climbs to the root
        for found in reversed(missing):
            paths[found] = []
            parent, _, name = found.rpartition(".")
            if parent:
                paths[parent].append(name)
    return {"": [path for path in paths if "." not in path], **paths} if with_root else paths


class _Shapes:
    """Shapes of the graph's tensors by name."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def of(self, names: Mapping[str, None]) -> tuple[Shape, ...] | None:
        """One per name; None if any is not known or there is none."""
        found = [self.one(name) for name in names]
        known = [shape for shape in found if shape is not None]
        return tuple(known) if known and len(known) == len(found) else None

    def one(self, name: str) -> Shape | None:
        """The shape of one tensor."""
        return shape_of(self._values.get(name))


def _layer(  # noqa: PLR0913, PLR0917 - joins everything that is known of one path
    path: str,
    graph: Graph,
    by_path: Mapping[str, list[_Held]],
    paths: Mapping[str, list[str]],
    shapes: _Shapes,
    weigher: Weigher,
    prefix: str,
) -> Layer:
    seen = graph.modules.get(path)
    name, module = _class(seen.type) if seen is not None else (None, None)
    held = by_path.get(path, [])
    kind, custom = _kind(name, module, {split_name(one.spec.name)[1]: one.tensor for one in held}, children=paths[path])
    full, parent = join(prefix, path), path.rpartition(".")[0]
    return Layer(
        path=text(full), name=text(full.rpartition(".")[2] or ROOT),
        kind=kind if path or kind != "container" else "model",
        type=None if name is None else text(name), module=None if module is None else text(module),
        type_source="recorded" if name else "unknown", custom=custom, config=_config(seen),
        parent=text(join(prefix, parent)) if path and (parent or prefix) else None,
        input_shapes=shapes.of(seen.inputs) if seen and path else None,
        output_shapes=shapes.of(seen.outputs) if seen and path else None,
        inputs=tuple(text(join(prefix, feeder)) for feeder in seen.feeders) if seen and path else None,
        uses=len(seen.calls) if seen and path else None,
        weights=tuple(_weights(full, kind, held, weigher)),
    )  # fmt: skip


def _class(qualified: str) -> tuple[str | None, str | None]:
    module, _, name = qualified.rpartition(".")
    return name or None, module or None


def _kind(
    name: str | None, module: str | None, tensors: Mapping[str, Tensor], *, children: list[str]
) -> tuple[str, bool]:
    known = kind_of(module, name) or _parametrized_kind(module, name)
    if known is not None:
        return known, False
    custom = name is not None and not (module or "").startswith("torch.")
    if children:
        return "container", custom
    certain = guess(computed({local: tensor.shape for local, tensor in tensors.items()}), (), None).kind
    return (certain if certain != "unknown" else "custom" if custom else "unknown"), custom


def _parametrized_kind(module: str | None, name: str | None) -> str | None:
    """The kind of a class that torch.nn.utils.parametrize made of one of torch.nn: `ParametrizedConv1d`."""
    made = module == "torch.nn.utils.parametrize" and name is not None
    return kind_of("torch.nn", (name or "").removeprefix("Parametrized")) if made else None


def _config(seen: Seen | None) -> dict[str, Any]:
    """The literal arguments of a layer that ran as one operation: stride, padding, eps ..."""
    if seen is None or len({id(node) for node in seen.nodes}) != len(seen.calls) or not seen.nodes:
        return {}
    return {text(name): json_value(value) for name, value in list(literals(seen.nodes[0]).items())[:_MAX_LITERALS]}


def _weights(path: str, kind: str, held: list[_Held], weigher: Weigher) -> Iterator[Weight]:
    shapes = {split_name(one.spec.name)[1]: one.tensor.shape for one in held}
    for one in held:
        name, tensor = split_name(one.spec.name)[1], one.tensor
        fallback = {"parameter": "weight" if name == "weight" else "parameter", "buffer": "buffer"}.get(
            one.spec.what, "constant"
        )
        known = parametrized_role(kind, name, shapes) or role_of(kind, name, shapes)
        role = fallback if one.spec.what == "constant" else known or fallback
        rank = len(tensor.shape) if tensor.shape is not None else None
        label = Label(path, name, role, "unknown", None, "unknown", layout_of(kind, role, rank), one.spec.persistent)
        yield weigher.weight(tensor, _learning(label, one))


def _learning(label: Label, one: _Held) -> Label:
    if one.spec.what == "constant":
        return replace(label, group="other", trainable=False, source="rule")
    if one.spec.what == "buffer":
        return replace(label, group="statistic", trainable=False, source="recorded")
    flag = one.tensor.requires_grad
    if flag is None:
        return label
    return replace(label, group="trainable" if flag else "frozen", trainable=flag, source="recorded")


def _tags(program: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    tags: dict[str, Any] = {"operations": dict(graph.operations.most_common(_MAX_OPERATIONS))}
    for name in ("opset_version", "range_constraints"):
        if isinstance(program.get(name), dict):
            tags[name] = json_value(program[name])
    return tags


def _notes(program: Mapping[str, Any], shapes: _Shapes) -> Iterator[Message]:
    signature = _dict(_dict(program.get("graph_module")).get("signature"))
    names = [_dict(_dict(_dict(_dict(item).get("user_input")).get("arg")).get("as_tensor")).get("name")
             for item in signature.get("input_specs") or () if isinstance(item, dict)]  # fmt: skip
    known = [shape for name in names if isinstance(name, str) and (shape := shapes.one(name)) is not None]
    if known and all(None not in shape for shape in known):
        yield FIXED_NOTE


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
