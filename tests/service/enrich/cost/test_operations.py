"""Bare operations of graphs under the names of all frameworks: products are counted, the others hold none."""

from __future__ import annotations

from typing import Any

import pytest

from service.config import Limits
from service.costs import LayerCost
from service.enrich.cost.work import words
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Layer, Model
from tests.builders import layer, weight
from tests.enriching import add_costs
from tests.packages.fetch import Shipped, fetch_all, manifest
from tests.service.enrich.cost.tools import cost, total


def operation(name: str, ins: Any, outs: Any, *held: Any, kind: str = "operation", **config: Any) -> Layer:
    """An operation with stored sizes."""
    return layer("x", kind, *held, type=name, config=config, input_shapes=tuple(ins), output_shapes=(outs,))


def found(name: str, ins: Any, outs: Any, *held: Any, **more: Any) -> LayerCost:
    """What it costs for a batch of 2."""
    return cost(operation(name, ins, outs, *held, **more), "onnx", batch=2)


PRODUCTS = words(
    "MatMul matmul matmul_v2 pd_op.matmul BatchMatMul BatchMatMulV2 BatchMatMulV3 BATCH_MATMUL FusedMatMul Gemm",
    "QLinearMatMul MatMulInteger aten::bmm.out torch.bmm torch.matmul _FusedMatMul",
)


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_products_of_two_activations_are_counted(name: str) -> None:
    """(2, 4, 5, 6) × (2, 4, 6, 7): 2 · 4 · 5 · 6 · 7, whatever the operation is called."""
    one = found(name, [(None, 4, 5, 6), (None, 4, 6, 7)], (None, 4, 5, 7))
    assert (one.macs.value, one.flops.value) == (2 * 4 * 5 * 6 * 7, 2 * 2 * 4 * 5 * 6 * 7)
    assert one.macs.status == "complete"


@pytest.mark.parametrize(
    ("first", "second"),
    [((5, 6), (6, 7)), ((6, 5), (6, 7)), ((5, 6), (7, 6)), ((6, 5), (7, 6)), ((6, 7), (5, 6))],
)
def test_operands_may_be_transposed(first: Any, second: Any) -> None:
    """The sizes of the result tell which axis is summed over; a broadcast axis is that of the result."""
    one = found("BATCH_MATMUL", [(None, 4, *first), (None, 1, *second)], (None, 4, 5, 7))
    assert one.macs.value == 2 * 4 * 5 * 6 * 7


def test_one_operand_may_be_a_constant() -> None:
    """A kernel of three axes is no dense layer, but a product all the same; on either side."""
    kernel = weight("B", (4, 6, 7), "kernel")
    assert found("MatMul", [(None, 4, 5, 6)], (None, 4, 5, 7), kernel).macs.value == 2 * 4 * 5 * 6 * 7
    assert found("MatMul", [(None, 4, 7, 5)], (None, 4, 6, 5), kernel).macs.value == 2 * 4 * 5 * 6 * 7


@pytest.mark.parametrize(
    ("ins", "outs"),
    [([(None, 5, 6)], (None, 5, 7)), ([(None, 5, 6), (None, 8, 7)], (None, 5, 7)), ([(None, 6), (6,)], (None,)),
     ([(None, 5, None), (None, 6, 7)], (None, 5, 7))],
)  # fmt: skip
def test_products_that_cannot_be_told_are_uncounted(ins: Any, outs: Any) -> None:
    """Never zero: an operand that is missing, that does not fit, or whose sizes are open, is said."""
    one = found("BatchMatMulV2", ins, outs)
    assert (one.macs.value, one.macs.status) == (None, "unavailable")


def test_sizes_of_the_result_may_be_missing() -> None:
    """Then the operands must fit as they stand."""
    held = layer("x", "operation", type="bmm", input_shapes=((None, 5, 6), (None, 6, 7)))
    turned = layer("x", "operation", type="bmm", input_shapes=((None, 5, 6), (None, 7, 6)))
    assert cost(held, "onnx", batch=2).macs.value == 2 * 5 * 6 * 7
    assert cost(turned, "onnx", batch=2).macs.status == "unavailable"


def test_paddles_mul_is_a_product() -> None:
    """`mul` is flattened to matrices at x_num_col_dims; other frameworks' `mul` is element by element."""
    one = found("mul", [(None, 3, 2, 5), (10, 7)], (None, 3, 7), x_num_col_dims=2, y_num_col_dims=1)
    assert one.macs.value == 2 * 3 * 10 * 7
    plain = found("mul", [(None, 3)], (None, 3))
    assert (plain.macs.value, plain.flops.value) == (0, 6)


def test_einsum_of_two_activations() -> None:
    """The sizes of all letters of the equation."""
    one = found("Einsum", [(None, 3, 5, 6), (None, 3, 7, 6)], (None, 3, 5, 7), equation="bhqd,bhkd->bhqk")
    assert one.macs.value == 2 * 3 * 5 * 7 * 6


def test_core_mls_dot() -> None:
    """Every element once; that is no merge of elements."""
    assert found("dot", [(None, 9), (None, 9)], (None, 1), kind="merge").macs.value == 18


@pytest.mark.parametrize("name", ["Concat", "ConcatV2", "concat", "CONCATENATION", "PACK", "stack"])
def test_joining_has_no_arithmetic(name: str) -> None:
    """Under whatever name."""
    assert found(name, [(None, 9), (None, 9)], (None, 18), kind="merge").flops.value == 0


NAMES = {
    "onnx": "Div ReduceMin Range ConstantOfShape Size Not GatherND ScatterND NonZero TopK CumSum",
    "paddle": "elementwise_mul elementwise_add fill_constant scale assign shape64 pd_op.add_ pd_op.full",
    "tensorflow": "RealDiv Fill Range GatherV2 Unpack Rank Size TensorArrayV3 TensorArrayReadV3 TensorListStack TopKV2 "
    "BiasAdd DivNoNan GatherNd NonMaxSuppressionV3 SparseReshape StringToHashBucketFast",
    "tflite": "PACK REDUCE_MIN SELECT_V2 DENSIFY UNPACK CONCATENATION STABLEHLO_ADD",
    "coreml": "slice_by_index reduce_min real_div sliceStatic gatherND",
    "openvino": "Result ShapeOf VariadicSplit Select ReduceMin",
    "ncnn": "Split DeepCopy UnaryOp Noop",
    "torch": "aten::view_copy.out aten::add.out aten::clone.out",
}


@pytest.mark.parametrize(("framework", "name"), [(key, name) for key, names in NAMES.items() for name in names.split()])
def test_operations_without_a_product_leave_the_total_whole(framework: str, name: str) -> None:
    """They hold no product, whatever they do to elements: no MACs, and nothing uncounted."""
    one = cost(operation(name, [(None, 3)], (None, 3)), framework).macs
    assert (one.value, one.status) == (0, "complete")


@pytest.mark.parametrize("name", ["While", "StatelessWhile", "FFT", "STABLEHLO_DOT_GENERAL", "SVDF", "inverse", ""])
def test_operations_that_may_hold_products_stay_unknown(name: str) -> None:
    """A loop runs other layers, a transform multiplies: they are uncounted, never zero."""
    assert found(name, [(None, 3)], (None, 3)).macs.status == "unavailable"


def test_arithmetic_that_is_not_counted_is_said() -> None:
    """A sort holds no product; its comparisons depend on the data: MACs are whole, FLOPs are missing."""
    one = found("TopKV2", [(None, 9)], (None, 3))
    assert (one.macs.value, one.flops.value) == (0, None)
    assert one.flops.status == "unavailable"


BASIC_PITCH = [one for name in ("onnx", "tflite", "coreml") for one in manifest(name) if "basic-pitch" in one.id]


@pytest.mark.parametrize("file", BASIC_PITCH, ids=lambda file: f"{file.format}")
def test_one_model_in_three_formats_costs_the_same(file: Shipped) -> None:
    """Spotify's basic-pitch as ONNX, TFLite and Core ML: the same MACs, and all of them."""
    meter = Meter(Limits())
    opened = {name: path.open("rb") for name, path in fetch_all(file).items()}
    try:
        upload = Upload({name: FileSource(one.fileno(), meter) for name, one in opened.items()}, meter)
        made = identify(upload, load_readers()).read(upload)
    finally:
        for one in opened.values():
            one.close()
    assert isinstance(made, Model)
    macs = total(add_costs(enrich(made))).macs
    assert (macs.value, macs.status) == (524_079_648, "complete")
