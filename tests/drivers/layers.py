"""Builds layers with a framework and says what the framework itself counts; writes them to files for the readers.

Runs under the framework's interpreter: `layers.py keras <folder> < layers.json`, a list of descriptions as
`tests/service/enrich/explanations/random_layers.py` makes them. One JSON object on standard output: for each layer its
path in the file, its class and what the framework counts.
"""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from pathlib import Path
from typing import Any


def torch_layers(described: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """`module.pt` with all modules and `state.pt` with their weights; own parameters and buffers of each module."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    root = nn.Module()
    for index, one in enumerate(described):
        root.add_module(f"m{index}", _torch_module(one))
    torch.save(root, folder / "module.pt")
    torch.save(root.state_dict(), folder / "state.pt")
    return {
        name: {
            "type": type(module).__name__,
            "parameters": sum(value.numel() for value in module.parameters(recurse=False)),
            "buffers": sum(value.numel() for value in module.buffers(recurse=False)),
        }
        for name, module in root.named_modules()
        if name
    }


def _torch_module(one: dict[str, Any]) -> Any:
    import torch
    from torch import nn

    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in one["arguments"].items()}
    module = getattr(nn, one["type"])(**arguments)
    if one.get("then") == "weight_norm":
        nn.utils.weight_norm(module)
    elif one.get("then") == "spectral_norm":
        nn.utils.spectral_norm(module)
    elif one.get("then") == "lora":
        module.register_parameter("lora_A", nn.Parameter(torch.zeros(one["rank"], module.in_features)))
        module.register_parameter("lora_B", nn.Parameter(torch.zeros(module.out_features, one["rank"])))
    elif one.get("then") == "freeze":
        module.requires_grad_(requires_grad=False)
    return module


def keras_layers(described: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """`layers.keras`, a model of a class of its own that holds all layers; what each counts."""
    import keras

    layers = [_keras_layer(one) for one in described]
    for one, layer in zip(described, layers, strict=True):
        layer.build(*map(_shape, one["inputs"]))
    gc.freeze()  # quantize() collects garbage each time, over all that was made before
    for one, layer in zip(described, layers, strict=True):
        if one.get("then"):
            layer.quantize(one["then"])

    class Holder(keras.Model):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            for index, layer in enumerate(layers):
                setattr(self, f"k{index}", layer)

        def get_config(self) -> dict[str, Any]:
            return {f"k{index}": keras.saving.serialize_keras_object(layer) for index, layer in enumerate(layers)}

    holder = Holder(name="holder")
    holder.built = True
    holder.save(folder / "layers.keras")
    return {
        layer.name: {
            "type": type(layer).__name__,
            "parameters": sum(int(weight.shape.num_elements()) for weight in layer.weights),
            "count_params": layer.count_params(),
            "lora": sum(int(weight.shape.num_elements()) for weight in layer.weights if "lora" in weight.name),
            "trainable": sum(int(weight.shape.num_elements()) for weight in layer.trainable_weights),
        }
        for layer in layers
    }


def _shape(given: list[Any]) -> Any:
    """A shape, or the list of shapes of a layer that takes a list."""
    return [tuple(one) for one in given] if isinstance(given[0], list) else tuple(given)


def _keras_layer(one: dict[str, Any]) -> Any:
    import keras

    arguments = {
        key: _keras_layer(value)
        if isinstance(value, dict)
        else [_keras_layer(item) for item in value]
        if key == "cells"
        else value
        for key, value in one["arguments"].items()
    }
    return getattr(keras.layers, one["type"])(**arguments)


def main() -> None:
    """Answer for the layers on standard input."""
    build = {"keras": keras_layers, "torch": torch_layers}[sys.argv[1]]
    with contextlib.redirect_stdout(sys.stderr):
        found = build(json.load(sys.stdin), Path(sys.argv[2]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
