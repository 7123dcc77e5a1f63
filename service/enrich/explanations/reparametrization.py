"""Kernels that are computed from other weights: weight normalisation and spectral normalisation.

Knows PyTorch's `weight_g` and `weight_v`, and the singular vector that Keras' SpectralNormalization counts.
"""

from __future__ import annotations

from service.enrich.explanations.addition import Addition
from service.enrich.explanations.recipe import Sum, counted, listed, names
from service.enrich.explanations.references import PAPERS
from service.enrich.explanations.weight_sum import weight_product
from service.language import Message, msg
from service.tree import Layer, Weight

_ROLES = ("weight_g", "spectral_vector")


def addition(layer: Layer, framework: str) -> Addition | None:
    """Lengths and singular vectors that are counted; None where there are none."""
    held = tuple([weight for weight in counted(layer, framework) if weight.role in _ROLES])
    if not held:
        return None
    split = held[0].role == "weight_g"
    return Addition(
        weights=held,
        sums=(Sum(products=tuple(weight_product(weight) for weight in held)),),
        text=_lengths(held) if split else _vectors(held),
        expert=_split_expert() if split else _spectral_expert(),
        reference=PAPERS["weight_norm" if split else "spectral_norm"],
    )


def _lengths(held: tuple[Weight, ...]) -> Message:
    return msg("The kernel is split into its direction and its length; {names} holds the {count} lengths.",
               names=listed(names(held)), count=sum(weight.count or 0 for weight in held))  # fmt: skip


def _vectors(held: tuple[Weight, ...]) -> Message:
    return msg("Spectral normalisation adds {names}: {count} values that estimate a singular vector and are never "
               "trained.", names=listed(names(held)), count=sum(weight.count or 0 for weight in held))  # fmt: skip


def _split_expert() -> Message:
    return msg("weight_norm counts the kernel once more in lengths, one per output channel; removed, it adds nothing.")


def _spectral_expert() -> Message:
    return msg("Keras counts the singular vector as a non-trainable weight; PyTorch keeps two of them as buffers.")
