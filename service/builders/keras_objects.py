"""Makes the small objects that layers take: initializers, regularizers, constraints, activations, dtype policies.

Knows which of Keras' classes may be made, by explicit name; resolves nothing else. None of them changes a shape, so
what is unknown in a recorded config is left out with a note, while in a spec of one's own it is a mistake.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec
from keras import activations, constraints, dtype_policies, initializers, regularizers

from service.builders.common import clean, joined
from service.language import Message, msg
from service.parsers.suggest import did_you_mean
from service.plain import text

_INITIALIZERS = """
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
"""
_ACTIVATIONS = """
celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax
squareplus swish tanh tanh_shrink threshold
"""
_POLICIES = ("DTypePolicy", "FloatDTypePolicy", "QuantizedDTypePolicy", "QuantizedFloat8DTypePolicy", "Int4DTypePolicy")
_POLICY_NAME = re.compile(r"[a-z0-9_/-]{1,80}")

_OLD_NAMES = {
    "zero": "zeros",
    "one": "ones",
    "normal": "random_normal",
    "uniform": "random_uniform",
    "identity": "identity_initializer",
    "orthogonal": "orthogonal_initializer",
    "softmax_v2": "softmax",
    "relu_v2": "relu",
    "swish": "silu",
    "hard_swish": "hard_silu",
}


def _snake(name: str) -> str:
    return re.sub("(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


_INITIALIZER_OF = {_snake(name): name for name in _INITIALIZERS.split()}
_REGULARIZER_OF = {
    "l1": "L1",
    "l2": "L2",
    "l1_l2": "L1L2",
    "l1l2": "L1L2",
    "orthogonal_regularizer": "OrthogonalRegularizer",
}
_CONSTRAINT_OF = {"max_norm": "MaxNorm", "min_max_norm": "MinMaxNorm", "non_neg": "NonNeg", "unit_norm": "UnitNorm"}
_ACTIVATION_NAMES = frozenset(_ACTIVATIONS.split())
_ACTIVATION_OF_LAYER = {name.replace("_", ""): name for name in _ACTIVATION_NAMES}


class Made(msgspec.Struct, frozen=True):
    """An object, or None with what is wrong as `problem`."""

    value: Any = None
    problem: Message | None = None


def initializer(given: Any) -> Made:
    """An initializer from its name or `{"class_name", "config"}`."""
    return _object(given, initializers, _INITIALIZER_OF, msg("initializer"))


def regularizer(given: Any) -> Made:
    """A regularizer from its name or `{"class_name", "config"}`."""
    return _object(given, regularizers, _REGULARIZER_OF, msg("regularizer"))


def constraint(given: Any) -> Made:
    """A constraint from its name or `{"class_name", "config"}`."""
    return _object(given, constraints, _CONSTRAINT_OF, msg("constraint"))


def activation(given: Any) -> Made:
    """An activation from its name, or from the object Keras writes for a function of its own."""
    if given is None:
        return Made()
    if isinstance(given, dict):
        given = _function_name(given)
    if not isinstance(given, str):
        return Made(problem=msg("must be the name of an activation function."))
    name = _OLD_NAMES.get(given, given)
    if name not in _ACTIVATION_NAMES:
        said = msg('"{value}" is no activation function of Keras.', value=text(given, 80))
        return Made(problem=joined(said, did_you_mean(given, _ACTIVATION_NAMES)))
    return Made(activations.get(name))


def _function_name(given: dict[str, Any]) -> Any:
    """The name in Keras' object for a function, or the function that an activation layer (`ReLU`) stands for."""
    if given.get("class_name") == "function":
        return given.get("config")
    name = str(given.get("class_name"))
    return _ACTIVATION_OF_LAYER.get(name.lower(), name)


def dtype_policy(given: Any) -> Made:
    """A dtype policy from its name (`float32`, `mixed_bfloat16`) or from the object that Keras 2 and 3 write."""
    if given is None:
        return Made()
    if isinstance(given, dict):
        given = _policy_name(given)
        if given is None:
            return Made(problem=msg("is no dtype policy that is known here."))
    if not isinstance(given, str) or not _POLICY_NAME.fullmatch(given):
        return Made(problem=msg('must be the name of a dtype, such as "float32".'))
    if given in ("infer", "_infer"):
        return Made()
    try:
        return Made(dtype_policies.get(given))
    except (ValueError, TypeError) as error:
        return Made(problem=msg("is not usable: {reason}", reason=clean(str(error))))


def _policy_name(given: dict[str, Any]) -> str | None:
    config = given.get("config")
    if not isinstance(config, dict):
        return None
    if given.get("class_name") in ("Policy", "PolicyV1", *_POLICIES):
        mode, source = config.get("mode"), config.get("source_name")
        if isinstance(mode, str) and isinstance(source, str):
            return f"{mode}_from_{source}"
        name = config.get("name")
        return name if isinstance(name, str) else None
    return None


def _object(given: Any, module: Any, known: dict[str, str], what: Message) -> Made:
    if given is None:
        return Made()
    config: Any = {}
    name = given
    if isinstance(given, dict):
        name, config = given.get("class_name"), given.get("config") or {}
    if not isinstance(name, str) or not isinstance(config, dict):
        return Made(
            problem=msg("must be the name of one ({what}) or {example}.", what=what, example='{"class_name", "config"}')
        )
    key = _OLD_NAMES.get(_snake(name), _snake(name))
    if key not in known:
        said = msg('"{value}" is no {what} of Keras.', value=text(name, 80), what=what)
        return Made(problem=joined(said, did_you_mean(name, known)))
    return _call(getattr(module, known[key]), config)


def _call(kind: Callable[..., Any], config: dict[str, Any]) -> Made:
    """The object with those of its arguments that are plain values; a seed may be a generator's whole config."""
    plain = {key: value for key, value in config.items() if not isinstance(value, dict) and key != "dtype"}
    if any(isinstance(value, float) and not math.isfinite(value) for value in plain.values()):
        return Made(problem=msg("holds a number that is not finite."))
    try:
        return Made(kind(**plain))
    except Exception as error:  # noqa: BLE001 - constructors of the framework raise what they like at odd arguments
        return Made(problem=msg("is not usable: {reason}", reason=clean(str(error))))
