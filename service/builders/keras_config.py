"""Reads Keras architecture JSON into a plan; must not build anything.

Every class is sorted into one of: a layer or model that Keras 3 can make, a tensor operation, or a thing that is only
named (custom classes, Lambdas, operations of other versions). Nothing is looked up by the names in the file.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.builders import keras_calls, keras_old, keras_tfops
from service.builders.common import invalid, joined
from service.builders.keras_allowed import (
    ELSEWHERE,
    LAYERS,
    MODELS,
    OPERATION_MODULES,
    REFUSED,
    REFUSED_OPERATIONS,
    RENAMED,
)
from service.builders.keras_plan import Call, Form, LayerSpec, ModelSpec, Ref, chain, refs
from service.catalog.keras_classes import is_custom, is_operation, snake_case
from service.catalog.keras_config import as_shape
from service.language import Message, msg
from service.parsers.suggest import did_you_mean
from service.plain import whole
from service.tree import Shape

MAX_NAME = 1000
"""Longest layer name: 250 were seen in generated models; a megabyte is an attack."""


def read(document: dict[str, Any], pointer: str = "") -> ModelSpec:
    """The plan of `{"class_name", "config"}`. InvalidSpec if it lists no layers or is not wired as Keras wires."""
    class_name = str(document.get("class_name"))[:MAX_NAME]
    place = f"{pointer}.config" if pointer else "config"
    config = document.get("config")
    config = {"layers": config} if isinstance(config, list) else config
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise invalid(
            place,
            msg(
                "{type} lists no layers: the architecture of a subclassed model is in its code, not in JSON.",
                type=class_name,
            ),
        )
    functional = "output_layers" in config
    model = _functional(config, class_name, place) if functional else _sequential(config, class_name, place)
    module, trainable = _text(document.get("module")), config.get("trainable")
    return msgspec.structs.replace(model, module=module, trainable=trainable is not False)


def layer(entry: Any, pointer: str) -> LayerSpec:
    """The plan of one entry of a layer list, or of a layer inside a wrapper's config."""
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise invalid(pointer, msg("{place} must be an object with class_name and config.", place=pointer))
    class_name = entry["class_name"][:MAX_NAME]
    config = entry.get("config")
    config = {"layers": config} if isinstance(config, list) else config
    if not isinstance(config, dict):
        raise invalid(f"{pointer}.config", msg("{label}: config must be an object.", label=f"{pointer} ({class_name})"))
    module = _text(entry.get("module"))
    spec = LayerSpec(
        pointer=pointer,
        form="layer",
        type=class_name,
        name=_name(entry, config, class_name, pointer),
        module=module,
        recorded=config,
        calls=keras_calls.calls(entry.get("inbound_nodes"), class_name, pointer),
        trainable=config["trainable"] if isinstance(config.get("trainable"), bool) else None,
        build_shape=_build_shape(entry),
        shared_id=whole(entry.get("shared_object_id")),
    )
    return _sorted(spec, entry, config)


def _sorted(spec: LayerSpec, entry: dict[str, Any], config: dict[str, Any]) -> LayerSpec:
    """`spec` with its form: what can be done about its class."""
    own = not is_custom(spec.type, spec.module)
    if isinstance(config.get("layers"), list) and ("output_layers" in config or (own and spec.type in MODELS)):
        model = read(entry, spec.pointer)
        return msgspec.structs.replace(spec, form="model", model=model, custom=not own)
    if is_operation(spec.type, spec.module):
        return _operation(spec, config)
    if spec.type in REFUSED:
        spec = msgspec.structs.replace(spec, output_shape=_recorded_output(config))
        return _opaque(
            spec, msg("Not built: {reason}.", reason=Message(REFUSED[spec.type])), weightless=spec.type == "Lambda"
        )
    if not own:
        note = msg(
            "{type} is no class of Keras: what it computes and which weights it has is not in the spec.", type=spec.type
        )
        near = did_you_mean(spec.type, LAYERS) if spec.module is None else None
        return _opaque(spec, joined(note, near), custom=True)
    built = keras_old.builds_as(spec.type, config)
    if built is None:
        return _opaque(spec, msg("Keras 3 no longer has {type}, and nothing in it equals it.", type=spec.type))
    built = RENAMED.get(built, built)
    if spec.module == ELSEWHERE.get(built, ""):
        return msgspec.structs.replace(spec, form="layer", builds_as=built, arguments=config)
    if built not in LAYERS and spec.module not in (None, "keras.layers"):
        return _opaque(
            spec,
            msg(
                "{type} of {module} is no layer of Keras itself: its weights are not in the spec.",
                type=spec.type,
                module=spec.module,
            ),
        )
    if built not in LAYERS:
        raise invalid(
            spec.pointer,
            msg("{label}: there is no layer {type} in Keras.", label=spec.label, type=spec.type),
            did_you_mean(built, LAYERS),
        )
    form: Form = "input" if built == "InputLayer" else "layer"
    return msgspec.structs.replace(spec, form=form, builds_as=built, arguments=config)


def _operation(spec: LayerSpec, config: dict[str, Any]) -> LayerSpec:
    if spec.type in keras_tfops.CLASSES and keras_tfops.is_known(config.get("function")):
        return msgspec.structs.replace(spec, form="operation", arguments=config)
    module = (spec.module or "").split(".")
    known = module[:3] == ["keras", "src", "ops"] and module[-1] in OPERATION_MODULES and len(module) == 4
    if known and spec.type not in REFUSED_OPERATIONS and any(refs(call.args) for call in spec.calls):
        return msgspec.structs.replace(spec, form="operation", builds_as=module[-1], arguments=config)
    return _opaque(
        spec,
        msg("{type} is an operation of TensorFlow or Keras that is not rebuilt here.", type=spec.type),
        weightless=True,
    )


def _recorded_output(config: dict[str, Any]) -> Shape | None:
    """The shape that a Lambda was told to return, with the batch axis that its config leaves out."""
    given = config.get("output_shape")
    return as_shape([None, *given]) if isinstance(given, list) else None


def _opaque(spec: LayerSpec, note: Message, *, custom: bool = False, weightless: bool = False) -> LayerSpec:
    return msgspec.structs.replace(spec, form="opaque", custom=custom, weightless=weightless, notes=(note,))


def _sequential(config: dict[str, Any], class_name: str, pointer: str) -> ModelSpec:
    layers = _layers(config, pointer)
    name = _text(config.get("name"))
    if layers and layers[0].form == "input":
        entry = msgspec.structs.replace(layers[0], hidden=True)
        layers = layers[1:]
    else:
        entry = _entry(config, layers, pointer)
    wired = chain(layers, entry.name)
    last = wired[-1].name if wired else entry.name
    return ModelSpec(
        name=name, type=class_name, pointer=pointer, layers=(entry, *wired), inputs=Ref(entry.name), outputs=Ref(last)
    )


def _entry(config: dict[str, Any], layers: tuple[LayerSpec, ...], pointer: str) -> LayerSpec:
    """The input that a Sequential has without listing it; its shape may not be known."""
    shape = config.get("build_input_shape")
    first = layers[0] if layers else None
    if shape is None and first is not None and first.recorded is not None:
        shape = keras_old.batch_shape(first.recorded) or _old_input_dim(first)
    if shape is None and first is not None and first.model is not None:
        shape = input_shape(first.model)
    taken = {item.name for item in layers}
    name = next(name for name in ("input_layer", *(f"input_layer_{number}" for number in range(1, len(taken) + 2)))
                if name not in taken)  # fmt: skip
    return LayerSpec(
        pointer=pointer,
        form="input",
        type="InputLayer",
        name=name,
        builds_as="InputLayer",
        arguments={} if shape is None else {"batch_shape": shape},
        hidden=True,
    )


def input_shape(model: ModelSpec) -> Any:
    """The recorded batch shape of a model's only input; None if there are several or it is not recorded."""
    entries = [item for item in model.layers if item.form == "input"]
    return keras_old.batch_shape(entries[0].arguments) if len(entries) == 1 else None


def _old_input_dim(first: LayerSpec) -> list[Any] | None:
    """Keras 1 could give a first layer `input_dim` instead of a shape."""
    config = first.recorded or {}
    if type(config.get("input_dim")) is not int or first.type == "Embedding":
        return None
    length = config.get("input_length")
    recurrent = first.type in ("LSTM", "GRU", "SimpleRNN", "Convolution1D", "Conv1D")
    return [None, length, config["input_dim"]] if recurrent else [None, config["input_dim"]]


def _functional(config: dict[str, Any], class_name: str, pointer: str) -> ModelSpec:
    model = ModelSpec(
        name=_text(config.get("name")),
        type=class_name,
        pointer=pointer,
        layers=_layers(config, pointer),
        inputs=keras_calls.tensors(config.get("input_layers", []), f"{pointer}.input_layers"),
        outputs=keras_calls.tensors(config.get("output_layers", []), f"{pointer}.output_layers"),
    )
    model = _shifted(model)
    _check_wiring(model)
    return model


def _layers(config: dict[str, Any], pointer: str) -> tuple[LayerSpec, ...]:
    layers = tuple(layer(entry, f"{pointer}.layers[{index}]") for index, entry in enumerate(config["layers"]))
    seen: set[str] = set()
    for item in layers:
        if item.name in seen:
            raise invalid(
                item.pointer,
                msg('{label}: the name "{name}" occurs twice in one model.', label=item.label, name=item.name),
            )
        seen.add(item.name)
    return layers


def _shifted(model: ModelSpec) -> ModelSpec:
    """Node numbers of nested functional models from 0: Keras gives them one node of their own before any call."""
    used: dict[str, set[int]] = {}
    for ref in _all_refs(model):
        used.setdefault(ref.layer, set()).add(ref.node)
    shift = {item.name for item in model.layers if item.model and used.get(item.name) and 0 not in used[item.name]}
    if not shift:
        return model
    layers = tuple(
        msgspec.structs.replace(item, calls=tuple(_shift_call(call, shift) for call in item.calls))
        for item in model.layers
    )
    return msgspec.structs.replace(
        model, layers=layers, inputs=_shift(model.inputs, shift), outputs=_shift(model.outputs, shift)
    )


def _shift_call(call: Call, names: set[str]) -> Call:
    return Call(args=tuple(_shift(item, names) for item in call.args), kwargs=_shift(call.kwargs, names))


def _shift(value: Any, names: set[str]) -> Any:
    if isinstance(value, Ref):
        return msgspec.structs.replace(value, node=value.node - 1) if value.layer in names else value
    if isinstance(value, list):
        return [_shift(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _shift(item, names) for key, item in value.items()}
    return value


def _all_refs(model: ModelSpec) -> list[Ref]:
    inner = [ref for item in model.layers for call in item.calls for ref in refs((call.args, call.kwargs))]
    return [*inner, *refs(model.inputs), *refs(model.outputs)]


def _check_wiring(model: ModelSpec) -> None:
    nodes = {item.name: 1 if item.form == "input" else len(item.calls) for item in model.layers}
    for item in model.layers:
        for call in item.calls:
            _check_refs(refs((call.args, call.kwargs)), nodes, item.label, f"{item.pointer}.inbound_nodes")
    for key, value in (("input_layers", model.inputs), ("output_layers", model.outputs)):
        _check_refs(refs(value), nodes, key, f"{model.pointer}.{key}")
    if not refs(model.outputs):
        raise invalid(f"{model.pointer}.output_layers", msg("A functional model must have outputs."))


def _check_refs(found: list[Ref], nodes: dict[str, int], label: str, pointer: str) -> None:
    for ref in found:
        if ref.layer not in nodes:
            said = msg('{label}: there is no layer "{name}".', label=label, name=ref.layer[:100])
            raise invalid(pointer, said, did_you_mean(ref.layer, nodes))
        if ref.node >= nodes[ref.layer]:
            name, number = ref.layer[:100], ref.node
            raise invalid(
                pointer, msg('{label}: "{name}" has no call number {number}.', label=label, name=name, number=number)
            )


def _name(entry: dict[str, Any], config: dict[str, Any], class_name: str, pointer: str) -> str:
    for value in (entry.get("name"), config.get("name")):
        if isinstance(value, str) and value:
            if len(value) > MAX_NAME:
                raise invalid(
                    pointer,
                    msg("{place}: a layer name of {count} characters is too long.", place=pointer, count=len(value)),
                )
            return value
    number = pointer.rpartition("[")[2].rstrip("]")
    return f"{snake_case(class_name) or 'layer'}_{number}"


def _build_shape(entry: dict[str, Any]) -> Any:
    build = entry.get("build_config")
    return build.get("input_shape") if isinstance(build, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
