"""Which weights a layer must have by its class and its settings, in the words of any version of Keras."""

from __future__ import annotations

from typing import Any

import pytest

from service.catalog.keras_missing import required

DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 2, "use_bias": False}}
LSTM = {"class_name": "LSTM", "config": {"name": "l", "units": 2}}
GRU = {"class_name": "GRU", "config": {"name": "g", "units": 2, "use_bias": False}}
CELLS = [{"class_name": "LSTMCell", "config": {"units": 2}}, {"class_name": "GRUCell", "config": {"units": 2}}]
POLICY = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "gptq/4/128"}}


@pytest.mark.parametrize(
    ("class_name", "config", "names"),
    [
        ("Dense", {"units": 2}, "kernel bias"),
        ("Dense", {"output_dim": 2, "bias": False}, "kernel"),
        ("Dense", {"units": 2, "dtype": POLICY}, "bias kernel"),
        ("Dense", {"size": 2}, ""),
        ("Convolution2D", {"nb_row": 3, "nb_col": 3, "bias": True}, "kernel bias"),
        ("SeparableConv2D", {"kernel_size": [2, 2], "use_bias": False}, "depthwise_kernel pointwise_kernel"),
        ("BatchNormalization", {"epsilon": 1e-3, "scale": False}, "beta moving_mean moving_variance"),
        ("LayerNormalization", {"epsilon": 1e-3, "rms_scaling": True}, "gamma"),
        ("Embedding", {"input_dim": 9, "output_dim": 2}, "embeddings"),
        ("PReLU", {}, "alpha"),
        ("EinsumDense", {"equation": "ab,bc->ac", "bias_axes": None}, "kernel"),
        ("GRU", GRU["config"], "kernel recurrent_kernel"),
        ("TimeDistributed", {"layer": DENSE}, "kernel"),
        ("TimeDistributed", {"layer": {**DENSE, "class_name": "Gate"}}, ""),
        (
            "Bidirectional",
            {"layer": LSTM, "backward_layer": GRU},
            "kernel recurrent_kernel bias kernel recurrent_kernel",
        ),
        ("RNN", {"cell": CELLS}, "kernel recurrent_kernel bias " * 2),
        ("SpectralNormalization", {"layer": {**DENSE, "config": {"units": 2}}}, "kernel vector_u bias"),
        ("MultiHeadAttention", {"key_dim": 2, "use_bias": False}, "kernel " * 4),
        ("GroupQueryAttention", {"head_dim": 2}, "kernel bias " * 4),
        ("MultiHeadAttention", {"head_num": 2}, ""),
        ("Attention", {"use_scale": False}, ""),
        ("Dropout", {"rate": 0.5}, ""),
        ("StringLookup", {"vocabulary": ["a"]}, ""),
        ("Gate", {"units": 2}, ""),
    ],
)
def test_what_a_built_layer_has_at_least(class_name: str, config: dict[str, Any], names: str) -> None:
    """Inner layers' weights follow its own; what no setting tells, and what is not Keras' own, asks for nothing."""
    assert list(required(class_name, config)) == names.split()


def test_a_class_of_a_module_of_the_users_asks_for_nothing() -> None:
    """Whatever it is called."""
    assert required("Dense", {"units": 2}, "mine") == ()
    assert required("Dense", {"units": 2}, "keras.layers") == ("kernel", "bias")


def test_wrappers_without_end_are_bounded() -> None:
    """A configuration as deep as JSON may be costs nothing."""
    config: dict[str, Any] = {"units": 2}
    for _ in range(60):
        config = {"layer": {"class_name": "Wrapper", "config": config}}
    assert required("Wrapper", config) == ()
