"""Checks one module's arguments before PyTorch sees them; knows what arguments of torch.nn may be.

PyTorch's constructors check few types, and some loop or copy as often as an argument says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from service.builders.common import is_whole, joined
from service.builders.torch_allowed import FORMAT_ARGUMENTS, LAYER_ARGUMENTS, REFUSED_ARGUMENTS
from service.language import Message, msg
from service.parsers.suggest import did_you_mean
from service.plain import is_number

MAX_COPIES = 1000
"""Most repetitions (`num_layers`) of one layer: PyTorch makes each of them."""
DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")

_COUNTS = """
in_channels out_channels in_features out_features in1_features in2_features num_features num_channels num_groups
num_embeddings embedding_dim hidden_size input_size embed_dim num_heads kdim vdim d_model nhead dim_feedforward groups
upscale_factor downscale_factor num_parameters divisor_override
"""
_COPIES = frozenset({"num_layers", "num_encoder_layers", "num_decoder_layers"})
_WINDOWS = frozenset({"kernel_size", "stride", "dilation"})
_MARGINS = frozenset({"output_padding", "proj_size"})
_FRACTIONS = frozenset({"p", "dropout"})
_INTEGERS = frozenset({"dim", "dims", "start_dim", "end_dim", "index", "shape", "unflattened_size", "padding_idx"})
_SIZES = frozenset({"output_size", "size", "normalized_shape"})
_CHOICES = {
    "padding_mode": ("zeros", "reflect", "replicate", "circular"),
    "nonlinearity": ("tanh", "relu"),
    "activation": ("relu", "gelu"),
    "approximate": ("none", "tanh"),
    "dtype": DTYPES,
}

Check = Callable[[Any], Message | None]


class Signature(msgspec.Struct, frozen=True):
    """What a module takes: argument name to default, and which have none."""

    defaults: dict[str, Any]
    required: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """All names that a spec may give."""
        return (frozenset(self.defaults) | set(self.required)) - REFUSED_ARGUMENTS


def signature(kind: type, base: type | None = None) -> Signature:
    """The constructor's arguments; those of `base` for recurrent modules, which take them as `*args`."""
    parameters = [p for p in inspect.signature((base or kind).__init__).parameters.values() if p.name != "self"]  # type: ignore[misc]
    plain = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if base is not None:
        plain = [p for p in plain if p.name != "mode" and (p.name != "proj_size" or kind.__name__ == "LSTM")]
    defaults = {p.name: p.default for p in plain if p.default is not p.empty}
    if kind.__name__ == "RNN":
        defaults["nonlinearity"] = "tanh"
    return Signature(defaults=defaults, required=tuple(p.name for p in plain if p.default is p.empty))


def problems(
    arguments: dict[str, Any], known: Signature, type_name: str, inferred: frozenset[str]
) -> list[tuple[str, Message]]:
    """What is wrong, as (argument, rest of a sentence that starts with its name)."""
    found = [(name, msg("is required.")) for name in known.required if name not in arguments and name not in inferred]
    for name, value in arguments.items():
        problem = _problem(name, value, known, type_name)
        found += [(name[:100], problem)] if problem else []
    return found


def _problem(name: str, value: Any, known: Signature, type_name: str) -> Message | None:
    if name in REFUSED_ARGUMENTS:
        return msg("cannot be given in a spec.")
    if name in FORMAT_ARGUMENTS:
        return None if isinstance(value, bool) else msg("must be true or false.")
    if name not in known.names:
        return joined(msg("is not an argument of {type}.", type=type_name), did_you_mean(name, known.names))
    default = known.defaults.get(name)
    if name in LAYER_ARGUMENTS or (value is None and default is None and name not in known.required):
        return None
    if name == "padding":
        return _padding(value)
    if name in _CHOICES:
        return _choice(value, _CHOICES[name])
    check = next((check for names, check in _CHECKS if name in names), None)
    if check is not None:
        return check(value)
    return _by_default(value, default)


def _by_default(value: Any, default: Any) -> Message | None:
    if isinstance(default, bool):
        return None if isinstance(value, bool) else msg("must be true or false.")
    if isinstance(default, float):
        return None if is_number(value) else msg("must be a number.")
    fine = value is None or isinstance(value, str | bool) or is_number(value)
    fine = fine or (isinstance(value, list) and all(is_number(item) for item in value))
    return None if fine else msg("must be a number, a text or a list of numbers.")


def _padding(value: Any) -> Message | None:
    if isinstance(value, str):
        return _choice(value, ("valid", "same"))
    return None if _all_whole(value, None) else msg('must be a whole number, a list of them, "valid" or "same".')


def _choice(value: Any, words: tuple[str, ...]) -> Message | None:
    if isinstance(value, str) and value in words:
        return None
    listed = ", ".join(f'"{word}"' for word in words)
    return joined(msg("must be one of {choice}.", choice=listed), did_you_mean(str(value), words))


def _count(value: Any) -> Message | None:
    return None if is_whole(value, 1) else msg("must be a whole number from 1.")


def _copies(value: Any) -> Message | None:
    return (
        None
        if is_whole(value, 1) and value <= MAX_COPIES
        else msg("must be a whole number from 1 to {most}.", most=MAX_COPIES)
    )


def _window(value: Any) -> Message | None:
    return None if _all_whole(value, 1) else msg("must be a whole number from 1, or a list of them.")


def _margin(value: Any) -> Message | None:
    return None if _all_whole(value, 0) else msg("must be a whole number from 0, or a list of them.")


def _integer(value: Any) -> Message | None:
    return None if _all_whole(value, None) else msg("must be a whole number or a list of them.")


def _size(value: Any) -> Message | None:
    values = value if isinstance(value, list) else [value]
    fine = bool(values) and all(item is None or is_whole(item, 1) for item in values)
    return None if fine else msg("must be a whole number from 1, or a list of them.")


def _fraction(value: Any) -> Message | None:
    return None if is_number(value) and 0 <= value <= 1 else msg("must be a number from 0 to 1.")


_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset(_COUNTS.split()), _count),
    (_COPIES, _copies),
    (_WINDOWS, _window),
    (_MARGINS, _margin),
    (_INTEGERS, _integer),
    (_SIZES, _size),
    (_FRACTIONS, _fraction),
)


def _all_whole(value: Any, least: int | None) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(type(item) is int and (least is None or item >= least) for item in values)
