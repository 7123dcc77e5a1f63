"""Products of two matrices that the graph computes, under the names that the frameworks give them; knows no format.

Which operand is transposed the frameworks record in as many ways as there are of them; the sizes of the result tell it
as well, so that no setting is read.
"""

from __future__ import annotations

import dataclasses
from math import prod

from service.enrich.cost import linear
from service.enrich.cost.work import SIZES_MISSING, Call, Sizes, Work, known_shape, unknown, whole, words

NAMES = words(
    "matmul batchmatmul fusedmatmul transposematmul fusedmatmulactivation matmulinteger matmulintegertofloat",
    "qlinearmatmul dynamicquantizematmul gemm fusedgemm qgemm mm bmm",
)
"""In lower case, without `_` and without a version at the end: BatchMatMulV3, BATCH_MATMUL, matmul_v2, bmm."""


def product(call: Call) -> Work:
    """A product of matrices over any leading axes; of the operands one may be a constant.

    Its elements are summed over the one axis that both operands have and the result has not.
    """
    if not call.ins:
        return unknown(SIZES_MISSING)
    held = (known_shape(weight) for weight in call.weights)
    operands = [shape for shape in (*call.ins, *held) if shape is not None and len(shape) > 1][:2]
    if len(operands) < 2:
        return unknown(SIZES_MISSING)
    if not call.outs or len(call.outs[0]) < 2:
        return linear.matrix_product(dataclasses.replace(call, ins=tuple(operands)))
    summed = _summed(operands[0], operands[1], call.outs[0])
    return unknown(SIZES_MISSING) if summed is None else Work(prod(call.outs[0]) * summed, 0, linear.PRODUCT)


def _summed(first: Sizes, second: Sizes, result: Sizes) -> int | None:
    """Size of the axis that is summed over; where several ways fit the result, it is the same in all of them."""
    for left, right in ((first[-2:], second[-2:]), (second[-2:], first[-2:])):
        for rows, inner in (left, left[::-1]):
            if rows == result[-2] and (inner, result[-1]) in (right, right[::-1]):
                return inner
    return None


def flattened(call: Call) -> Work:
    """Paddle's `mul`: the axes of the first operand from `x_num_col_dims` on are summed over as one."""
    columns = whole(call.config.get("x_num_col_dims"))
    if not call.ins or not call.outs or columns is None:
        return unknown(SIZES_MISSING)
    return Work(prod(call.outs[0]) * prod(call.ins[0][columns:]), 0, linear.PRODUCT)
