"""Recurrent layers, as the catalogue has them."""

from __future__ import annotations

from service.enrich.kinds.entry import Entry, Held, example, formulas, option, symbol, weight, without_effect
from service.kindinfo import KindOption, KindTerm, KindWeight
from service.language import Message, msg, verbatim

_INPUTS, _UNITS = 10, 4
_GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
_KERAS_CLASS = {"simple_rnn": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}
_TORCH_CLASS = {"simple_rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


def entries() -> dict[str, Entry]:
    """The kinds of this family."""
    return {
        **{kind: _recurrent(kind) for kind in _GATES},
        "bidirectional": _bidirectional(),
        "rnn": _around_a_cell(),
        "rnn_cell": _cell(),
        "conv_lstm": _conv_lstm(),
    }


def _terms(*more: KindTerm) -> tuple[KindTerm, ...]:
    return (symbol("inputs", msg("input features")), symbol("units", msg("units (output features)")), *more)


def _keras_cell(prefix: str, gates: int, biases: int = 1) -> tuple[Held, ...]:
    bias = (gates * _UNITS,) if biases == 1 else (biases, gates * _UNITS)
    return (
        (f"{prefix}kernel", "kernel", (_INPUTS, gates * _UNITS), "in-out"),
        (f"{prefix}recurrent_kernel", "recurrent_kernel", (_UNITS, gates * _UNITS), "in-out"),
        (f"{prefix}bias", "bias", bias, None),
    )


def _torch_cell(suffix: str, gates: int) -> tuple[Held, ...]:
    return (
        (f"weight_ih{suffix}", "kernel", (gates * _UNITS, _INPUTS), "out-in"),
        (f"weight_hh{suffix}", "recurrent_kernel", (gates * _UNITS, _UNITS), "out-in"),
        (f"bias_ih{suffix}", "bias", (gates * _UNITS,), None),
        (f"bias_hh{suffix}", "recurrent_bias", (gates * _UNITS,), None),
    )


def _keras_weights(gates: int, prefix: str = "", biases: str = "") -> tuple[KindWeight, ...]:
    wide = f"{gates} × units" if gates > 1 else "units"
    return (
        weight("keras", f"{prefix}kernel", "kernel", f"[inputs, {wide}]"),
        weight("keras", f"{prefix}recurrent_kernel", "recurrent_kernel", f"[units, {wide}]"),
        weight("keras", f"{prefix}bias", "bias", f"[{biases}{wide}]", verbatim("use_bias=True")),
    )


def _torch_weights(gates: int, suffix: str) -> tuple[KindWeight, ...]:
    wide = f"{gates} × units" if gates > 1 else "units"
    when = verbatim("bias=True")
    return (
        weight("torch", f"weight_ih{suffix}", "kernel", f"[{wide}, inputs]"),
        weight("torch", f"weight_hh{suffix}", "recurrent_kernel", f"[{wide}, units]"),
        weight("torch", f"bias_ih{suffix}", "bias", f"[{wide}]", when),
        weight("torch", f"bias_hh{suffix}", "recurrent_bias", f"[{wide}]", when),
    )


def _formula(gates: int, biases: int) -> str:
    inner = " + ".join(["inputs × units", "units × units", *["units"] * biases])
    return f"{gates} × ({inner})" if gates > 1 else inner


def _options(kind: str) -> tuple[KindOption, ...]:
    gru = (option("keras", "reset_after", msg("True, the default, keeps a second bias per gate, as PyTorch does.")),)
    projection = (
        option("torch", "proj_size", msg("Shrinks the state and adds one kernel [size, units] without gates.")),
    )
    return (
        option("keras", "use_bias", msg("False leaves out the biases.")),
        *(gru if kind == "gru" else ()),
        option("torch", "bias", msg("False leaves out both biases.")),
        option(
            "torch", "num_layers", msg("Each stacked layer has weights of its own, on the outputs of the one before.")
        ),
        option("torch", "bidirectional", msg("Twice the weights: one cell per direction.")),
        *(projection if kind == "lstm" else ()),
        *_free(),
    )


def _free() -> tuple[KindOption, ...]:
    reason = msg("It decides what comes out of the layer, not what is learned.")
    keras = ("return_sequences", "return_state", "stateful", "go_backwards", "dropout", "recurrent_dropout")
    return (*without_effect("keras", keras, reason), *without_effect("torch", ("batch_first", "dropout"), reason))


def _difference(kind: str) -> Message:
    if kind == "gru":
        return msg("With reset_after=True, its default, Keras counts as PyTorch does; with False it has one bias less.")
    return msg("PyTorch keeps two biases per gate, one beside the inputs and one beside the state; Keras keeps one.")


def _recurrent(kind: str) -> Entry:
    gates = _GATES[kind]
    biases = 2 if kind == "gru" else 1
    keras, torch = _KERAS_CLASS[kind], _TORCH_CLASS[kind]
    projection = weight("torch", "weight_hr_l0", "projection_kernel", "[size, units]", verbatim("proj_size"))
    return Entry(
        weights=(
            *_keras_weights(gates, biases="2, " if kind == "gru" else ""),
            *_torch_weights(gates, "_l0"),
            *((projection,) if kind == "lstm" else ()),
        ),
        formulas=formulas(_formula(gates, biases), _formula(gates, 2)),
        terms=_terms(*((symbol("size", msg("projected size (proj_size)")),) if kind == "lstm" else ())),
        options=_options(kind),
        differences=(_difference(kind),),
        examples=(
            example("keras", kind, f"{keras}(4)", _keras_cell("", gates, biases)),
            example("torch", kind, f"{torch}(10, 4)", _torch_cell("_l0", gates)),
        ),
    )


def _bidirectional() -> Entry:
    held = (*_keras_cell("forward_lstm/lstm_cell/", 4), *_keras_cell("backward_lstm/lstm_cell/", 4))
    return Entry(
        weights=(
            *_keras_weights(4, "forward_lstm/lstm_cell/"),
            *_keras_weights(4, "backward_lstm/lstm_cell/"),
        ),
        formulas=formulas(f"2 × {_formula(4, 1)}", None),
        terms=_terms(),
        options=(
            option("keras", "backward_layer", msg("Another layer for the way back has its own count.")),
            *without_effect("keras", ("merge_mode",),
                            msg("It decides how many features the next layer sees, not what is in this one.")),
        ),
        differences=(msg("In PyTorch it is an option of the recurrent module: bidirectional=True."),),
        examples=(example("keras", "bidirectional", "Bidirectional(LSTM(4))", held),),
        notes=(msg("The formula stands for one around an LSTM; other cells count as they do alone, twice."),),
    )  # fmt: skip


def _around_a_cell() -> Entry:
    return Entry(
        weights=_keras_weights(4, "lstm_cell/"),
        formulas=formulas(_formula(4, 1), None),
        terms=_terms(),
        options=(option("keras", "cell", msg("The weights are the cell's; a list of cells is stacked.")), *_free()[:4]),
        differences=(msg("PyTorch has no layer around a cell: a cell is called in a loop."),),
        examples=(example("keras", "rnn", "RNN(LSTMCell(4))", _keras_cell("lstm_cell/", 4)),),
        notes=(msg("The formula stands for an LSTMCell."),),
    )


def _cell() -> Entry:
    return Entry(
        weights=(*_keras_weights(4), *_torch_weights(4, "")),
        formulas=formulas(_formula(4, 1), _formula(4, 2)),
        terms=_terms(),
        options=(
            option("keras", "use_bias", msg("False leaves out the biases.")),
            option("torch", "bias", msg("False leaves out both biases.")),
        ),
        differences=(_difference("lstm"),),
        examples=(
            example("keras", "rnn_cell", "LSTMCell(4)", _keras_cell("", 4)),
            example("torch", "rnn_cell", "LSTMCell(10, 4)", _torch_cell("", 4)),
        ),
        notes=(msg("The formula stands for an LSTMCell: 4 gates; a GRUCell has 3, a plain cell 1."),),
    )


def _conv_lstm() -> Entry:
    return Entry(
        weights=(
            weight("keras", "kernel", "kernel", "[height, width, inputs, 4 × filters]"),
            weight("keras", "recurrent_kernel", "recurrent_kernel", "[height, width, filters, 4 × filters]"),
            weight("keras", "bias", "bias", "[4 × filters]", verbatim("use_bias=True")),
        ),
        formulas=formulas("4 × (window × inputs × filters + window × filters × filters + filters)", None),
        terms=(
            symbol("window", msg("sizes of the kernel along each axis, multiplied")),
            symbol("inputs", msg("input channels of the layer")),
            symbol("filters", msg("filters, one per output channel")),
        ),
        options=(
            option("keras", "use_bias", msg("False leaves out the biases.")),
            *without_effect("keras", ("strides", "padding", "dilation_rate"),
                            msg("It decides where the kernel is laid, not how many weights it has.")),
            *_free()[:4],
        ),
        differences=(msg("PyTorch has no such layer."),),
        examples=(
            example("keras", "conv_lstm", "ConvLSTM2D(4, 3)",
                    (("kernel", "kernel", (3, 3, 2, 16), "HWIO"),
                     ("recurrent_kernel", "recurrent_kernel", (3, 3, 4, 16), "HWIO"), ("bias", "bias", (16,), None))),
        ),
    )  # fmt: skip
