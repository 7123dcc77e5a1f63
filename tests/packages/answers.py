"""What a framework says of a model file; runs under its interpreter: `answers.py torch.load FILE ...`.

Prints JSON: for each file its `weights` (name: shape, dtype, and trainable where the file tells) and the `types` of its
layers where the framework can name them. For the pinned files of `manifest.toml` only: loading a file may run it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


def tensor(value: Any, *, trainable: bool | None = None) -> dict[str, Any]:
    """One array."""
    known = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    return known if trainable is None else {**known, "trainable": trainable}


def torch_load(path: str) -> dict[str, Any]:
    """The state_dict in a file, or the first one in a checkpoint."""
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    found = next(item for item in (loaded, *loaded.values()) if is_state_dict(item, torch.Tensor))
    return {"weights": {name: tensor(value) for name, value in found.items()}}


def is_state_dict(item: Any, kind: type) -> bool:
    """Whether it maps names to tensors and nothing else."""
    return isinstance(item, Mapping) and all(isinstance(value, kind) for value in item.values())


def torch_jit_load(path: str) -> dict[str, Any]:
    """Parameters and buffers of a TorchScript module, and what each submodule was."""
    import torch

    module = torch.jit.load(path, map_location="cpu")
    parameters = {name: tensor(value, trainable=value.requires_grad) for name, value in module.named_parameters()}
    buffers = {name: tensor(value, trainable=False) for name, value in module.named_buffers()}
    types = {name: part.original_name for name, part in module.named_modules() if name}
    return {"weights": parameters | buffers, "types": types}


def transformers_build(path: str) -> dict[str, Any]:
    """Parameters and buffers of the class that a configuration names, built without memory; tied ones once."""
    import torch
    import transformers

    document = json.loads(Path(path).read_bytes())
    with torch.device("meta"):
        model = getattr(transformers, document["architectures"][0])(transformers.AutoConfig.for_model(**document))
    held = [*model.named_parameters(), *model.named_buffers()]
    return {"weights": {name: tensor(value) for name, value in held}}


def keras_load_model(path: str) -> dict[str, Any]:
    """All variables of a full model, and the classes of its layers."""
    import keras

    return keras_facts(keras.models.load_model(path, compile=False))


def keras_from_json(path: str) -> dict[str, Any]:
    """The same of the model that an architecture describes."""
    import keras

    return keras_facts(keras.models.model_from_json(Path(path).read_text()))


def keras_facts(model: Any) -> dict[str, Any]:
    """All variables of a model, and the classes of its layers."""
    learning = {id(variable) for variable in model.trainable_weights}
    weights = {name: tensor(found, trainable=id(found) in learning) for name, found in named_variables(model)}
    return {"weights": weights, "types": {layer.name: type(layer).__name__ for layer in model.layers}}


def named_variables(model: Any, within: str = "") -> Iterable[tuple[str, Any]]:
    """Variables with their paths, also where the model is a layer of another: Keras leaves the outer name out."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from named_variables(layer, f"{within}{layer.name}/")
        else:
            yield from ((f"{within}{found.path}", found) for found in layer.weights)


def stored_datasets(path: str) -> dict[str, Any]:
    """The arrays of an HDF5 file by their paths: all there is without the program that wrote it."""
    import h5py

    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: tensor(item)} if isinstance(item, h5py.Dataset) else {}))
    return {"weights": found}


ANSWERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "torch.load": torch_load,
    "torch.jit.load": torch_jit_load,
    "transformers": transformers_build,
    "keras.load_model": keras_load_model,
    "keras.from_json": keras_from_json,
    "h5py": stored_datasets,
}


def main(answer: str, paths: Iterable[str]) -> None:
    """Print the answers."""
    json.dump({path: ANSWERS[answer](path) for path in paths}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
