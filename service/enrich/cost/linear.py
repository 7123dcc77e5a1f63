"""Matrix products: dense layers, bilinear forms, products over an einsum equation, and products of two tensors."""

from __future__ import annotations

from math import prod

from service.enrich.cost.work import (
    ONE_POSITION,
    SIZES_MISSING,
    WEIGHTS_MISSING,
    Call,
    Sizes,
    Work,
    activated,
    bias_elements,
    elements,
    first_shape,
    unknown,
    whole,
)
from service.language import Message, msg
from service.tree import Shape

LINEAR = msg(
    "Every element of the kernel once per position: positions × inputs × outputs. FLOPs: two for each, one for each "
    "bias that is added, and one per output element for an activation of its own (softmax: five)."
)
LORA = msg("The low-rank pair is multiplied out to a kernel once per call, as Keras does.")
BILINEAR = msg("Per position: outputs × inputs 1 × inputs 2, then outputs × inputs 2. FLOPs: two for each, and biases.")
EINSUM = msg("The product of the sizes of all letters of the einsum equation. FLOPs: two for each, biases, activation.")
PRODUCT = msg("Every output element sums over the axis that is contracted. FLOPs: two for each product.")
MAX_EQUATION = 200
NO_EQUATION = msg("Its einsum equation cannot be read.")


def linear(call: Call) -> Work:
    """Dense, Linear and their kin: all leading axes are positions."""
    held = elements(call) or _configured(call)
    if held is None:
        return unknown(WEIGHTS_MISSING)
    extra, notes = _low_rank(call)
    if not call.outs or not call.outs[0]:
        macs = call.batch * held + extra
        return Work(macs, call.batch * bias_elements(call), LINEAR, (*notes, ONE_POSITION), partial=True)
    positions = prod(call.outs[0][:-1])
    return Work(positions * held + extra, positions * bias_elements(call) + activated(call), LINEAR, notes)


def _configured(call: Call) -> int | None:
    inputs = whole(call.config.get("in_features")) or (call.ins[0][-1] if call.ins and call.ins[0] else None)
    outputs = whole(call.config.get("out_features")) or whole(call.config.get("units"))
    return None if inputs is None or outputs is None else inputs * outputs


def _low_rank(call: Call) -> tuple[int, tuple[Message, ...]]:
    if len(call.weights) < 3:
        return 0, ()
    shapes = [first_shape(call, (role,)) for role in ("lora_a", "lora_b")]
    if shapes[0] is None or shapes[1] is None or len(shapes[0]) != 2 or len(shapes[1]) != 2:
        return 0, ()
    return prod(shapes[0]) * shapes[1][1], (LORA,)


def bilinear(call: Call) -> Work:
    """`y = x1 W x2 + b` with the kernel `[outputs, inputs 1, inputs 2]`."""
    shape = first_shape(call)
    if shape is None or len(shape) != 3:
        return unknown(WEIGHTS_MISSING)
    positions = prod(call.outs[0][:-1]) if call.outs and call.outs[0] else None
    macs = (positions or call.batch) * (prod(shape) + shape[0] * shape[2])
    biases = (positions or call.batch) * bias_elements(call)
    if positions is None:
        return Work(macs, biases, BILINEAR, (ONE_POSITION,), partial=True)
    return Work(macs, biases, BILINEAR)


def einsum_dense(call: Call) -> Work:
    """Keras' EinsumDense: `ab,bc->ac`, with `...` for leading or trailing axes."""
    if not call.ins or not call.outs:
        return unknown(SIZES_MISSING)
    sizes = _letters(call.config.get("equation"), call.ins[0], call.outs[0])
    if sizes is None:
        return unknown(NO_EQUATION)
    biased = prod(call.outs[0]) if bias_elements(call) else 0
    return Work(prod(sizes.values()), biased + activated(call), EINSUM)


def einsum_output(equation: object, given: Sizes, stored: Shape) -> Sizes | None:
    """Output sizes of an EinsumDense whose stored shape leaves sizes open that its input tells."""
    parts = _terms(equation)
    sizes = None if parts is None else _named(parts[0], given)
    names = None if parts is None else _axes(parts[1], len(stored))
    if sizes is None or names is None:
        return None
    found = [sizes.get(name) if size is None else size for name, size in zip(names, stored, strict=True)]
    known = tuple(size for size in found if size is not None)
    return known if len(known) == len(found) else None


def _terms(equation: object) -> tuple[str, str] | None:
    """The letters of the input and of the output; every letter of the kernel is in one of them."""
    if not isinstance(equation, str) or len(equation) > MAX_EQUATION or "->" not in equation:
        return None
    operands, _, output = equation.replace(" ", "").partition("->")
    return operands.split(",")[0], output


def _axes(letters: str, rank: int) -> list[str] | None:
    """A name for each axis; elided ones are counted from the right."""
    before, dots, after = letters.partition("...")
    elided = rank - len(before) - len(after)
    if elided < 0 or (elided and not dots):
        return None
    return [*before, *(f"...{index}" for index in range(elided - 1, -1, -1)), *after]


def _named(letters: str, shape: Sizes) -> dict[str, int] | None:
    names = _axes(letters, len(shape))
    return None if names is None else dict(zip(names, shape, strict=True))


def _letters(equation: object, given: Sizes, result: Sizes) -> dict[str, int] | None:
    """Sizes by letter from what goes in and comes out; None if they do not agree with the equation."""
    parts = _terms(equation)
    if parts is None:
        return None
    first, last = _named(parts[0], given), _named(parts[1], result)
    if first is None or last is None or any(first[name] != last[name] for name in first.keys() & last.keys()):
        return None
    return {**first, **last}


def matrix_product(call: Call) -> Work:
    """`matmul` of the inputs, one after the other; the last two axes are the matrices."""
    if not call.ins or len(call.ins) < 2:
        return unknown(SIZES_MISSING)
    total, left = 0, call.ins[0]
    for right in call.ins[1:]:
        if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
            return unknown(SIZES_MISSING)
        lead = left[:-2] if prod(left[:-2]) >= prod(right[:-2]) else right[:-2]
        total += prod(lead) * left[-2] * left[-1] * right[-1]
        left = (*lead, left[-2], right[-1])
    return Work(total, 0, PRODUCT)


def dot(call: Call) -> Work:
    """Keras' Dot: the axes `axes` of both inputs are summed over, per example."""
    axes = call.config.get("axes", call.config.get("dot_axes"))
    axis = axes[0] if isinstance(axes, (list, tuple)) and axes else axes
    if not call.ins or not call.outs or type(axis) is not int or not -len(call.ins[0]) <= axis < len(call.ins[0]):
        return unknown(SIZES_MISSING)
    return Work(prod(call.outs[0]) * call.ins[0][axis], 0, PRODUCT)


def einsum(call: Call) -> Work:
    """A bare einsum operation of a Keras graph: the letters of all its operands."""
    equation = call.config.get("subscripts", call.config.get("equation"))
    if not call.ins:
        return unknown(SIZES_MISSING)
    if not isinstance(equation, str) or len(equation) > MAX_EQUATION:
        return unknown(NO_EQUATION)
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for letters, shape in zip(terms, call.ins, strict=False):
        named = _named(letters, shape)
        if named is None or len(terms) != len(call.ins):
            return unknown(NO_EQUATION)
        sizes.update((name, max(size, sizes.get(name, 0))) for name, size in named.items())
    return Work(prod(sizes.values()), 0, PRODUCT)


KINDS = {"linear": linear, "bilinear": bilinear, "einsum_dense": einsum_dense}
