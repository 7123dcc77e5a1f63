"""TensorFlow operations that functional models of Keras 2 hold as layers, in terms of `keras.ops`.

Knows how `TFOpLambda` and `SlicingOpLambda` recorded a call. Only operations listed here are rebuilt; the name in the
file selects an entry of these tables and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

CLASSES = frozenset({"TFOpLambda", "SlicingOpLambda"})

Arguments = dict[str, Any]
Rule = Callable[[Any, list[Any], Arguments], Any]
"""(keras.ops, positional arguments, named arguments) -> tensors."""

_BINARY = {
    "add": ("math.add", "__operators__.add", "__operators__.radd"),
    "subtract": ("math.subtract", "__operators__.sub", "__operators__.rsub"),
    "multiply": ("math.multiply", "__operators__.mul", "__operators__.rmul"),
    "true_divide": ("math.truediv", "math.divide", "__operators__.truediv"),
    "power": ("math.pow", "__operators__.pow"),
    "maximum": ("math.maximum",),
    "minimum": ("math.minimum",),
}
_UNARY = {
    "relu": ("nn.relu",),
    "relu6": ("nn.relu6",),
    "sigmoid": ("math.sigmoid", "nn.sigmoid"),
    "tanh": ("math.tanh", "nn.tanh"),
    "silu": ("nn.silu", "nn.swish"),
    "gelu": ("nn.gelu",),
    "elu": ("nn.elu",),
    "softmax": ("nn.softmax",),
    "exp": ("math.exp",),
    "log": ("math.log",),
    "sqrt": ("math.sqrt",),
    "rsqrt": ("math.rsqrt",),
    "square": ("math.square",),
    "absolute": ("math.abs",),
    "negative": ("math.negative", "__operators__.neg"),
    "stop_gradient": ("stop_gradient",),
}
_REDUCING = {
    "mean": ("math.reduce_mean",),
    "sum": ("math.reduce_sum",),
    "max": ("math.reduce_max",),
    "min": ("math.reduce_min",),
    "prod": ("math.reduce_prod",),
}


def call(ops: Any, function: str, args: list[Any], kwargs: Arguments) -> Any:
    """The tensors that the recorded call gives, by `ops` (the module `keras.ops`)."""
    return _RULES[function](ops, args, kwargs)


def is_known(function: Any) -> bool:
    """Whether a recorded function is one of those rebuilt here."""
    return isinstance(function, str) and function in _RULES


def _binary(name: str) -> Rule:
    def rule(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
        return getattr(ops, name)(args[0], kwargs["y"] if "y" in kwargs else args[1])

    return rule


def _unary(name: str) -> Rule:
    def rule(ops: Any, args: list[Any], _kwargs: Arguments) -> Any:
        return getattr(ops, name)(args[0])

    return rule


def _reducing(name: str) -> Rule:
    def rule(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
        return getattr(ops, name)(args[0], axis=kwargs.get("axis"), keepdims=bool(kwargs.get("keepdims")))

    return rule


def _same(_ops: Any, args: list[Any], _kwargs: Arguments) -> Any:
    return args[0]


def _concat(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.concatenate(args[0], axis=kwargs["axis"])


def _stack(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.stack(args[0], axis=kwargs.get("axis", 0))


def _split(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.split(args[0], kwargs["num_or_size_splits"], axis=kwargs.get("axis", 0))


def _reshape(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.reshape(args[0], kwargs["shape"])


def _expand(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.expand_dims(args[0], kwargs["axis"])


def _squeeze(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.squeeze(args[0], kwargs.get("axis"))


def _transpose(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.transpose(args[0], kwargs.get("perm"))


def _cast(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return ops.cast(args[0], kwargs["dtype"])


def _matmul(ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    first, second = args[0], kwargs["b"] if "b" in kwargs else args[1]
    return ops.matmul(
        ops.swapaxes(first, -1, -2) if kwargs.get("transpose_a") else first,
        ops.swapaxes(second, -1, -2) if kwargs.get("transpose_b") else second,
    )


def _slice(_ops: Any, args: list[Any], kwargs: Arguments) -> Any:
    return args[0][tuple(_index(item) for item in kwargs["slice_spec"])]


def _index(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    if item.get("class_name") == "__ellipsis__":
        return ...
    return slice(item.get("start"), item.get("stop"), item.get("step"))


def _named(table: Mapping[str, tuple[str, ...]], make: Callable[[str], Rule]) -> dict[str, Rule]:
    return {recorded: make(name) for name, spellings in table.items() for recorded in spellings}


_RULES: dict[str, Rule] = {
    **_named(_BINARY, _binary),
    **_named(_UNARY, _unary),
    **_named(_REDUCING, _reducing),
    "identity": _same,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "reshape": _reshape,
    "expand_dims": _expand,
    "squeeze": _squeeze,
    "compat.v1.squeeze": _squeeze,
    "transpose": _transpose,
    "compat.v1.transpose": _transpose,
    "cast": _cast,
    "linalg.matmul": _matmul,
    "__operators__.getitem": _slice,
}
