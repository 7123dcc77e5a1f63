"""Quantised weights: the same number of values in fewer bits, and scales and zero points beside them.

Knows Keras' quantised Dense, EinsumDense and Embedding (int8, int4, float8, GPTQ, AWQ) and PyTorch's quantised modules.
"""

from __future__ import annotations

from service.enrich.explanations.addition import Addition
from service.enrich.explanations.recipe import Sum, counted, listed, names
from service.enrich.explanations.references import PAPERS
from service.enrich.explanations.weight_sum import weight_product
from service.language import Message, msg, msgn, sentences
from service.tree import Layer, Weight

_ROLES = frozenset({"quant_scale", "zero_point"})
_HISTORIES = ("inputs_amax_history", "kernel_amax_history", "outputs_grad_amax_history", "g_idx")
_VALUES = frozenset({"kernel", "embedding", "packed_kernel", "query_kernel", "key_kernel", "value_kernel",
                     "output_kernel", "qkv_kernel"})  # fmt: skip
_PACKED = ("int", "uint", "qint", "quint", "float8")


def addition(layer: Layer, framework: str) -> Addition | None:
    """Scales, zero points and what else quantisation keeps; None for a layer that is not quantised."""
    held = tuple([weight for weight in counted(layer, framework) if _is_extra(weight)])
    packed = [weight for weight in layer.weights if weight.role in _VALUES and _is_packed(weight)]
    if not held and not packed:
        return None
    return Addition(
        weights=held,
        sums=(Sum(products=tuple(weight_product(weight) for weight in held)),) if held else (),
        text=sentences(*(_stored(weight) for weight in packed), _added(held)),
        expert=sentences(
            msg("Quantisation changes how many bits a value takes, not how many values the kernel has. What the scales "
                "add depends on the mode: one per output channel, or one per block."),
            _packed_count(packed) if framework == "keras" else None,
        ),
        reference=PAPERS["quantization"],
    )  # fmt: skip


def _is_extra(weight: Weight) -> bool:
    return weight.role in _ROLES or weight.name.rpartition("/")[2] in _HISTORIES


def _is_packed(weight: Weight) -> bool:
    return weight.stored_count is not None or (weight.dtype or "").startswith(_PACKED)


def _stored(weight: Weight) -> Message:
    if weight.stored_count is not None:
        return msg("{name} is stored as {dtype}, {count} values packed in {stored} elements.", name=weight.name,
                   dtype=weight.dtype, count=weight.count, stored=weight.stored_count)  # fmt: skip
    return msg("{name} is stored as {dtype}.", name=weight.name, dtype=weight.dtype)


def _added(held: tuple[Weight, ...]) -> Message | None:
    if not held:
        return None
    return msgn(
        "Quantisation adds {names} ({count} values), which turns the stored numbers back.",
        "Quantisation adds {names} ({count} values), which turn the stored numbers back.",
        n=len(held), names=listed(names(held)), count=sum(weight.count or 0 for weight in held),
    )  # fmt: skip


def _packed_count(packed: list[Weight]) -> Message | None:
    saved = sum((weight.count or 0) - weight.stored_count for weight in packed if weight.stored_count is not None)
    if not saved:
        return None
    return msg("Keras itself counts packed values as they are stored: count_params() is {saved} less.", saved=saved)
