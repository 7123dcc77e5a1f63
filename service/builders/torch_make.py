"""Makes one module from a plan: checks and infers arguments, calls the constructor on the meta device.

Classes come from `torch.nn` by names on the allow-list, never from the spec. Nothing is allocated: tensors on the
meta device have shapes only.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from service.builders import torch_arguments
from service.builders.common import Problems, clean, invalid, named_argument, shape_text
from service.builders.common_list import MAX_NAME, RESERVED, LayerPlan
from service.builders.torch_allowed import FORMAT_ARGUMENTS, INFERRED, LAYER_ARGUMENTS, MODULES
from service.builders.torch_functions import FUNCTIONS
from service.errors import InvalidSpec
from service.language import Message, msg
from service.parsers.suggest import did_you_mean

_RECURRENT = {"RNN", "LSTM", "GRU"}


def check(item: LayerPlan, problems: Problems) -> None:
    """Note what is wrong with a layer's class and arguments, and with those of the layers in it."""
    if item.type == "Sequential":
        _check_sequential(item, problems)
    elif item.type in FUNCTIONS:
        _check_function(item, problems)
    elif item.type not in MODULES:
        said = msg("{label}: there is no layer {type} for PyTorch here.", label=item.label, type=item.type)
        problems.add(f"{item.pointer}.type", said, did_you_mean(item.type, MODULES | FUNCTIONS.keys() | {"Sequential"}))
    else:
        _check_module(item, problems)


def _check_sequential(item: LayerPlan, problems: Problems) -> None:
    for name in item.arguments.keys() - FORMAT_ARGUMENTS:
        said = msg("{label}: {name} is not an argument of Sequential.", label=item.label, name=name[:100])
        problems.add(f"{item.pointer}.{name[:100]}", said)
    for child in item.children or ():
        check(child, problems)


def _check_function(item: LayerPlan, problems: Problems) -> None:
    known = FUNCTIONS[item.type].arguments
    plain = torch_arguments.Signature(
        defaults={name: value for name, value in known.items() if value is not ...},
        required=tuple(name for name, value in known.items() if value is ...),
    )
    _note(item, torch_arguments.problems(item.arguments, plain, item.type, frozenset()), problems)


def _check_module(item: LayerPlan, problems: Problems) -> None:
    inferred = frozenset(name for name, _, _ in INFERRED.get(item.type, ()))
    _note(item, torch_arguments.problems(item.arguments, signature(item.type), item.type, inferred), problems)
    for name in LAYER_ARGUMENTS & item.arguments.keys():
        if item.arguments[name] is not None:
            try:
                check(child(item, name), problems)
            except InvalidSpec as error:
                problems.add_from(error)


def _note(item: LayerPlan, found: list[tuple[str, Message]], problems: Problems) -> None:
    for name, problem in found:
        problems.add(
            f"{item.pointer}.{name}", msg("{label}: {name} {problem}", label=item.label, name=name, problem=problem)
        )


def child(item: LayerPlan, name: str) -> LayerPlan:
    """The plan of a layer inside another one's arguments."""
    value, pointer = item.arguments[name], f"{item.pointer}.{name}"
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise invalid(
            pointer, msg("{place} must be a layer, such as {example}.", place=pointer, example='{"type": "LayerNorm"}')
        )
    arguments = {key: held for key, held in value.items() if key not in RESERVED}
    return LayerPlan(pointer=pointer, type=value["type"][:MAX_NAME], name=name, arguments=arguments)


def make(item: LayerPlan, inputs: list[torch.Tensor | None]) -> nn.Module:
    """The module on the meta device. InvalidSpec names the argument that it cannot be made with."""
    given = {name: value for name, value in item.arguments.items() if name not in FORMAT_ARGUMENTS}
    arguments = {**inferred(item, inputs), **{name: _value(item, name, value, inputs) for name, value in given.items()}}
    known = signature(item.type)
    try:
        with torch.device("meta"):
            module: nn.Module = getattr(nn, item.type)(**arguments)
    except InvalidSpec:
        raise
    except Exception as error:  # noqa: BLE001 - constructors of the framework raise what they like at odd arguments
        if "overflow" in str(error).lower():
            detail = msg(
                "{label}: a weight would be larger than the 2^63 bytes that PyTorch can describe.", label=item.label
            )
            raise invalid(item.pointer, detail) from None
        name = named_argument(str(error), known.names)
        pointer = f"{item.pointer}.{name}" if name else item.pointer
        raise invalid(pointer, msg("{label}: {reason}", label=item.label, reason=clean(str(error)))) from None
    if item.arguments.get("requires_grad") is False:
        module.requires_grad_(requires_grad=False)
    return module


def inferred(item: LayerPlan, inputs: list[torch.Tensor | None]) -> dict[str, int]:
    """Sizes that the spec leaves out, from the shape of the input."""
    found: dict[str, int] = {}
    for name, number, axis in INFERRED.get(item.type, ()):
        if name in item.arguments:
            continue
        tensor = inputs[number] if number < len(inputs) else None
        if tensor is None:
            raise invalid(
                f"{item.pointer}.{name}",
                msg("{label}: {name} is required: the input's shape is not known.", label=item.label, name=name),
            )
        if not -tensor.dim() <= axis < tensor.dim() or tensor.dim() < 2:
            raise invalid(
                f"{item.pointer}.{name}",
                msg(
                    "{label}: {name} cannot be told from an input of shape {shape}.",
                    label=item.label,
                    name=name,
                    shape=shape_text([None, *tensor.shape[1:]]),
                ),
            )
        found[name] = int(tensor.shape[axis])
    return found


def function_arguments(item: LayerPlan) -> Mapping[str, Any]:
    """Arguments of one of `FUNCTIONS`, with defaults."""
    return {**FUNCTIONS[item.type].arguments, **item.arguments}


@functools.cache
def signature(name: str) -> torch_arguments.Signature:
    """What the module of this name takes."""
    return torch_arguments.signature(getattr(nn, name), nn.RNNBase if name in _RECURRENT else None)


def _value(item: LayerPlan, name: str, value: Any, inputs: list[torch.Tensor | None]) -> Any:
    if name in LAYER_ARGUMENTS and value is not None:
        return make(child(item, name), inputs)
    if name == "dtype" and value is not None:
        return getattr(torch, value)
    if isinstance(value, list):
        return tuple(value)
    return value
