"""OpenVINO's words as ours: element types and their bits, kinds by operation and kernel."""

from __future__ import annotations

import pytest

from service.catalog.openvino_ops import DTYPES, bits_of, bytes_of, dtype_of, kernel_layout, kind_of


@pytest.mark.parametrize(("written", "dtype", "bits"), [
    ("FP32", "float32", 32), ("f16", "float16", 16), ("bf16", "bfloat16", 16), (" I64 ", "int64", 64),
    ("u4", "uint4", 4), ("nf4", "nf4", 4), ("f8e4m3", "float8_e4m3fn", 8), ("boolean", "bool", 8), ("BIN", "uint1", 1),
    ("string", "string", None), ("f4e2m1", "float4_e2m1fn", 4), ("of_tomorrow", "of_tomorrow", None), ("", None, None),
    (None, None, None), ("u3", "uint3", 3), ("u6", "uint6", 6),
])  # fmt: skip
def test_element_types(written: str | None, dtype: str | None, bits: int | None) -> None:
    """Both spellings; what is not known keeps its name and has no size."""
    assert (dtype_of(written), bits_of(dtype_of(written))) == (dtype, bits)


def test_every_known_type_but_text_has_a_size() -> None:
    """So that no constant is left without bytes for want of a number here."""
    assert [one for one in DTYPES.values() if bits_of(one) is None] == ["string"]


@pytest.mark.parametrize(("dtype", "count", "size"), [
    ("float32", 3, 12), ("uint4", 3, 2), ("uint1", 9, 2), ("bool", 3, 3), ("int8", 0, 0), ("string", 3, None),
    ("float32", None, None), (None, 3, None),
])  # fmt: skip
def test_bytes_are_rounded_up(dtype: str | None, count: int | None, size: int | None) -> None:
    """To whole bytes for all elements together."""
    assert bytes_of(dtype, count) == size


@pytest.mark.parametrize(("operation", "kernel", "kind"), [
    ("Convolution", (8, 3, 3, 3), "conv2d"), ("Convolution", (8, 3, 5), "conv1d"), ("Convolution", None, "conv2d"),
    ("Convolution", (8, 3, 3, 3, 3), "conv3d"), ("Convolution", (8, 3), "operation"),
    ("GroupConvolution", (8, 1, 1, 3, 3), "depthwise_conv2d"), ("GroupConvolution", (2, 4, 4, 3, 3), "conv2d"),
    ("ConvolutionBackpropData", (8, 3, 3, 3), "conv_transpose2d"), ("MatMul", (3, 4), "linear"),
    ("LSTMSequence", None, "lstm"), ("OfTheUser", None, "operation"),
])  # fmt: skip
def test_kinds(operation: str, kernel: tuple[int, ...] | None, kind: str) -> None:
    """A convolution's rank is that of its kernel without the axes of channels and groups."""
    assert kind_of(operation, kernel) == kind


@pytest.mark.parametrize(("operation", "rank", "layout"), [
    ("Convolution", 4, "OIHW"), ("Convolution", 3, "OIW"), ("ConvolutionBackpropData", 5, "IODHW"),
    ("Convolution", 2, None), ("Convolution", 6, None),
])  # fmt: skip
def test_layouts(operation: str, rank: int, layout: str | None) -> None:
    """Outputs first, inputs first where it is transposed."""
    assert kernel_layout(operation, rank) == layout
