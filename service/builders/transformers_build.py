"""One build with transformers from configuration to model; knows the library's registries of classes, no file.

The registries (`transformers.models.auto`) are the allow-list: a model type or class that is not in them is refused, so
that no name of an upload is ever looked up anywhere else. Settings that would fetch, quantise or run code are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from transformers.models.auto import configuration_auto, modeling_auto

from service.builders.common import check_total
from service.builders.torch_kinds import kind_of_module
from service.builders.torch_tree import Lister, config_of
from service.config import Limits
from service.errors import InvalidSpec, LimitExceeded, UnsupportedFeature
from service.formats import BuildRequest
from service.language import msg, verbatim
from service.plain import json_value, text
from service.tree import Layer, Model, ModelInfo

_LEFT_OUT = frozenset(
    {
        "architectures", "auto_map", "quantization_config", "compression_config", "_name_or_path",
        "_commit_hash", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
        "transformers_version", "use_timm_backbone", "use_pretrained_backbone", "backbone", "custom_pipelines",
        "trust_remote_code", "code_revision", "adapter_kwargs",
    }
)  # fmt: skip
"""Settings that name files, repositories, code or kernels, and those that are given otherwise."""
_ROOT = "."
_MADE_OF_A_LAYER = 6
"""Modules and parameters that are made for each layer of the largest spec: enough for the experts of every published
model, and made within seconds."""
_INFINITE = ("Infinity", "-Infinity")
"""How a request to build writes them, as JSON has no number for them."""
_TAGS = ("model_type", "architectures", "transformers_version", "tie_word_embeddings", "quantization_config")
_UNPACKED = msg(
    "The configuration asks for quantised weights; layers and counts are those of the model before it is quantised."
)


def build(request: BuildRequest, limits: Limits) -> Model:
    """See `service.builders.transformers.build`."""
    spec = request.spec
    model_type = _model_type(spec)
    kind = _class(spec, model_type)
    with _counted(limits):
        module = _made(kind, model_type, _clean(spec))
    layers = _layers(module, limits)
    check_total((weight for layer in layers for weight in layer.weights), limits)
    quantised = isinstance(spec.get("quantization_config"), dict)
    return Model(
        info=ModelInfo(
            format="hf_config",
            framework="torch",
            name=text(model_type),
            type=type(module).__name__,
            framework_version=str(torch.__version__),
            producer=f"transformers {transformers.__version__}",
            tags={name: json_value(spec[name]) for name in _TAGS if name in spec},
        ),
        layers=layers,
        security=request.dangers,
        notes=(_UNPACKED,) if quantised else (),
    )


def _model_type(spec: dict[str, Any]) -> str:
    found = spec.get("model_type") or next(iter(_types_of(_first_architecture(spec))), None)
    if not isinstance(found, str) or found not in configuration_auto.CONFIG_MAPPING_NAMES:
        raise UnsupportedFeature(
            msg(
                "transformers {version} has no model type {model_type}.",
                version=transformers.__version__, model_type=text(str(found), 100),
            ),
            pointer="model_type",
            hint=msg("A type of a later version, or of code in the repository, cannot be built; send its weights."),
        )  # fmt: skip
    return found


def _first_architecture(spec: dict[str, Any]) -> str | None:
    listed = spec.get("architectures")
    first = listed[0] if isinstance(listed, list) and listed else None
    return first if isinstance(first, str) else None


def _types_of(architecture: str | None) -> list[str]:
    """The model types whose registered classes include this one."""
    return [model_type for names in _registries() for model_type, found in names.items()
            if architecture in (found if isinstance(found, tuple | list) else (found,))]  # fmt: skip


def _registries() -> list[dict[str, Any]]:
    return [
        names for name, names in vars(modeling_auto).items()
        if name.startswith("MODEL_") and name.endswith("MAPPING_NAMES")
    ]  # fmt: skip


def _class(spec: dict[str, Any], model_type: str) -> type[transformers.PreTrainedModel]:
    """The class to build: the one the configuration names, else the type's bare model."""
    named = _first_architecture(spec)
    if named is not None and model_type in _types_of(named):
        chosen: str = named
    elif named is not None:
        raise UnsupportedFeature(
            msg(
                "transformers {version} has no class {name} for the model type {model_type}.",
                version=transformers.__version__, name=text(named, 100), model_type=model_type,
            ),
            pointer="architectures",
            hint=msg("A class of a later version, or of code in the repository, cannot be built; send its weights."),
        )  # fmt: skip
    else:
        found = modeling_auto.MODEL_MAPPING_NAMES.get(model_type)
        if found is None:
            raise InvalidSpec(msg("The configuration does not name its class."), pointer="architectures")
        chosen = found if isinstance(found, str) else found[0]
    kind: type[transformers.PreTrainedModel] = getattr(transformers, chosen)
    return kind


def _clean(value: Any) -> Any:
    """The settings without those that are left out, in nested configurations too; infinities as numbers again."""
    if isinstance(value, dict):
        return {name: _clean(item) for name, item in value.items() if name not in _LEFT_OUT}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return float(value) if value in _INFINITE else value


@contextmanager
def _counted(limits: Limits) -> Iterator[None]:
    """While it lasts, LimitExceeded as soon as there are more modules or parameters than a spec's layers can have.

    Which settings ask for layers no list of names tells for all architectures; what is made is the same everywhere.
    """
    most = min(limits.layers, _MADE_OF_A_LAYER * limits.spec_layers)
    room = most

    def count(_owner: nn.Module, _name: str, _made: Any) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise LimitExceeded("layers", most, msg("The model has more layers than one analysis describes."))

    hooks = [register_module_module_registration_hook(count), register_module_parameter_registration_hook(count)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _made(kind: type[transformers.PreTrainedModel], model_type: str, settings: dict[str, Any]) -> nn.Module:
    try:
        config = transformers.AutoConfig.for_model(**{**settings, "model_type": model_type})
        with torch.device("meta"):
            module: nn.Module = kind._from_config(config, attn_implementation="eager")  # noqa: SLF001 - its own way
    except (MemoryError, LimitExceeded):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library makes of settings that do not fit together
        raise InvalidSpec(
            msg("transformers cannot build it: {error}", error=verbatim(text(f"{type(error).__name__}: {error}", 300))),
            hint=msg("Compare the settings with those of a published model of this type."),
        ) from None
    return module


def _layers(module: nn.Module, limits: Limits) -> tuple[Layer, ...]:
    lister = Lister(set())
    found: list[Layer] = []
    for path, inner in module.named_modules():
        if len(found) >= limits.layers:
            raise LimitExceeded("layers", limits.layers, msg("The model has more layers than one analysis describes."))
        found.append(_layer(path, inner, lister))
    return tuple(found)


def _layer(path: str, module: nn.Module, lister: Lister) -> Layer:
    parent = path.rpartition(".")[0] or _ROOT
    return Layer(
        path=path or _ROOT,
        name=path.rpartition(".")[2] or _ROOT,
        kind=kind_of_module(module) if path else "model",
        type=type(module).__name__,
        module=type(module).__module__,
        parent=parent if path else None,
        config={name: value for name, value in config_of(module).items() if name != "config"},
        weights=tuple(lister.weights(path or _ROOT, module)),
    )
