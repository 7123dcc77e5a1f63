"""Convolutions: plain, grouped, dilated, depthwise, separable, transposed, unshared, and LSTMs made of them."""

from __future__ import annotations

from math import prod

from service.enrich.cost.work import (
    KERNELS,
    SIZES_MISSING,
    WEIGHTS_MISSING,
    Call,
    Work,
    activated,
    bias_elements,
    channel_axis,
    elements,
    option,
    places,
    unknown,
    whole,
    wholes,
)
from service.language import msg

CONV = msg(
    "Every element of the kernel once per output position and example; groups make the kernel smaller, dilation and "
    "padding change nothing. FLOPs: two for each, one per output element for the bias and for an activation of its own."
)
TRANSPOSED = msg(
    "Every element of the kernel once per input position and example, before the edges are cut off. FLOPs: two for "
    "each, one per output element for the bias and for an activation of its own."
)
SEPARABLE = msg(
    "Every element of both kernels once per output position and example. FLOPs: two for each, one per output element "
    "for the bias and for an activation of its own."
)
UNSHARED = msg("Every position has a kernel of its own: every element of it once per example. FLOPs: two for each.")
CONV_LSTM = msg(
    "At every step in time the input kernel and the recurrent kernel, each element once per output position. FLOPs: "
    "two for each, and the additions and functions of the gates."
)
_GATE_FLOPS = 13
_DEPTHWISE = KERNELS | {"depthwise_kernel"}


def conv(call: Call) -> Work:
    """Any convolution whose kernel is applied at every output position."""
    held = elements(call, _DEPTHWISE) or _configured(call)
    if held is None:
        return unknown(WEIGHTS_MISSING)
    if call.type.startswith("LocallyConnected"):
        return Work(call.batch * held, call.batch * bias_elements(call) + activated(call), UNSHARED)
    if not call.outs:
        return unknown(SIZES_MISSING)
    return Work(places(call.outs[0], channel_axis(call)) * held, _afterwards(call), CONV)


def transposed(call: Call) -> Work:
    """A transposed convolution spreads every input position over a window of the output."""
    held = elements(call) or _configured(call)
    if held is None:
        return unknown(WEIGHTS_MISSING)
    if not call.ins:
        return unknown(SIZES_MISSING)
    return Work(places(call.ins[0], channel_axis(call)) * held, _afterwards(call), TRANSPOSED)


def separable(call: Call) -> Work:
    """Depthwise with the stride, then pointwise: both at every output position."""
    held = elements(call, ("depthwise_kernel", "pointwise_kernel"))
    if held is None:
        return unknown(WEIGHTS_MISSING)
    if not call.outs:
        return unknown(SIZES_MISSING)
    return Work(places(call.outs[0], channel_axis(call)) * held, _afterwards(call), SEPARABLE)


def conv_lstm(call: Call) -> Work:
    """Both kernels at every step; the state keeps the size of the output."""
    held = elements(call, ("kernel", "recurrent_kernel"))
    if held is None:
        return unknown(WEIGHTS_MISSING)
    if not call.ins or not call.outs or len(call.ins[0]) < 4:
        return unknown(SIZES_MISSING)
    steps, sequences = call.ins[0][1], call.config.get("return_sequences") is True
    frame = call.outs[0][:1] + call.outs[0][2:] if sequences else call.outs[0]
    axis = channel_axis(call)
    positions = places(frame, axis) * steps
    return Work(positions * held, positions * bias_elements(call) + _GATE_FLOPS * steps * prod(frame), CONV_LSTM)


def _afterwards(call: Call) -> int | None:
    """Bias and activation; None where the output's sizes are not known."""
    if not call.outs:
        return None
    biased = prod(call.outs[0]) if bias_elements(call) or _says_bias(call) else 0
    return biased + activated(call)


def _says_bias(call: Call) -> bool:
    return not call.weights and option(call.config, "use_bias", "bias") is True


def _configured(call: Call) -> int | None:
    """Elements of the kernel by the arguments, where the weights are not there."""
    if not call.ins or len(call.ins[0]) < 3:
        return None
    channels = call.ins[0][channel_axis(call)]
    window = wholes(call.config.get("kernel_size"), len(call.ins[0]) - 2)
    groups = whole(call.config.get("groups", 1))
    if window is None or groups is None:
        return None
    if call.kind.startswith("depthwise"):
        multiplier = whole(call.config.get("depth_multiplier", 1))
        return None if multiplier is None else prod(window) * channels * multiplier
    filters = whole(option(call.config, "filters", "out_channels"))
    return None if filters is None else prod(window) * channels * filters // groups


KINDS = {
    **{f"conv{rank}d": conv for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": transposed for rank in (1, 2, 3)},
    **{f"depthwise_conv{rank}d": conv for rank in (1, 2)},
    **{f"separable_conv{rank}d": separable for rank in (1, 2)},
    "conv_lstm": conv_lstm,
}
