"""Named arrays as layers: trees, ties, low-rank pairs, other frameworks' names, limits; the same for every format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.named import Named, Stored, describe
from service.config import Limits
from service.enrich.explain import explained
from service.errors import LimitExceeded
from service.tree import Layer, Location, element_count


def read(**shapes: tuple[int, ...] | None) -> Named:
    """Arrays by name, `__` for the dots."""
    arrays = [Stored(name.replace("__", "."), shape, "float32") for name, shape in shapes.items()]
    return describe(arrays, Limits())


def layers(found: Named) -> dict[str, Layer]:
    """Layers by path."""
    return {layer.path: layer for layer in found.layers}


def roles(layer: Layer) -> dict[str, str]:
    """Roles by name."""
    return {weight.name: weight.role for weight in layer.weights}


def test_a_tree_from_names() -> None:
    """Parents before children, in the order of the file; places and keys as they were given."""
    place = Location(member="a.safetensors", offset=8, length=24)
    found = describe(
        [Stored("b.fc.weight", (2, 3), "float32", 24, place, stored_as="x/y"), Stored("a.bias", (2,), "int8")], Limits()
    )
    assert [(layer.path, layer.parent, layer.kind) for layer in found.layers] == [
        ("b", None, "container"), ("b.fc", "b", "linear"), ("a", None, "unknown"),
    ]  # fmt: skip
    weight = found.layers[1].weights[0]
    assert (weight.stored_as, weight.location, weight.bytes, weight.count) == ("x/y", place, 24, 6)
    assert (found.layers[1].type, found.layers[1].type_source) == (None, "rule")
    assert found.layers[2].type_source == "unknown"


def test_another_separator() -> None:
    """Paths and ties are written as the framework writes them."""
    arrays = [Stored("a.b.weight", (2, 3), "float32", identity=1), Stored("a.c.weight", (2, 3), "float32", identity=1)]
    found = layers(describe(arrays, Limits(), separator="/"))
    assert list(found) == ["a", "a/b", "a/c"]
    assert (found["a/c"].parent, found["a/c"].weights[0].tied_to) == ("a", "a/b/weight")


def test_ties_by_identity_only() -> None:
    """Equal sizes are not equal bytes."""
    arrays = [Stored(f"{name}.weight", (9, 4), "float32", identity=identity)
              for name, identity in (("wte", "x"), ("head", "x"), ("other", None), ("more", None))]  # fmt: skip
    ties = {layer.path: layer.weights[0].tied_to for layer in describe(arrays, Limits()).layers}
    assert ties == {"wte": None, "head": "wte.weight", "other": None, "more": None}


def test_what_the_file_says_is_recorded() -> None:
    """Trainability and statistics that a file states are not concluded."""
    arrays = [Stored("a.weight", (2,), "float32", trainable=True), Stored("a.bias", (2,), "float32", trainable=False),
              Stored("a.other", (2,), "float32", statistic=True)]  # fmt: skip
    held = [(one.group, one.trainable, one.trainable_source) for one in describe(arrays, Limits()).layers[0].weights]
    assert held == [("trainable", True, "recorded"), ("frozen", False, "recorded"), ("statistic", False, "recorded")]


PEFT = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize("adapter", ["", ".default"])
def test_low_rank_pairs_of_peft(adapter: str) -> None:
    """Both halves are one layer: rank × (inputs + outputs)."""
    arrays = [Stored(f"{PEFT}.lora_A{adapter}.weight", (8, 64), "float32"),
              Stored(f"{PEFT}.lora_B{adapter}.weight", (32, 8), "float32")]  # fmt: skip
    layer = describe(arrays, Limits()).layers[-1]
    assert (layer.path, layer.kind, layer.type_source) == (PEFT, "linear", "rule")
    assert [weight.role for weight in layer.weights] == ["lora_a", "lora_b"]
    explanation = explained(layer, "torch")[0]
    assert explanation is not None
    assert (explanation.formula, explanation.status) == ("8 × (64 + 32) = 768", "complete")


def test_low_rank_pairs_beside_their_kernel() -> None:
    """The kernel stays in its own layer, told by the name of what wraps it; two adapters are two pairs."""
    arrays = [Stored(f"{PEFT}.base_layer.weight", (32, 64), "float32")]
    for name, rank in (("one", 8), ("two", 4)):
        arrays.append(Stored(f"{PEFT}.lora_A.{name}.weight", (rank, 64), "float32"))
        arrays.append(Stored(f"{PEFT}.lora_B.{name}.weight", (32, rank), "float32"))
    found = layers(describe(arrays, Limits()))
    assert roles(found[f"{PEFT}.base_layer"]) == {"weight": "query_kernel"}
    explanation = explained(found[PEFT], "torch")[0]
    assert explanation is not None
    assert explanation.formula == "8 × (64 + 32) + 4 × (64 + 32) = 1152"


@pytest.mark.parametrize(
    ("down", "up", "formula"),
    [((4, 64), (32, 4), "4 × (64 + 32) = 384"), ((4, 64, 3, 3), (32, 4, 1, 1), "4 × (576 + 32) = 2432")],
)
def test_low_rank_pairs_of_kohya(down: tuple[int, ...], up: tuple[int, ...], formula: str) -> None:
    """Flat names, alpha beside the pair: no parameter."""
    path = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    arrays = [Stored(f"{path}.alpha", (), "float32"), Stored(f"{path}.lora_down.weight", down, "float32"),
              Stored(f"{path}.lora_up.weight", up, "float32")]  # fmt: skip
    layer = describe(arrays, Limits()).layers[0]
    assert (layer.path, layer.kind) == (path, "linear")
    assert roles(layer) == {"alpha": "constant", "lora_down.weight": "lora_a", "lora_up.weight": "lora_b"}
    explanation = explained(layer, "torch")[0]
    assert explanation is not None
    assert explanation.formula == formula


def test_low_rank_pairs_with_lengths() -> None:
    """DoRA adds one length per output; the pair of a table is an embedding's."""
    arrays = [Stored(f"{PEFT}.lora_A.weight", (4, 16), "float32"), Stored(f"{PEFT}.lora_B.weight", (8, 4), "float32"),
              Stored(f"{PEFT}.lora_magnitude_vector", (8,), "float32"),
              Stored("embed_tokens.lora_embedding_A", (4, 64), "float32"),
              Stored("embed_tokens.lora_embedding_B", (16, 4), "float32")]  # fmt: skip
    found = layers(describe(arrays, Limits()))
    explanation = explained(found[PEFT], "torch")[0]
    assert explanation is not None
    assert (explanation.formula, explanation.status) == ("4 × (16 + 8) + 8 = 104", "complete")
    assert found["embed_tokens"].kind == "embedding"


def test_half_a_pair_is_summed_up() -> None:
    """Without the other half there is no pair to explain."""
    layer = read(fc__lora_A__weight=(8, 64)).layers[0]
    explanation = explained(layer, "torch")[0]
    assert explanation is not None
    assert (explanation.formula, explanation.status) == ("8 × 64 = 512", "partial")


def test_batch_norm_of_five_or_four() -> None:
    """PyTorch's five, Flax' four, Keras' four, Paddle's four."""
    for names in ("weight bias running_mean running_var num_batches_tracked", "scale bias mean var",
                  "gamma beta moving_mean moving_variance", "weight bias _mean _variance"):  # fmt: skip
        sizes = {f"bn__{name}": () if name == "num_batches_tracked" else (8,) for name in names.split()}
        layer = read(**sizes).layers[0]
        assert layer.kind == "batch_norm", names
        assert [weight.role for weight in layer.weights][:4] == ["scale", "offset", "moving_mean", "moving_variance"]
        assert [weight.group for weight in layer.weights][2:4] == ["statistic", "statistic"]


def test_flax() -> None:
    """Kernels end in the outputs; attention has a head axis; a convolution might be a transposed one, and says so."""
    found = layers(read(
        dense__kernel=(8, 10), dense__bias=(10,), conv__kernel=(3, 3, 4, 8), embed__embedding=(50, 8),
        attn__query__kernel=(64, 4, 16), attn__query__bias=(4, 16), ln__scale=(8,), ln__bias=(8,), rms__scale=(8,),
    ))  # fmt: skip
    held = {path: (layer.kind, layer.weights[0].role, layer.weights[0].layout, bool(layer.notes))
            for path, layer in found.items() if layer.weights}  # fmt: skip
    assert held == {
        "dense": ("linear", "kernel", "in-out", False), "conv": ("conv2d", "kernel", "HWIO", True),
        "embed": ("embedding", "embedding", None, False), "attn.query": ("einsum_dense", "kernel", None, False),
        "ln": ("layer_norm", "scale", None, True), "rms": ("rms_norm", "scale", None, True),
    }  # fmt: skip


def test_paddle() -> None:
    """Layers that Paddle named by itself say their class; a Linear has its inputs first."""
    arrays = [Stored("linear_0.w_0", (10, 10), "float32"), Stored("linear_0.b_0", (10,), "float32"),
              Stored("batch_norm2d_3.w_0", (8,), "float32"), Stored("batch_norm2d_3.b_0", (8,), "float32"),
              Stored("batch_norm2d_3.w_1", (8,), "float32"), Stored("batch_norm2d_3.w_2", (8,), "float32")]  # fmt: skip
    linear, norm = describe(arrays, Limits(), layouts="paddle").layers
    assert (linear.kind, linear.weights[0].layout, linear.notes) == ("linear", "in-out", ())
    assert (norm.kind, list(roles(norm).values())) == (
        "batch_norm", ["scale", "offset", "moving_mean", "moving_variance"],
    )  # fmt: skip


def test_mlx_convolutions() -> None:
    """Outputs first, inputs last."""
    arrays = [Stored("conv.weight", (8, 3, 3, 4), "float32"), Stored("conv.bias", (8,), "float32")]
    assert describe(arrays, Limits(), layouts="mlx").layers[0].weights[0].layout == "OHWI"


def test_limits() -> None:
    """More arrays or layers than allowed; a path of thousands of steps is no path."""
    many = [Stored(f"a{index}.weight", (2,), "float32") for index in range(5)]
    assert len(describe(many, Limits(layers=5, weights=5)).layers) == 5
    with pytest.raises(LimitExceeded):
        describe(many, Limits(layers=4))
    with pytest.raises(LimitExceeded):
        describe(many, Limits(weights=4))
    deep = describe([Stored("a." * 5000 + "w", (2,), "float32")], Limits()).layers
    assert [layer.path for layer in deep] == ["."]


STEPS = ("weight", "bias", "scales", "qweight", "lora_A", "lora_B", "absmax", "0", "q_proj", "norm", "conv", "kernel",
         ".", "é", "parametrizations", "original0", "quant_state", "alpha", "running_mean", "running_var")  # fmt: skip
NAMES = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4).map(".".join)
SHAPES = st.none() | st.lists(st.integers(0, 6), max_size=5).map(tuple)
DTYPES = st.sampled_from(["float32", "int32", "uint8", "uint32", "q4_k", "bool", None])


@given(st.dictionaries(NAMES, st.tuples(SHAPES, DTYPES), max_size=8))
def test_any_arrays_are_described(arrays: dict[str, tuple[tuple[int, ...] | None, str | None]]) -> None:
    """Every array becomes one weight, with its bytes; every path is there once, after its parent; counts are sizes."""
    found = describe([Stored(name, shape, dtype, 7) for name, (shape, dtype) in arrays.items()], Limits())
    held = [weight for layer in found.layers for weight in layer.weights]
    assert len(held) + sum(len(state.weights) for state in found.states) == len(arrays)
    assert all(weight.bytes == 7 for weight in held)
    paths = [layer.path for layer in found.layers]
    assert len(set(paths)) == len(paths)
    for layer in found.layers:
        assert layer.parent is None or paths.index(layer.parent) < paths.index(layer.path)
    for weight in held:
        assert weight.shape is None or weight.count == element_count(weight.shape)
