"""What `config.json` and its companions say of a model: class, sizes, quantization, code; knows no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.config import Limits
from service.errors import InputError
from service.language import msg
from service.parsers import json_text
from service.plain import is_number, json_value, text
from service.source import Source
from service.tree import Finding

Document = Mapping[str, Any]
_MAX_SETTINGS = 300
_MAX_SHORT = 32
_TAGS = (
    "model_type", "architectures", "transformers_version", "_diffusers_version", "quantization_config", "quantization",
)  # fmt: skip
_ADAPTER_TAGS = (
    "peft_type", "r", "lora_alpha", "target_modules", "modules_to_save", "rank_pattern", "alpha_pattern", "bias",
    "task_type", "base_model_name_or_path", "use_dora", "use_rslora", "peft_version",
)  # fmt: skip


def read_document(source: Source, limits: Limits, member: str | None = None) -> dict[str, Any]:
    """The document; NaN and Infinity, which Python writes, as their names.

    Raises:
        MalformedJson: Not JSON, or a doubled key.
        MalformedFile: No object.
        LimitExceeded: Longer or deeper than a spec may be.
    """
    data = source.read_at(0, min(source.size, limits.spec_bytes + 1))
    return json_text.parse_object(data, max_bytes=limits.spec_bytes, max_depth=limits.spec_depth, member=member)


def read_companion(source: Source, limits: Limits, member: str) -> tuple[Document | None, list[Finding]]:
    """A document beside weights, which can be described without it: a finding says why it cannot be read."""
    try:
        return read_document(source, limits, member), []
    except InputError as error:
        what = msg("{member} cannot be read: {why}", member=text(member, 200), why=error.info.detail)
        return None, [Finding(rule="config_unreadable", severity="medium", path=text(member), what=what)]


def is_transformers(document: Any) -> bool:
    """Whether a JSON value is the configuration of a model of the transformers library."""
    if not isinstance(document, dict) or not _OTHERS.isdisjoint(document):
        return False
    classes = document.get("architectures")
    named = isinstance(classes, list) and bool(classes) and all(isinstance(one, str) for one in classes)
    return named or isinstance(document.get("model_type"), str)


_OTHERS = frozenset(
    {"class_name", "weight_map", "modelTopology", "weightsManifest", "framework", "layers", "peft_type", "__version__"}
)
"""Keys of other documents: Keras, an index, TensorFlow.js, our layer list, an adapter, sentence-transformers."""


def is_diffusers(document: Any) -> bool:
    """Whether a JSON value is the configuration of a part, or the parts list, of a diffusers pipeline."""
    return isinstance(document, dict) and isinstance(document.get("_class_name"), str)


def is_adapter(document: Any) -> bool:
    """Whether a JSON value is the configuration of a PEFT adapter."""
    return isinstance(document, dict) and isinstance(document.get("peft_type"), str)


def type_of(config: Document) -> str | None:
    """The model's class: of transformers, diffusers or timm."""
    architectures = config.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    for value in (named, config.get("_class_name"), config.get("architecture"), config.get("model_type")):
        if isinstance(value, str) and value:
            return text(value, 200)
    return None


def name_of(config: Document) -> str | None:
    """The name that the model was loaded by."""
    value = config.get("_name_or_path")
    return text(value, 300) if isinstance(value, str) and value else None


def dtype_of(config: Document) -> str | None:
    """The element type that loaders use, without the framework's name."""
    for key in ("dtype", "torch_dtype"):
        value = config.get(key)
        if isinstance(value, str):
            return text(value.removeprefix("torch."), 64)
    return None


def config_tags(config: Document) -> dict[str, Any]:
    """What a configuration tells beside the class: what it names, and its plain settings."""
    tags = {key.strip("_"): json_value(config[key]) for key in _TAGS if key in config}
    dtype = dtype_of(config)
    if dtype is not None:
        tags["torch_dtype"] = dtype
    plain = [(key, value) for key, value in config.items() if key not in _TAGS and _plain(value)]
    settings = {text(key, 200): json_value(value) for key, value in plain[:_MAX_SETTINGS]}
    return {**tags, "config": settings} if settings else tags


def adapter_tags(adapter: Document) -> dict[str, Any]:
    """What an adapter's configuration says: its kind, rank, scale and targets."""
    return {key: json_value(adapter[key]) for key in _ADAPTER_TAGS if adapter.get(key) is not None}


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= _MAX_SHORT and all(isinstance(one, str | bool) or is_number(one) for one in value)
    return isinstance(value, str | bool) or is_number(value)


def quantization_of(config: Document | None, beside: Document | None) -> Document | None:
    """How the weights are quantized: transformers' setting, MLX', or AutoGPTQ's document of its own."""
    inner = (config or {}).get("text_config")
    for document in (config or {}, inner if isinstance(inner, dict) else {}):
        for key in ("quantization_config", "compression_config", "quantization"):
            value = document.get(key)
            if isinstance(value, dict) and value:
                return value
    return {"quant_method": "gptq", **beside} if beside and "bits" in beside else None
