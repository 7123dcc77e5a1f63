"""Fully connected layers over an einsum equation. Knows Keras EinsumDense: kernel and bias axes by their letters."""

from __future__ import annotations

import math

from service.enrich.explanations.recipe import Recipe, Sum, evaluate, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import without_or_with_bias
from service.enrich.explanations.shapes import Sizes, by_role, figures, kernel_of, sizes
from service.language import Message, msg, sentences
from service.tree import Layer, Term

KINDS = ("einsum_dense",)
_MAX_EQUATION = 200


def explain(layer: Layer, framework: str) -> Recipe | None:
    """The product of the kernel's axes, and that of the bias axes; None where there is no kernel."""
    shape = sizes(kernel_of(layer))
    if not shape:
        return None
    letters = _letters(layer, len(shape))
    kernel = tuple(_axis(letter, size) for letter, size in zip(letters, shape, strict=True))
    bias = sizes(by_role(layer).get("bias"))
    products = (kernel,) if bias is None else (kernel, _bias(layer, bias, dict(zip(letters, shape, strict=True))))
    sums = (Sum(products=products),)
    return Recipe(
        sums=sums,
        text=_text(shape, bias),
        expert=_expert(framework, evaluate(sums), bias),
        reference=reference(layer, framework),
    )


def _letters(layer: Layer, rank: int) -> str:
    """The kernel's letters in the recorded equation, else letters in order."""
    equation = layer.config.get("equation")
    if isinstance(equation, str) and len(equation) <= _MAX_EQUATION:
        found = equation.partition("->")[0].partition(",")[2].replace(" ", "")
        if len(found) == rank and found.isalpha():
            return found
    return "".join(chr(ord("a") + axis % 26) for axis in range(rank))


def _axis(letter: str, size: int) -> Term:
    return term(letter, msg("size of the kernel along the axis {letter} of the equation", letter=letter), size)


def _bias(layer: Layer, bias: Sizes, known: dict[str, int]) -> tuple[Term, ...]:
    """One factor per bias axis, taken from the kernel where the letter is there, else from the bias itself."""
    axes = layer.config.get("bias_axes")
    named = axes if isinstance(axes, str) and axes.isalpha() and len(axes) <= len(bias) else ""
    if named and all(letter in known for letter in named):
        return tuple(term(letter, msg("bias axis {letter}", letter=letter), known[letter]) for letter in named)
    return tuple(
        term(f"bias[{axis}]", msg("size of {name} along axis {axis}", name="bias", axis=axis), size)
        for axis, size in enumerate(bias)
    ) or (term("bias", msg("values in {name}", name="bias"), 1),)


def _text(shape: Sizes, bias: Sizes | None) -> Message:
    if bias is None:
        return msg("The kernel has one weight for each combination of its axes ({axes}), and there is no bias.",
                   axes=figures(shape))  # fmt: skip
    return msg("The kernel has one weight for each combination of its axes ({axes}), the bias one for each of its own "
               "({bias}).", axes=figures(shape), bias=figures(bias) if bias else 1)  # fmt: skip


def _expert(framework: str, total: int, bias: Sizes | None) -> Message:
    if framework != "keras":
        held = math.prod(bias or ())
        return sentences(
            msg("Axes that only the inputs have, such as batch and sequence, do not enter the count."),
            without_or_with_bias(framework, True, total, held) if bias is not None else None,
            msg("torch.nn.Linear with the axes flattened counts the same, and so does keras.layers.EinsumDense."),
        )
    return sentences(
        msg(
            "The letters of the equation that only the inputs have, such as batch and sequence, do not enter the count."
        ),
        msg("bias_axes says which output axes have a bias of their own; left out, there is none.")
        if bias is None
        else _without_bias(total, bias),
        msg("PyTorch has no such layer: torch.nn.Linear with the axes flattened counts the same."),
    )


def _without_bias(total: int, bias: Sizes) -> Message:
    return msg("Without bias (bias_axes=None) it would be {count}.", count=total - math.prod(bias))
