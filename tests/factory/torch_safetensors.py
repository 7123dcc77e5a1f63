"""Writes Hugging Face folders with transformers, huggingface_hub and safetensors, into the folder given.

expected.json: folder -> {"weights": {name: {shape, dtype, file}}, "parameters": as the library counts them, tied once,
"ties": {left out: kept}}. Every folder is one model; the adapter's is made by hand, in the form that PEFT writes.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import safe_open
from safetensors.torch import save_file, save_model
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

warnings.filterwarnings("ignore")
torch.manual_seed(0)
OUT = Path(sys.argv[1])
EXPECTED: dict[str, dict] = {}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 101,
}


def models() -> dict[str, PreTrainedModel]:
    """One small model of each of the common families."""
    return {
        "llama": LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2)),
        "llama_tied": LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True)),
        "qwen2": Qwen2ForCausalLM(Qwen2Config(**SMALL, num_key_value_heads=2, tie_word_embeddings=True)),
        "mixtral": MixtralForCausalLM(MixtralConfig(**SMALL, num_key_value_heads=2, num_local_experts=4)),
        "gpt2": GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=101, n_positions=16)),
        "bert": BertForMaskedLM(BertConfig(**SMALL, max_position_embeddings=16)),
        "t5": T5ForConditionalGeneration(
            T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=3, num_heads=4, vocab_size=101)
        ),
        "vit": ViTForImageClassification(
            ViTConfig(**{k: v for k, v in SMALL.items() if k != "vocab_size"}, image_size=32, patch_size=8)
        ),
        "whisper": WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=101, d_model=32, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4,
                decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, num_mel_bins=16,
                max_source_positions=20, max_target_positions=20, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
            )
        ),
    }  # fmt: skip


def note(name: str, model: nn.Module | None = None) -> None:
    """What the safetensors library reads in the files of a folder."""
    weights = {}
    for path in sorted((OUT / name).glob("*.safetensors")):
        with safe_open(path, "pt") as opened:
            for key in opened.keys():  # noqa: SIM118 - no mapping
                tensor = opened.get_tensor(key)
                dtype = str(tensor.dtype).removeprefix("torch.")
                weights[key] = {"shape": list(tensor.shape), "dtype": dtype, "file": path.name}
    EXPECTED[name] = {"weights": weights}
    if model is not None:
        EXPECTED[name]["parameters"] = sum(parameter.numel() for parameter in model.parameters())


def save(name: str, model: PreTrainedModel, **how: object) -> None:
    """One folder as the library writes it."""
    model.save_pretrained(OUT / name, **how)
    note(name, model)


def save_bins(name: str, model: PreTrainedModel) -> None:
    """Shards of torch.save and their index, as the library wrote them up to its version 4."""
    folder = OUT / name
    folder.mkdir()
    state = model.state_dict()
    split = split_torch_state_dict_into_shards(
        state, filename_pattern="pytorch_model{suffix}.bin", max_shard_size=20_000
    )
    for file, keys in split.filename_to_tensors.items():
        torch.save({key: state[key] for key in keys}, folder / file)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2, sort_keys=True))
    model.config.dtype = model.dtype
    model.config.save_pretrained(folder)
    weights = {
        key: {
            "shape": list(tensor.shape),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "file": split.tensor_to_filename[key],
        }
        for key, tensor in state.items()
        if key in split.tensor_to_filename
    }
    EXPECTED[name] = {"weights": weights, "parameters": sum(one.numel() for one in model.parameters())}


def save_adapter(name: str, rank: int) -> None:
    """Pairs on two projections of three layers, under PEFT's names, and its configuration."""
    folder = OUT / name
    folder.mkdir()
    pairs = {}
    for layer in range(3):
        for target in ("q_proj", "v_proj"):
            path = f"base_model.model.model.layers.{layer}.self_attn.{target}"
            pairs[f"{path}.lora_A.weight"] = torch.randn(rank, 32)
            pairs[f"{path}.lora_B.weight"] = torch.randn(32, rank)
    save_file(pairs, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "bias": "none",
        "task_type": "CAUSAL_LM", "base_model_name_or_path": "some/llama", "rank_pattern": {}, "alpha_pattern": {},
        "lora_dropout": 0.0, "modules_to_save": None, "fan_in_fan_out": False, "inference_mode": True,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    note(name)


class Tied(nn.Module):
    """Two names for one weight, which `safetensors.torch.save_model` notes in the metadata."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight


def save_types(name: str) -> None:
    """One array of every element type that PyTorch and the library share."""
    folder = OUT / name
    folder.mkdir()
    types = [
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.float16, torch.bfloat16, torch.int32,
        torch.uint32, torch.float32, torch.float64, torch.int64, torch.uint64, torch.complex64, torch.float8_e4m3fn,
        torch.float8_e5m2, torch.float8_e8m0fnu,
    ]  # fmt: skip
    arrays = {f"of_{one}".replace("torch.", ""): torch.zeros(3, 4).to(one) for one in types}
    save_file({**arrays, "scalar": torch.tensor(1.5), "empty": torch.zeros(0, 5)}, folder / "types.safetensors")
    note(name)


def main() -> None:
    """All folders."""
    made = models()
    for name, model in made.items():
        save(name, model)
    save("llama_shards", made["llama"], max_shard_size=20_000)
    save("gpt2_half", made["gpt2"].half(), max_shard_size=10_000)
    save_bins("llama_bins", made["llama"])
    save_bins("bert_bin", made["bert"].bfloat16())
    save_adapter("adapter", 4)
    save_adapter("adapter_wrong", 6)
    tied = Tied()
    (OUT / "tied").mkdir()
    save_model(tied, str(OUT / "tied" / "model.safetensors"))
    note("tied", tied)
    EXPECTED["tied"]["ties"] = dict(safe_open(OUT / "tied" / "model.safetensors", "pt").metadata())
    save_types("types")
    (OUT / "expected.json").write_text(json.dumps(EXPECTED))


main()
