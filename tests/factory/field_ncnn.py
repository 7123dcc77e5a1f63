"""Writes ncnn models of one layer each, and how many bytes ncnn itself reads of their `.bin`, into the folder given.

A `.bin` of zeros is one of float32 throughout, for the flag of float32 is 0: the smallest that ncnn loads has exactly
the bytes that it reads. expected.json: name -> bytes; beside it `<name>.param` and `<name>.bin`. `forms` holds one
layer per way of storing, written by hand and loaded by ncnn; `numbers` the numbers of some types in a `.param.bin`.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path

import ncnn

OUT = Path(sys.argv[1])
LAYERS = {
    "convolution": "Convolution {} 0=6 1=3 11=2 5=1 6=144",
    "convolution_plain": "Convolution {} 0=6 1=1 6=24",
    "convolution_dynamic": "Convolution {} 0=6 1=1 6=24 19=1",
    "convolution_int8": "Convolution {} 0=6 1=1 5=1 6=24 8=2",
    "convolution_int8_out": "Convolution {} 0=6 1=1 5=1 6=24 8=101",
    "convolution1d": "Convolution1D {} 0=4 1=3 5=1 6=24",
    "convolution3d": "Convolution3D {} 0=4 1=3 11=2 21=1 5=1 6=48",
    "depthwise": "ConvolutionDepthWise {} 0=8 1=3 5=1 6=72 7=8",
    "depthwise_int8": "ConvolutionDepthWise {} 0=8 1=3 6=72 7=8 8=1",
    "depthwise_int8_one": "ConvolutionDepthWise {} 0=8 1=3 6=72 7=8 8=2",
    "depthwise_int8_out": "ConvolutionDepthWise {} 0=8 1=3 6=72 7=8 8=101",
    "grouped": "ConvolutionDepthWise {} 0=8 1=3 6=144 7=4",
    "depthwise1d": "ConvolutionDepthWise1D {} 0=4 1=3 5=1 6=12 7=4",
    "depthwise3d": "ConvolutionDepthWise3D {} 0=4 1=3 6=108 7=4",
    "deconvolution": "Deconvolution {} 0=3 1=2 5=1 6=48",
    "deconvolution1d": "Deconvolution1D {} 0=3 1=2 5=1 6=24",
    "deconvolution3d": "Deconvolution3D {} 0=3 1=2 5=1 6=96",
    "deconvolution_grouped": "DeconvolutionDepthWise {} 0=4 1=2 5=1 6=16 7=4",
    "deformable": "DeformableConv2D {} 0=4 1=3 5=1 6=72",
    "inner_product": "InnerProduct {} 0=5 1=1 2=35",
    "inner_product_int8": "InnerProduct {} 0=5 1=1 2=35 8=2",
    "batch_norm": "BatchNorm {} 0=7",
    "scale": "Scale {} 0=7 1=1",
    "scale_from_input": "Scale {} 0=-233 1=0",
    "bias": "Bias {} 0=7",
    "prelu": "PReLU {} 0=7",
    "embed": "Embed {} 0=4 1=9 2=1 3=36",
    "embed_int8": "Embed {} 0=4 1=9 2=0 3=36 18=1",
    "layer_norm": "LayerNorm {} 0=8",
    "layer_norm_plain": "LayerNorm {} 0=8 2=0",
    "rms_norm": "RMSNorm {} 0=8",
    "group_norm": "GroupNorm {} 0=2 1=8",
    "instance_norm": "InstanceNorm {} 0=8",
    "normalize": "Normalize {} 1=0 3=6",
    "padding": "Padding {} 0=1 1=1 2=1 3=1 6=5",
    "lstm": "LSTM {} 0=6 1=120 2=0",
    "lstm_both": "LSTM {} 0=6 1=240 2=2",
    "lstm_projected": "LSTM {} 0=4 1=120 2=0 3=6",
    "lstm_int8": "LSTM {} 0=6 1=120 2=0 8=2",
    "gru": "GRU {} 0=6 1=90 2=0",
    "gru_both": "GRU {} 0=6 1=180 2=2",
    "gru_int8": "GRU {} 0=6 1=90 2=0 8=2",
    "rnn": "RNN {} 0=6 1=30 2=0",
    "rnn_both": "RNN {} 0=6 1=60 2=2",
    "attention": "MultiHeadAttention {} 0=8 1=2 2=64",
    "attention_wide": "MultiHeadAttention {} 0=8 1=2 2=48 3=4 4=5",
    "attention_int8": "MultiHeadAttention {} 0=8 1=2 2=64 18=1",
    "memory": "MemoryData {} 0=3 1=4 2=5",
    "memory_flat": "MemoryData {} 0=3",
    "memory_deep": "MemoryData {} 0=3 1=4 11=2 2=5",
    "memory_flagged": "MemoryData {} 0=3 1=4 21=0",
    "gemm": "Gemm {} 3=1 5=1 6=1 8=6 9=4 10=4",
    "gemm_left": "Gemm {} 4=1 6=1 7=5 9=4 10=1",
    "gemm_int8": "Gemm {} 3=1 5=1 8=6 9=4 10=-1 18=1",
    "gemm_blocks": "Gemm {} 3=1 5=1 6=1 7=1 8=6 9=70 10=4 18=800",
    "gemm_blocks_of_64": "Gemm {} 3=1 5=1 6=1 7=1 8=6 9=70 10=-1 18=401",
    "gemm_blocks_scaled": "Gemm {} 3=1 5=1 6=1 7=1 8=6 9=70 10=4 18=612",
    "attention_blocks": "MultiHeadAttention {} 0=8 1=2 2=72 3=35 4=5 18=400",
    "attention_blocks_scaled": "MultiHeadAttention {} 0=8 1=2 2=72 3=35 4=5 18=811",
    "quantize": "Quantize {} 0=5",
    "dequantize": "Dequantize {} 0=5 1=6",
    "requantize": "Requantize {} 0=5 1=1 2=6",
    "pooling": "Pooling {} 0=1 4=1",
}
INPUTS = {"DeformableConv2D": 2, "MemoryData": 0}
MOST = 4096
TAIL = "Bias tail 1 1 out end 0=1"
"""A last layer that ncnn insists on: of some arrays before it, ncnn does not mind that they are missing."""


def param(line: str) -> str:
    """A graph of this layer between inputs and the tail."""
    kind = line.partition(" ")[0]
    inputs = INPUTS.get(kind, 2 if "19=1" in line or "0=-233" in line else 1)
    heads = [f"Input in{index} 0 1 in{index}" for index in range(inputs)]
    blobs = " ".join(f"in{index}" for index in range(inputs))
    body = line.format(f"layer {inputs} 1 {blobs} out".replace("  ", " "))
    return "\n".join(["7767517", f"{inputs + 2} {inputs + 2}", *heads, body, TAIL]) + "\n"


def loads(graph: Path, data: bytes) -> bool:
    """Whether ncnn loads the graph with these bytes: in a child, for it falls over some files that are too short."""
    binary = graph.with_suffix(".bin")
    binary.write_bytes(data)
    child = os.fork()
    if not child:
        net = ncnn.Net()
        net.opt.use_vulkan_compute = False
        os._exit(0 if net.load_param(str(graph)) == 0 and net.load_model(str(binary)) == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


def read_bytes(graph: Path) -> int:
    """How many bytes of zeros ncnn needs: the smallest number with which it loads."""
    low, high = 0, MOST
    if not loads(graph, bytes(high)):
        raise RuntimeError(f"{graph.name} does not load at all")
    while low < high:
        middle = (low + high) // 2 // 4 * 4
        low, high = (low, middle) if loads(graph, bytes(middle)) else (middle + 4, high)
    loads(graph, bytes(low))
    return low


def forms() -> dict[str, int]:
    """A fully connected layer of 3 x 5 weights in each way of storing them; the sizes are ncnn's own, checked here."""
    ways = {
        "float32": struct.pack("<I", 0) + bytes(60),
        "float32_again": struct.pack("<I", 0x0002C056) + bytes(60),
        "float16": struct.pack("<I", 0x01306B47) + bytes(32),
        "bfloat16": struct.pack("<I", 0x01348B83) + bytes(32),
        "int8": struct.pack("<I", 0x000D4B38) + bytes(16),
        "table": struct.pack("<I", 1) + bytes(1024) + bytes(16),
    }
    found = {}
    for name, weights in ways.items():
        graph = OUT / f"form_{name}.param"
        graph.write_text(param("InnerProduct {} 0=3 1=1 2=15" + (" 8=1" if name == "int8" else "")))
        scales = struct.pack("<4f", 1, 1, 1, 1) if name == "int8" else b""
        data = weights + struct.pack("<3f", 1, 2, 3) + scales + struct.pack("<f", 9)
        if loads(graph, data[:-4]) or not loads(graph, data):
            raise RuntimeError(f"ncnn reads {name} otherwise")
        found[name] = len(data)
    return found


def main() -> None:
    """All files, and what was measured."""
    sizes = {}
    for name, line in LAYERS.items():
        graph = OUT / f"{name}.param"
        graph.write_text(param(line))
        sizes[name] = read_bytes(graph)
    types = ("AbsVal", "Convolution", "InnerProduct", "Split", "LSTM", "Convolution1D", "Gemm", "RMSNorm", "Flip",
             "SDPA", "RotaryEmbed")  # fmt: skip
    numbers = {name: ncnn.layer_to_index(name) for name in types}
    (OUT / "expected.json").write_text(json.dumps({"bytes": sizes, "forms": forms(), "numbers": numbers}))


main()
