"""An input embedding and an output layer of the same two sizes that share nothing; knows names of no model."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, weight_of
from service.enrich.findings.rule import Rule
from service.language import msg
from service.tree import Finding, Layer, Weight

RULE = Rule(
    id="untied_embeddings",
    severity="info",
    title=msg("Input and output embeddings that are not tied"),
    why=msg(
        "Both hold one vector per word of the same vocabulary. Sharing one matrix saves its parameters and often "
        "helps smaller language models."
    ),
    reference="Press and Wolf 2017, arXiv:1608.05859",
)
_TIE = msg("Let the output layer use the embedding's matrix, unless the two are apart on purpose (large models often).")
MIN_VOCABULARY = 1000
"""Fewer rows than this are no vocabulary: positions, categories, widths of hidden layers."""


def check(context: Context) -> Iterator[Finding]:
    """At most one finding: the last linear layer beside an embedding of its sizes."""
    head = _head(context)
    sizes = None if head is None else _sizes(head[1])
    if head is None or sizes is None or sizes[0] < MIN_VOCABULARY:
        return
    layer, kernel = head
    if kernel.tied_to is not None or _repeated(context, sizes):
        return
    for table, embedding in _tables(context):
        if embedding.shape == sizes and not _same_values(embedding, kernel):
            what = msg(
                "{table} and {layer} both hold a matrix of {words} × {width}, and do not share it: {count} parameters "
                "twice.",
                table=table.path, layer=layer.path, words=sizes[0], width=sizes[1], count=sizes[0] * sizes[1],
            )  # fmt: skip
            yield RULE.found(what, _TIE, layer.path)
            return


def _head(context: Context) -> tuple[Layer, Weight] | None:
    """The last layer with a kernel, if it is linear."""
    for layer in reversed(context.model.layers):
        for weight in reversed(layer.weights):
            if weight.role.endswith("kernel"):
                return (layer, weight) if layer.kind == "linear" else None
    return None


def _sizes(kernel: Weight) -> tuple[int, int] | None:
    """(outputs, inputs) of a linear kernel."""
    shape = kernel.shape
    if shape is None or len(shape) != 2 or kernel.layout not in ("out-in", "in-out"):
        return None
    outputs, inputs = shape if kernel.layout == "out-in" else shape[::-1]
    return None if outputs is None or inputs is None else (outputs, inputs)


def _repeated(context: Context, sizes: tuple[int, int]) -> bool:
    """Whether several linear layers have these sizes: then they are hidden layers."""
    kernels = (weight_of(layer, "kernel") for layer in context.own("linear"))
    return sum(1 for kernel in kernels if kernel is not None and _sizes(kernel) == sizes) > 1


def _tables(context: Context) -> Iterator[tuple[Layer, Weight]]:
    for layer in context.own("embedding"):
        weight = weight_of(layer, "embedding")
        if weight is not None and weight.tied_to is None:
            yield layer, weight


def _same_values(left: Weight, right: Weight) -> bool:
    """Whether the file holds the one matrix twice: tied, but stored as two."""
    first, second = left.statistics, right.statistics
    return first is not None and second is not None and first.digest is not None and first.digest == second.digest
