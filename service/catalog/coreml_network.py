"""Core ML's neural networks (`neuralNetwork`, `...Classifier`, `...Regressor`) as layers; knows their messages.

Every layer names its inputs and outputs, so the graph is recorded; a layer's class is the name of its parameters.

Source: mlmodel/format/NeuralNetwork.proto of coremltools.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.catalog.coreml_arrays import (
    NO_TRAINING,
    Expected,
    Training,
    directions,
    expected,
    expected_bytes,
    weights_of,
)
from service.catalog.coreml_building import MAX_AXES, MAX_FIELDS, MAX_TEXT, Building, check_shape
from service.catalog.coreml_layers import ACTIVATIONS, LAYERS, LayerType, Setting
from service.catalog.integrity import wrong_size
from service.catalog.learning import learning
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.coreml_weights import weight_params
from service.parsers.protobuf import BYTES, Field, message, text_of
from service.parsers.protobuf_message import (
    Held,
    float_of,
    grouped,
    integers,
    last,
    number,
    payload,
    payloads,
    string,
)
from service.plain import json_value, text
from service.tree import Danger, Finding, Layer, Shape, Weight

_LAYER, _PREPROCESSING, _UPDATE = 1, 2, 10
_MAX_DEPTH = 32
_BRANCHES = {605: ((1, "if"), (2, "else")), 615: ((3, "condition"), (4, "body"))}
"""Layers that hold networks: the fields of each and what they are called here."""
_CUSTOM = 500


@dataclass(slots=True)
class Network:
    """One network on its way to layers.

    Attributes:
        building: Where layers go.
        parent: Path of the layer or model that holds the network, None at the top.
        producers: Tensor name to the path of the layer that makes it; inner networks see those outside.
        updatable: Whether the whole model may be updated on the device.
    """

    building: Building
    parent: str | None
    producers: dict[str, str]
    updatable: bool
    depth: int = 0


def add_network(network: Network, where: Field) -> None:
    """Add the layers of the network in `where`; raises InputError."""
    if network.depth > _MAX_DEPTH:
        raise LimitExceeded(
            "depth", _MAX_DEPTH, msg("Networks lie inside each other more than {n} levels deep.", n=_MAX_DEPTH),
            offset=where.offset,
        )  # fmt: skip
    if not network.updatable:
        network.building.notes.setdefault(NO_TRAINING)
    source = network.building.source
    for one in message(source, where):
        if one.number == _PREPROCESSING:
            _add_preprocessing(network, grouped(message(source, one), MAX_FIELDS))
        elif one.number == _LAYER:
            _add_layer(network, grouped(message(source, one), MAX_FIELDS))


def _add_layer(network: Network, held: Held) -> None:
    building, source = network.building, network.building.source
    which = next((number for number in held if number in LAYERS), None)
    kind = LAYERS[which] if which is not None else None
    name = string(source, held, 1, MAX_TEXT)
    outputs = [text_of(source, one, MAX_TEXT) for one in payloads(held, 3)]
    name = name or (outputs[0] if outputs else "") or (kind.name if kind else "layer")
    path = building.path(network.parent, name)
    body = payload(held, which) if which is not None else None
    params = grouped(message(source, body), MAX_FIELDS) if body is not None else {}
    config = _config(network, kind, params) if kind else {}
    training = Training(network.updatable, bool(number(held, 10)))
    weights = building.checked(_weights(network, kind.name, config, params, training, path)) if kind else ()
    _judge_custom(network, which, config, path)
    shapes = tuple(_tensor_shape(network, one) for one in payloads(held, 5))
    inputs = (network.producers.get(text_of(source, one, MAX_TEXT)) for one in payloads(held, 2))
    building.add(
        Layer(
            path=path, name=text(name), parent=network.parent, type=kind.name if kind else None,
            type_source="recorded" if kind else "unknown", kind=_kind(kind, config) if kind else "unknown",
            custom=which == _CUSTOM, config=config, weights=weights, inputs=tuple(dict.fromkeys(filter(None, inputs))),
            trainable=training.layer if network.updatable else None, output_shapes=shapes or None,
        )
    )  # fmt: skip
    for number_, branch in _BRANCHES.get(which or 0, ()):
        inner = payload(params, number_)
        if inner is not None:
            _add_branch(network, inner, path, branch)
    for output in outputs:
        network.producers[output] = path


def _add_branch(network: Network, inner: Field, parent: str, branch: str) -> None:
    path = network.building.path(parent, branch)
    network.building.add(Layer(path=path, name=branch, parent=parent, kind="container", type="neuralNetwork"))
    held = Network(network.building, path, dict(network.producers), network.updatable, network.depth + 1)
    add_network(held, inner)


def _kind(kind: LayerType, config: dict[str, Any]) -> str:
    if config.get("isDeconvolution"):
        return kind.kind.replace("conv", "conv_transpose")
    if kind.name == "batchnorm" and config.get("instanceNormalization"):
        return "instance_norm"
    if kind.name == "activation" and config.get("function") == "PReLU":
        return "prelu"
    return "global_pool" if config.get("globalPooling") else kind.kind


def _config(network: Network, kind: LayerType, params: Held) -> dict[str, Any]:
    """The recorded settings by their names; what is left out has the specification's default and is not listed."""
    source = network.building.source
    found: dict[str, Any] = {}
    for setting in kind.settings:
        if setting.number in params:
            found[setting.name] = _setting(network, setting, params)
    if kind.name == "activation":
        found["function"] = next((ACTIVATIONS[which] for which in params if which in ACTIVATIONS), None)
    if kind.name == "custom":
        found["className"] = text(string(source, params, 10, MAX_TEXT))
        found["description"] = text(string(source, params, 40, MAX_TEXT))
    if kind.name in ("uniDirectionalLSTM", "biDirectionalLSTM"):
        found |= _lstm_options(network, params)
    return {name: json_value(value) for name, value in found.items()}


def _setting(network: Network, setting: Setting, params: Held) -> Any:
    source, one = network.building.source, params[setting.number][-1]
    if setting.type == "s":
        return string(source, params, setting.number, MAX_TEXT)
    if setting.type == "f":
        return None if one.wire == BYTES else float_of(one)
    values = integers(source, params, setting.number, MAX_AXES * MAX_AXES)
    if setting.repeated:
        return [bool(value) for value in values] if setting.type == "b" else list(values)
    value = values[-1] if values else 0
    return bool(value) if setting.type == "b" else value


_LSTM_OPTIONS = {
    10: "sequenceOutput", 20: "hasBiasVectors", 30: "forgetBias", 40: "hasPeepholeVectors",
    50: "coupledInputAndForgetGate",
}  # fmt: skip


def _lstm_options(network: Network, params: Held) -> dict[str, Any]:
    options = payload(params, 15)
    held = grouped(message(network.building.source, options), MAX_FIELDS) if options is not None else {}
    return {name: bool(number(held, which)) for which, name in _LSTM_OPTIONS.items() if which in held}


def _weights(
    network: Network, kind: str, config: dict[str, Any], params: Held, training: Training, path: str
) -> Iterator[Weight]:
    source = network.building.source
    if kind == "custom":
        yield from _custom_weights(network, params, training, path)
        return
    if kind == "biDirectionalLSTM":
        for cell, wanted in zip(payloads(params, 20), directions(config), strict=False):
            held = grouped(message(source, cell), MAX_FIELDS)
            for what in wanted:
                yield from _weight(network, what, held, training, path)
        return
    for what in expected(kind, config):
        yield from _weight(network, what, params, training, path)


def _weight(network: Network, what: Expected, held: Held, training: Training, path: str) -> Iterator[Weight]:
    building = network.building
    for which in what.fields[:-1]:
        inner = payload(held, which)
        if inner is None:
            return
        held = grouped(message(building.source, inner), MAX_FIELDS)
    at = payload(held, what.fields[-1])
    stored = weight_params(building.source, at) if at is not None else None
    if stored is None:
        return
    check_shape(what.shape, building.limits)
    needed = expected_bytes(what, stored)
    if needed is not None and needed != stored.bytes:
        building.findings.append(wrong_size(f"{path}/{what.name}", stored.bytes, needed))
    yield from weights_of(what, stored, training, building.member)


def _custom_weights(network: Network, params: Held, training: Training, path: str) -> Iterator[Weight]:
    """The arrays of a layer that only its own code understands: sizes without shapes."""
    for index in range(len(payloads(params, 20))):
        what = Expected((20,), f"weights/{index}", "weight", None)
        yield from _weight(network, what, {20: params[20][index : index + 1]}, training, path)


def _judge_custom(network: Network, which: int | None, config: dict[str, Any], path: str) -> None:
    if which == _CUSTOM:
        name = str(config.get("className", ""))
        network.building.dangers.append(
            Danger(
                code="coreml_custom_layer", severity="medium", path=path, member=network.building.member,
                detail=text(name, 500),
                what=msg(
                    "The layer needs code that the file does not hold: the application's class {name}. Whoever runs "
                    "the model decides what that code does.", name=text(name, 200),
                ),
                reference="https://developer.apple.com/documentation/coreml/mlcustomlayer",
            )
        )  # fmt: skip
    if which is None:
        network.building.findings.append(
            Finding(
                rule="unknown_layer", severity="low", path=path,
                what=msg("The type of this layer is not known here, so its settings and weights are not listed."),
            )
        )  # fmt: skip


def _tensor_shape(network: Network, field: Field) -> Shape:
    held = grouped(message(network.building.source, field), MAX_FIELDS)
    sizes = integers(network.building.source, held, 2, MAX_AXES)
    return tuple(size if size >= 0 else None for size in sizes)


def _add_preprocessing(network: Network, held: Held) -> None:
    """What is done to an image before the first layer: its own layer, behind the input it is for."""
    source, building = network.building.source, network.building
    feature = string(source, held, 1, MAX_TEXT)
    mean, scaler = payload(held, 11), payload(held, 10)
    config: dict[str, Any] = {}
    weights: tuple[Weight, ...] = ()
    if scaler is not None:
        values = grouped(message(source, scaler), MAX_FIELDS)
        config = {
            name: json_value(float_of(one))
            for which, name in _SCALER.items()
            if (one := last(values, which)) is not None
        }
    if mean is not None:
        weights = building.checked(_mean_image(network, mean))
    before = network.producers.get(feature)
    path = building.path(network.parent, f"{feature or 'image'}/preprocessing")
    building.add(
        Layer(
            path=path, name="preprocessing", parent=network.parent, kind="preprocessing",
            type="NeuralNetworkMeanImage" if mean is not None else "NeuralNetworkImageScaler", config=config,
            weights=weights, inputs=(before,) if before else (),
        )
    )  # fmt: skip
    if feature:
        network.producers[feature] = path


_SCALER = {10: "channelScale", 20: "blueBias", 21: "greenBias", 22: "redBias", 30: "grayBias"}


def _mean_image(network: Network, field: Field) -> Iterator[Weight]:
    stored = weight_params(network.building.source, field)
    if stored is not None:
        group, trainable, source = learning("mean", stored.dtype)
        yield Weight(
            name="meanImage", role="mean", shape=(stored.values,), dtype=stored.dtype, count=stored.values,
            bytes=stored.bytes, group=group, trainable=trainable, trainable_source=source,
        )  # fmt: skip

