"""Packed kernels: one layer, its logical size, what it is stored in; or the reason why its size is not known."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from service.catalog.named import Stored, describe
from service.catalog.packing_rules import BITS_UNKNOWN, OPAQUE
from service.config import Limits
from service.enrich.explain import explained
from service.tree import Layer, Weight

PATH = "model.layers.0.self_attn.q_proj"


def read(quantization: dict[str, Any] | None = None, path: str = PATH, **arrays: Any) -> Layer:
    """The layer at `path` that holds arrays given as (shape, dtype[, content]), `__` for the dots of their names."""
    held = [
        Stored(f"{path}.{_dotted(name)}", one[0], one[1], content=one[2] if len(one) > 2 else None)
        for name, one in arrays.items()
    ]
    found = {layer.path: layer for layer in describe(held, Limits(), quantization=quantization).layers}
    return found[path]


def _dotted(name: str) -> str:
    return name.replace("__", ".").replace("bitsandbytes.nf4", "bitsandbytes__nf4")


def kernel(layer: Layer) -> Weight:
    """The packed kernel."""
    return next(weight for weight in layer.weights if weight.role == "packed_kernel")


def roles(layer: Layer) -> dict[str, str]:
    """Roles by name."""
    return {weight.name: weight.role for weight in layer.weights}


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq(bits: int) -> None:
    """Rows of 32-bit words along the inputs; the zero points tell the bits. One Linear of 96 inputs and 64 units."""
    layer = read(qweight=((96 * bits // 32, 64), "int32"), qzeros=((3, 64 * bits // 32), "int32"),
                 scales=((3, 64), "float16"), g_idx=((96,), "int32"), bias=((64,), "float16"))  # fmt: skip
    held = kernel(layer)
    assert (layer.kind, layer.type_source, held.shape, held.count) == ("linear", "rule", (64, 96), 64 * 96)
    assert (held.stored_count, held.dtype, held.group) == (96 * bits // 32 * 64, "int32", "frozen")
    assert roles(layer) == {"qweight": "packed_kernel", "qzeros": "zero_point", "scales": "quant_scale",
                            "g_idx": "constant", "bias": "query_bias"}  # fmt: skip
    explanation = explained(layer, "torch")[0]
    assert explanation is not None
    assert (explanation.formula, explanation.status) == ("96 × 64 + 64 = 6208", "complete")


def test_gptq_without_zero_points() -> None:
    """Symmetric files leave them out: the index of groups tells the inputs."""
    layer = read(qweight=((12, 64), "int32"), scales=((3, 64), "float16"), g_idx=((96,), "int32"))
    assert kernel(layer).shape == (64, 96)


def test_awq() -> None:
    """Words along the outputs."""
    layer = read(qweight=((96, 8), "int32"), qzeros=((3, 8), "int32"), scales=((3, 64), "float16"))
    assert (kernel(layer).shape, kernel(layer).stored_count) == ((64, 96), 768)
    zeros = next(weight for weight in layer.weights if weight.role == "zero_point")
    assert (zeros.count, zeros.stored_count) == (192, 24)


def test_recorded_bits() -> None:
    """Without zero points and index the configuration tells; without it nobody."""
    arrays = {"qweight": ((12, 64), "int32"), "scales": ((3, 64), "float16")}
    assert kernel(read({"bits": 4}, **arrays)).shape == (64, 96)
    assert (kernel(read(**arrays)).count, read(**arrays).notes) == (None, (BITS_UNKNOWN,))
    assert kernel(read({"bits": 5}, **arrays)).count is None


NF4 = {"weight__absmax": ((32,), "uint8"), "weight__quant_map": ((16,), "float32"),
       "weight__nested_absmax": ((1,), "float32"), "weight__nested_quant_map": ((256,), "float32")}  # fmt: skip


def test_bitsandbytes_4_bit() -> None:
    """The sizes lie in the state's JSON; the layer is one, with all that belongs to it."""
    state = json.dumps({"quant_type": "nf4", "blocksize": 64, "shape": [32, 64]}).encode()
    layer = read(weight=((1024, 1), "uint8"), **NF4, weight__quant_state__bitsandbytes__nf4=((80,), "uint8", state))
    assert (layer.kind, kernel(layer).shape, kernel(layer).count, kernel(layer).stored_count) == (
        "linear", (32, 64), 2048, 1024,
    )  # fmt: skip
    assert len(layer.weights) == 6
    assert not layer.notes


def test_bitsandbytes_4_bit_without_its_state() -> None:
    """Two values per byte; the bias tells the outputs; without one the axes are not known, and a note says why."""
    alone = read(weight=((1024, 1), "uint8"), **NF4)
    assert (kernel(alone).shape, kernel(alone).count, len(alone.notes)) == (None, 2048, 1)
    assert kernel(read(weight=((1024, 1), "uint8"), **NF4, bias=((32,), "float16"))).shape == (32, 64)


@pytest.mark.parametrize("state", [b"", b"{", b"[]", b'{"shape": "x"}', b'{"shape": [-1]}', b'{"shape": [3, 3]}'])
def test_a_state_that_says_nothing(state: bytes) -> None:
    """Broken JSON, or sizes of another array: as if it were not there."""
    layer = read(weight=((1024, 1), "uint8"), **NF4, weight__quant_state__bitsandbytes__nf4=((80,), "uint8", state))
    assert (kernel(layer).shape, kernel(layer).count) == (None, 2048)


def test_bitsandbytes_8_bit() -> None:
    """One value per byte: a query projection of int8, its scales and the number of its format beside it."""
    layer = read(weight=((64, 96), "int8"), SCB=((64,), "float32"), weight_format=((), "uint8"))
    assert layer.kind == "linear"
    assert roles(layer) == {"weight": "query_kernel", "SCB": "quant_scale", "weight_format": "constant"}
    assert [weight.group for weight in layer.weights] == ["frozen", "statistic", "statistic"]


def test_compressed_tensors() -> None:
    """`weight_shape` holds the sizes; without its bytes the recorded bits; without these nothing is claimed."""
    arrays = {"weight_packed": ((64, 13), "int32"), "weight_scale": ((64, 3), "bfloat16")}
    told = struct.pack("<2q", 64, 100)
    assert kernel(read(**arrays, weight_shape=((2,), "int64", told))).shape == (64, 100)
    recorded = {"config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}}}
    assert kernel(read(recorded, **arrays, weight_shape=((2,), "int64"))).shape == (64, 104)
    assert kernel(read(**arrays)).count is None
    four = read(weight_packed=((64, 48), "uint8"), weight_scale=((64, 6), "float8_e4m3fn"),
                weight_global_scale=((1,), "float32"))  # fmt: skip
    assert kernel(four).shape == (64, 96)


def test_mlx() -> None:
    """Bits as recorded, for one layer too; scales that do not fit the group contradict it."""
    arrays = {"weight": ((64, 16), "uint32"), "scales": ((64, 2), "float16"), "biases": ((64, 2), "float16")}
    assert kernel(read({"group_size": 64, "bits": 4}, **arrays)).shape == (64, 128)
    own = {"group_size": 64, "bits": 4, PATH: {"group_size": 32, "bits": 8}}
    assert kernel(read(own, **arrays)).shape == (64, 64)
    assert kernel(read({"group_size": 32, "bits": 4}, **arrays)).count is None
    assert read(**arrays).notes == (BITS_UNKNOWN,)


def test_mlx_embedding() -> None:
    """A table is packed as a Linear is: its name tells which it is."""
    layer = read({"group_size": 64, "bits": 4}, "model.embed_tokens", weight=((100, 16), "uint32"),
                 scales=((100, 2), "float16"), biases=((100, 2), "float16"))  # fmt: skip
    assert (layer.kind, kernel(layer).shape) == ("embedding", (100, 128))
    explanation = explained(layer, "torch")[0]
    assert explanation is not None
    assert explanation.formula == "100 × 128 = 12800"


def test_mxfp4() -> None:
    """gpt-oss: blocks of 16 bytes, 32 values each, with a scale per block."""
    layer = read(None, "model.layers.0.mlp.experts", gate_up_proj_blocks=((3, 64, 2, 16), "uint8"),
                 gate_up_proj_scales=((3, 64, 2), "uint8"), gate_up_proj_bias=((3, 64), "bfloat16"))  # fmt: skip
    assert (layer.kind, kernel(layer).shape, kernel(layer).count) == ("parameter", (3, 64, 64), 12288)
    assert kernel(layer).stored_count == 6144


def test_fp8_blocks() -> None:
    """DeepSeek-V3: one value per byte, a scale per block of 128 × 128."""
    layer = read(weight=((256, 256), "float8_e4m3fn"), weight_scale_inv=((2, 2), "float32"))
    assert (layer.kind, roles(layer)) == ("linear", {"weight": "query_kernel", "weight_scale_inv": "quant_scale"})
    assert layer.weights[0].stored_count is None


def test_hqq() -> None:
    """Sizes in `shape`, where the reader read it; else bytes of as many values as recorded; else unknown."""
    arrays = {"W_q": ((32, 96), "uint8"), "scale": ((64, 1), "float16"), "zero": ((64, 1), "float16")}
    told = read(**arrays, shape=((2,), "int64", struct.pack("<2q", 64, 96)))
    assert kernel(told).shape == (64, 96)
    assert kernel(read({"nbits": 4}, **arrays)).count == 6144
    assert kernel(read(**arrays)).count is None


def test_codes_of_unknown_meaning() -> None:
    """ExLlamaV2: nothing is claimed of how many values there are."""
    layer = read(q_weight=((30, 64), "int32"), q_scale=((3, 8), "int32"), q_groups=((6,), "int16"))
    assert (kernel(layer).count, layer.notes) == (None, (OPAQUE,))


def test_whole_numbers_without_scales_are_not_packed() -> None:
    """A `qweight` alone, a uint8 kernel alone: as they are stored."""
    assert read(qweight=((12, 64), "int32")).weights[0].count == 768
    assert read(weight=((12, 64), "uint8"), bias=((12,), "float32")).weights[0].stored_count is None
