"""Layers that no framework makes: any weights with any configuration are explained honestly, or not at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.enrich.counts import PARAMETER_GROUPS
from service.frameworks import conventions
from service.tree import Layer, Weight, element_count
from service.vocabulary import KINDS, ROLES
from tests.builders import model
from tests.enriching import explain_layers

SIZES = st.sampled_from([0, 1, 2, 3, 4, 8, 12, 2**40])
SHAPES = st.lists(SIZES, max_size=5).map(tuple)
NAMES = st.sampled_from(["kernel", "forward/W", "P", "projection_bias", "weight_ih_l0", "weight_hh_l0_reverse",
                         "query/kernel", "gate/bias", "bias_k", "lora_A", "", "vars/0", "{n}",
                         "weight_ih_l" + "9" * 5000])  # fmt: skip
LAYOUTS = st.sampled_from([None, "in-out", "out-in", "HWIO", "OIHW", "IO", "IIII", "HWIM", "WIO", "IOM", "OOO", "MMM"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("units", "groups", "kernel_size", "scale", "affine", "equation", "bias_axes", "layer", "lora_rank", "num_heads",
        "normalized_shape", "class_name", "rms_scaling", "reset_after", "proj_size")  # fmt: skip
CONFIGS = st.dictionaries(st.sampled_from(KEYS), VALUES | st.just({"class_name": "Dense", "config": 3}), max_size=4)


@st.composite
def weights(draw: st.DrawFn) -> Weight:
    """A weight of any role, shape and group."""
    shape = draw(SHAPES)
    return Weight(
        name=draw(NAMES), role=draw(st.sampled_from(sorted(ROLES))), shape=shape,
        dtype=draw(st.sampled_from([None, "int8"])),
        count=element_count(shape) if draw(st.booleans()) else draw(st.integers(0, 2**63)),
        group=draw(st.sampled_from(["trainable", "frozen", "statistic", "unknown", "other"])),
        trainable=None, trainable_source="unknown", layout=draw(LAYOUTS), stored_count=draw(st.sampled_from([None, 3])),
    )  # fmt: skip


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """A layer of any kind."""
    return Layer(
        path=draw(st.sampled_from(["a", "x.lora_A.default", "x.lora_B"])), name="a",
        kind=draw(st.sampled_from(sorted(KINDS))),
        type=draw(st.sampled_from([None, "Dense", "Highway", "LSTM", "{name}"])), config=draw(CONFIGS),
        custom=draw(st.booleans()), weights=tuple(draw(st.lists(weights(), max_size=6))),
    )  # fmt: skip


@given(layers(), st.sampled_from(["keras", "torch", "tensorflow", "tflite", "onnx", "coreml", "unknown"]))
@settings(max_examples=500)
def test_whatever_is_explained_adds_up(one: Layer, framework: str) -> None:
    """Never an exception; the formula gives the count of the weights, and every sentence can be said."""
    made = explain_layers(model(framework, one))
    kept = made.layers[0].weights  # without what is no weight of a layer: seeds, say
    found = made.layers[0].explanation
    if found is None:
        assert not kept
        return
    counted = [held for held in kept if conventions(framework) == "keras" or held.group in PARAMETER_GROUPS]
    assert found.total == sum(held.count or 0 for held in counted)
    left, right = found.formula.split(" = ")
    assert eval(left.replace("×", "*")) == int(right) == found.total  # noqa: S307 - our own formula
    assert all(str(sentence) for sentence in (found.text, found.expert, *(term.meaning for term in found.terms)))
    assert made.findings == () or found.status == "partial"
