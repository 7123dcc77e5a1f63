"""Turns a layer list for Keras into a plan; knows the list's plan and Keras' naming, builds nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from service.builders import common_list
from service.builders.common import Problems, invalid
from service.builders.keras_allowed import LAYERS, LIST_CALL, RECURRENT, REFUSED, SELF_ATTENTION
from service.builders.keras_plan import Call, Form, LayerSpec, ModelSpec, Ref, chain
from service.catalog.keras_classes import snake_case
from service.config import Limits
from service.language import Message, msg
from service.parsers.suggest import did_you_mean


def read(spec: Mapping[str, Any], limits: Limits, problems: Problems) -> ModelSpec:
    """The plan of a layer list; what is wrong with it goes to `problems`."""
    plan = common_list.parse(spec, _naming(), limits, problems)
    for item in plan.layers:
        _check_type(item, problems)
    layers = tuple(_layer(item) for item in plan.layers)
    entries = tuple(_entry(item, hidden=not plan.graph) for item in plan.inputs)
    outputs: Any = [Ref(source.name, 0, source.output) for source in plan.outputs]
    return ModelSpec(
        name=plan.name,
        type="Functional" if plan.graph else "Sequential",
        pointer="layers",
        layers=(*entries, *layers),
        inputs=[Ref(item.name) for item in plan.inputs],
        outputs=outputs,
        module="keras",
    )


def child(value: Any, pointer: str) -> LayerSpec:
    """The plan of a layer inside another one's arguments: `{"type": "LSTM", "units": 8}`."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise invalid(
            pointer,
            msg("{place} must be a layer, such as {example}.", place=pointer, example='{"type": "LSTM", "units": 8}'),
        )
    kind = value["type"][: common_list.MAX_NAME]
    name = value["name"] if isinstance(value.get("name"), str) and value["name"] else snake_case(kind) or "layer"
    arguments = {key: item for key, item in value.items() if key not in common_list.RESERVED}
    spec = LayerSpec(pointer=pointer, form="layer", type=kind, name=name, builds_as=kind, arguments=arguments)
    if kind != "Sequential":
        return spec
    items = arguments.get("layers")
    if not isinstance(items, list) or not items:
        raise invalid(
            f"{pointer}.layers", msg("{label}: layers must be a list of layers.", label=f"{pointer} (Sequential)")
        )
    inner = tuple(child(item, f"{pointer}.layers[{index}]") for index, item in enumerate(items))
    names = _naming()
    taken: set[str] = set()
    renamed = []
    for given, item in zip(items, inner, strict=True):
        own = item.name if isinstance(given, dict) and "name" in given else names(item.type, 0, taken)
        taken.add(own)
        renamed.append(LayerSpec(**{**_fields(item), "name": own}))
    return LayerSpec(**{**_fields(spec), "form": "model", "model": _sequential(name, tuple(renamed), pointer)})


def _fields(spec: LayerSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__struct_fields__}


def _naming() -> common_list.Naming:
    """Names as a fresh Keras session gives them: `dense`, `dense_1` ..."""
    counters: dict[str, itertools.count[int]] = {}

    def name(kind: str, _index: int, taken: set[str]) -> str:
        base = snake_case(kind) or "layer"
        while True:
            number = next(counters.setdefault(base, itertools.count()))
            found = f"{base}_{number}" if number else base
            if found not in taken:
                return found

    return name


def _check_type(item: common_list.LayerPlan, problems: Problems) -> None:
    if item.children is not None:
        for inner in item.children:
            _check_type(inner, problems)
    elif item.type in REFUSED:
        reason = Message(REFUSED[item.type])
        said = msg("{label}: {type} is not built: {reason}.", label=item.label, type=item.type, reason=reason)
        problems.add(f"{item.pointer}.type", said)
    elif item.type == "InputLayer":
        said = msg("{label}: inputs are given by input_shape or inputs, not as layers.", label=item.label)
        problems.add(f"{item.pointer}.type", said)
    elif item.type not in LAYERS:
        said = msg("{label}: there is no layer {type} in Keras.", label=item.label, type=item.type)
        problems.add(f"{item.pointer}.type", said, did_you_mean(item.type, LAYERS | {"Sequential"}))


def _entry(item: common_list.InputPlan, *, hidden: bool) -> LayerSpec:
    arguments: dict[str, Any] = {"batch_shape": [None, *item.shape]}
    if item.dtype is not None:
        arguments["dtype"] = item.dtype
    return LayerSpec(
        pointer=item.pointer,
        form="input",
        type="InputLayer",
        name=item.name,
        builds_as="InputLayer",
        arguments=arguments,
        hidden=hidden,
    )


def _layer(item: common_list.LayerPlan) -> LayerSpec:
    model = None
    form: Form = "layer"
    if item.children is not None:
        form, model = "model", _sequential(item.name, tuple(_layer(inner) for inner in item.children), item.pointer)
    return LayerSpec(
        pointer=item.pointer,
        form=form,
        type=item.type,
        name=item.name,
        builds_as=item.type,
        arguments=item.arguments,
        calls=(_call(item),),
        model=model,
    )


def _call(item: common_list.LayerPlan) -> Call:
    found = [Ref(source.name, 0, source.output) for source in item.inputs]
    named = {name: Ref(source.name, 0, source.output) for name, source in item.named_inputs.items()}
    if item.type in SELF_ATTENTION and len(found) == 1 and not named:
        found = found * 2
    if item.type in LIST_CALL and found:
        return Call(args=(found,), kwargs=named)
    if item.type in RECURRENT and len(found) > 1:
        return Call(args=(found[0],), kwargs={**named, "initial_state": found[1:]})
    return Call(args=tuple(found), kwargs=named)


def _sequential(name: str, layers: tuple[LayerSpec, ...], pointer: str) -> ModelSpec:
    entry = LayerSpec(
        pointer=f"{pointer}.input", form="input", type="InputLayer", name="", builds_as="InputLayer", hidden=True
    )
    wired = chain(layers, entry.name)
    last = wired[-1].name if wired else entry.name
    return ModelSpec(
        name=name, type="Sequential", pointer=pointer, layers=(entry, *wired), inputs=Ref(entry.name), outputs=Ref(last)
    )
