"""Turns arguments as Keras 1, Keras 2 and tf.keras wrote them into Keras 3's; knows old spellings, builds nothing.

Only exact equivalents are translated. What Keras 3 can no longer build and nothing equals stays unbuilt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.catalog.keras_legacy import merge_class, modern

Config = dict[str, Any]

SAME_AS = {
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "TimeDistributedDense": "Dense",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "ThresholdedReLU": "ReLU",
    "ActivityRegularizer": "ActivityRegularization",
}
"""Classes that Keras 3 dropped or renamed, and the one that computes the same."""

CUDNN_BIAS = {"CuDNNLSTM": 8, "CuDNNGRU": 6}
"""Old GPU layers kept both bias sets of the CUDA library in one vector of this many times `units`."""

_GONE = """
LocallyConnected1D LocallyConnected2D MaxoutDense Highway SReLU ParametricSoftplus DenseFeatures RandomHeight
RandomWidth CategoryCrossing ConvRecurrent2D PeepholeLSTMCell RandomFourierFeatures
"""
GONE = frozenset(_GONE.split())
"""Classes of older Keras that nothing in Keras 3 equals."""

_OBSOLETE = """
batch_input_shape input_shape input_dtype input_length input_dim input_tensor batch_size dynamic dim_ordering
nb_filter nb_row nb_col filter_length kernel_dim1 kernel_dim2 kernel_dim3 border_mode subsample
subsample_length bias init p inner_init forget_bias_init inner_activation dropout_W dropout_U W_regularizer
U_regularizer b_regularizer W_constraint U_constraint b_constraint gamma_init beta_init pool_length stride length
atrous_rate concat_axis nb_feature weights consume_less implementation time_major fused virtual_batch_size
adjustment mode beta_init sigma alpha theta query_shape key_shape value_shape vocabulary_size activity_reg
layers dot_axes output_dim dropout output_shape output_mask node_indices tensor_indices arguments has_vocabulary
num_threads experimental_autocast
"""
_IGNORED = frozenset(_OBSOLETE.split())
"""Arguments of older versions that carry no meaning for Keras 3, or whose meaning has been moved to a new name."""

_CELL = {
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "U_regularizer": "recurrent_regularizer",
    "U_constraint": "recurrent_constraint",
}
_WEIGHT = {
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "subsample_length": "strides",
    "gamma_init": "gamma_initializer",
    "beta_init": "beta_initializer",
    "sigma": "stddev",
}
_STARTING_VALUES = ("_initializer", "_regularizer", "_constraint")
"""Endings of arguments that change no shape; a class may not take them under the name they were renamed to."""
_INPUTS = {"Embedding", "ReversibleEmbedding"}
"""Layers whose `input_dim` is a size of theirs; elsewhere it spells an input shape."""


def builds_as(class_name: str, config: Config) -> str | None:
    """The Keras 3 class for an older one; None if nothing equals it."""
    if class_name == "Merge":
        return merge_class(config)
    return SAME_AS.get(class_name) or (None if class_name in GONE else class_name)


def arguments(class_name: str, config: Config, accepted: frozenset[str]) -> Config:
    """Constructor arguments for the Keras 3 class; `accepted` are the names that it takes."""
    config = {**_renamed(config), **modern(class_name, config)}
    change = _SPECIAL.get(class_name)
    if change is not None:
        config = change(config)
    config = _by_family(class_name, config)
    return {
        key: _unwrapped(value) for key, value in config.items() if key in accepted or not _means_nothing(key, value)
    }


def batch_shape(config: Config) -> Any:
    """The batch shape that an older layer's config carries for the model's input, None if it has none."""
    given = config.get("batch_input_shape", config.get("batch_shape"))
    if isinstance(given, list):
        return given
    if isinstance(config.get("input_shape"), list):
        return [None, *config["input_shape"]]
    return None


def _means_nothing(key: str, value: Any) -> bool:
    """Obsolete arguments, and those of a later Keras that are switched off."""
    return key in _IGNORED or value is None or value is False or key.endswith(_STARTING_VALUES)


def _renamed(config: Config) -> Config:
    table = {**_CELL, **_WEIGHT}
    return {table[key]: value for key, value in config.items() if key in table}


def _unwrapped(value: Any) -> Any:
    """Numbers that tf.keras wrote as `{"type": "ndarray", "value": 0.3}`."""
    if isinstance(value, dict) and value.get("type") == "ndarray" and "value" in value:
        return value["value"]
    return value


def _by_family(class_name: str, config: Config) -> Config:
    if class_name.startswith("DepthwiseConv"):
        old = {"groups", "filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"}
        return {key: value for key, value in config.items() if key not in old}
    if class_name.startswith("SeparableConv"):
        old = {"groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"}
        return {key: value for key, value in config.items() if key not in old}
    misread = "units" if class_name in _INPUTS else "input_dim"  # an embedding's sizes kept their names
    return {key: value for key, value in config.items() if key != misread}


def _batch_norm(config: Config) -> Config:
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        return {**config, "axis": axis[0]}
    return config


def _gru(config: Config) -> Config:
    """Keras before 2.1.4 knew no `reset_after`: it was False."""
    return {"reset_after": False, **config}


def _cudnn_gru(config: Config) -> Config:
    return {**config, "reset_after": True}


def _leaky(config: Config) -> Config:
    return {"negative_slope": config["alpha"], **config} if "alpha" in config else config


def _thresholded(config: Config) -> Config:
    return {**config, "threshold": config.get("theta", 1.0)}


def _input(config: Config) -> Config:
    given = batch_shape(config)
    return {**config, "batch_shape": given} if given is not None else config


def _merge(config: Config) -> Config:
    """A Keras 1 Merge: only the axes of its mode go on."""
    if config.get("mode") == "dot":
        return {"name": config.get("name"), "axes": config.get("dot_axes", -1)}
    if config.get("mode") == "concat":
        return {"name": config.get("name"), "axis": config.get("concat_axis", -1)}
    return {"name": config.get("name")}


def _synchronized(config: Config) -> Config:
    return _batch_norm({**config, "synchronized": True})


_SPECIAL: dict[str, Callable[[Config], Config]] = {
    "BatchNormalization": _batch_norm,
    "BatchNormalizationV1": _batch_norm,
    "BatchNormalizationV2": _batch_norm,
    "SyncBatchNormalization": _synchronized,
    "GRU": _gru,
    "GRUCell": _gru,
    "GRUV1": _gru,
    "CuDNNGRU": _cudnn_gru,
    "LeakyReLU": _leaky,
    "ThresholdedReLU": _thresholded,
    "InputLayer": _input,
    "Merge": _merge,
}
