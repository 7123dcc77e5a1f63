"""Layers of published architectures by their names alone: held against the classes that the libraries give them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.catalog.named import Stored, describe
from service.config import Limits
from service.tree import Layer
from tests.corpus import expected

CLASSES = {
    "Linear": "linear", "Embedding": "embedding", "LayerNorm": "layer_norm", "Conv1d": "conv1d", "Conv2d": "conv2d",
    "BatchNorm2d": "batch_norm", "GroupNorm": "group_norm", "RMSNorm": "rms_norm", "MultiheadAttention":
    "multi_head_attention", "Conv1D": "linear", "T5LayerNorm": "rms_norm",
}  # fmt: skip
DOUBTFUL = {"cohere": 3, "modernbert": 2, "wav2vec2": 1}
"""Layers whose note names the class that they really are: a LayerNorm without bias, a GroupNorm called layer_norm."""
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "named_families.json").read_text())


def layers_of(weights: Mapping[str, Any]) -> dict[str, Layer]:
    """Layers of named shapes, all of one type."""
    arrays = [Stored(name, tuple(shape), dtype) for name, (shape, dtype) in weights.items()]
    return {layer.path: layer for layer in describe(arrays, Limits()).layers}


def classes(family: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path, kind) of every module whose class has a kind."""
    for path, name in family["modules"].items():
        named = "rms_norm" if "RMSNorm" in name else "layer_norm" if name.endswith("LayerNorm") else None
        kind = next((CLASSES[one] for one in (*family["bases"][path], name) if one in CLASSES), named)
        if kind and "parametrizations" not in path:
            yield path, kind


FAMILIES = (
    "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen2_moe", "gemma", "gemma2", "phi", "phi3", "falcon",
    "gpt_neox", "opt", "bloom", "stablelm", "cohere", "olmo2", "starcoder2", "gpt_oss", "gpt2", "gptj", "gpt_neo",
    "deepseek_v3", "bert", "roberta", "distilbert", "albert", "electra", "modernbert", "deberta-v2", "mpnet", "t5",
    "bart", "whisper", "wav2vec2", "vit", "deit", "dinov2", "beit", "clip", "siglip", "convnext", "mobilenet_v2",
    "yolos", "resnet", "swin", "segformer",
)  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_kinds_are_those_of_the_classes(name: str) -> None:
    """Every layer is of its class's kind; where a name misleads, a note says what else it may be."""
    family = expected("torch_families")[name]
    found = layers_of(family["weights"])
    wrong = {path: kind for path, kind in classes(family) if found[path].kind != kind}
    assert len(wrong) == DOUBTFUL.get(name, 0), wrong
    assert all(found[path].notes for path in wrong)
    assert len(list(classes(family))) > 10


@pytest.mark.parametrize("name", GOLDEN)
def test_kinds_of_diffusion_and_convolutional_models(name: str) -> None:
    """Every layer is of its class's kind."""
    family = GOLDEN[name]
    found = layers_of({path: (shape, "float32") for path, shape in family["weights"].items()})
    assert {path: found[path].kind for path in family["kinds"]} == family["kinds"]


PROJECTIONS = {
    "llama": ("model.layers.0.self_attn.", "q_proj k_proj v_proj o_proj"),
    "mixtral": ("model.layers.1.self_attn.", "q_proj k_proj v_proj o_proj"),
    "opt": ("model.decoder.layers.0.self_attn.", "q_proj k_proj v_proj out_proj"),
    "bert": ("encoder.layer.0.attention.", "self.query self.key self.value output.dense"),
    "distilbert": ("transformer.layer.0.attention.", "q_lin k_lin v_lin out_lin"),
    "t5": ("decoder.block.0.layer.1.EncDecAttention.", "q k v o"),
    "whisper": ("decoder.layers.0.encoder_attn.", "q_proj k_proj v_proj out_proj"),
    "clip": ("vision_model.encoder.layers.0.self_attn.", "q_proj k_proj v_proj out_proj"),
}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_projections_of_an_attention(name: str) -> None:
    """Query, key, value and output are Linear layers whose roles say what they are, by rule."""
    found = layers_of(expected("torch_families")[name]["weights"])
    above, steps = PROJECTIONS[name]
    for step, part in zip(steps.split(), ("query", "key", "value", "output"), strict=True):
        layer = found[above + step]
        assert (layer.kind, layer.type_source) == ("linear", "rule")
        assert {weight.role for weight in layer.weights} <= {f"{part}_kernel", f"{part}_bias"}
        assert layer.weights[0].layout == "out-in"


@pytest.mark.parametrize(
    ("name", "path"),
    [("gpt2", "transformer.h.0.attn.c_attn"), ("gpt_neox", "gpt_neox.layers.0.attention.query_key_value"),
     ("phi3", "model.layers.0.self_attn.qkv_proj"), ("falcon", "transformer.h.0.self_attention.query_key_value"),
     ("modernbert", "layers.0.attn.Wqkv")],
)  # fmt: skip
def test_projections_in_one(name: str, path: str) -> None:
    """Query, key and value made by one layer."""
    assert layers_of(expected("torch_families")[name]["weights"])[path].weights[0].role == "qkv_kernel"


def test_the_same_name_elsewhere_is_no_attention() -> None:
    """`c_proj` of GPT-2 and `wo` of T5 belong to the attention or to the MLP, as the step before tells."""
    gpt, t5 = (layers_of(expected("torch_families")[name]["weights"]) for name in ("gpt2", "t5"))
    assert gpt["transformer.h.0.attn.c_proj"].weights[0].role == "output_kernel"
    assert gpt["transformer.h.0.mlp.c_proj"].weights[0].role == "kernel"
    assert t5["encoder.block.0.layer.1.DenseReluDense.wo"].weights[0].role == "kernel"


def test_experts_in_one_array() -> None:
    """Mixtral's experts are parameters of one module: their kernels are told, no class is."""
    layer = layers_of(expected("torch_families")["mixtral"]["weights"])["model.layers.0.mlp.experts"]
    assert (layer.kind, {weight.role for weight in layer.weights}) == ("parameter", {"kernel"})


def test_buffers_are_told_from_parameters() -> None:
    """Rotary frequencies and causal masks are not learned by gradient."""
    found = layers_of({
        "layers.0.rotary_emb.inv_freq": ((16,), "float32"), "h.0.attn.bias": ((1, 1, 8, 8), "float32"),
        "h.0.attn.masked_bias": ((), "float32"), "embeddings.position_ids": ((1, 9), "int64"),
    })  # fmt: skip
    held = {weight.stored_as: (weight.role, weight.group, weight.trainable_source)
            for layer in found.values() for weight in layer.weights}  # fmt: skip
    assert held == {
        "layers.0.rotary_emb.inv_freq": ("constant", "statistic", "rule"),
        "h.0.attn.bias": ("mask", "statistic", "rule"),
        "h.0.attn.masked_bias": ("mask", "statistic", "rule"),
        "embeddings.position_ids": ("position_ids", "statistic", "rule"),
    }


def test_names_of_llama_cpp() -> None:
    """GGUF: blocks of a quantisation are frozen, norms and the rest as the file does not say; experts in one array."""
    found = layers_of({
        "token_embd.weight": ((100, 64), "q6_k"), "blk.0.attn_norm.weight": ((64,), "float32"),
        "blk.0.attn_q.weight": ((64, 64), "q4_k"), "blk.0.attn_k.weight": ((16, 64), "q4_k"),
        "blk.0.attn_v.weight": ((16, 64), "q6_k"), "blk.0.attn_output.weight": ((64, 64), "q4_k"),
        "blk.0.ffn_gate_exps.weight": ((4, 96, 64), "iq2_xs"), "blk.0.ffn_gate_inp.weight": ((4, 64), "float32"),
        "blk.0.ffn_norm.weight": ((64,), "float32"), "output_norm.weight": ((64,), "float32"),
        "output.weight": ((100, 64), "q6_k"), "rope_freqs.weight": ((32,), "float32"),
    })  # fmt: skip
    held = {path: (layer.kind, layer.weights[0].role, layer.weights[0].group)
            for path, layer in found.items() if layer.weights}  # fmt: skip
    assert held == {
        "token_embd": ("embedding", "embedding", "frozen"), "blk.0.attn_norm": ("rms_norm", "scale", "unknown"),
        "blk.0.attn_q": ("linear", "query_kernel", "frozen"), "blk.0.attn_k": ("linear", "key_kernel", "frozen"),
        "blk.0.attn_v": ("linear", "value_kernel", "frozen"),
        "blk.0.attn_output": ("linear", "output_kernel", "frozen"),
        "blk.0.ffn_gate_exps": ("linear", "kernel", "frozen"), "blk.0.ffn_gate_inp": ("linear", "kernel", "unknown"),
        "blk.0.ffn_norm": ("rms_norm", "scale", "unknown"), "output_norm": ("rms_norm", "scale", "unknown"),
        "output": ("linear", "kernel", "frozen"), "rope_freqs": ("unknown", "constant", "statistic"),
    }  # fmt: skip


def test_yolo() -> None:
    """Convolutions without bias behind which a batch norm stands are told by it; those of the head by their bias."""
    norm = {f"model.0.bn.{name}": ((16,), "float32") for name in ("weight", "bias", "running_mean", "running_var")}
    found = layers_of({
        "model.0.conv.weight": ((16, 3, 3, 3), "float32"), **norm, "model.0.bn.num_batches_tracked": ((), "int64"),
        "model.22.cv2.0.2.weight": ((64, 16, 1, 1), "float32"), "model.22.cv2.0.2.bias": ((64,), "float32"),
        "model.22.dfl.conv.weight": ((1, 16, 1, 1), "float32"),
    })  # fmt: skip
    assert [found[path].kind for path in ("model.0.conv", "model.0.bn", "model.22.cv2.0.2", "model.22.dfl.conv")] == [
        "conv2d", "batch_norm", "conv2d", "conv2d",
    ]  # fmt: skip
    assert not found["model.0.conv"].notes
    assert found["model.22.dfl.conv"].notes
