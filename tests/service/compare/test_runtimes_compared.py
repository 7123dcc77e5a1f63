"""A network of PyTorch's as ncnn, ExecuTorch and llama.cpp keep it: proved equal, and planted mistakes named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import safetensors.numpy

from service.values.opening import open_values
from tests.corpus import ROOT, corpus_dir
from tests.service.compare.formats import (
    RECURRENT,
    Arrays,
    Files,
    both_ways,
    codes,
    files,
    network,
    proved,
    regated,
    report,
    torch,
    upload,
    verdicts,
)

# ncnn and ExecuTorch


def ncnn(order: str) -> Files:
    """A convolution, a linear layer and an LSTM in both directions, whose gates get this order."""
    lines = [
        "7767517", "5 5", "Input x 0 1 x", "Convolution conv 1 1 x y 0=8 1=3 5=1 6=216",
        "InnerProduct square 1 1 y z 0=16 1=1 2=256", "Input s 0 1 s", "LSTM rnn 1 1 s t 0=7 1=280 2=2",
    ]  # fmt: skip
    gates = tuple("ifgo".index(gate) for gate in order)
    ends = ("", "_reverse")

    def stacked(name: str) -> np.ndarray:
        return np.stack([regated(RECURRENT[f"rnn.{name}_l0{end}"], gates) for end in ends])

    flagged = {"conv.weight", "square.weight", "W", "B", "R"}
    arrays = {name: network()[name] for name in ("conv.weight", "conv.bias", "square.weight", "square.bias")}
    arrays |= {"W": stacked("weight_ih"), "B": stacked("bias_ih") + stacked("bias_hh"), "R": stacked("weight_hh")}
    data = b"".join(bytes(4 if name in flagged else 0) + np.ascontiguousarray(array).tobytes()
                    for name, array in arrays.items())  # fmt: skip
    return {"m.param": "\n".join(lines).encode() + b"\n", "m.bin": data}


def for_ncnn() -> Files:
    """The same as a state_dict."""
    held = {name: array for name, array in network().items() if name.startswith(("conv", "square"))}
    return torch({**held, **{name: array for name, array in RECURRENT.items() if name.startswith("rnn")}})


def test_ncnn() -> None:
    """Gates i, f, o, g with one bias for both; in PyTorch's order they are named."""
    found = both_ways(for_ncnn(), ncnn("ifog"))
    assert [(cause.code, cause.count) for cause in found.causes] == [("second_bias", -56)]
    assert codes(found)["rnn", "weight_hh_l0"] == "stack + gate_order"
    assert {problem.code for problem in proved(for_ncnn(), ncnn("ifgo")).problems} == {"gate_order"}


def test_executorch() -> None:
    """A program against a state_dict with its numbers, in PyTorch's names; and with one matrix transposed."""
    program = files(ROOT / "tests" / "service" / "readers" / "executorch_programs" / "plain.pte")
    told = report(program)
    values = open_values(upload(program), told)
    names = {"convolution": "conv", "_native_batch_norm_legit_no_training": "bn", "embedding": "emb", "addmm": "fc",
             "mm": "fc2"}  # fmt: skip
    arrays = {
        f"{names[layer.path]}.{weight.name}": values.of(layer, weight).array()
        for layer in told.layers if layer.path in names for weight in layer.weights
    }  # fmt: skip
    found = proved(torch(arrays), program)
    assert found.problems == ()
    assert verdicts(found) == {"equal"}
    assert found.unexplained == 0
    pairs = {pair.left: pair.right for pair in found.layers if pair.left and pair.right and pair.weights}
    assert pairs == {ours: theirs for theirs, ours in names.items()}
    assert found.causes == ()  # the second use of one matrix counts nowhere
    problems = proved(torch({**arrays, "fc2.weight": arrays["fc2.weight"].T}), program).problems
    assert [problem.code for problem in problems] == ["not_transposed"]


# GGUF


def llama() -> tuple[Files, dict[str, np.ndarray], int]:
    """A small Llama as Hugging Face saves it, its arrays and its number of heads."""
    folder = corpus_dir("torch_safetensors") / "llama"
    arrays = {name: array for path in folder.glob("*.safetensors")
              for name, array in safetensors.numpy.load_file(path).items()}  # fmt: skip
    return files(folder), arrays, json.loads((folder / "config.json").read_text())["num_attention_heads"]


_BLOCKS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
_OTHERS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def permuted(array: np.ndarray, heads: int) -> np.ndarray:
    """As `LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py."""
    return array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def to_gguf(path: Path, arrays: Arrays, change: Callable[[str, np.ndarray], np.ndarray]) -> Files:
    """The arrays under llama.cpp's names."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(3)
    for name, array in arrays.items():
        owner = name.removesuffix(".weight")
        steps = owner.split(".")
        called = _OTHERS.get(owner) or f"blk.{steps[2]}.{_BLOCKS['.'.join(steps[3:])]}"
        writer.add_tensor(f"{called}.weight", np.ascontiguousarray(change(owner, array).astype(np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return files(path)


def turned(owner: str, array: np.ndarray) -> np.ndarray:
    """What llama.cpp's script does with query and key; the keys have half as many heads."""
    heads = llama()[2]
    if owner.endswith("q_proj"):
        return permuted(array, heads)
    return permuted(array, heads // 2) if owner.endswith("k_proj") else array


def test_gguf_of_a_llama(tmp_path: Path) -> None:
    """Query and key rows in llama.cpp's order are a transform, told with the number of heads."""
    given, arrays, heads = llama()
    found = both_ways(given, to_gguf(tmp_path / "m.gguf", arrays, turned))
    told = codes(found)
    assert told["model.layers.0.self_attn.q_proj", "weight"] == "rotary_order"
    assert told["model.layers.0.self_attn.v_proj", "weight"] == "identity"
    query = next(pair for pair in found.layers if pair.left == "model.layers.1.self_attn.q_proj")
    assert query.right == "blk.1.attn_q"
    assert query.weights[0].transform is not None
    assert query.weights[0].transform.parameters == {"heads": heads, "to_pairs": True}


def test_a_wrong_gguf(tmp_path: Path) -> None:
    """A matrix with the opposite sign in one layer is named."""
    given, arrays, _ = llama()

    def wrong(owner: str, array: np.ndarray) -> np.ndarray:
        return -array if owner == "model.layers.1.mlp.up_proj" else turned(owner, array)

    problems = proved(given, to_gguf(tmp_path / "m.gguf", arrays, wrong)).problems
    assert [(problem.code, problem.layers) for problem in problems] == [
        ("negated", ("model.layers.1.mlp.up_proj", "blk.1.ffn_up"))
    ]
