"""A whole pickled `nn.Module` into layers: tree, classes, hyper-parameters, who learns; knows no file.

Nothing of the classes is needed: `nn.Module` keeps `_modules`, `_parameters` and `_buffers` in every version
since 0.1, whatever class inherits from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from service.catalog.torch_layers import kind_of, layout_of, role_of
from service.catalog.torch_packed import is_opaque, packed_role, tensors_in
from service.catalog.torch_rules import guess
from service.catalog.torch_state import ROOT, join
from service.catalog.torch_tensors import Tensor, is_tensor, tensor_of
from service.catalog.torch_values import attributes_of, describe, key_text, mapping_of, sequence_of
from service.catalog.torch_weights import Label, Weigher, rule_group
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.pickle_types import Global, Instance
from service.plain import text
from service.tree import Layer, Weight

_BOOKKEEPING = {"dump_patches", "call_super_init", "T_destination"}
_MAX_CONFIG = 80
"""Most hyper-parameters shown of one layer."""
_MAX_NODES = 60
"""Most values shown of one hyper-parameter."""


@dataclass(frozen=True, slots=True)
class ModuleParts:
    """What a module object holds, wherever it keeps it.

    `attributes` become hyper-parameters; `constants` are tensors that are neither parameter nor buffer; `fleeting`
    names the buffers that `state_dict()` leaves out, None where the file knows no such thing.
    """

    type: str | None
    module: str | None
    attributes: Mapping[Any, Any]
    modules: Mapping[Any, Any]
    parameters: Mapping[Any, Any]
    buffers: Mapping[Any, Any]
    constants: Mapping[Any, Any] = field(default_factory=dict)
    fleeting: frozenset[str] | None = None


Look = Callable[[Any], ModuleParts | None]


def is_module(value: Any) -> bool:
    """Whether `value` stands for an `nn.Module`."""
    return parts_of(value) is not None


def module_type(value: Any) -> tuple[str | None, str | None]:
    """Class name and Python module of a module object."""
    found = parts_of(value)
    return (None, None) if found is None else (found.type, found.module)


def parts_of(value: Any) -> ModuleParts | None:
    """The parts of a pickled `nn.Module`, None for any other value."""
    if not isinstance(value, Instance):
        return None
    for held in _candidates(value):
        if "_modules" in held and "_parameters" in held:
            parts = [mapping_of(held[name]) for name in ("_modules", "_parameters")]
            if parts[0] is not None and parts[1] is not None:
                name, module = _class_of(value, held)
                fleeting = frozenset(map(key_text, sequence_of(held.get("_non_persistent_buffers_set")) or ()))
                buffers = mapping_of(held.get("_buffers")) or {}
                return ModuleParts(name, module, held, parts[0], parts[1], buffers, fleeting=fleeting)
    return None


def _candidates(value: Instance) -> Iterator[dict[Any, Any]]:
    """Where a module's attributes may be: its state, or (torch.fx) an argument of the call that rebuilds it."""
    attributes = attributes_of(value)
    if attributes is not None:
        yield attributes
    if value.how == "called":
        yield from (arg for arg in value.positional[:3] if type(arg) is dict)


def _class_of(value: Instance, held: Mapping[Any, Any]) -> tuple[str | None, str | None]:
    if value.path.startswith("torch.fx.") and value.how == "called":
        recorded = held.get("_graphmodule_cls_name")
        return (recorded if isinstance(recorded, str) else "GraphModule"), "torch.fx.graph_module"
    maker = value.maker
    return (maker.name, maker.module) if isinstance(maker, Global) else (None, None)


def layers_of(root: Any, weigher: Weigher, limits: Limits, prefix: str = "", look: Look = parts_of) -> list[Layer]:
    """Layers of the module tree below `root`, parents first, in the order of `_modules`.

    The root itself is a layer only where it holds weights or nothing else to show (path `.`), or below a `prefix`.
    A module object met again is listed once more with `shared_with`, without its inside.
    """
    layers: list[Layer] = []
    first: dict[int, str] = {}
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        path, value = pending.pop()
        module = look(value)
        if module is None:
            continue
        if len(layers) >= limits.layers:
            raise LimitExceeded(
                "layers", limits.layers, msg("The model has more than {layers} layers.", layers=limits.layers)
            )
        shared = first.get(id(value))
        if shared is None:
            first[id(value)] = path
            pending.extend(_children(path, module))
        layer = _layer(path, prefix, module, weigher, shared=shared)
        if path or prefix or layer.weights or not module.modules:
            layers.append(layer)
    return layers


def _children(path: str, module: ModuleParts) -> list[tuple[str, Any]]:
    """The module's children, last first, as a stack wants them."""
    found = [
        (f"{path}.{key_text(name)}" if path else key_text(name), child)
        for name, child in module.modules.items()
        if child is not None
    ]
    return found[::-1]


def _layer(path: str, prefix: str, module: ModuleParts, weigher: Weigher, *, shared: str | None) -> Layer:
    full = join(prefix, path)
    tensors = dict(_tensors(module))
    kind, custom = _kind(module, tensors, is_root=not path)
    parent = path.rpartition(".")[0]
    return Layer(
        path=text(full),
        name=text(full.rpartition(".")[2] or ROOT),
        kind=kind,
        type=None if module.type is None else text(module.type),
        module=None if module.module is None else text(module.module),
        type_source="recorded" if module.type else "unknown",
        custom=custom,
        parent=text(join(prefix, parent)) if path and (parent or prefix) else None,
        config=_config(module.attributes),
        weights=() if shared is not None else tuple(_weights(full, kind, module, tensors, weigher)),
        shared_with=None if shared is None else text(join(prefix, shared)),
    )


def _kind(module: ModuleParts, tensors: Mapping[str, tuple[Tensor, str]], *, is_root: bool) -> tuple[str, bool]:
    """Our word for the layer, and whether its class is not PyTorch's."""
    known = kind_of(module.module, module.type)
    if known is not None:
        return known, False
    custom = not (module.module or "").startswith("torch.")
    if module.modules:
        return ("model" if is_root else "container"), custom
    certain = guess({name: tensor.shape for name, (tensor, _) in tensors.items()}, (), None).kind
    if certain != "unknown":
        return certain, custom
    return ("custom" if custom else "unknown"), custom


def _tensors(module: ModuleParts) -> Iterator[tuple[str, tuple[Tensor, str]]]:
    """Name -> tensor and where it is kept: `parameter`, `buffer`, `constant` or `packed`."""
    kept = ((module.parameters, "parameter"), (module.buffers, "buffer"), (module.constants, "constant"))
    for held, where in kept:
        for name, value in held.items():
            tensor = tensor_of(value) if value is not None else None
            if tensor is not None:
                yield key_text(name), (tensor, where)
    for name, value in module.attributes.items():
        if is_opaque(value):
            yield from ((full, (tensor, "packed")) for full, tensor in tensors_in(key_text(name), value))


def _weights(
    path: str, kind: str, module: ModuleParts, tensors: Mapping[str, tuple[Tensor, str]], weigher: Weigher
) -> Iterator[Weight]:
    for name, (tensor, where) in tensors.items():
        role = packed_role(tensor) if where == "packed" else _role(kind, name, tensors, where)
        label = Label(
            path,
            name,
            role,
            "unknown",
            None,
            "unknown",
            layout_of(kind, role, len(tensor.shape) if tensor.shape is not None else None),
        )
        label = _learning(label, tensor, where)
        if where == "buffer" and module.fleeting is not None:
            label = replace(label, persistent=name not in module.fleeting)
        yield weigher.weight(tensor, label)
        yield from weigher.parts(tensor, label)


def _role(kind: str, name: str, siblings: Mapping[str, Any], where: str) -> str:
    found = role_of(kind, name, siblings)
    if found is not None:
        return found
    if where == "parameter":
        return "weight" if name == "weight" else "parameter"
    return where


def _learning(label: Label, tensor: Tensor, where: str) -> Label:
    """Group and trainability: recorded for parameters and buffers, by rule for packed weights."""
    if where == "buffer":
        return replace(label, group="statistic", trainable=False, source="recorded")
    if where == "constant":
        return replace(label, group="other", trainable=False, source="rule")
    if where == "packed":
        return replace(label, group="frozen", trainable=False, source="rule")
    if tensor.requires_grad is None:
        group, trainable, source = rule_group(tensor, label.role)
        return replace(label, group=group, trainable=trainable, source=source)
    return replace(
        label,
        group="trainable" if tensor.requires_grad else "frozen",
        trainable=tensor.requires_grad,
        source="recorded",
    )


def _config(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Plain public attributes: what the constructor kept. Modules, hooks and private names are left out."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if not isinstance(name, str) or name.startswith("_") or name in _BOOKKEEPING or is_module(value):
            continue
        if len(found) >= _MAX_CONFIG:
            break
        found[text(name, 200)] = _describe(value)
    return found


def _describe(value: Any) -> Any:
    """A hyper-parameter; of a tensor kept as a plain attribute its type and shape."""
    tensor = tensor_of(value) if is_tensor(value) else None
    if tensor is None:
        return describe(value, _MAX_NODES)
    return f"<tensor {tensor.dtype} {list(tensor.shape) if tensor.shape is not None else '?'}>"
