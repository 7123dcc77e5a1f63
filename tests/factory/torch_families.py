"""Writes what published architectures call their weights: names, shapes and module classes of tiny models of each.

expected.json: family -> {"weights": {full name: [shape, dtype]}, "modules": {path: class}, "bases": {path: names of
the torch.nn classes that it is one of}}. Modules without own weights are left out. Made by transformers on the meta
device: nothing is downloaded and no value is made.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

warnings.filterwarnings("ignore")
OUT = Path(sys.argv[1])
SIZES = {"vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
DECODERS = {
    "llama": {}, "mistral": {}, "mixtral": {"num_local_experts": 3}, "qwen2": {}, "qwen3": {"head_dim": 8},
    "qwen2_moe": {"num_experts": 3, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 24},
    "gemma": {"head_dim": 8}, "gemma2": {"head_dim": 8}, "phi": {}, "phi3": {"pad_token_id": 0}, "falcon": {},
    "gpt_neox": {}, "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32}, "bloom": {"n_head": 4}, "stablelm": {},
    "cohere": {},    "olmo2": {}, "starcoder2": {}, "gpt_oss": {"num_local_experts": 3, "head_dim": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4},
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    "deepseek_v3": {"n_routed_experts": 4, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2, "q_lora_rank": 16,
                    "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8,
                    "moe_intermediate_size": 16, "first_k_dense_replace": 1},
}  # fmt: skip
ENCODERS = {
    "bert": {}, "roberta": {}, "distilbert": {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4},
    "albert": {"embedding_size": 16}, "electra": {"embedding_size": 16},
    "modernbert": {"pad_token_id": 0}, "deberta-v2": {}, "mpnet": {},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    "bart": {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
             "encoder_attention_heads": 4, "decoder_attention_heads": 4},
    "whisper": {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
                "encoder_attention_heads": 4, "decoder_attention_heads": 4, "pad_token_id": 0},
    "wav2vec2": {"conv_dim": [16] * 7}, "vit": {}, "deit": {}, "dinov2": {}, "beit": {}, "clip": {}, "siglip": {},
    "convnext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}, "mobilenet_v2": {}, "yolos": {},
    "resnet": {"hidden_sizes": [16, 24, 32, 40], "embedding_size": 16, "depths": [1, 1, 1, 1]},
    "swin": {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4]},
    "segformer": {"hidden_sizes": [8, 16, 24, 32], "num_attention_heads": [1, 2, 2, 4]},
}  # fmt: skip
OWN_SIZES = ("swin", "segformer")
"""Families whose settings are lists under the names of `SIZES`."""


def made(kind: str, settings: dict, maker: type) -> torch.nn.Module:
    """A tiny model of a family, without values."""
    config = AutoConfig.for_model(kind)
    sizes = {} if kind in OWN_SIZES else {name: value for name, value in SIZES.items() if hasattr(config, name)}
    config = AutoConfig.for_model(kind, **{**sizes, **settings})
    with torch.device("meta"):
        return maker.from_config(config)


def told(model: torch.nn.Module) -> dict:
    """What PyTorch says of a model."""
    weights = {name: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
               for name, tensor in model.state_dict().items()}  # fmt: skip
    own = {name.rpartition(".")[0] for name in weights}
    modules = {path: module for path, module in model.named_modules() if path in own}
    return {
        "weights": weights,
        "modules": {path: type(module).__name__ for path, module in modules.items()},
        "bases": {path: [base.__name__ for base in type(module).__mro__
                         if base.__module__.startswith("torch.nn.modules") and base.__name__ != "Module"]
                  for path, module in modules.items()},
    }  # fmt: skip


def main() -> None:
    """Every family."""
    found = {}
    for families, maker in ((DECODERS, AutoModelForCausalLM), (ENCODERS, AutoModel)):
        for kind, settings in families.items():
            found[kind] = told(made(kind, settings, maker))
    (OUT / "expected.json").write_text(json.dumps(found))


main()
