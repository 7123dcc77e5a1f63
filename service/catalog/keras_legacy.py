"""Arguments of Keras 1 in the words of Keras 2 and 3; knows old names only, not what they are used for.

Source: the `legacy_*_support` conversions of Keras 2.0 to 2.2 (`keras/legacy/interfaces.py`).
"""

from __future__ import annotations

from typing import Any

_RENAMED = {
    "output_dim": "units",
    "nb_filter": "filters",
    "border_mode": "padding",
    "subsample": "strides",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "init": "kernel_initializer",
    "p": "rate",
    "pool_length": "pool_size",
    "stride": "strides",
    "length": "size",
    "atrous_rate": "dilation_rate",
    "concat_axis": "axis",
    "nb_feature": "units",
}
_KEEPS = {"Embedding": {"output_dim"}, "UpSampling1D": set(), "Dropout": set()}
_SAME_MEANING = {"th": "channels_first", "tf": "channels_last"}
_MERGE_CLASSES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
}


def modern(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """`config` with Keras 1 arguments also under their later names; later names that are there win."""
    keeps = _KEEPS.get(class_name, set())
    added = {_RENAMED[key]: value for key, value in config.items() if key in _RENAMED and key not in keeps}
    added.update(_kernel_size(config))
    if added.get("data_format") in _SAME_MEANING:
        added["data_format"] = _SAME_MEANING[added["data_format"]]
    return {**added, **config} if added else config


def _kernel_size(config: dict[str, Any]) -> dict[str, Any]:
    if "filter_length" in config:
        return {"kernel_size": [config["filter_length"]]}
    dims = [config[key] for key in ("kernel_dim1", "kernel_dim2", "kernel_dim3") if key in config]
    dims = dims or [config[key] for key in ("nb_row", "nb_col") if key in config]
    return {"kernel_size": dims} if dims else {}


def merge_class(config: dict[str, Any]) -> str | None:
    """The class that a Keras 1 `Merge` layer's `mode` became, None for a mode that was code."""
    mode = config.get("mode", "sum")
    return _MERGE_CLASSES.get(mode) if isinstance(mode, str) else None
