"""A saved object as layers, states and tags; joins what the other torch modules know. Knows no file.

Used by every reader whose file is a pickle: zip, legacy stream, tar.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.catalog import torch_modules, torch_optimizer, torch_state
from service.catalog.anatomy import sounds_averaged
from service.catalog.torch_checkpoint import Contents, Part, split
from service.catalog.torch_modules import module_type
from service.catalog.torch_tensors import is_tensor
from service.catalog.torch_values import describe
from service.catalog.torch_weights import Weigher
from service.config import Limits
from service.errors import LimitExceeded
from service.language import Message, msg
from service.parsers.pickle_types import Instance
from service.plain import text
from service.tree import Finding, Layer, State, Weight

UNKNOWN_TRAINING = msg(
    "A state_dict does not record which weights are trained: requires_grad is always False in it. They are "
    "counted as unknown; running statistics and whole numbers are told by rule."
)
_MAX_TAGS = 200


@dataclass(slots=True)
class Description:
    """What a saved object holds, as a reader puts it into a `Model`."""

    type: str | None = None
    layers: list[Layer] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)


def describe_saved(value: Any, weigher: Weigher, limits: Limits) -> Description:
    """Layers and states of an unpickled (inert) object.

    Raises:
        MalformedFile: A tensor's description cannot be.
        LimitExceeded: More layers or tensors than allowed.
    """
    contents = split(value)
    found = Description()
    _add_models(found, contents, weigher, limits)
    _add_states(found, contents, weigher, limits)
    found.tags = {text(part.key): describe(part.value) for part in contents.plain[:_MAX_TAGS] if part.key}
    found.findings.extend(weigher.findings())
    _add_notes(found, contents, value)
    return found


def _add_models(found: Description, contents: Contents, weigher: Weigher, limits: Limits) -> None:
    several = len(contents.models) > 1
    for part in contents.models:
        found.layers.extend(_model_layers(part, weigher, limits, part.key if several else "", found.notes))
        if len(found.layers) > limits.layers:
            raise LimitExceeded(
                "layers", limits.layers, msg("The file has more than {layers} layers.", layers=limits.layers)
            )
    if len(contents.models) == 1 and contents.models[0].what == "module":
        found.type = module_type(contents.models[0].value)[0]


def _model_layers(part: Part, weigher: Weigher, limits: Limits, prefix: str, notes: list[Message]) -> list[Layer]:
    if part.what == "module" and isinstance(part.value, Instance):
        return torch_modules.layers_of(part.value, weigher, limits, prefix)
    layers, more = torch_state.layers_of(part.value, weigher, prefix)
    notes.extend(note for note in (UNKNOWN_TRAINING, *more) if note not in notes)
    return layers


def _add_states(found: Description, contents: Contents, weigher: Weigher, limits: Limits) -> None:
    for part in contents.averaged:
        layers = _model_layers(part, weigher, limits, part.key, [])
        found.states.append(
            State(name=text(part.key), group="ema", type=module_type(part.value)[0], weights=_averaged(layers))
        )
    found.states.extend(torch_optimizer.optimizer(part, weigher) for part in contents.optimizers)
    found.states.extend(torch_optimizer.scheduler(part) for part in contents.schedulers)
    for part in contents.tensors:
        group = "ema" if sounds_averaged(part.key) else "other"
        found.states.append(torch_optimizer.tensors(part, group, weigher))  # type: ignore[arg-type]


def _averaged(layers: list[Layer]) -> tuple[Weight, ...]:
    """The weights of an averaged copy, flat, under their full names."""
    return tuple(
        Weight(
            name=weight.stored_as or weight.name,
            stored_as=weight.stored_as,
            role="ema",
            shape=weight.shape,
            dtype=weight.dtype,
            count=weight.count,
            stored_count=weight.stored_count,
            bytes=weight.bytes,
            group="ema",
            trainable=False,
            trainable_source="rule",
            tied_to=weight.tied_to,
            location=weight.location,
        )
        for layer in layers
        for weight in layer.weights
    )


_SINGLE_TENSOR = msg("The file holds a single tensor: there are no layers to list.")
_NO_MODEL = msg("The file holds no nn.Module and no state_dict: there are no layers to list.")


def _add_notes(found: Description, contents: Contents, value: Any) -> None:
    if len(contents.models) > 1:
        names = ", ".join(text(part.key or "(the saved object)", 100) for part in contents.models[:10])
        found.notes.append(
            msg(
                "The file holds {n} models, told apart by the first steps of the paths: {names}.",
                n=len(contents.models),
                names=names,
            )
        )
    if not contents.models:
        found.notes.append(_SINGLE_TENSOR if is_tensor(value) else _NO_MODEL)
    if any(weight.dtype is None for layer in found.layers for weight in layer.weights):
        found.notes.append(msg("Some weights have an element type that is not known here."))
