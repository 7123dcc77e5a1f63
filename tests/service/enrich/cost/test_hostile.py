"""Costs are total: whatever configurations, shapes and graphs hold, there is an answer, quickly."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from service.catalog.keras_classes import KIND_OF_CLASS
from service.catalog.torch_layers import KINDS as TORCH_KINDS
from service.enrich.cost.rules import RULES
from service.enrich.cost.work import words
from service.language import as_data
from service.tree import Layer, Weight
from service.vocabulary import KINDS
from tests.builders import layer, weight
from tests.service.enrich.cost.tools import costed, total

SIZES = st.one_of(st.none(), st.integers(0, 5), st.sampled_from([-1, 2**31, 2**62]))
SHAPES = st.lists(SIZES, max_size=6).map(tuple)
ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
NAMES = sorted(
    words(
        "units filters kernel_size strides stride padding dilation dilation_rate groups pool_size size ",
        "scale_factor mode",
        "activation data_format dtype equation output_shape target_shape axes axis dims n layer cell attention_axes ",
        "num_heads batch_first start_dim end_dim dim unflattened_size output_size upscale_factor out_features ",
        "out_channels in_features hidden_size proj_size bidirectional depth_multiplier function output_padding",
    )
)
WRAPPED = st.fixed_dictionaries(
    {"class_name": st.sampled_from(sorted(KIND_OF_CLASS)), "config": st.dictionaries(st.sampled_from(NAMES), ODD)}
)
CONFIGS = st.dictionaries(st.sampled_from(NAMES), st.one_of(ODD, WRAPPED), max_size=8)
ROLES = st.sampled_from(
    sorted(
        words(
            "kernel recurrent_kernel bias query_kernel key_kernel value_kernel output_kernel qkv_kernel",
            "depthwise_kernel",
            "pointwise_kernel lora_a lora_b embedding weight_v",
        )
    )
)
WEIGHTS = st.builds(lambda shape, role: weight("w", shape, role), st.none() | SHAPES, ROLES)
PATHS = st.sampled_from([f"l{number}" for number in range(5)] + ["nowhere"])


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """A layer of any kind with anything in it."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    same = [name for table in (KIND_OF_CLASS, TORCH_KINDS) for name, found in table.items() if found == kind]
    shapes = st.none() | st.lists(SHAPES, max_size=3).map(tuple)
    held: list[Weight] = draw(st.lists(WEIGHTS, max_size=4))
    return layer(
        draw(PATHS), kind, *held, type=draw(st.sampled_from([None, *same])), config=draw(CONFIGS),
        parent=draw(st.none() | PATHS), input_shapes=draw(shapes), output_shapes=draw(shapes),
        inputs=draw(st.none() | st.lists(PATHS, max_size=3).map(tuple)), shared_with=draw(st.none() | PATHS),
        uses=draw(st.none() | st.integers(-1, 3) | st.just(2**62)), custom=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(
    st.lists(layers(), max_size=5, unique_by=lambda found: found.path),
    st.sampled_from(["keras", "torch"]),
    st.none() | st.lists(st.lists(st.integers(1, 2**40), max_size=4).map(tuple), max_size=3).map(tuple),
    st.sampled_from([None, "Sequential"]),
)
def test_anything_has_a_cost(found: list[Layer], framework: str, inputs: object, root: str | None) -> None:
    """Never an error; None exactly where unavailable; everything can be stored."""
    made = costed(framework, *found, inputs=inputs, type=root)
    for one in made.layers:
        assert one.cost is not None
        for quantity in (one.cost.macs, one.cost.flops, one.cost.activation_elements, one.cost.activation_bytes):
            assert (quantity.value is None) == (quantity.status == "unavailable")
            assert quantity.value is None or quantity.value >= 0
            assert quantity.method is not None
    msgspec.json.encode(made, enc_hook=as_data)


def test_every_kind_has_a_rule() -> None:
    """No kind of the vocabulary is forgotten; wrappers are looked through."""
    wrappers = {"time_distributed", "spectral_norm", "wrapper"}
    assert set(RULES) | wrappers == set(KINDS)


def test_a_long_chain_of_containers_is_walked_once() -> None:
    """2,000 models nested in each other: linear, and no recursion."""
    nested = [
        layer(
            f"l{number}", "container", type="Sequential", inputs=(), uses=2, parent=f"l{number - 1}" if number else None
        )
        for number in range(2000)
    ]
    assert total(costed("keras", *nested)).macs.value == 0


def test_circles_in_the_graph() -> None:
    """Layers that feed each other have no sizes, and still an answer."""
    ring = [
        layer(f"l{n}", "conv2d", type="Conv2D", inputs=(f"l{(n + 1) % 3}",), parent=f"l{(n + 1) % 3}") for n in range(3)
    ]
    assert total(costed("keras", *ring)).macs.status == "unavailable"
