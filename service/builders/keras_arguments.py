"""Checks one layer's arguments before Keras sees them; knows what the arguments of Keras' layers may be.

Keras itself checks few types: `units=True` or `kernel_size=2.5` would pass, or break somewhere later in words of
TensorFlow. What is checked here is what no layer of Keras can use; the rest is Keras' own to judge.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from service.builders.common import is_whole, joined
from service.builders.keras_allowed import LAYER_ARGUMENTS
from service.language import Message, msg
from service.parsers.suggest import did_you_mean
from service.plain import is_number

MAX_NGRAMS = 100
"""TextVectorization makes a list as long as this number."""

_COUNTS = """
units filters output_dim input_dim num_heads key_dim value_dim groups depth_multiplier head_dim num_query_heads
num_key_value_heads n power_iterations num_tokens height width num_bins max_tokens lora_rank bins fft_length
frame_length frame_step sequence_stride sequence_length sampling_rate num_mel_bins max_number num_ops num_chains
chain_depth output_sequence_length
"""
COUNTS = frozenset(_COUNTS.split())
"""Whole numbers from 1."""
WINDOWS = frozenset({"kernel_size", "pool_size", "strides", "dilation_rate", "size", "output_size"})
"""A whole number from 1, or a list of them."""
MARGINS = frozenset({"cropping", "padding", "output_padding"})
"""Whole numbers from 0, in nested lists; `padding` may be a word as well."""
FRACTIONS = frozenset({"rate", "dropout", "recurrent_dropout"})
"""Numbers from 0 to 1."""
AXES = frozenset({"target_shape", "dims", "axis", "axes", "shared_axes", "attention_axes", "noise_shape"})
"""Whole numbers, negative ones too, alone or in lists."""
SHAPES = frozenset({"shape", "batch_shape"})
"""Lists of sizes, null where open."""
WORDS = {
    "padding": ("valid", "same", "causal"),
    "data_format": ("channels_last", "channels_first"),
}

_ANY_DEFAULT = frozenset({"seed", "mask_value", "mask_token", "oov_token", "factor", "scale", "offset", "fill_value",
                          "value_range", "use_cudnn", "all_ops", "sigma"})  # fmt: skip
"""Arguments whose default does not tell the types they take."""


class Signature(msgspec.Struct, frozen=True):
    """What a layer's constructor takes: argument name to default, and which have none."""

    defaults: dict[str, Any]
    required: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """All names that may be given."""
        return frozenset(self.defaults) | set(self.required)


def signature(kind: type) -> Signature:
    """The constructor's arguments, and those of the constructors that it passes unknown ones on to."""
    own = _parameters(kind)
    defaults = {p.name: p.default for p in own if p.default is not p.empty}
    required = tuple(p.name for p in own if p.default is p.empty and p.kind is not p.VAR_KEYWORD)
    above = iter(kind.__mro__[1:])
    while any(p.kind is p.VAR_KEYWORD for p in own) and "autocast" not in defaults:
        own = _parameters(next(above))
        defaults = {**{p.name: p.default for p in own if p.default is not p.empty}, **defaults}
    return Signature(defaults=defaults, required=required)


def _parameters(kind: type) -> list[inspect.Parameter]:
    initializer: Any = kind.__init__  # type: ignore[misc]
    return [parameter for parameter in inspect.signature(initializer).parameters.values() if parameter.name != "self"]


def problems(arguments: dict[str, Any], known: Signature, type_name: str) -> list[tuple[str, Message]]:
    """What is wrong, as (argument, rest of a sentence that starts with its name)."""
    found = [(name, msg("is required.")) for name in known.required if name not in arguments]
    for name, value in arguments.items():
        if name not in known.names:
            said = msg("is not an argument of {type}.", type=type_name)
            found.append((name[:100], joined(said, did_you_mean(name, known.names))))
        else:
            problem = _problem(name, value, known)
            found += [(name, problem)] if problem else []
    return found


def _problem(name: str, value: Any, known: Signature) -> Message | None:
    default = known.defaults.get(name)
    if value is None and (default is None and name not in known.required):
        return None
    if name in LAYER_ARGUMENTS or _is_object(name):
        return None
    for names, check in _CHECKS:
        if name in names:
            return check(name, value)
    return _by_default(name, value, default)


def _is_object(name: str) -> bool:
    """Arguments that `keras_objects` makes and judges."""
    return name.endswith(("_initializer", "_regularizer", "_constraint", "activation", "dtype"))


def _by_default(name: str, value: Any, default: Any) -> Message | None:
    if name in _ANY_DEFAULT:
        return None if _is_plain(value) else msg("must be a plain value.")
    if isinstance(default, bool):
        return None if isinstance(value, bool) else msg("must be true or false.")
    if isinstance(default, float):
        return None if is_number(value) or isinstance(value, list) else msg("must be a number.")
    return None if _is_plain(value) else msg("must be a plain value: a number, a text or a list of them.")


def _count(_name: str, value: Any) -> Message | None:
    return None if is_whole(value, 1) else msg("must be a whole number from 1.")


def _window(_name: str, value: Any) -> Message | None:
    values = value if isinstance(value, list) else [value]
    fine = bool(values) and all(is_whole(item, 1) for item in values)
    return None if fine else msg("must be a whole number from 1, or a list of them.")


def _margin(name: str, value: Any) -> Message | None:
    if isinstance(value, str) and name in WORDS:
        return _word(name, value)
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif not is_whole(item, 0) and item is not None:
            if name in WORDS:
                return msg('must be whole numbers from 0 or one of "valid", "same".')
            return msg("must be whole numbers from 0.")
    return None


def _axes(_name: str, value: Any) -> Message | None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif type(item) is not int and item is not None:
            return msg("must be a whole number or a list of them.")
    return None


def _shape(_name: str, value: Any) -> Message | None:
    fine = isinstance(value, list) and all(size is None or is_whole(size, 1) for size in value)
    return None if fine else msg("must be a list of sizes, null where open.")


def _fraction(_name: str, value: Any) -> Message | None:
    return None if is_number(value) and 0 <= value <= 1 else msg("must be a number from 0 to 1.")


def _word(name: str, value: Any) -> Message | None:
    words = WORDS[name]
    if isinstance(value, str) and value in words:
        return None
    choice = ", ".join(f'"{word}"' for word in words)
    return joined(msg("must be one of {choice}.", choice=choice), did_you_mean(str(value), words))


def _vocabulary(_name: str, value: Any) -> Message | None:
    return None if isinstance(value, list) and _is_plain(value) else msg("must be a list: no file is ever opened.")


def _nothing(_name: str, value: Any) -> Message | None:
    return msg("must be null: a spec holds no values of weights.") if value is not None else None


def _ngrams(_name: str, value: Any) -> Message | None:
    sizes = value if isinstance(value, list) else [value]
    fine = all(is_whole(size, 1) and size <= MAX_NGRAMS for size in sizes)
    return None if fine else msg("must be a whole number from 1 to {most}, or a list of them.", most=MAX_NGRAMS)


def _text(_name: str, value: Any) -> Message | None:
    return None if isinstance(value, str) and value else msg("must be a text.")


_CHECKS: tuple[tuple[frozenset[str], Callable[[str, Any], Message | None]], ...] = (
    (COUNTS, _count),
    (WINDOWS, _window),
    (MARGINS, _margin),
    (AXES, _axes),
    (SHAPES, _shape),
    (FRACTIONS, _fraction),
    (frozenset({"data_format"}), _word),
    (frozenset({"vocabulary"}), _vocabulary),
    (frozenset({"weights", "quantization_config", "input_tensor"}), _nothing),
    (frozenset({"ngrams"}), _ngrams),
    (frozenset({"name"}), _text),
)


def _is_plain(value: Any) -> bool:
    """Whether nothing in `value` names a class, and with it something to load."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            if "class_name" in item:
                return False
            waiting += item.values()
    return True
