"""config.json against the arrays beside it: every family right is silent, every wrong size is named once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.catalog import hf_adapter
from service.catalog.hf_checks import check
from service.catalog.named import Stored
from tests.corpus import expected
from tests.service.readers.hf_uploads import folder

EXPECTED: dict[str, dict[str, Any]] = expected("torch_safetensors")
FAMILIES = ["llama", "llama_tied", "qwen2", "mixtral", "gpt2", "bert", "t5", "vit", "whisper"]


def arrays(name: str, **changed: tuple[int, ...]) -> list[Stored]:
    """The arrays of a folder; those whose names end in a key of `changed` with another shape."""
    found = []
    for key, facts in EXPECTED[name]["weights"].items():
        shape = next((new for end, new in changed.items() if key.endswith(f"{end}.weight")), tuple(facts["shape"]))
        found.append(Stored(name=key, shape=shape, dtype=facts["dtype"]))
    return found


def config(name: str, **changed: Any) -> dict[str, Any]:
    return {**json.loads(folder(name)["config.json"]), **changed}


def told(name: str, **changed: Any) -> list[str]:
    return [str(one.what) for one in check(config(name, **changed), arrays(name))]


@pytest.mark.parametrize("name", FAMILIES)
def test_right_configurations_are_not_doubted(name: str) -> None:
    """As the library wrote them."""
    assert told(name) == []


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        (
            "llama",
            {"vocab_size": 102},
            "vocab_size of the configuration, by the shape of model.embed_tokens.weight: 102 is",
        ),
        ("llama", {"vocab_size": 100}, "vocab_size of the configuration"),
        (
            "llama",
            {"num_hidden_layers": 4},
            "num_hidden_layers of the configuration, by the layers in model.layers: 4 is",
        ),
        ("llama", {"num_hidden_layers": 2}, "2 is declared, 3 were counted."),
        (
            "llama",
            {"intermediate_size": 47},
            "intermediate_size of the configuration, by the shape of model.layers.0.mlp",
        ),
        ("llama", {"num_attention_heads": 5}, "num_attention_heads x head_dim"),
        ("llama", {"num_key_value_heads": 4}, "num_key_value_heads x head_dim"),
        ("llama", {"head_dim": 16, "num_key_value_heads": None, "num_attention_heads": 3}, "num_attention_heads x"),
        ("llama", {"dtype": "bfloat16"}, "The configuration says bfloat16; the weights are float32."),
        ("llama", {"torch_dtype": "torch.float16", "dtype": None}, "The configuration says float16"),
        ("llama", {"tie_word_embeddings": True}, "ties the output layer to the embedding"),
        ("llama_tied", {"tie_word_embeddings": False}, "the output layer has weights of its own"),
        ("gpt2", {"n_embd": 64}, "n_embd of the configuration, by the shape of transformer.wte.weight: 64 is"),
        ("gpt2", {"n_layer": 12}, "n_layer of the configuration, by the layers in transformer.h: 12 is"),
        ("bert", {"intermediate_size": 50}, "intermediate_size of the configuration"),
        ("bert", {"hidden_size": 64}, "hidden_size of the configuration"),
        ("vit", {"num_hidden_layers": 12}, "num_hidden_layers of the configuration"),
        ("t5", {"d_model": 64}, "d_model of the configuration, by the shape of shared.weight"),
    ],
)
def test_a_wrong_size_is_named_once(name: str, changed: dict[str, Any], words: str) -> None:
    """With both numbers and the array that has the other."""
    (found,) = told(name, **changed)
    assert words in found


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("llama", {"vocab_size": None}),
        ("llama", {"vocab_size": "101"}),
        ("llama", {"num_hidden_layers": 2, "num_nextn_predict_layers": 1}),
        ("llama", {"num_attention_heads": 5, "num_key_value_heads": 5, "kv_lora_rank": 4}),
        ("llama", {"num_attention_heads": 2, "num_key_value_heads": None, "hidden_size": 32, "head_dim": 8}),
        ("llama", {"vision_config": {"hidden_size": 9}, "vocab_size": 7}),
        ("llama", {"intermediate_size": [48, 48]}),
        ("bert", {"embedding_size": 32, "hidden_size": 64, "num_attention_heads": None}),
        ("whisper", {"num_hidden_layers": 9, "d_model": 32}),
    ],
)
def test_what_is_not_sure_is_not_said(name: str, changed: dict[str, Any]) -> None:
    """Settings that are missing or lists, layers beside the stack, compressed or gated heads, several towers."""
    assert told(name, **changed) == []


def test_padded_vocabularies_are_right() -> None:
    """More rows than words, up to a multiple of eight; one more word than declared is wrong."""
    for rows, wrong in ((104, 0), (128, 0), (102, 1), (96, 1)):
        found = check(config("gpt2"), arrays("gpt2", wte=(rows, 32)))
        assert len(found) == wrong


def test_packed_weights_and_unknown_shapes_are_passed_over() -> None:
    """Integers in the place of numbers, and arrays of which only the names are known."""
    packed = [Stored(one.name, one.shape, "uint8") for one in arrays("llama")]
    unknown = [Stored(one.name, None, None) for one in arrays("llama")]
    wrong = config("llama", vocab_size=9, hidden_size=9, intermediate_size=9, num_attention_heads=3)
    assert check(wrong, packed) == check(wrong, unknown) == []


def test_hostile_names_are_no_bug() -> None:
    """Dots without steps, and numbers beyond any layer."""
    names = ["", ".", "..", "weight", ".weight", "layers.", "layers.99999999999999999999.w", "layers..0.weight", "h.0."]
    assert isinstance(check(config("llama"), [Stored(name, (2, 3), "float32") for name in names]), list)


PAIRS = [
    Stored("m.q_proj.lora_A.weight", (4, 32), "float32"),
    Stored("m.q_proj.lora_B.weight", (32, 4), "float32"),
    Stored("m.embed.lora_embedding_A", (4, 101), "float32"),
    Stored("m.v_proj.lora_A.default.weight", (8, 32), "float32"),
    Stored("m.conv.lora_A.weight", (4, 3, 3, 3), "float32"),
    Stored("m.q_proj.lora_magnitude_vector", (32,), "float32"),
]


@pytest.mark.parametrize(
    ("adapter", "wrong"),
    [
        ({"peft_type": "LORA", "r": 4}, 1),
        ({"peft_type": "LORA", "r": 4, "rank_pattern": {"v_proj": 8}}, 0),
        ({"peft_type": "LORA", "r": 2}, 5),
        ({"peft_type": "LORA", "r": 4, "target_parameters": ["experts.up"]}, 0),
        ({"peft_type": "LORA", "r": "4"}, 0),
        ({"peft_type": "IA3", "r": 4}, 0),
        ({"peft_type": "LORA"}, 0),
    ],
)
def test_ranks_are_held_against_the_pairs(adapter: dict[str, Any], wrong: int) -> None:
    """The rank of the configuration, or of its pattern, along the right axis of each array of a pair."""
    found = hf_adapter.check(adapter, PAIRS)
    assert len(found) == wrong
    if wrong == 1:
        assert str(found[0].what) == "The rank of m.v_proj.lora_A.default.weight: 4 is declared, 8 were counted."
