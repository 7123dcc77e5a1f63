"""Kinds told by names: only between classes that store these tensors, and never without naming the other."""

from __future__ import annotations

import pytest

from service.catalog.torch_names import (
    EMBEDDING_NOTE,
    GROUP_NORM_NOTE,
    LAYER_NORM_NOTE,
    LINEAR_NOTE,
    LONE_NORM_NOTE,
    RMS_NORM_NOTE,
    by_name,
)
from service.catalog.torch_state import layers_of
from service.catalog.torch_storage import Storage
from service.catalog.torch_tensors import Tensor, view
from service.catalog.torch_weights import Weigher
from service.config import Limits
from service.language import Message
from service.tree import Layer

TABLE = {"weight": (50, 8)}
PAIR = {"weight": (8,), "bias": (8,)}
ALONE = {"weight": (8,)}


@pytest.mark.parametrize(
    ("names", "shapes", "kind", "note"),
    [
        ("wte wpe embed_tokens word_embeddings token_type_embeddings embedding token_embedding emb", TABLE, "embedding",
         EMBEDDING_NOTE),
        ("lm_head head classifier fc fc1 q_proj o_proj gate_proj down_proj c_attn to_q qkv", TABLE, "linear",
         LINEAR_NOTE),
        ("lm_head", {"weight": (8, 8)}, "linear", LINEAR_NOTE),
        ("ln_1 ln_f norm1 LayerNorm layer_norm final_layer_norm", PAIR, "layer_norm", LAYER_NORM_NOTE),
        ("group_norm GroupNorm gn1", PAIR, "group_norm", GROUP_NORM_NOTE),
        ("input_layernorm post_attention_layernorm norm layer_norm rms_norm", ALONE, "rms_norm", RMS_NORM_NOTE),
        ("ln_1", ALONE, "layer_norm", LONE_NORM_NOTE),
    ],
)  # fmt: skip
def test_what_names_tell(names: str, shapes: dict[str, tuple[int, ...]], kind: str, note: Message) -> None:
    """Names of well-known implementations, on tensors that two classes store alike."""
    for name in names.split():
        found = by_name(name, shapes, ())
        assert found is not None, name
        assert (found.kind, found.notes) == (kind, (note,)), name


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("wte", {"weight": (50, 8, 2)}),
        ("wte", {"weight": (50,)}),
        ("wte", {"weight": None}),
        ("lm_head", {"weight": (8, 5), "bias": (3,)}),
        ("lm_head", {"weight": (8, 5), "scale": (8,)}),
        ("norm", {"weight": (8,), "bias": (4,)}),
        ("norm", {"weight": (8, 8)}),
        ("norm", {"bias": (8,)}),
        ("batch_norm", PAIR),
        ("instance_norm", PAIR),
        ("bn1", PAIR),
        ("weight_norm", ALONE),
        ("patch_embed", TABLE),
        ("overhead_table", TABLE),
        ("0", TABLE),
        ("", TABLE),
    ],
)
def test_what_names_do_not_tell(name: str, shapes: dict[str, tuple[int, ...] | None]) -> None:
    """Against the shapes, beside other tensors, or of a class that would be another."""
    assert by_name(name, shapes, ()) is None


def test_a_layer_with_layers_inside_is_not_told() -> None:
    """A container that happens to hold a table."""
    assert by_name("embedding", TABLE, ("0",)) is None


def tensor(*shape: int) -> Tensor:
    """A tensor in C order."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return view(Storage(str(shape), "float32", 10**9), 0, shape, tuple(reversed(steps)), requires_grad=None)


def read(**shapes: tuple[int, ...]) -> dict[str, Layer]:
    """Layers of a state_dict, `__` for the dots of its names."""
    state = {name.replace("__", "."): tensor(*shape) for name, shape in shapes.items()}
    return {layer.path: layer for layer in layers_of(state, Weigher(lambda _: None, Limits()))[0]}


def layout(layer: Layer) -> str | None:
    """Axis order of a layer's kernel."""
    return next(weight.layout for weight in layer.weights if weight.role.endswith("kernel"))


def test_gpt_2() -> None:
    """Its Conv1D layers put inputs first, the square one too; the head is a Linear."""
    found = read(
        wte__weight=(50, 8), h__ln_1__weight=(8,), h__ln_1__bias=(8,), h__c_attn__weight=(8, 24),
        h__c_attn__bias=(24,), h__c_proj__weight=(8, 8), h__c_proj__bias=(8,), lm_head__weight=(50, 8),
    )  # fmt: skip
    assert {path: layer.kind for path, layer in found.items() if layer.weights} == {
        "wte": "embedding", "h.ln_1": "layer_norm", "h.c_attn": "linear", "h.c_proj": "linear", "lm_head": "linear",
    }  # fmt: skip
    assert [layout(found[path]) for path in ("h.c_attn", "h.c_proj", "lm_head")] == ["in-out", "in-out", "out-in"]
    assert [weight.role for weight in found["h.ln_1"].weights] == ["scale", "offset"]


def test_nano_gpt() -> None:
    """The same names on Linear layers: outputs first."""
    found = read(h__c_attn__weight=(24, 8), h__c_attn__bias=(24,), h__c_proj__weight=(8, 8), h__c_proj__bias=(8,))
    assert [layout(found[path]) for path in ("h.c_attn", "h.c_proj")] == ["out-in", "out-in"]
