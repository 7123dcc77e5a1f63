"""Fully connected layers, bilinear layers, equations, embeddings and learned slopes, as the catalogue has them."""

from __future__ import annotations

from service.enrich.kinds.entry import Entry, example, formulas, option, symbol, weight, without_effect
from service.language import msg, verbatim


def entries() -> dict[str, Entry]:
    """The kinds of this family."""
    return {
        "linear": _linear(),
        "bilinear": _bilinear(),
        "einsum_dense": _einsum(),
        "embedding": _embedding(),
        "prelu": _prelu(),
    }


def _linear() -> Entry:
    return Entry(
        weights=(
            weight("keras", "kernel", "kernel", "[inputs, units]"),
            weight("keras", "bias", "bias", "[units]", verbatim("use_bias=True")),
            weight("keras", "lora_kernel_a", "lora_a", "[inputs, rank]", verbatim("lora_rank")),
            weight("keras", "lora_kernel_b", "lora_b", "[rank, units]", verbatim("lora_rank")),
            weight("keras", "kernel_scale", "quant_scale", "[units]", verbatim('quantize("int8")')),
            weight("torch", "weight", "kernel", "[units, inputs]"),
            weight("torch", "bias", "bias", "[units]", verbatim("bias=True")),
        ),
        formulas=formulas("inputs × units + units", "inputs × units + units"),
        terms=(
            symbol("inputs", msg("input features")),
            symbol("units", msg("units (output features)")),
            symbol("rank", msg("rank of the low-rank pair")),
        ),
        options=(
            option("keras", "use_bias", msg("False leaves out one value per unit.")),
            option("keras", "lora_rank", msg("Adds rank × (inputs + units); merged into the kernel when it is saved.")),
            option("keras", "quantize", msg("Adds a scale per unit; the kernel keeps as many values in fewer bits.")),
            option("torch", "bias", msg("False leaves out one value per unit.")),
            *without_effect("keras", ("activation",), msg("An activation has no weights here.")),
        ),
        differences=(msg("The count is the same; Keras stores [inputs, units], PyTorch its transpose."),),
        examples=(
            example("keras", "linear", "Dense(64)",
                    (("kernel", "kernel", (128, 64), "in-out"), ("bias", "bias", (64,), None))),
            example("torch", "linear", "Linear(128, 64)",
                    (("weight", "kernel", (64, 128), "out-in"), ("bias", "bias", (64,), None))),
            example("keras", "linear", "Dense(64, lora_rank=4)",
                    (("kernel", "kernel", (128, 64), "in-out"), ("bias", "bias", (64,), None),
                     ("lora_kernel_a", "lora_a", (128, 4), None), ("lora_kernel_b", "lora_b", (4, 64), None))),
        ),
    )  # fmt: skip


def _bilinear() -> Entry:
    return Entry(
        weights=(
            weight("torch", "weight", "kernel", "[outputs, inputs 1, inputs 2]"),
            weight("torch", "bias", "bias", "[outputs]", verbatim("bias=True")),
        ),
        formulas=formulas(None, "outputs × inputs 1 × inputs 2 + outputs"),
        terms=(
            symbol("outputs", msg("output features")),
            symbol("inputs 1", msg("features of the first input")),
            symbol("inputs 2", msg("features of the second input")),
        ),
        options=(option("torch", "bias", msg("False leaves out one value per unit.")),),
        differences=(msg("Keras has no such layer."),),
        examples=(
            example("torch", "bilinear", "Bilinear(5, 4, 3)",
                    (("weight", "kernel", (3, 5, 4), "out-in1-in2"), ("bias", "bias", (3,), None))),
        ),
    )  # fmt: skip


def _einsum() -> Entry:
    return Entry(
        weights=(
            weight("keras", "kernel", "kernel", "[a, b, ...]"),
            weight("keras", "bias", "bias", "[b, ...]", verbatim("bias_axes")),
        ),
        formulas=formulas("a × b × ... + b × ...", None),
        terms=(symbol("a, b ...", msg("sizes of the kernel's letters in the equation")),),
        options=(
            option("keras", "equation", msg("The letters of the second operand are the kernel's axes.")),
            option("keras", "bias_axes", msg("One bias value for each combination of these axes; left out, no bias.")),
            option("keras", "lora_rank", msg("Adds a low-rank pair; merged into the kernel when it is saved.")),
        ),
        differences=(msg("PyTorch has no such layer: torch.nn.Linear with the axes flattened counts the same."),),
        examples=(
            example("keras", "einsum_dense", 'EinsumDense("abc,cde->abde", (None, 4, 8), bias_axes="de")',
                    (("kernel", "kernel", (16, 4, 8), None), ("bias", "bias", (4, 8), None)),
                    {"equation": "abc,cde->abde", "bias_axes": "de"}),
        ),
    )  # fmt: skip


def _embedding() -> Entry:
    return Entry(
        weights=(
            weight("keras", "embeddings", "embedding", "[rows, dimensions]"),
            weight("keras", "reverse_embeddings", "kernel", "[dimensions, rows]",
                   verbatim("ReversibleEmbedding(tie_weights=False)")),
            weight("torch", "weight", "embedding", "[rows, dimensions]"),
        ),
        formulas=formulas("rows × dimensions", "rows × dimensions"),
        terms=(symbol("rows", msg("indices in the vocabulary")), symbol("dimensions", msg("values per index"))),
        options=(
            option("keras", "tie_weights", msg("False gives the way back a table of its own and doubles the count.")),
            option("keras", "lora_rank", msg("Adds rank × (rows + dimensions).")),
            *without_effect("keras", ("mask_zero", "input_length"), msg("It says how the input is read.")),
            *without_effect("torch", ("padding_idx", "max_norm", "sparse"),
                            msg("The row of the padding index is in the table and in the count all the same.")),
        ),
        differences=(msg("The count is the same in both frameworks."),),
        examples=(
            example("keras", "embedding", "Embedding(10000, 64)",
                    (("embeddings", "embedding", (10000, 64), "index-feature"),)),
            example("torch", "embedding", "Embedding(10000, 64)", (("weight", "embedding", (10000, 64), None),)),
        ),
    )  # fmt: skip


def _prelu() -> Entry:
    return Entry(
        weights=(
            weight("keras", "alpha", "slope", "[positions ..., channels]"),
            weight("torch", "weight", "slope", "[slopes]"),
        ),
        formulas=formulas("positions × channels", "slopes"),
        terms=(
            symbol("positions", msg("sizes of the input's axes but the batch; 1 for a shared axis")),
            symbol("channels", msg("channels of the input")),
            symbol("slopes", msg("num_parameters: 1, or one per channel")),
        ),
        options=(
            option("keras", "shared_axes", msg("A shared axis counts as 1.")),
            option("torch", "num_parameters", msg("1 by default, or one per channel.")),
        ),
        differences=(
            msg("Keras learns one slope per position and channel unless axes are shared, PyTorch one in all."),
        ),
        examples=(
            example("keras", "prelu", "PReLU(shared_axes=[1, 2])", (("alpha", "slope", (1, 1, 8), None),)),
            example("torch", "prelu", "PReLU(8)", (("weight", "slope", (8,), None),)),
        ),
    )  # fmt: skip
