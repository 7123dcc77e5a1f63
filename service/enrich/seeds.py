"""Sets apart the states of random generators; knows that Keras keeps them out of `layer.weights`.

A Dropout has no weights: Keras counts none, and a state of two integers is no part of the model. Files store the
state beside the weights all the same, so it is shown, but as a state.
"""

from __future__ import annotations

import msgspec

from service.tree import Layer, Model, State, Weight

NAME = "seed_generators"


def set_apart(model: Model) -> Model:
    """`model` with every weight of role `seed_state` moved from its layer to a state of its own."""
    if not any([_is_seed(weight) for layer in model.layers for weight in layer.weights]):  # noqa: C419 - faster as a list
        return model
    seeds = tuple(_as_state(layer, weight) for layer in model.layers for weight in layer.weights if _is_seed(weight))
    layers = tuple(
        msgspec.structs.replace(layer, weights=tuple(weight for weight in layer.weights if not _is_seed(weight)))
        for layer in model.layers
    )
    state = State(name=NAME, group="other", weights=seeds)
    return msgspec.structs.replace(model, layers=layers, states=(*model.states, state))


def _is_seed(weight: Weight) -> bool:
    return weight.role == "seed_state"


def _as_state(layer: Layer, weight: Weight) -> Weight:
    return msgspec.structs.replace(weight, name=f"{layer.path}/{weight.name}", group="other")
